"""Databases for tests: in memory, rolled back after each test, and with their queries counted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, MetaData, event
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from tijolo.core import Environment
from tijolo.db._engine import install_events
from tijolo.db._options import EngineOptions
from tijolo.db._url import for_async, parse_url
from tijolo.db.cursors import SIGNER, CursorSigner
from tijolo.db.hooks import BOUNDARY
from tijolo.db.model import BaseModel
from tijolo.db.soft_delete import SoftDeleteSession

MEMORY_URL = "sqlite+aiosqlite:///:memory:"


def create_test_engine(database_url: str = MEMORY_URL, *, echo: bool = False) -> AsyncEngine:
    """An engine with foreign keys and real transactions; in memory it has one connection."""
    url = for_async(parse_url(database_url))
    engine = create_async_engine(url, echo=echo)
    install_events(engine.sync_engine, url, EngineOptions())
    return engine


def create_test_session_factory(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Sessions like those of a manager: they honour soft deletion and can page by cursor."""
    return async_sessionmaker(
        engine,
        sync_session_class=SoftDeleteSession,
        expire_on_commit=False,
        info={SIGNER: CursorSigner(environment=Environment.TEST)},
    )


async def init_test_metadata(engine: AsyncEngine, metadata: MetaData | None = None) -> None:
    """Create the tables of ``metadata``, by default of ``BaseModel``."""
    async with engine.begin() as connection:
        await connection.run_sync((metadata or BaseModel.metadata).create_all)


async def drop_test_metadata(engine: AsyncEngine, metadata: MetaData | None = None) -> None:
    """Drop the tables of ``metadata``, by default of ``BaseModel``."""
    async with engine.begin() as connection:
        await connection.run_sync((metadata or BaseModel.metadata).drop_all)


@asynccontextmanager
async def test_database(
    database_url: str = MEMORY_URL,  # noqa: PT028 - a contract's name, not a test
    *,
    metadata: MetaData | None = None,  # noqa: PT028
) -> AsyncGenerator[async_sessionmaker[AsyncSession], None]:
    """A database with its tables, as a session factory; the tables are dropped at the end."""
    engine = create_test_engine(database_url)
    try:
        await init_test_metadata(engine, metadata)
        yield create_test_session_factory(engine)
        await drop_test_metadata(engine, metadata)
    finally:
        await engine.dispose()


@asynccontextmanager
async def test_session(
    database_url: str = MEMORY_URL,  # noqa: PT028 - a contract's name, not a test
    *,
    metadata: MetaData | None = None,  # noqa: PT028
) -> AsyncGenerator[AsyncSession, None]:
    """One session on a :func:`test_database`."""
    async with test_database(database_url, metadata=metadata) as factory, factory() as session:
        yield session


@asynccontextmanager
async def rolled_back_session(engine: AsyncEngine) -> AsyncGenerator[AsyncSession, None]:
    """A session whose commits are savepoints: at the end nothing of it is left.

    Override ``db.session_dependency`` with a function that returns it, and a test of the whole
    application leaves the database as it was.
    """
    async with engine.connect() as connection:
        transaction = await connection.begin()
        factory = async_sessionmaker(
            connection,
            sync_session_class=SoftDeleteSession,
            expire_on_commit=False,
            join_transaction_mode="create_savepoint",
            info={SIGNER: CursorSigner(environment=Environment.TEST), BOUNDARY: True},
        )
        try:
            async with factory() as session:
                yield session
        finally:
            await transaction.rollback()


# pytest would collect the contract's names as tests
test_database.__test__ = False  # type: ignore[attr-defined]
test_session.__test__ = False  # type: ignore[attr-defined]


@dataclass
class QueryCount:
    """The statements that were sent."""

    statements: list[str] = field(default_factory=list[str])

    def __len__(self) -> int:
        return len(self.statements)


@contextmanager
def count_queries(
    engine: AsyncEngine | Engine, *, at_most: int | None = None
) -> Generator[QueryCount, None, None]:
    """Count what the block sends to the database, BEGIN and COMMIT aside.

    Args:
        at_most: The budget.

    Raises:
        AssertionError: The budget was exceeded; the message lists the statements.
    """
    target = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    counted = QueryCount()

    def record(
        connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        if not statement.startswith(("BEGIN", "SET SESSION TRANSACTION", "PRAGMA")):
            counted.statements.append(statement)

    event.listen(target, "before_cursor_execute", record)
    try:
        yield counted
    finally:
        event.remove(target, "before_cursor_execute", record)
    if at_most is not None and len(counted) > at_most:
        shown = "\n".join(f"  {statement}" for statement in counted.statements)
        raise AssertionError(f"{len(counted)} queries, at most {at_most} wanted:\n{shown}")
