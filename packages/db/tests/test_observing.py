"""Statements and pools as metrics see them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from uuid import uuid4

import pytest
from sqlalchemy import NullPool, insert, literal, select, text, union_all, update
from sqlalchemy.exc import OperationalError

from tijolo.core import AppException
from tijolo.db import AsyncDatabaseManager, BaseRepository, DatabaseManager, PoolStatus

POSTGRES = [pytest.param("postgres", marks=pytest.mark.postgres)]
SYNC_DRIVERS = {"postgres": "psycopg", "mariadb": "pymysql"}


class Seen(list):
    """An observer that keeps what it is told."""

    def __call__(self, operation, seconds, ok):
        assert seconds >= 0
        self.append((operation, ok))

    def kinds(self):
        """Without what a driver or a boundary says for itself, such as BEGIN and PRAGMA."""
        return [operation for operation, _ in self if operation != "OTHER"]


@pytest.fixture
async def seen(db):
    observer = Seen()
    stop = db.observe(observer)
    yield observer
    stop()


async def test_every_kind_of_statement_is_told_once(db, shop, seen):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        row = await repo.add(shop.Product(name="a"))
        row.name = "b"
        await repo.update(row)
        await repo.list()
        await repo.delete_many({"name": "b"})
    assert seen.kinds() == ["INSERT", "UPDATE", "SELECT", "DELETE"]
    assert {ok for _, ok in seen} == {True}


@pytest.mark.parametrize(
    ("statement", "operation"),
    [
        ("SELECT 1", "SELECT"),
        ("  \n select 1", "SELECT"),
        ("/* a */ -- b\n SELECT 1", "SELECT"),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "OTHER"),
        ("CREATE TABLE IF NOT EXISTS kind (a int)", "OTHER"),
    ],
)
async def test_text_is_told_by_its_first_word(db, seen, statement, operation):
    async with db.engine.connect() as connection:
        seen.clear()
        await connection.execute(text(statement))
    assert seen[-1] == (operation, True)


async def test_compiled_statements_are_told_by_what_they_are(db, shop, seen):
    table = shop.Product.__table__
    renamed = select(table.c.id).where(table.c.name == "x").cte("renamed")
    async with db.engine.begin() as connection:
        await connection.execute(select(renamed))
        await connection.execute(union_all(select(table.c.id), select(table.c.id)))
        await connection.execute(update(table).values(name="y"))
        await connection.execute(insert(table), [{"name": "many"} for _ in range(3)])
        names = select(literal("copied").label("name")).cte("names")
        copy = insert(table).from_select(["id", "name"], select(literal(uuid4()), names.c.name))
        await connection.execute(copy)
    assert seen.kinds() == ["SELECT", "SELECT", "UPDATE", "INSERT", "INSERT"]


async def test_a_statement_that_fails_is_told_as_such(db, seen):
    with pytest.raises(AppException):
        async with db.transaction() as session:
            await session.execute(text("SELECT * FROM nowhere"))
    # others may follow: in development the log says what the database lacks
    assert [one for one in seen if not one[1]] == [("SELECT", False)]
    assert next(one for one in seen if one[0] == "SELECT") == ("SELECT", False)


@pytest.mark.parametrize(
    "backend", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
async def test_a_statement_that_is_cancelled_is_told_once(db, seen):
    async def wait():
        async with db.transaction() as session:
            await session.execute(text("SELECT pg_sleep(30)"))

    task = asyncio.create_task(wait())
    await asyncio.sleep(0.15)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == [("SELECT", False)]


async def test_observers_may_come_before_the_connection_and_go(db_url):
    db = AsyncDatabaseManager(db_url, environment="test")
    first, second = Seen(), Seen()
    stop = db.observe(first)
    db.observe(second)
    for _ in range(2):  # each connect() makes another engine
        await db.connect()
        async with db.read_only() as session:
            await session.execute(text("SELECT 1"))
        await db.disconnect()
    stop()
    stop()
    await db.connect()
    assert await db.health_check()
    async with db.read_only() as session:
        await session.execute(text("SELECT 1"))
    await db.disconnect()
    assert (first.kinds(), second.kinds()) == (["SELECT"] * 2, ["SELECT"] * 3)


async def test_an_observer_that_raises_stops_nothing_and_is_logged_once(db, seen, caplog):
    def broken(operation, seconds, ok):
        raise ZeroDivisionError

    stop = db.observe(broken)
    later = Seen()
    db.observe(later)
    with caplog.at_level(logging.ERROR, "tijolo.db"):
        async with db.read_only() as session:
            for _ in range(3):
                assert await session.scalar(text("SELECT 1")) == 1
    stop()
    assert seen.kinds() == later.kinds() == ["SELECT"] * 3
    assert [record.message for record in caplog.records] == [
        "an observer of database statements failed"
    ]


async def test_the_pool_is_shown_as_it_is(db_url):
    db = AsyncDatabaseManager(db_url, environment="test", pool_size=2, max_overflow=3)
    assert db.pool_status() is None
    await db.connect()
    assert db.pool_status() == PoolStatus(size=2, max_size=5, in_use=0, idle=0)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(db.engine.connect())
        assert db.pool_status() == PoolStatus(size=2, max_size=5, in_use=3, idle=0)
    assert db.pool_status() == PoolStatus(size=2, max_size=5, in_use=0, idle=2)
    await db.disconnect()
    assert db.pool_status() is None


async def test_a_pool_without_a_size_has_no_status(db_url):
    db = AsyncDatabaseManager(db_url, environment="test", poolclass=NullPool)
    await db.connect()
    assert db.pool_status() is None
    await db.disconnect()


def test_the_synchronous_twin_is_observed_too(backend, db_url):
    if backend in SYNC_DRIVERS:
        pytest.importorskip(SYNC_DRIVERS[backend])
    db = DatabaseManager(db_url, environment="test", pool_size=2, max_overflow=-1)
    seen, early = Seen(), Seen()
    db.observe(early)
    db.connect()
    with db.read_only() as session:
        session.execute(text("SELECT 1"))
    db.observe(seen)
    with db.transaction() as session:
        session.execute(text("SELECT 1"))
        assert db.pool_status() == PoolStatus(size=2, max_size=None, in_use=1, idle=0)
    assert (early.kinds(), seen.kinds()) == (["SELECT"] * 2, ["SELECT"])
    db.disconnect()


def test_rows_that_fail_to_come_do_not_tell_of_the_statement_again(tmp_path):
    db = DatabaseManager(f"sqlite:///{tmp_path}/x.db")
    db.connect()
    seen = Seen()
    db.observe(seen)
    overflow = text("SELECT abs(x) FROM (SELECT 1 AS x UNION ALL SELECT -9223372036854775808)")
    with db.engine.connect() as connection:
        rows = connection.execute(overflow)
        with pytest.raises(OperationalError):
            rows.all()
    db.disconnect()
    assert seen.kinds() == ["SELECT"]
    assert {ok for _, ok in seen} == {True}
