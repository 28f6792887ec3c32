"""Rows 4.1 to 4.10: repositories against raw SQLAlchemy ORM and Core, on SQLite and PostgreSQL.

The tables have BENCH_ROWS rows (a million by default) and are kept between runs: SQLite in
BENCH_SQLITE (a file in the temporary directory by default), PostgreSQL in the database
``tijolo_bench`` of the server that BENCH_PG names, on loopback by default. Each operation has a
session of its own, as a request has; every contender uses the same engine.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    Index,
    MetaData,
    Numeric,
    String,
    func,
    insert,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Mapped, mapped_column

from tests.benchmarks.harness import Contender, Group
from tijolo.db import (
    NAMING_CONVENTION,
    AsyncDatabaseManager,
    BaseModel,
    BaseRepository,
    CountPolicy,
)

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
SQLITE = Path(os.environ.get("BENCH_SQLITE", Path(tempfile.gettempdir(), "tijolo_bench.db")))
POSTGRES = make_url(
    os.environ.get("BENCH_PG", "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres")
)


class Base(BaseModel):
    __abstract__ = True
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Item(Base):
    """The table that is read."""

    sku: Mapped[str] = mapped_column(String(40), unique=True)
    title: Mapped[str] = mapped_column(String(80))
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    qty: Mapped[int] = mapped_column()
    __table_args__ = (Index("ix_item_walk", "created_at", "id"),)


class Fresh(Base):
    """The table that is written."""

    sku: Mapped[str] = mapped_column(String(40), unique=True)
    title: Mapped[str] = mapped_column(String(80))
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    qty: Mapped[int] = mapped_column()


class Walker(BaseRepository[Item]):
    """Takes long steps."""

    max_limit = max(1, min(20_000, ROWS // 4))
    seen = 0


Items, Fresh_ = Item.__table__, Fresh.__table__
FILL = {
    "sqlite": """
        INSERT INTO item (id, is_active, created_at, updated_at, sku, title, price, qty)
        WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :rows - 1)
        SELECT printf('%032x', i), 1,
               strftime('%Y-%m-%d %H:%M:%S', '2026-01-01', (i / 3) || ' seconds') || '.000000',
               strftime('%Y-%m-%d %H:%M:%S', '2026-01-01') || '.000000',
               'sku-' || i, 'Item number ' || i, (i % 1000) / 10.0, i % 50 FROM n""",
    "postgresql": """
        INSERT INTO item (id, is_active, created_at, updated_at, sku, title, price, qty)
        SELECT lpad(to_hex(i), 32, '0')::uuid, true,
               timestamptz '2026-01-01 UTC' + (i / 3) * interval '1 second',
               timestamptz '2026-01-01 UTC', 'sku-' || i, 'Item number ' || i,
               (i % 1000) / 10.0, i % 50 FROM generate_series(0, :rows - 1) AS i""",
}


def _rows(size: int, prefix: str) -> list[dict[str, Any]]:
    return [
        {"sku": f"{prefix}-{i}", "title": f"Item {i}", "price": Decimal("9.90"), "qty": i % 50}
        for i in range(size)
    ]


class Bench:
    """One database and everything that is measured on it."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        url = make_url(f"sqlite+aiosqlite:///{SQLITE}")
        if backend == "postgresql":
            url = POSTGRES.set(database="tijolo_bench")
        self.url = url
        self.db = AsyncDatabaseManager(
            url,
            environment="test",
            cursor_secret="bench" * 8,
            metadata=Base.metadata,
            statement_timeout=None,
        )
        self.number = count()
        self.cursor: str | None = None

    async def connect(self) -> None:
        """Create and fill what is missing."""
        if self.db.is_connected:
            return
        if self.backend == "postgresql":
            admin = create_async_engine(
                self.url.set(database="postgres"), isolation_level="AUTOCOMMIT"
            )
            async with admin.connect() as connection:
                known = select(text("1")).select_from(text("pg_database"))
                if not await connection.scalar(known.where(text("datname = 'tijolo_bench'"))):
                    await connection.execute(text("CREATE DATABASE tijolo_bench"))
            await admin.dispose()
        await self.db.connect()
        await self.db.create_tables()
        async with self.db.transaction() as session:
            if await session.scalar(select(func.count()).select_from(Items)) != ROWS:
                await session.execute(Items.delete())
                await session.execute(text(FILL[self.backend]), {"rows": ROWS})
            await session.execute(Fresh_.delete())
        async with self.db.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as c:
            await c.execute(text("VACUUM ANALYZE" if self.backend == "postgresql" else "ANALYZE"))
        async with self.db.transaction() as session:
            await self._go_half_way(session)

    async def _go_half_way(self, session: AsyncSession) -> None:
        repo = Walker(session, model=Item)
        while repo.seen < ROWS // 2:
            page = await repo.cursor_paginate(cursor=self.cursor, limit=repo.max_limit)
            repo.seen += repo.max_limit
            self.cursor = page["next_cursor"]
            self.middle = (page["items"][-1].created_at, page["items"][-1].id)
            session.expunge_all()

    async def disconnect(self) -> None:
        """Empty what was written."""
        async with self.db.transaction() as session:
            await session.execute(Fresh_.delete())
        await self.db.disconnect()

    def op(self, work: Callable[[AsyncSession], Awaitable[Any]]) -> Any:
        """``work`` in a session of its own, ``n`` times, without a commit."""

        async def run(n: int) -> None:
            for _ in range(n):
                async with await self.db.get_session() as session:
                    await work(session)

        return run

    def key(self) -> UUID:
        """Another row each time."""
        return UUID(int=next(self.number) * 7919 % ROWS)

    def groups(self) -> list[Group]:
        """Rows 4.1 to 4.10 on this database."""
        name = "SQLite" if self.backend == "sqlite" else "PostgreSQL"
        fast = [self.by_id, self.list_100, self.first_page, self.deep_page, self.deep_cursor]
        slow = [self.add_all, self.bulk_create, self.bulk_upsert]
        made = [group for make in [*fast, *slow] for group in make(name)]
        for group in made:
            group.setup = self.connect
        made[-1].teardown = self.disconnect
        return made

    def _group(self, row: str, title: str, rounds: int, *contenders: Contender) -> Group:
        return Group(row=row, title=title, contenders=list(contenders), rounds=rounds)

    def by_id(self, name: str) -> list[Group]:
        """4.1."""
        core = select(Items)
        return [
            self._group(
                "4.1",
                f"get by id, {name}, {ROWS:,} rows",
                60,
                Contender(
                    name="raw ORM session.get",
                    role="baseline",
                    run=self.op(lambda s: s.get(Item, self.key())),
                ),
                Contender(
                    name="raw Core",
                    role="limit",
                    run=self.op(lambda s: self._one(s, core.where(Items.c.id == self.key()))),
                ),
                Contender(
                    name="tijolo get_by_id",
                    goal=1.05,
                    run=self.op(lambda s: BaseRepository(s, model=Item).get_by_id(self.key())),
                ),
                Contender(
                    name="tijolo fetch_by_id (Core)",
                    goal=0.85,
                    run=self.op(lambda s: BaseRepository(s, model=Item).fetch_by_id(self.key())),
                ),
            )
        ]

    async def _one(self, session: AsyncSession, statement: Any) -> Any:
        return (await session.execute(statement)).first()

    async def _all(self, session: AsyncSession, statement: Any) -> Any:
        return (await session.execute(statement)).all()

    async def _objects(self, session: AsyncSession, statement: Any) -> Any:
        return (await session.scalars(statement)).all()

    def list_100(self, name: str) -> list[Group]:
        """4.2."""

        def orm() -> Any:  # built for each call, as a request builds it
            return select(Item).where(Item.qty == 7).limit(100)

        def core() -> Any:
            return select(Items).where(Items.c.qty == 7).limit(100)

        return [
            self._group(
                "4.2",
                f"list 100 of a filter, {name}",
                60,
                Contender(
                    name="raw ORM", role="baseline", run=self.op(lambda s: self._objects(s, orm()))
                ),
                Contender(
                    name="raw Core", role="limit", run=self.op(lambda s: self._all(s, core()))
                ),
                Contender(
                    name="tijolo list",
                    goal=1.03,
                    run=self.op(
                        lambda s: BaseRepository(s, model=Item).list({"qty": 7}, limit=100)
                    ),
                ),
                Contender(
                    name="tijolo fetch (Core)",
                    goal=0.75,
                    run=self.op(
                        lambda s: BaseRepository(s, model=Item).fetch({"qty": 7}, limit=100)
                    ),
                ),
            )
        ]

    def _page(self, row: str, page: int, exact: float, none: float, name: str) -> Group:
        async def raw_rows(session: AsyncSession) -> None:
            orm = select(Item).order_by(Item.created_at.desc(), Item.id.desc())
            await self._objects(session, orm.limit(20).offset((page - 1) * 20))

        async def raw(session: AsyncSession) -> None:
            await session.scalar(select(func.count()).select_from(Item))
            await raw_rows(session)

        def ours(policy: CountPolicy) -> Any:
            return self.op(
                lambda s: BaseRepository(s, model=Item).paginate(page=page, count=policy)
            )

        return self._group(
            row,
            f"page {page} of {ROWS:,} rows, {name}",
            16,
            Contender(name="raw ORM count + offset", role="baseline", run=self.op(raw)),
            # what no library on SQLAlchemy's ORM can be below: the share of the count differs by
            # machine, and the goal of "no count" with it
            Contender(name="raw ORM offset, no count", run=self.op(raw_rows)),
            Contender(
                name="tijolo paginate, exact count", goal=exact, run=ours(CountPolicy.exact())
            ),
            Contender(name="tijolo paginate, no count", goal=none, run=ours(CountPolicy.none())),
        )

    def first_page(self, name: str) -> list[Group]:
        """4.3 and 4.4."""
        return [self._page("4.3/4.4", 1, 1.0, 0.06, name)]

    def deep_page(self, name: str) -> list[Group]:
        """4.5 and 4.6."""
        return [self._page("4.5/4.6", min(5000, ROWS // 40), 1.0, 0.25, name)]

    def deep_cursor(self, name: str) -> list[Group]:
        """4.7."""

        async def raw(session: AsyncSession) -> None:
            order = (Item.created_at.desc(), Item.id.desc())
            bound = tuple_(Item.created_at, Item.id) < self.middle
            await self._objects(session, select(Item).where(bound).order_by(*order).limit(21))

        return [
            self._group(
                "4.7",
                f"cursor {ROWS // 2:,} rows deep, {name}",
                60,
                Contender(name="raw ORM, row values", role="baseline", run=self.op(raw)),
                Contender(
                    name="tijolo cursor_paginate",
                    goal=1.10,
                    run=self.op(
                        lambda s: BaseRepository(s, model=Item).cursor_paginate(cursor=self.cursor)
                    ),
                ),
            )
        ]

    def _writes(self, work: Callable[[AsyncSession, str], Awaitable[Any]]) -> Any:
        async def run(n: int) -> None:
            for _ in range(n):
                async with self.db.transaction() as session:
                    await work(session, uuid4().hex)

        return run

    def add_all(self, name: str) -> list[Group]:
        """4.8."""

        async def raw(session: AsyncSession, prefix: str) -> None:
            session.add_all([Fresh(**row) for row in _rows(1000, prefix)])
            await session.flush()

        async def ours(session: AsyncSession, prefix: str) -> None:
            repo = BaseRepository(session, model=Fresh)
            await repo.add_all([Fresh(**row) for row in _rows(1000, prefix)])

        async def values(session: AsyncSession, prefix: str) -> None:
            await BaseRepository(session, model=Fresh).bulk_create_values(_rows(1000, prefix))

        return [
            self._group(
                "4.8",
                f"add_all 1,000, {name}",
                12,
                Contender(name="raw ORM add_all", role="baseline", run=self._writes(raw)),
                Contender(name="tijolo add_all", goal=1.05, run=self._writes(ours)),
                Contender(name="tijolo bulk_create_values", goal=0.60, run=self._writes(values)),
            )
        ]

    def bulk_create(self, name: str) -> list[Group]:
        """4.9."""

        async def raw(session: AsyncSession, prefix: str) -> None:
            await session.execute(insert(Fresh), _rows(10_000, prefix))

        async def core(session: AsyncSession, prefix: str) -> None:
            await (await session.connection()).execute(insert(Fresh_), _rows(10_000, prefix))

        async def ours(session: AsyncSession, prefix: str) -> None:
            await BaseRepository(session, model=Fresh).bulk_create_values(_rows(10_000, prefix))

        goal = 0.90 if self.backend == "sqlite" else 0.60
        return [
            self._group(
                "4.9",
                f"bulk create 10,000, {name}",
                8,
                Contender(
                    name="raw ORM execute(insert, rows)", role="baseline", run=self._writes(raw)
                ),
                Contender(name="raw Core insert", role="limit", run=self._writes(core)),
                Contender(name="tijolo bulk_create_values", goal=goal, run=self._writes(ours)),
            )
        ]

    def bulk_upsert(self, name: str) -> list[Group]:
        """4.10."""
        make = sqlite.insert if self.backend == "sqlite" else postgresql.insert

        async def raw(session: AsyncSession, prefix: str) -> None:
            statement = make(Fresh_)
            names = ("title", "price", "qty", "updated_at")
            statement = statement.on_conflict_do_update(
                index_elements=["sku"], set_={n: statement.excluded[n] for n in names}
            )
            await (await session.connection()).execute(statement, _rows(10_000, "upsert"))

        async def ours(session: AsyncSession, prefix: str) -> None:
            repo = BaseRepository(session, model=Fresh)
            await repo.bulk_upsert(_rows(10_000, "upsert"), conflict_columns=["sku"])

        goal = 1.05 if self.backend == "sqlite" else 0.75
        return [
            self._group(
                "4.10",
                f"bulk upsert 10,000, {name}",
                8,
                Contender(name="raw Core on_conflict", role="baseline", run=self._writes(raw)),
                Contender(name="tijolo bulk_upsert", goal=goal, run=self._writes(ours)),
            )
        ]


def groups() -> list[Group]:
    """Rows 4.1 to 4.10; PostgreSQL's only where a server answers."""
    found = Bench("sqlite").groups()
    try:
        socket.create_connection((POSTGRES.host, POSTGRES.port or 5432), timeout=3).close()
    except OSError as exc:
        print(f"no PostgreSQL at {POSTGRES.host} ({exc}): its rows are left out")
        return found
    return found + Bench("postgresql").groups()
