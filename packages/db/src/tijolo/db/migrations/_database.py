"""Which database a command works on, and the one connection it opens."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from alembic.config import Config
from sqlalchemy import Connection, event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tijolo.db._url import for_async, is_memory, parse_url
from tijolo.db.migrations._source import database_from_environment
from tijolo.db.migrations.errors import MigrationError
from tijolo.db.waiting import connection_error, migration_engine

ATTRIBUTE = "tijolo.db.migrations"
_IMMEDIATE = "tijolo_immediate"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a helper tells ``env.py``, past the ini file, which would interpolate its ``%``."""

    url: URL | None = None
    connect_args: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    lock: bool = True
    lock_timeout: float = 300.0
    ddl_lock_timeout: float | None = 60.0
    any_revision: bool = False
    """Do not object to a revision in the database that the code does not know."""

    @classmethod
    def of(cls, config: Config) -> Request:
        """The helper's request, or the defaults when Alembic's own command runs."""
        return config.attributes.get(ATTRIBUTE) or cls()

    def database(self, config: Config) -> tuple[URL, dict[str, Any]]:
        """URL and driver arguments: the helper's, the environment's, or the ini file's.

        Raises:
            MigrationError: None of them names a database.
        """
        if self.url is not None:
            return self.url, self.connect_args
        found = database_from_environment()
        if found is not None:
            return for_async(found[0]), {**found[1], **self.connect_args}
        section = config.config_ini_section
        written = config.file_config.get(section, "sqlalchemy.url", fallback=None)
        if not written:
            raise MigrationError(
                "no database is configured: pass db_url, set DATABASE_URL, or write a"
                " sqlalchemy.url without a password into the ini file"
            )
        return for_async(parse_url(written)), self.connect_args


@asynccontextmanager
async def connection_for(request: Request, config: Config) -> AsyncGenerator[AsyncConnection, None]:
    """The connection a command works on.

    Raises:
        DatabaseUnreachableError: There is none to be had.
    """
    url, connect_args = request.database(config)
    if is_memory(url):
        raise MigrationError(
            "a database in memory ends with its connection, and so would the migration; use a file,"
            " or hand your connection over in config.attributes['connection']"
        )
    engine = migration_engine(url, connect_args=connect_args, lock_timeout=request.ddl_lock_timeout)
    if engine.dialect.name == "sqlite":
        _install_sqlite(engine)
    try:
        try:
            connection = await engine.connect()
        except Exception as exc:
            if isinstance(exc, TypeError):  # an argument the driver does not know
                raise
            raise connection_error(url, exc) from exc
        try:
            yield connection
        finally:
            await connection.close()
    finally:
        await engine.dispose()


def lock_writes(connection: Connection) -> None:
    """On SQLite, begin every further transaction as a writer; there is no upgrade to fail."""
    connection.info[_IMMEDIATE] = True


def _install_sqlite(engine: AsyncEngine) -> None:
    def prepare(connection: Any, record: Any) -> None:
        # DDL is transactional in SQLite, as long as the driver leaves BEGIN and COMMIT to us
        connection.isolation_level = None
        cursor = connection.cursor()
        # Batch mode drops and renames tables, which would delete or repoint the rows of others;
        # inside a transaction the setting cannot be changed. ForeignKeyCheck looks afterwards.
        cursor.execute("PRAGMA foreign_keys = OFF")
        cursor.close()

    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
            return  # VACUUM and its like
        immediate = connection.info.get(_IMMEDIATE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    event.listen(engine.sync_engine, "connect", prepare)
    event.listen(engine.sync_engine, "begin", begin)
