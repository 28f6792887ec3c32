"""Wait until a database answers, with an end, and without waiting for what waiting cannot mend."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from pydantic import SecretStr
from sqlalchemy import NullPool, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tijolo.core import MissingExtraError
from tijolo.db._options import EngineOptions, engine_arguments
from tijolo.db._sqlstates import error_code
from tijolo.db._url import extra_of, for_async, parse_url, redacted
from tijolo.db.manager import AsyncDatabaseManager

_ATTEMPT_SECONDS = 5.0
_logger = logging.getLogger("tijolo.db")

# SQLite opens any file, and looks into it when it must.
_QUERIES = {"sqlite": "SELECT count(*) FROM sqlite_master"}

# Wrong credentials, no right to connect, no such database: the same tomorrow as today.
_REFUSALS = {
    "28000",
    "28P01",
    "3D000",
    "42501",
    "1044",
    "1045",
    "1049",
    "1698",
    "2059",
}
# Drivers that give no code, and SQLite.
_REFUSAL_TEXTS = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "file is not a database",
)


class DatabaseUnreachableError(RuntimeError):
    """No answer from the database; it may well answer later."""


class DatabaseRefusedError(DatabaseUnreachableError):
    """The server answered and said no: wrong user or password, or no such database."""


async def wait_for_database(
    database: str | URL | SecretStr | AsyncDatabaseManager,
    *,
    timeout_seconds: float = 60.0,
    interval_seconds: float = 1.0,
    connect_args: dict[str, Any] | None = None,
) -> None:
    """Return as soon as the database answers a query.

    Args:
        interval_seconds: Pause between two attempts; an attempt takes 5 seconds at most.
        connect_args: Added to the driver's arguments, as a manager has its own.

    Raises:
        DatabaseUnreachableError: It did not answer within ``timeout_seconds``.
        DatabaseRefusedError: At once, when the server refuses the user or knows no such database.
        MissingExtraError: The driver is not installed.
    """
    if timeout_seconds <= 0 or interval_seconds <= 0:
        raise ValueError("timeout_seconds and interval_seconds must be greater than 0")
    engine = _probe(database, connect_args or {})
    deadline = time.monotonic() + timeout_seconds
    try:
        while (problem := await _attempt(engine, deadline)) is not None:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise DatabaseUnreachableError(
                    f"no answer from {redacted(engine.url)} within {timeout_seconds:g} s: {problem}"
                )
            _logger.info("waiting for %s: %s", redacted(engine.url), problem)
            await asyncio.sleep(min(interval_seconds, remaining))
    finally:
        await engine.dispose()


def migration_engine(
    url: URL, *, connect_args: dict[str, Any], lock_timeout: float | None
) -> AsyncEngine:
    """An engine for one connection that may take long: no pool and no statement timeout."""
    url = for_async(url)
    options = EngineOptions(
        poolclass=NullPool,
        statement_timeout=None,
        lock_timeout=lock_timeout,
        idle_transaction_timeout=None,
        connect_args=connect_args,
    )
    try:
        return create_async_engine(url, **engine_arguments(url, options))
    except ModuleNotFoundError as exc:
        raise MissingExtraError("tijolo-db", extra_of(url), str(exc.name)) from exc


def connection_error(url: URL, exc: BaseException) -> DatabaseUnreachableError:
    """``exc``, raised while connecting to ``url``, as one of this module's errors."""
    reason = _reason(exc)
    if _is_refusal(exc):
        return DatabaseRefusedError(f"{redacted(url)} refused the connection: {reason}")
    return DatabaseUnreachableError(f"{redacted(url)} cannot be reached: {reason}")


def _probe(
    database: str | URL | SecretStr | AsyncDatabaseManager, connect_args: dict[str, Any]
) -> AsyncEngine:
    if not isinstance(database, AsyncDatabaseManager):
        url = parse_url(database)
        return migration_engine(url, connect_args=connect_args, lock_timeout=_ATTEMPT_SECONDS)
    own = database._options.connect_args  # pyright: ignore[reportPrivateUsage]
    url = database._url  # pyright: ignore[reportPrivateUsage]
    return migration_engine(
        url, connect_args={**own, **connect_args}, lock_timeout=_ATTEMPT_SECONDS
    )


async def _attempt(engine: AsyncEngine, deadline: float) -> str | None:
    """None when the database answered, otherwise why not."""
    seconds = max(0.01, min(_ATTEMPT_SECONDS, deadline - time.monotonic()))
    try:
        async with asyncio.timeout(seconds), engine.connect() as connection:
            await connection.execute(text(_QUERIES.get(engine.dialect.name, "SELECT 1")))
    except TypeError:  # an argument the driver does not know
        raise
    except Exception as exc:
        if _is_refusal(exc):
            raise connection_error(engine.url, exc) from exc
        return _reason(exc)
    return None


def _is_refusal(exc: BaseException) -> bool:
    return error_code(exc) in _REFUSALS or any(part in str(exc) for part in _REFUSAL_TEXTS)


def _reason(exc: BaseException) -> str:
    if isinstance(exc, TimeoutError) and not str(exc):
        return "it took too long to answer"
    original = getattr(exc, "orig", None) or exc
    return f"{type(original).__name__}: {original}"
