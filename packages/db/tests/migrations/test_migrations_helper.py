from __future__ import annotations

import asyncio
import hashlib
import logging
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy.engine import URL, make_url

from tijolo.db.migrations import (
    AlembicHelper,
    EmptyRevisionError,
    MigrationError,
    MultipleHeadsError,
    SchemaAheadError,
    SchemaStatus,
)
from tijolo.db.waiting import DatabaseUnreachableError

CUSTOMER = """
class Customer(Base):
    name: Mapped[str] = mapped_column(String(80), unique=True)


class Order(Base):
    __tablename__ = "shop_order"
    customer_id: Mapped[object] = mapped_column(ForeignKey("customer.id"), index=True)
"""
CHANGED = CUSTOMER.replace("String(80), unique=True", "String(120), nullable=True") + (
    "    total: Mapped[int] = mapped_column(Integer, server_default='0')\n"
)
DOWN = "postgresql://app:s3cr%25t@127.0.0.1:1/shop"


def test_models_become_revisions_that_bring_the_database_in_sync(project, url):
    project.models(CUSTOMER)
    helper = project.helper(url)
    assert helper.report().status is SchemaStatus.DRIFT
    assert helper.check() is False

    first = helper.revision("customers and orders").revision
    assert helper.report().status is SchemaStatus.BEHIND
    assert helper.report().pending == (first,)
    helper.upgrade()

    assert helper.current() == first
    assert helper.heads() == [first]
    assert helper.report().status is SchemaStatus.IN_SYNC
    assert helper.check() is True


def test_a_changed_model_is_drift_that_is_named_until_it_is_migrated(project, url):
    project.models(CUSTOMER)
    helper = project.helper(url)
    first = helper.revision("first").revision
    helper.upgrade()
    project.models(CHANGED)

    report = helper.report()
    assert report.status is SchemaStatus.DRIFT
    assert not report.pending
    assert any("add_column 'shop_order.total'" in line for line in report.differences)
    assert any(line.startswith("modify_nullable 'customer.name'") for line in report.differences)
    assert any("uq_customer_name" in line for line in report.differences)
    if url.get_backend_name() != "sqlite":  # which does not enforce the length
        assert any(line.startswith("modify_type 'customer.name'") for line in report.differences)
    assert "add_column 'shop_order.total'" in str(report)

    second = helper.revision("second").revision
    helper.upgrade()
    assert helper.check() is True
    helper.downgrade()
    assert helper.current() == first
    helper.downgrade("base")
    assert helper.current() is None
    helper.upgrade("+1")
    assert helper.current() == first
    helper.upgrade()
    assert helper.current() == second
    assert helper.check() is True


def test_a_revision_written_on_sqlite_runs_on_every_database(project, sqlite_url, url):
    project.models(CUSTOMER)
    written = project.helper(sqlite_url).revision("first")
    code = written.module.__loader__.get_source(written.module.__name__)

    assert "strftime" not in code
    assert "server_default=sa.true()" in code
    project.helper(url).upgrade()
    assert project.helper(url).check() is True


def test_sync_methods_may_be_called_from_a_running_loop(project, url):
    project.models(CUSTOMER)
    helper = project.helper(url)

    async def service_start():
        helper.revision("first")
        helper.upgrade()
        return helper.check(), helper.current()

    assert asyncio.run(service_start()) == (True, helper.heads()[0])


async def test_async_twins_leave_the_loop_free(project, sqlite_url):
    project.models(CUSTOMER)
    helper = project.helper(sqlite_url)
    helper.revision("first")
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await helper.upgrade_async()
    during_upgrade = ticks
    assert await helper.check_async()
    assert (await helper.report_async()).status is SchemaStatus.IN_SYNC
    await helper.downgrade_async()
    assert await helper.current_async() is None
    await helper.stamp_async("head")
    assert await helper.current_async() == helper.heads()[0]
    ticking.cancel()
    assert during_upgrade > 1


def test_a_database_that_is_down_is_an_error_and_never_drift(project):
    pytest.importorskip("asyncpg")
    project.models(CUSTOMER)
    helper = project.helper(DOWN)

    for ask in (helper.check, helper.report, helper.current, helper.upgrade):
        with pytest.raises(DatabaseUnreachableError, match=r"127\.0\.0\.1:1") as caught:
            ask()
        assert "s3cr" not in str(caught.value)


def test_a_schema_of_newer_code_is_ahead_and_not_behind(project, url, sql):
    project.models(CUSTOMER)
    helper = project.helper(url)
    first = helper.revision("first").revision
    helper.upgrade()
    sql(url, "UPDATE alembic_version SET version_num = 'fromthefuture'")

    for ask in (helper.check, helper.upgrade, helper.downgrade, helper.stamp):
        with pytest.raises(SchemaAheadError, match="ahead of this code") as caught:
            ask()
        assert caught.value.unknown == ("fromthefuture",)
        assert caught.value.heads == (first,)
    assert helper.current() == "fromthefuture"

    helper.stamp(first, purge=True)
    assert helper.check() is True


