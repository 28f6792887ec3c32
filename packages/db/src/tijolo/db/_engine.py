"""What a connection of each database needs beyond SQLAlchemy's defaults, as engine events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, cast

from sqlalchemy import Connection, Engine, event
from sqlalchemy import exc as sa
from sqlalchemy.engine import URL, Dialect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.util import await_only

from tijolo.core import ServiceUnavailableException
from tijolo.db._aborted import refuse_aborted_commits
from tijolo.db._options import EngineOptions, postgres_timeouts
from tijolo.db.errors import RETRY_AFTER_SECONDS, raise_scrubbed

READ_ONLY = "tijolo_read_only"
IMMEDIATE = "tijolo_immediate"
_QUERY_ONLY = "tijolo_query_only"
_SESSION_READ_ONLY = "tijolo_session_read_only"


def install_events(engine: Engine, url: URL, options: EngineOptions) -> None:
    """Register what this database needs on ``engine``."""
    event.listen(engine, "do_connect", _connect_or_503)
    refuse_aborted_commits(engine)
    backend = engine.dialect.name
    if backend == "sqlite":
        _install_sqlite(engine, url, options)
    elif backend in {"mysql", "mariadb"}:
        event.listen(engine, "begin", _begin_mysql)
    elif options.pgbouncer and postgres_timeouts(options):
        _install_pgbouncer(engine, options)


def _connect_or_503(
    dialect: Dialect, record: Any, cargs: tuple[Any, ...], cparams: dict[str, Any]
) -> DBAPIConnection:
    """Connect; whatever a driver raises then (OSError, its own errors) is a 503 without text."""
    if dialect.driver == "asyncmy":
        cparams.setdefault("async_creator_fn", _asyncmy_in_time(dialect, cparams))
    try:
        return dialect.connect(*cargs, **cparams)
    except Exception as exc:
        if isinstance(exc, TypeError):  # a connect argument the driver does not know
            raise
        found = ServiceUnavailableException(
            "The database is not available",
            code="DATABASE_UNAVAILABLE",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
        raise_scrubbed(found, exc, debug=False)


def _asyncmy_in_time(
    dialect: Dialect, cparams: dict[str, Any]
) -> Callable[..., Coroutine[Any, Any, Any]]:
    """asyncmy's connect_timeout ends with the TCP connection; bound its handshake as well."""
    connect = cast("Any", dialect.loaded_dbapi).asyncmy.connect

    async def connect_in_time(*args: Any, **kwargs: Any) -> Any:
        async with asyncio.timeout(cparams.get("connect_timeout")):
            return await connect(*args, **kwargs)

    return connect_in_time


def _install_sqlite(engine: Engine, url: URL, options: EngineOptions) -> None:
    in_memory = url.query.get("mode") == "memory"
    wait = options.lock_timeout or 0.0

    def prepare(connection: Any, record: Any) -> None:
        # the driver must never begin or commit by itself: SAVEPOINT and DDL would escape
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA foreign_keys = {'ON' if options.foreign_keys else 'OFF'}")
        if in_memory:
            cursor.execute("PRAGMA read_uncommitted = ON")
        else:
            cursor.execute(f"PRAGMA busy_timeout = {round(wait * 1000)}")
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()

    def begin(connection: Connection) -> None:
        _query_only(connection, wanted=bool(connection.get_execution_options().get(READ_ONLY)))
        immediate = connection.get_execution_options().get(IMMEDIATE, False)
        _begin_sqlite(connection, immediate=immediate, wait=wait if in_memory else 0.0)

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)


def _query_only(connection: Connection, *, wanted: bool) -> None:
    if bool(connection.info.get(_QUERY_ONLY)) is not wanted:
        connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if wanted else 'OFF'}")
        connection.info[_QUERY_ONLY] = wanted


def _begin_sqlite(connection: Connection, *, immediate: bool, wait: float) -> None:
    """BEGIN; a shared cache does not honour the busy timeout, so wait for its lock here."""
    statement = "BEGIN IMMEDIATE" if immediate else "BEGIN"
    deadline = time.monotonic() + wait
    while True:
        try:
            connection.exec_driver_sql(statement)
        except sa.OperationalError as exc:
            if "is locked" not in str(exc.orig) or time.monotonic() >= deadline:
                raise
            _pause(connection, 0.005)
        else:
            return


def _pause(connection: Connection, seconds: float) -> None:
    if not connection.dialect.is_async:
        time.sleep(seconds)
        return
    import asyncio

    await_only(asyncio.sleep(seconds))


def _begin_mysql(connection: Connection) -> None:
    """Read only for the session: DDL commits a transaction, and is then outside of it."""
    wanted = bool(connection.get_execution_options().get(READ_ONLY))
    if bool(connection.info.get(_SESSION_READ_ONLY)) is not wanted:
        mode = "READ ONLY" if wanted else "READ WRITE"
        connection.exec_driver_sql(f"SET SESSION TRANSACTION {mode}")
        connection.info[_SESSION_READ_ONLY] = wanted


def _install_pgbouncer(engine: Engine, options: EngineOptions) -> None:
    settings = "; ".join(f"SET LOCAL {k} = {v}" for k, v in postgres_timeouts(options).items())

    def begin(connection: Connection) -> None:
        for statement in settings.split("; "):
            connection.exec_driver_sql(statement)

    event.listen(engine, "begin", begin)


def session_options(backend: str, *, read_only: bool, immediate: bool) -> dict[str, Any]:
    """Execution options of the engine that a session of this kind is bound to."""
    if not read_only:
        return {IMMEDIATE: True} if immediate and backend == "sqlite" else {}
    if backend == "postgresql":
        return {"postgresql_readonly": True}
    return {READ_ONLY: True}
