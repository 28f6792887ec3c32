"""One migrating process at a time, per database and version table.

The lock belongs to the session (or, on SQLite, to an open file), so that the server or the
operating system frees it when its owner dies. Waiting is polling with short statements: a blocking
``pg_advisory_lock`` holds a snapshot, for which CREATE INDEX CONCURRENTLY in the process that has
the lock would wait in turn, for ever.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from tijolo.db._url import redacted
from tijolo.db.migrations.errors import MigrationError, MigrationLockTimeoutError

POLL_SECONDS = 0.1
LOCK_SUFFIX = "-migrating"
_logger = logging.getLogger("tijolo.db.migrations")


class _Lock(Protocol):
    async def acquire(self) -> bool: ...
    async def release(self) -> None: ...


@asynccontextmanager
async def migration_lock(
    connection: AsyncConnection, *, name: str, timeout_seconds: float
) -> AsyncGenerator[None, None]:
    """Hold the lock ``name`` of the database of ``connection`` during the block.

    Args:
        timeout_seconds: How long to wait for it.

    Raises:
        MigrationLockTimeoutError: Somebody else kept it for longer.
    """
    lock = _lock_for(connection, name)
    await _acquire(lock, connection, timeout_seconds)
    try:
        yield
    finally:
        await lock.release()


async def _acquire(lock: _Lock, connection: AsyncConnection, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    if await lock.acquire():
        return
    _logger.info("another process is migrating; waiting up to %g s", seconds)
    while time.monotonic() < deadline:
        await asyncio.sleep(POLL_SECONDS)
        if await lock.acquire():
            return
    raise MigrationLockTimeoutError(
        f"another process has kept the migration lock of {redacted(connection.engine.url)} for more"
        f" than {seconds:g} s; see whether its migration still runs, or wait longer with"
        " lock_timeout_seconds"
    )


def _lock_for(connection: AsyncConnection, name: str) -> _Lock:
    backend = connection.dialect.name
    if backend == "postgresql":
        return _PostgresLock(connection, name)
    if backend == "sqlite":
        return _SqliteLock(connection, name)
    return _MySqlLock(connection, name)


class _PostgresLock:
    """A session-level advisory lock; the server keeps them per database."""

    def __init__(self, connection: AsyncConnection, name: str) -> None:
        self._connection = connection
        digest = hashlib.sha256(f"tijolo.migrations:{name}".encode()).digest()
        self._key = int.from_bytes(digest[:8], signed=True)

    async def acquire(self) -> bool:
        query = text("SELECT pg_try_advisory_lock(:key)")
        granted = await self._connection.scalar(query, {"key": self._key})
        await self._connection.rollback()  # ends the snapshot; the lock outlives it
        return bool(granted)

    async def release(self) -> None:
        with suppress(SQLAlchemyError):  # a dead connection has no lock
            await self._connection.rollback()
            await self._connection.execute(
                text("SELECT pg_advisory_unlock(:key)"), {"key": self._key}
            )
            await self._connection.rollback()


class _MySqlLock:
    """GET_LOCK of MariaDB and MySQL, whose names are the server's and have 64 characters."""

    def __init__(self, connection: AsyncConnection, name: str) -> None:
        self._connection = connection
        scoped = f"{connection.engine.url.database}:{name}"
        self._name = f"tijolo:{hashlib.sha256(scoped.encode()).hexdigest()[:48]}"

    async def acquire(self) -> bool:
        query = text("SELECT GET_LOCK(:name, 0)")
        granted = await self._connection.scalar(query, {"name": self._name})
        await self._connection.rollback()
        return bool(granted)

    async def release(self) -> None:
        with suppress(SQLAlchemyError):
            await self._connection.rollback()
            await self._connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": self._name})
            await self._connection.rollback()


class _SqliteLock:
    """An exclusive transaction on an empty database beside the real one.

    SQLite knows how to lock a file on every platform. A lock on the database itself would end
    with each migration's commit. The file stays: to delete it would race with who opens it.
    """

    def __init__(self, connection: AsyncConnection, name: str) -> None:
        path = database_path(connection.engine.url.database or "")
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        self._path = path.with_name(f"{path.name}-{digest}{LOCK_SUFFIX}")
        self._file: sqlite3.Connection | None = None

    async def acquire(self) -> bool:
        try:
            file = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        except sqlite3.OperationalError as exc:
            raise MigrationError(f"cannot make the lock file {str(self._path)!r}: {exc}") from exc
        try:
            file.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as exc:
            file.close()
            if "locked" in str(exc):
                return False
            raise MigrationError(f"cannot lock {str(self._path)!r}: {exc}") from exc
        self._file = file
        return True

    async def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def database_path(database: str) -> Path:
    """The file that ``database`` of an SQLite URL names, which may be a ``file:`` URI."""
    return Path(database.removeprefix("file:").split("?", 1)[0])