def test_two_heads_are_refused_by_name(project, sqlite_url):
    project.models(CUSTOMER)
    project.revision("one", "pass")
    project.revision("left", "pass", down="one")
    project.revision("right", "pass", down="one")
    helper = project.helper(sqlite_url)

    assert sorted(helper.heads()) == ["left", "right"]
    for refused in (helper.upgrade, lambda: helper.revision("next", autogenerate=False)):
        with pytest.raises(MultipleHeadsError, match="'left', 'right'") as caught:
            refused()
        assert caught.value.heads == ("left", "right")
    helper.upgrade("heads")
    with pytest.raises(MultipleHeadsError):
        helper.current()
    assert set(helper.report().current) == {"left", "right"}


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        ("postgresql://nobody:x@127.0.0.1:1/nothing", "created_at TIMESTAMP WITH TIME ZONE"),
        ("mysql://nobody:x@127.0.0.1:1/nothing", "created_at DATETIME(6)"),
        ("sqlite:////nonexistent/directory/app.db", "created_at DATETIME"),
    ],
)
def test_offline_sql_needs_no_connection(
    project, sqlite_url, connections, capfd, database, expected
):
    project.models(CUSTOMER)
    first = project.helper(sqlite_url).revision("first").revision
    connections.clear()
    helper = project.helper(database)

    up = helper.upgrade(sql=True)
    down = helper.downgrade(f"{first}:base", sql=True)

    assert "CREATE TABLE customer" in up
    assert expected in up
    assert f"'{first}'" in up
    assert "DROP TABLE customer" in down
    assert ("BEGIN;" in up) is not database.startswith("mysql")
    assert connections == []
    assert capfd.readouterr().out == ""


def test_history_and_show_tell_the_revisions(project, sqlite_url):
    project.models(CUSTOMER)
    project.revision("one", "pass")
    project.revision("two", "pass", down="one")
    helper = project.helper(sqlite_url)

    assert helper.history().splitlines() == ["one -> two (head), two", "<base> -> one, one"]
    assert "Path:" in helper.history(verbose=True)
    assert helper.show().startswith("Rev: two (head)")
    assert "Rev: one" in helper.show("one")
    with pytest.raises(MigrationError, match="nowhere"):
        helper.show("nowhere")


def test_an_upgrade_at_head_opens_one_connection_and_takes_no_lock(
    project, sqlite_url, connections, tmp_path
):
    project.models(CUSTOMER)
    helper = project.helper(sqlite_url)
    helper.revision("first")
    helper.upgrade()
    (lock_file,) = tmp_path.glob("*-migrating")
    lock_file.unlink()
    connections.clear()

    helper.upgrade()

    assert len(connections) == 1
    assert not list(tmp_path.glob("*-migrating"))


def test_the_base_is_not_reached_by_accident(project, sqlite_url):
    project.models(CUSTOMER)
    project.helper(sqlite_url).revision("first")
    careful = AlembicHelper("alembic.ini", db_url=sqlite_url)
    careful.upgrade()

    with pytest.raises(MigrationError, match="force=True"):
        careful.downgrade("base")
    assert careful.check() is True
    careful.downgrade("base", force=True)
    assert careful.current() is None


@pytest.mark.parametrize("as_type", [str, SecretStr, make_url])
def test_a_password_is_neither_shown_nor_interpolated(project, caplog, as_type):
    pytest.importorskip("asyncmy")
    project.models(CUSTOMER)
    url = URL.create("mysql", "app", "p%(x)s%@:/ é", "127.0.0.1", 1, "shop")
    helper = project.helper(as_type(url.render_as_string(hide_password=False)))
    caplog.set_level(logging.DEBUG)

    with pytest.raises(DatabaseUnreachableError) as caught:
        helper.upgrade()

    options = dict(helper.config.file_config.items("alembic", raw=True))
    for shown in (repr(helper), str(caught.value), caplog.text, repr(options), repr(vars(helper))):
        assert "p%" not in shown
        assert "%25" not in shown
    assert "app:***@127.0.0.1" in repr(helper)


@pytest.mark.mariadb
def test_a_password_with_every_special_character_reaches_the_server(project, make_database, sql):
    url = make_database("mariadb")
    password = "p%(x)s%%40@:/?#[]& +'"
    user = f"tijolo_mig_{url.database[-6:]}"
    # as the server stores it: no layer in between can misread its special characters
    stored = "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()
    project.models(CUSTOMER)
    sql(
        url,
        f"CREATE USER '{user}'@'127.0.0.1' IDENTIFIED BY PASSWORD '{stored}'",
        f"GRANT ALL ON {url.database}.* TO '{user}'@'127.0.0.1'",
    )
    try:
        helper = project.helper(url.set(username=user, password=password))
        helper.revision("first")
        helper.upgrade()
        assert helper.check() is True
        assert project.run(url.set(username=user, password=password), "check").status == 0
    finally:
        sql(url, f"DROP USER '{user}'@'127.0.0.1'")


