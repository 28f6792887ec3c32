from __future__ import annotations

import asyncio
import sqlite3

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tijolo.db.migrations import MigrationError, MigrationLockTimeoutError

COUNTED = """
class Applied(Base):
    __tablename__ = "applied"
    revision: Mapped[str] = mapped_column(String(20), primary_key=True)
"""
GATE = '\nimport sys\nprint("ready", flush=True)\nsys.stdin.readline()\n'


def counted(project):
    """Three revisions that each leave a row, without a key that would stop a second one."""
    project.models(COUNTED)
    project.revision("one", 'op.create_table("applied", sa.Column("name", sa.String(20)))')
    for name, parent in (("two", "one"), ("three", "two")):
        insert = f'op.execute("INSERT INTO applied VALUES ({name!r})")'
        project.revision(name, insert, down=parent)


def together(project, url, count=3):
    """``count`` processes that upgrade, let go at once; their outcomes."""
    env = project.env.read_text()
    project.env.write_text(env.replace("\nrun_migrations(", f"{GATE}\nrun_migrations("))
    processes = [project.start(url, "upgrade") for _ in range(count)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    outcomes = [process.communicate(timeout=60) for process in processes]
    project.env.write_text(env)
    return [
        (process.returncode, err) for process, (_, err) in zip(processes, outcomes, strict=True)
    ]


def test_three_processes_upgrade_at_once_and_each_revision_runs_once(project, url, sql):
    counted(project)

    outcomes = together(project, url)

    assert [status for status, _ in outcomes] == [0, 0, 0], outcomes
    assert sorted(sql(url, "SELECT name FROM applied")) == [("three",), ("two",)]
    assert project.helper(url).current() == "three"
    assert sum("from base to three" in err for _, err in outcomes) == 1


@pytest.mark.postgres
def test_a_concurrent_index_is_built_while_others_wait_for_the_lock(project, make_database, sql):
    url = make_database("postgres")
    counted(project)
    project.revision(
        "four",
        "with op.get_context().autocommit_block():\n"
        '    op.create_index("ix", "applied", ["name"], postgresql_concurrently=True)',
        down="three",
    )

    outcomes = together(project, url)

    assert [status for status, _ in outcomes] == [0, 0, 0], outcomes
    assert sql(url, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix'::regclass") == [
        (True,)
    ]


def test_a_process_that_is_killed_gives_the_lock_back(project, url):
    project.models(COUNTED)
    hang = 'if os.environ.get("HANG"):\n    print("holding", flush=True)\n    sys.stdin.read()'
    project.revision("one", hang)
    holder = project.start(url, "upgrade", HANG="1")
    try:
        assert holder.stdout.readline() == "holding\n"
        with pytest.raises(MigrationLockTimeoutError, match=r"more than 0\.3 s"):
            project.helper(url, lock_timeout_seconds=0.3).upgrade()
        waited = project.run(url, "--lock-timeout", "0.3", "upgrade")
        assert waited.status == 4
        assert "another process is migrating" in waited.err
    finally:
        holder.kill()
        holder.communicate()

    project.helper(url, lock_timeout_seconds=30).upgrade()
    assert project.helper(url).current() == "one"


def test_two_version_tables_do_not_wait_for_each_other(project, sqlite_url, tmp_path):
    project.models(COUNTED)
    project.revision("one", "pass")
    helper = project.helper(sqlite_url, lock_timeout_seconds=0.2)
    helper.upgrade()
    (lock_file,) = tmp_path.glob("*-migrating")
    holder = sqlite3.connect(lock_file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(MigrationLockTimeoutError):
            helper.downgrade("base")
        project.option('version_table="other"')
        helper.upgrade()
    finally:
        holder.close()
    assert helper.current() == "one"


def test_a_helper_without_a_lock_takes_none(project, sqlite_url, tmp_path):
    project.models(COUNTED)
    project.revision("one", "pass")

    project.helper(sqlite_url, lock=False).upgrade()

    assert not list(tmp_path.glob("*-migrating"))


def test_a_directory_where_no_lock_can_be_made_is_named(project, sqlite_url, tmp_path):
    project.models(COUNTED)
    project.revision("one", "pass")
    project.helper(sqlite_url).upgrade()
    (lock_file,) = tmp_path.glob("*-migrating")
    lock_file.unlink()
    lock_file.mkdir()

    with pytest.raises(MigrationError, match="lock file"):
        project.helper(sqlite_url).downgrade("base")


@pytest.mark.mariadb
def test_a_migration_on_mariadb_does_not_wait_a_day_for_a_table(project, make_database, sql):
    url = make_database("mariadb")
    project.models("")
    project.revision("one", 'op.create_table("busy", sa.Column("a", sa.Integer()))')
    project.revision("two", 'op.add_column("busy", sa.Column("b", sa.Integer()))', down="one")
    project.helper(url).upgrade("one")

    def upgrade():
        with pytest.raises(Exception, match="1205"):
            project.helper(url, ddl_lock_timeout_seconds=1.0).upgrade()

    async def while_the_table_is_read():
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.connect() as connection:
            await connection.execute(text("SELECT * FROM busy"))  # until the transaction ends
            waiting = asyncio.create_task(asyncio.to_thread(upgrade))
            await asyncio.wait([waiting], timeout=8)
        await engine.dispose()
        await waiting

    asyncio.run(while_the_table_is_read())
    project.helper(url).upgrade()
