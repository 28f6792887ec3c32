"""One migration at a time, whichever replica comes first."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tijolo.db._url import is_memory

_POLL_SECONDS = 0.1


class MigrationLockError(RuntimeError):
    """Another process has been migrating for longer than this one may wait."""


@asynccontextmanager
async def migration_lock(
    engine: AsyncEngine,
    name: str,
    *,
    timeout: float,  # noqa: ASYNC109 - it is not cancelled
) -> AsyncIterator[None]:
    """Hold the migration lock of the database of ``engine``.

    PostgreSQL and MariaDB hold it for a connection of its own, SQLite for a file beside the
    database; all let go of it when the process dies. It is polled, because a connection that
    waits inside a statement holds a snapshot, and CREATE INDEX CONCURRENTLY waits for those.

    Raises:
        MigrationLockError: Not within ``timeout`` seconds.
    """
    backend = engine.dialect.name
    if backend == "sqlite":
        async with _file_lock(engine, timeout):
            yield
        return
    options = {"isolation_level": "AUTOCOMMIT"}
    async with engine.execution_options(**options).connect() as connection:
        take, release = _SERVERS["postgresql" if backend == "postgresql" else "mysql"]
        key = _key(backend, f"{engine.url.database}:{name}")

        async def attempt() -> bool:
            return bool(await _scalar(connection, take, key))

        await _poll(attempt, timeout)
        try:
            yield
        finally:
            await _scalar(connection, release, key)


_SERVERS = {
    "postgresql": ("SELECT pg_try_advisory_lock(:key)", "SELECT pg_advisory_unlock(:key)"),
    "mysql": ("SELECT GET_LOCK(:key, 0)", "SELECT RELEASE_LOCK(:key)"),
}


def _key(backend: str, name: str) -> int | str:
    digest = hashlib.sha256(f"tijolo.db:{name}".encode()).digest()
    if backend == "postgresql":
        return int.from_bytes(digest[:8], "big", signed=True)
    return f"tijolo:{digest.hex()[:32]}"  # names of MariaDB's locks are the server's


async def _scalar(connection: AsyncConnection, statement: str, key: int | str) -> object:
    return await connection.scalar(text(statement), {"key": key})


async def _poll(attempt: Callable[[], Awaitable[bool]], timeout: float) -> None:  # noqa: ASYNC109
    deadline = time.monotonic() + timeout
    while not await attempt():
        if time.monotonic() >= deadline:
            raise MigrationLockError(
                f"another process holds the migration lock since more than {timeout:g} s;"
                " is a migration stuck?"
            )
        await asyncio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def _file_lock(engine: AsyncEngine, timeout: float) -> AsyncIterator[None]:  # noqa: ASYNC109
    if is_memory(engine.url):
        yield
        return
    # SQLite's own locking, on a file of no content: portable, and gone with the process
    with closing(
        sqlite3.connect(f"{engine.url.database}.migration-lock", timeout=0, isolation_level=None)
    ) as beside:

        async def attempt() -> bool:
            try:
                beside.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as exc:
                if "locked" not in str(exc):
                    raise
                return False
            return True

        await _poll(attempt, timeout)
        try:
            yield
        finally:
            beside.execute("ROLLBACK")