def test_the_environment_wins_over_the_ini_file(project, sqlite_url, monkeypatch, tmp_path):
    project.models(CUSTOMER)
    project.revision("one", "pass")
    monkeypatch.setenv("DATABASE_URL", str(sqlite_url))
    AlembicHelper().upgrade()
    assert not (tmp_path / "app.db").exists()
    monkeypatch.delenv("DATABASE_URL")

    assert AlembicHelper().current() is None  # that of the ini file
    assert AlembicHelper(db_url=sqlite_url).current() == "one"


def test_databases_stand_side_by_side_in_sections_of_one_file(project, make_database):
    project.models(CUSTOMER)
    shop, archive = make_database("sqlite"), make_database("sqlite")
    second = AlembicHelper("alembic.ini", section="archive", db_url=archive)
    second.init("archive", metadata_module=project.module, metadata_attr="Base")
    project.revision("shop_one", "pass")
    project.helper(shop).upgrade()
    written = second.revision("archive one")
    second.upgrade()

    assert project.helper(shop).heads() == ["shop_one"]
    assert second.heads() == [written.revision]
    assert second.check() is True
    with pytest.raises(SchemaAheadError):
        AlembicHelper("alembic.ini", section="archive", db_url=shop).upgrade()


def test_the_version_table_has_the_name_it_is_given(project, url, sql):
    project.models(CUSTOMER)
    project.option('version_table="shop_version"')
    helper = project.helper(url)
    first = helper.revision("first").revision
    helper.upgrade()

    assert sql(url, "SELECT version_num FROM shop_version") == [(first,)]
    assert helper.check() is True


@pytest.mark.postgres
def test_the_version_table_may_live_in_another_schema(project, make_database, sql):
    url = make_database("postgres")
    sql(url, "CREATE SCHEMA ops")
    project.models(CUSTOMER)
    with Path("alembic.ini").open("a") as ini:
        ini.write("version_table_schema = ops\n")
    helper = project.helper(url)
    first = helper.revision("first").revision
    helper.upgrade()

    assert sql(url, "SELECT version_num FROM ops.alembic_version") == [(first,)]
    assert helper.check() is True


def test_a_database_in_memory_is_refused(project):
    project.models(CUSTOMER)

    with pytest.raises(MigrationError, match="in memory"):
        project.helper("sqlite://").upgrade()


async def test_a_connection_of_the_caller_is_used_as_it_is(project):
    from alembic import command
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    project.models(CUSTOMER)
    project.revision("one", 'op.create_table("thing", sa.Column("id", sa.Integer))')
    config = project.helper(None).config
    engine = create_async_engine("sqlite+aiosqlite://")

    def upgrade(connection):
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
        assert (await connection.execute(text("SELECT count(*) FROM thing"))).scalar() == 0
    await engine.dispose()


def test_init_writes_a_short_environment_and_no_secret(project, tmp_path):
    project.models(CUSTOMER)
    code = [line for line in project.env.read_text().splitlines() if line]

    assert len(code) <= 13
    assert "sqlalchemy.url = sqlite+aiosqlite:///./app.db" in (tmp_path / "alembic.ini").read_text()
    with pytest.raises(MigrationError, match="section 'alembic' already"):
        AlembicHelper().init("elsewhere")
    with pytest.raises(MigrationError, match="not empty"):
        AlembicHelper(section="other").init("migrations")
    with pytest.raises(MigrationError, match="password") as caught:
        AlembicHelper("other.ini").init("other", db_url="postgresql://app:s3cret@db/shop")
    assert "s3cret" not in str(caught.value)
    assert not (tmp_path / "other").exists()
    assert not (tmp_path / "other.ini").exists()


def test_a_missing_ini_file_is_named(project):
    with pytest.raises(MigrationError, match=r"'nowhere\.ini' does not exist"):
        AlembicHelper("nowhere.ini").upgrade()


def test_an_environment_without_a_models_module_says_where_they_go(project):
    AlembicHelper().init("migrations")

    assert "Import your models here" in project.env.read_text()
    done = project.run("sqlite:///x.db", "check")  # in this process other tests have models
    assert done.status == 0, done.err


def test_the_alembic_command_works_on_the_same_environment(project, url):
    project.models(CUSTOMER)
    project.helper(url).revision("first")

    done = project.run(url, "upgrade", "head", command=("-m", "alembic.config"))

    assert done.status == 0, done.err
    assert project.helper(url).check() is True


def test_nothing_to_write_about_is_no_revision(project, sqlite_url):
    project.models(CUSTOMER)
    helper = project.helper(sqlite_url)
    helper.revision("first")
    helper.upgrade()

    with pytest.raises(EmptyRevisionError):
        helper.revision("second")
    assert len(helper.heads()) == 1
    by_hand = helper.revision("by hand", autogenerate=False)
    assert helper.heads() == [by_hand.revision]


def test_a_revision_is_not_announced_on_stdout(project, sqlite_url, capfd):
    project.models(CUSTOMER)
    project.helper(sqlite_url).revision("first")

    assert capfd.readouterr().out == ""


def test_the_front_door_does_not_import_alembic(project):
    done = project.run(
        None, command=("-c", "import sys, tijolo.db; sys.exit('alembic' in sys.modules)")
    )

    assert done.status == 0, done.err
    assert "alembic" in sys.modules
