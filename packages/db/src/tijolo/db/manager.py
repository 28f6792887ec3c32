"""The owner of an async engine and of the units of work on it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import uuid4

from pydantic import SecretStr
from sqlalchemy import Engine, MetaData, Table, text
from sqlalchemy.engine import URL
from sqlalchemy.ext import asyncio as asyncio_api
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
)
from sqlalchemy.pool import NullPool, Pool
from starlette.requests import HTTPConnection

from tijolo.core import AppException, Environment, MissingExtraError
from tijolo.db._engine import install_events, session_options
from tijolo.db._fastapi import function_scoped
from tijolo.db._lacking import advice, what_is_lacking
from tijolo.db._options import EngineOptions, engine_arguments, make_options
from tijolo.db._url import (
    extra_of,
    for_async,
    is_memory,
    is_shared_memory,
    parse_url,
    redacted,
    shared_memory,
)
from tijolo.db.boundary import DEBUG, LACKING, READ_ONLY, boundary, refuse_outside_development
from tijolo.db.cursors import SIGNER, CursorSigner
from tijolo.db.errors import TransactionConflictException, summary
from tijolo.db.model import BaseModel
from tijolo.db.observing import Observed
from tijolo.db.soft_delete import SoftDeleteSession

if TYPE_CHECKING:
    from tijolo.db.settings import DatabaseSettings

ResultT = TypeVar("ResultT")
SessionFactory = async_sessionmaker[AsyncSession]

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_logger = logging.getLogger("tijolo.db")


class AsyncDatabaseManager(Observed):
    """One database: its engine, its sessions, and the boundary that commits.

    ``connect()`` makes the pool, which opens connections as they are needed; a database that is
    down shows in ``health_check()`` and as 503, not as a service that will not start.

    Args:
        db_url: ``dialect+driver://user:password@host/name``; without a driver the async one of
            the dialect is used. ``sqlite://`` is a database in memory that lives until
            ``disconnect()``.
        echo: Log every statement, without its parameters.
        pool_size: Connections kept open. The pool arguments apply to queue pools alone.
        max_overflow: Connections beyond ``pool_size`` when it is busy.
        pool_recycle: Seconds after which a connection is replaced.
        connect_args: Added to the driver's arguments; they win.
        poolclass: Another pool, such as ``NullPool``.
        environment: ``drop_tables`` works in development only; unset means production.
        cursor_secret: Signs pagination cursors; every replica needs the same.
        options: ``pool_timeout``, ``pgbouncer``, ``statement_timeout``, ``lock_timeout``, ``debug``
            and the other fields of :class:`EngineOptions`; what it does not know goes to
            ``create_async_engine``.
    """

    def __init__(
        self,
        db_url: str | URL | SecretStr,
        *,
        echo: bool = False,
        pool_size: int = 10,
        max_overflow: int = 20,
        pool_recycle: int = 3600,
        connect_args: dict[str, Any] | None = None,
        poolclass: type[Pool] | None = None,
        environment: Environment | str = Environment.PRODUCTION,
        cursor_secret: SecretStr | str | None = None,
        metadata: MetaData | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self._url = for_async(parse_url(db_url))
        if is_memory(self._url):
            self._url = shared_memory(self._url, f"tijolo-{uuid4().hex}")
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self.environment = Environment(environment)
        self.metadata = BaseModel.metadata if metadata is None else metadata
        self._signer = CursorSigner(cursor_secret, environment=self.environment)
        self._options = make_options(
            options,
            echo=echo,
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_recycle=pool_recycle,
            connect_args=connect_args or {},
            poolclass=poolclass,
            environment=self.environment,
        )
        self._engine: AsyncEngine | None = None
        self._factories: dict[tuple[bool, bool], SessionFactory] = {}
        self._anchor: AsyncConnection | None = None
        self._lock = asyncio.Lock()

    @classmethod
    def from_settings(cls, settings: DatabaseSettings, **overrides: Any) -> Self:
        """A manager configured by ``settings``; keyword arguments win."""
        url, arguments = settings.database_arguments()
        return cls(overrides.pop("db_url", url), **(arguments | overrides))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.db_url_safe!r})"

    @property
    def db_url_safe(self) -> str:
        """The URL without its password."""
        return redacted(self._url)

    @property
    def is_connected(self) -> bool:
        """Whether there is a pool."""
        return self._engine is not None

    @property
    def engine(self) -> AsyncEngine:
        """The engine; RuntimeError before ``connect()``."""
        if self._engine is None:
            raise RuntimeError(
                "the database manager is not connected; await connect() first, or in a service:"
                " create_app(..., lifecycle=AppLifecycle(resources=[db]))"
            )
        return self._engine

    async def connect(self) -> None:
        """Make the pool. Does nothing when there is one."""
        async with self._lock:
            if self._engine is not None:
                return
            engine = self._make_engine(self._options)
            if is_shared_memory(self._url):
                self._anchor = await engine.connect()  # the database lives while it is open
            self._watch(engine.sync_engine)
            self._engine = engine

    async def disconnect(self) -> None:
        """Close every connection. Does nothing when there is none."""
        async with self._lock:
            engine, self._engine = self._engine, None
            self._factories.clear()
            if engine is None:
                return
            if self._anchor is not None:
                await self._anchor.close()
                self._anchor = None
            await engine.dispose()

    def _current_engine(self) -> Engine | None:
        return None if self._engine is None else self._engine.sync_engine

    def _max_overflow(self) -> int:
        return self._options.max_overflow

    def _make_engine(self, options: EngineOptions) -> AsyncEngine:
        try:
            # looked up now: instrumentations replace it
            engine = asyncio_api.create_async_engine(
                self._url, **engine_arguments(self._url, options)
            )
        except ModuleNotFoundError as exc:
            raise MissingExtraError("tijolo-db", extra_of(self._url), str(exc.name)) from exc
        install_events(engine.sync_engine, self._url, self._options)
        return engine

    def _factory(self, *, read_only: bool = False, immediate: bool = False) -> SessionFactory:
        key = (read_only, immediate)
        if key not in self._factories:
            options = session_options(
                self.engine.dialect.name, read_only=read_only, immediate=immediate
            )
            self._factories[key] = async_sessionmaker(
                self.engine.execution_options(**options) if options else self.engine,
                sync_session_class=SoftDeleteSession,
                expire_on_commit=False,
                close_resets_only=False,
                info={
                    SIGNER: self._signer,
                    DEBUG: self._options.debug,
                    READ_ONLY: read_only,
                    LACKING: self.what_is_lacking if self.environment.is_development else None,
                },
            )
        return self._factories[key]

    async def get_session(self) -> AsyncSession:
        """A session of your own: you commit it and you close it. Prefer ``transaction()``."""
        return self._factory()()

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession, None]:
        """A unit of work: commits when the block ends, rolls back when it raises.

        On SQLite it takes the write lock at its first statement, so that it waits for another
        writer instead of failing when it turns from reading to writing.
        """
        async with boundary(self._factory(immediate=True)()) as session:
            yield session

    @asynccontextmanager
    async def get_session_context(self) -> AsyncGenerator[AsyncSession, None]:
        """The contract's name for ``transaction()``."""
        async with self.transaction() as session:
            yield session

    @asynccontextmanager
    async def read_only(self) -> AsyncGenerator[AsyncSession, None]:
        """A session in a READ ONLY transaction: the database refuses every write."""
        async with boundary(self._factory(read_only=True)()) as session:
            yield session

    async def _unit_of_work(self, connection: HTTPConnection) -> AsyncIterator[AsyncSession]:
        writes = connection.scope.get("method", "GET") not in _SAFE_METHODS
        async with boundary(self._factory(immediate=writes)()) as session:
            yield session

    @cached_property
    def session_dependency(self) -> Callable[..., Awaitable[AsyncSession]]:
        """FastAPI dependency: the unit of work of a request, committed before the response.

        ``Annotated[AsyncSession, Depends(db.session_dependency)]``. The handler's return commits
        and only then is the response made, so a COMMIT that fails is a 5xx. A streaming body or
        a background task runs after that and finds the session closed.
        """
        return function_scoped(self._unit_of_work, AsyncSession)

    async def read_session_dependency(self) -> AsyncIterator[AsyncSession]:
        """FastAPI dependency: a session that cannot write and lives until the response is sent."""
        async with self.read_only() as session:
            yield session

    async def run_in_transaction(
        self,
        work: Callable[[AsyncSession], Awaitable[ResultT]],
        *,
        attempts: int = 3,
        backoff: float = 0.05,
        jitter: Callable[[], float] = random.random,
    ) -> ResultT:
        """Run ``work`` in a transaction, again from its start when another one got in its way.

        Repeats serialization failures and deadlocks (SQLSTATE 40001 and 40P01, MariaDB 1213, a
        locked SQLite file), so ``work`` must not do what cannot be repeated; use ``on_commit``.

        Args:
            attempts: How often at most.
            backoff: Seconds before the second attempt, doubled each time, times 0.5 to 1.5.

        Raises:
            TransactionConflictException: The last attempt clashed too.
        """
        if attempts < 1:
            raise ValueError(f"attempts must be at least 1, got {attempts}")
        for attempt in range(attempts):
            try:
                async with self.transaction() as session:
                    return await work(session)
            except TransactionConflictException:
                if attempt + 1 == attempts:
                    raise
            await asyncio.sleep(backoff * 2**attempt * (0.5 + jitter()))
        raise AssertionError("unreachable")

    async def health_check(self) -> bool:
        """Whether the database answers, on a connection of its own, within ``health_timeout``."""
        try:
            async with asyncio.timeout(self._options.health_timeout):
                return await self._ping()
        except Exception as exc:
            reason = exc.__cause__ if isinstance(exc, AppException) else summary(exc)
            _logger.warning("health check of %s failed: %s", self.db_url_safe, reason)
            return False

    async def _ping(self) -> bool:
        engine = self._make_engine(replace(self._options, poolclass=NullPool))
        try:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        finally:
            await engine.dispose()
        return True

    async def what_is_lacking(self, tables: Iterable[Table] | None = None) -> str | None:
        """A sentence for the log about the first table or column that is not there, and what to
        do; None where everything is. It compares names alone.

        Args:
            tables: Default: all of ``metadata``.
        """
        wanted = self.metadata.tables.values() if tables is None else tables
        async with self.engine.connect() as connection:
            return advice(self, await connection.run_sync(what_is_lacking, wanted))

    async def create_tables(self) -> None:
        """Create the tables of ``metadata`` that are missing; migrations are Alembic's job."""
        async with self.engine.begin() as connection:
            await connection.run_sync(self.metadata.create_all)

    async def drop_tables(self) -> None:
        """Drop the tables of ``metadata``.

        Raises:
            RuntimeError: ``environment`` is not a development one.
        """
        refuse_outside_development("drop_tables()", self.environment)
        async with self.engine.begin() as connection:
            await connection.run_sync(self.metadata.drop_all)
