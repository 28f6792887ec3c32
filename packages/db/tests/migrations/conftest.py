from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tijolo.core.testing.pytest_services import service_url
from tijolo.db.migrations import AlembicHelper

DRIVERS = {"sqlite": "aiosqlite", "postgres": "asyncpg", "mariadb": "asyncmy"}

BASE = """
from sqlalchemy import ForeignKey, Index, Integer, MetaData, String
from sqlalchemy.orm import Mapped, mapped_column, registry
from tijolo.db import NAMING_CONVENTION, BaseModel


class Base(BaseModel):
    __abstract__ = True
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    registry = registry(metadata=metadata)

"""


def run_sql(url, *statements):
    """Run statements with autocommit, each; the rows of the last one."""

    async def run():
        engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        try:
            async with engine.connect() as connection:
                for statement in statements:
                    result = await connection.execute(text(statement))
                return result.all() if result.returns_rows else []
        finally:
            await engine.dispose()

    return asyncio.run(run())


@pytest.fixture
def sql():
    return run_sql


@pytest.fixture
def make_database(tmp_path):
    """backend -> URL of an empty database of this test's own."""
    made = []

    def make(backend):
        pytest.importorskip(DRIVERS[backend])
        if backend == "sqlite":
            return make_url(f"sqlite+aiosqlite:///{tmp_path}/{uuid4().hex[:6]}.db")
        admin = make_url(service_url(backend))
        name = f"tijolo_mig_{os.getpid()}_{uuid4().hex[:6]}"
        run_sql(admin, f"CREATE DATABASE {name}")
        made.append((admin, name))
        return admin.set(database=name)

    yield make
    for admin, name in made:
        force = " WITH (FORCE)" if admin.get_backend_name() == "postgresql" else ""
        run_sql(admin, f"DROP DATABASE {name}{force}")


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def url(request, make_database):
    """An empty database of each server in turn."""
    return make_database(request.param)


@pytest.fixture
def sqlite_url(make_database):
    return make_database("sqlite")


class Project:
    """A project with migrations in a directory of its own, which is the working directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = "alembic.ini"
        self.env = path / "migrations" / "env.py"
        self.module = None

    def helper(self, url, **options):
        options.setdefault("environment", "test")
        return AlembicHelper(self.config, db_url=url, **options)

    def models(self, text, *, base=BASE):
        """Make ``text`` the project's models."""
        old, self.module = self.module, f"models_{uuid4().hex[:8]}"
        (self.path / f"{self.module}.py").write_text(base + text)
        if old is None:
            AlembicHelper(self.config).init(
                "migrations", metadata_module=self.module, metadata_attr="Base"
            )
        else:
            self.env.write_text(self.env.read_text().replace(old, self.module))

    def option(self, line):
        """Add an argument to ``run_migrations`` in ``env.py``."""
        self.env.write_text(
            self.env.read_text().replace("    Base,\n", f"    Base,\n    {line},\n")
        )

    def revision(self, name, upgrade, *, down=None, downgrade="pass"):
        """Write a revision by hand."""
        body = "\n    ".join(upgrade.strip().splitlines())
        (self.path / "migrations" / "versions" / f"{name}.py").write_text(
            f'"""{name}"""\nimport os\nimport sys\n\n'
            "import sqlalchemy as sa\nfrom alembic import op\n\n"
            f"revision = {name!r}\ndown_revision = {down!r}\n\n"
            f"def upgrade():\n    {body}\n\ndef downgrade():\n    {downgrade}\n"
        )

    def start(self, url, *arguments, **env):
        """``python -m tijolo.db`` as a process of its own, with pipes."""
        return subprocess.Popen(
            [sys.executable, "-m", "tijolo.db", *arguments],
            cwd=self.path,
            env=self.environ(url, **env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, url, *arguments, command=("-m", "tijolo.db"), **env):
        """Run it to its end: status, stdout, stderr."""
        done = subprocess.run(
            [sys.executable, *command, *arguments],
            cwd=self.path,
            env=self.environ(url, **env),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return SimpleNamespace(status=done.returncode, out=done.stdout, err=done.stderr)

    def environ(self, url, **env):
        given = {"ENVIRONMENT": "test", **env}
        if url is not None:
            shown = url if isinstance(url, str) else url.render_as_string(hide_password=False)
            given["DATABASE_URL"] = shown
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("DATABASE_")}
        return inherited | given


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # Alembic prepends too; this restores
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in ("DATABASE_URL", "DATABASE_TEST_URL", "DATABASE_HOST", "DATABASE_NAME"):
        monkeypatch.delenv(name, raising=False)
    return Project(tmp_path)


@pytest.fixture
def connections():
    """Grows by one with every connection that is opened in this process."""
    from sqlalchemy import Engine

    opened = []

    def connected(connection, record):
        opened.append(record)

    event.listen(Engine, "connect", connected)
    yield opened
    event.remove(Engine, "connect", connected)
