from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tijolo.core import ServiceUnavailableException
from tijolo.db import AlembicHelper, MigrationState, compose_hooks

MODELS = """
from decimal import Decimal
from sqlalchemy import MetaData, Numeric, String
from sqlalchemy.orm import Mapped, mapped_column
from tijolo.db import BaseModel, NAMING_CONVENTION, SoftDeleteMixin, UtcDateTime, VersionMixin


class Base(BaseModel):
    __abstract__ = True
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class {table}(VersionMixin, SoftDeleteMixin, Base):
    title: Mapped[str] = mapped_column(String(80), unique=True)
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
"""


def _sync_url(url):
    return url.render_as_string(hide_password=False)


@pytest.fixture
def project(tmp_path, monkeypatch, db_url):
    """A migration project with one model; (helper, table name, module path)."""
    module = f"models_{uuid4().hex[:8]}"
    table = f"Part{uuid4().hex[:8]}"
    (tmp_path / f"{module}.py").write_text(MODELS.format(table=table))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    helper = AlembicHelper("alembic.ini", db_url=db_url, environment="test")
    helper.init("migrations", metadata_module=module, metadata_attr="Base")
    # other tests' tables are in the same database
    env = tmp_path / "migrations" / "env.py"
    env.write_text(
        env.read_text().replace(
            "run_migrations(",
            "run_migrations(version_table=config_table, include_object=only, target_metadata=",
        ).replace(
            "\nrun_migrations",
            f"""
config_table = "v_{table.lower()}"


def only(item, name, kind, reflected, compare_to):
    return kind != "table" or name.startswith("part")


run_migrations""",
        )
    )
    ini = tmp_path / "alembic.ini"
    ini.write_text(ini.read_text().replace("= alembic_version", f"= v_{table.lower()}"))
    yield helper, table.lower(), tmp_path / f"{module}.py"
    helper.downgrade("base")


async def _tables(url):
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await engine.dispose()
    return names


async def test_generated_migration_goes_up_and_down_and_is_in_sync(project, db_url):
    helper, table, _ = project
    assert helper.current() is None
    script = helper.revision("first")
    assert helper.state() is MigrationState.BEHIND
    assert helper.check() is False
    helper.upgrade()
    assert any(name.startswith("part") for name in await _tables(db_url))
    assert helper.heads() == [helper.current()] == [script.revision]
    assert helper.state() is MigrationState.AT_HEAD
    assert helper.check() is True
    assert "first" in helper.history()
    assert script.revision in helper.show()
    helper.downgrade()
    assert helper.current() is None


async def test_d28_check_tells_drift_from_outage(project, db_url):
    helper, table, _ = project
    helper.revision("first")
    helper.upgrade()
    assert helper.check() is True
    engine = create_async_engine(db_url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text(f"ALTER TABLE {table} ADD COLUMN surplus INTEGER"))
    await engine.dispose()
    assert helper.check() is False
    down = make_url("postgresql+asyncpg://u:hush@127.0.0.1:1/none")
    with pytest.raises(ServiceUnavailableException) as caught:
        AlembicHelper("alembic.ini", db_url=down).check()
    assert "hush" not in str(caught.value)


def test_the_generated_migration_names_no_dialect(project):
    helper, _, _ = project
    script = helper.revision("first")
    text_of_it = Path(script.path).read_text()
    assert "tijolo.db.UtcDateTime()" in text_of_it
    assert "server_default=tijolo.db.utc_now()" in text_of_it
    assert "server_default=sa.true()" in text_of_it
    for dialect in ("sqlite.", "mysql.", "postgresql."):
        assert dialect not in text_of_it
    helper.upgrade()


def test_d29_processes_that_upgrade_at_once_all_succeed(project, db_url, tmp_path):
    helper, _, _ = project
    helper.revision("first")
    environment = {**os.environ, "DATABASE_URL": _sync_url(db_url), "ENVIRONMENT": "test"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tijolo.db", "upgrade"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for _ in range(3)
    ]
    outcomes = [(process.communicate(timeout=60)[0], process.returncode) for process in processes]
    assert [status for _, status in outcomes] == [0, 0, 0], outcomes
    assert helper.state() is MigrationState.AT_HEAD


def test_a_database_of_a_newer_release_is_ahead(project):
    helper, _, _ = project
    script = helper.revision("first")
    helper.upgrade()
    path = Path(script.path)
    content = path.read_text()
    path.unlink()
    assert helper.state() is MigrationState.AHEAD
    path.write_text(content)


def test_downgrade_to_base_is_refused_outside_development(project):
    helper, _, _ = project
    strict = AlembicHelper(helper.config_path, db_url="sqlite://")
    with pytest.raises(RuntimeError, match="refused"):
        strict.downgrade("base")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_failing_migration_leaves_nothing_on_sqlite(project, tmp_path):
    helper, _, _ = project
    script = helper.revision("first")
    path = Path(script.path)
    content = path.read_text()
    path.write_text(
        content.replace("def downgrade", "    op.execute('nonsense')\n\n\ndef downgrade", 1)
    )
    with pytest.raises(Exception, match="nonsense"):
        helper.upgrade()
    with create_engine(f"sqlite:///{tmp_path}/shop.db").connect() as connection:
        names = inspect(connection).get_table_names()
    assert not [name for name in names if name.startswith("part")]
    path.write_text(content)


@pytest.mark.postgres
async def test_d27_a_password_with_percent_signs_works(make_database, tmp_path, monkeypatch):
    base = make_database("postgres")
    engine = create_async_engine(base, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.execute(text("DROP ROLE IF EXISTS tijolo_db_percent"))
        await connection.execute(text("CREATE ROLE tijolo_db_percent LOGIN PASSWORD 'p%40s/@%d:'"))
    url = base.set(username="tijolo_db_percent", password="p%40s/@%d:")
    monkeypatch.chdir(tmp_path)
    for where in ("object", "environment"):
        ini = f"{where}.ini"
        AlembicHelper(ini).init(where)
        if where == "environment":
            monkeypatch.setenv("DATABASE_URL", _sync_url(url))
        helper = AlembicHelper(ini, db_url=url if where == "object" else None)
        assert helper.current() is None
    async with engine.connect() as connection:
        await connection.execute(text("DROP ROLE tijolo_db_percent"))
    await engine.dispose()


def test_init_never_overwrites(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    AlembicHelper().init()
    with pytest.raises(FileExistsError):
        AlembicHelper().init()


def test_composed_hooks_run_in_order():
    seen = []
    hook = compose_hooks(lambda *a: seen.append(1), lambda *a: seen.append(2))
    hook(None, None, [])
    assert seen == [1, 2]
