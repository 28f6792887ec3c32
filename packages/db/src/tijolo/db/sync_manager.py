"""The synchronous twin of :class:`~tijolo.db.manager.AsyncDatabaseManager`: scripts, workers."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import sqlalchemy
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, MetaData, Table, text
from sqlalchemy.engine import URL
from sqlalchemy.orm import sessionmaker
from sqlalchemy.pool import NullPool, Pool

from tijolo.core import AppException, Environment, MissingExtraError
from tijolo.db._engine import install_events, session_options
from tijolo.db._lacking import advice, log, what_is_lacking
from tijolo.db._options import EngineOptions, engine_arguments, make_options
from tijolo.db._url import (
    extra_of,
    for_sync,
    is_memory,
    is_shared_memory,
    parse_url,
    redacted,
    shared_memory,
)
from tijolo.db.boundary import refuse_outside_development
from tijolo.db.errors import (
    commit_error,
    is_unexplained,
    raise_scrubbed,
    raise_translated,
    summary,
)
from tijolo.db.model import BaseModel
from tijolo.db.observing import Observed
from tijolo.db.soft_delete import SoftDeleteSession

if TYPE_CHECKING:
    from tijolo.db.settings import DatabaseSettings

_logger = logging.getLogger("tijolo.db")


class DatabaseManager(Observed):
    """One database for synchronous code. Arguments as in ``AsyncDatabaseManager``.

    A process that forks keeps its connections; the child opens its own. A session that was open
    at the fork stays the parent's: do not use it in the child.
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
        self._url = for_sync(parse_url(db_url))
        if is_memory(self._url):
            self._url = shared_memory(self._url, f"tijolo-{uuid4().hex}")
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self.environment = Environment(environment)
        self.metadata = BaseModel.metadata if metadata is None else metadata
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
        self._engine: Engine | None = None
        self._anchor: Connection | None = None
        self._lock = threading.Lock()
        _managers.add(self)

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
    def engine(self) -> Engine:
        """The engine; RuntimeError before ``connect()``."""
        if self._engine is None:
            raise RuntimeError("the database manager is not connected; call connect() first")
        return self._engine

    def connect(self) -> None:
        """Make the pool. Does nothing when there is one."""
        with self._lock:
            if self._engine is None:
                self._engine = self._make_engine(self._options)
                if is_shared_memory(self._url):
                    self._anchor = self._engine.connect()
                self._watch(self._engine)

    def disconnect(self) -> None:
        """Close every connection. Does nothing when there is none."""
        with self._lock:
            if self._anchor is not None:
                self._anchor.close()
                self._anchor = None
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    def _after_fork(self) -> None:
        """Forget the connections, which are the parent's; a lock held by its threads, too."""
        self._lock = threading.Lock()
        if self._engine is not None:
            self._engine.dispose(close=False)

    def _current_engine(self) -> Engine | None:
        return self._engine

    def _max_overflow(self) -> int:
        return self._options.max_overflow

    def _make_engine(self, options: EngineOptions) -> Engine:
        try:
            # looked up now: instrumentations replace it
            engine = sqlalchemy.create_engine(self._url, **engine_arguments(self._url, options))
        except ModuleNotFoundError as exc:
            raise MissingExtraError("tijolo-db", extra_of(self._url), str(exc.name)) from exc
        install_events(engine, self._url, options)
        return engine

    def get_session(self, *, read_only: bool = False, immediate: bool = False) -> SoftDeleteSession:
        """A session of your own: you commit it and you close it. Prefer ``transaction()``."""
        options = session_options(
            self.engine.dialect.name, read_only=read_only, immediate=immediate
        )
        bind = self.engine.execution_options(**options) if options else self.engine
        factory = sessionmaker(
            bind, class_=SoftDeleteSession, expire_on_commit=False, close_resets_only=False
        )
        return factory()

    @contextmanager
    def transaction(self) -> Generator[SoftDeleteSession, None, None]:
        """A unit of work: commits when the block ends, rolls back when it raises."""
        with self.get_session(immediate=True) as session:
            try:
                yield session
                session.flush()
            except BaseException as exc:
                session.rollback()
                self._say_what_is_lacking(exc)
                raise_translated(exc, debug=self._options.debug)
                raise
            try:
                session.commit()
            except BaseException as exc:
                session.rollback()
                found = commit_error(exc)
                if found is None:
                    raise
                raise_scrubbed(found, exc, debug=self._options.debug)

    @contextmanager
    def read_only(self) -> Generator[SoftDeleteSession, None, None]:
        """A session in a READ ONLY transaction: the database refuses every write."""
        with self.get_session(read_only=True) as session:
            try:
                yield session
                session.flush()
            except BaseException as exc:
                session.rollback()
                self._say_what_is_lacking(exc)
                raise_translated(exc, debug=self._options.debug)
                raise

    def _say_what_is_lacking(self, exc: BaseException) -> None:
        if not self.environment.is_development or not is_unexplained(exc):
            return
        with suppress(Exception):  # it only adds to the error that is on its way
            log(self.what_is_lacking())

    def what_is_lacking(self, tables: Iterable[Table] | None = None) -> str | None:
        """As ``AsyncDatabaseManager.what_is_lacking``."""
        wanted = self.metadata.tables.values() if tables is None else tables
        with self.engine.connect() as connection:
            return advice(self, what_is_lacking(connection, wanted))

    def health_check(self) -> bool:
        """Whether the database answers, on a connection of its own."""
        timeout = min(self._options.connect_timeout, self._options.health_timeout)
        engine = self._make_engine(
            replace(self._options, poolclass=NullPool, connect_timeout=timeout)
        )
        try:
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except Exception as exc:
            reason = exc.__cause__ if isinstance(exc, AppException) else summary(exc)
            _logger.warning("health check of %s failed: %s", self.db_url_safe, reason)
            return False
        finally:
            engine.dispose()
        return True

    def create_tables(self) -> None:
        """Create the tables of ``metadata`` that are missing."""
        with self.engine.begin() as connection:
            self.metadata.create_all(connection)

    def drop_tables(self) -> None:
        """Drop the tables of ``metadata``; RuntimeError outside development."""
        refuse_outside_development("drop_tables()", self.environment)
        with self.engine.begin() as connection:
            self.metadata.drop_all(connection)


_managers: weakref.WeakSet[DatabaseManager] = weakref.WeakSet()


def _after_fork() -> None:
    for manager in list(_managers):
        manager._after_fork()  # pyright: ignore[reportPrivateUsage]


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_after_fork)
