"""What a connection lets through, what its URL may say, and whose it is after a fork."""

from __future__ import annotations

import os
import signal

import pytest
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext import asyncio as asyncio_api

from tijolo.core import AppException
from tijolo.db import AsyncDatabaseManager, DatabaseManager
from tijolo.db._url import for_async, for_sync

MARIADB = [pytest.param("mariadb", marks=pytest.mark.mariadb)]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE smuggled (a int)",
        "DROP TABLE product",
        "ALTER TABLE product ADD COLUMN smuggled int",
        "INSERT INTO product (name) VALUES ('a')",
        "DELETE FROM product",
    ],
)
async def test_read_only_lets_nothing_through(db_url, shop, statement):
    db = AsyncDatabaseManager(
        db_url, environment="test", metadata=shop.metadata, pool_size=1, max_overflow=0
    )
    await db.connect()
    await db.create_tables()
    with pytest.raises(AppException):
        async with db.read_only() as session:
            await session.execute(text(statement))
    async with db.read_only() as session:
        await session.execute(text("SELECT 1"))
        connection = await session.connection()
        found = await connection.run_sync(
            lambda c: [
                sqlalchemy.inspect(c).get_table_names(),
                sqlalchemy.inspect(c).get_columns("product"),
            ]
        )
    assert "smuggled" not in str(found)
    async with db.transaction() as session:  # the same connection writes again
        await session.execute(text("DELETE FROM product"))
    async with db.engine.begin() as connection:
        await connection.execute(text("DELETE FROM product"))
    await db.disconnect()


@pytest.mark.parametrize("backend", MARIADB, indirect=True)
def test_the_synchronous_twin_lets_nothing_through_either(db_url):
    pytest.importorskip("pymysql")
    db = DatabaseManager(db_url, pool_size=1, max_overflow=0)
    db.connect()
    with pytest.raises(AppException), db.read_only() as session:
        session.execute(text("CREATE TABLE smuggled (a int)"))
    with db.transaction() as session:
        session.execute(text("CREATE TABLE IF NOT EXISTS wanted (a int)"))
        session.execute(text("DROP TABLE wanted"))
    db.disconnect()


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-full"])
def test_sslmode_is_understood_by_both_drivers(mode):
    for given in ("ssl", "sslmode"):
        url = make_url(f"postgresql://app:s3cret@db/shop?{given}={mode}&application_name=x")
        assert for_async(url).query == {"ssl": mode, "application_name": "x"}
        assert for_sync(url).query == {"sslmode": mode, "application_name": "x"}
        assert for_sync(for_async(url)) == for_sync(url)
    assert for_async(make_url(f"mysql://db/shop?ssl={mode}")).query == {"ssl": mode}


@pytest.mark.parametrize("query", ["sslmode=maybe", "sslmode=require&ssl=disable", "ssl=true"])
def test_an_sslmode_that_makes_no_sense_is_refused_without_the_url(query):
    for manager in (AsyncDatabaseManager, DatabaseManager):
        with pytest.raises(ValueError, match="unknown sslmode, or two that differ") as caught:
            manager(f"postgresql://app:s3cret@db/shop?{query}")
        assert "s3cret" not in str(caught.value)


@pytest.mark.postgres
@pytest.mark.parametrize(("mode", "answers"), [("prefer", True), ("disable", True)])
async def test_sslmode_reaches_the_driver(postgres_url, mode, answers):
    pytest.importorskip("asyncpg")
    db = AsyncDatabaseManager(f"{postgres_url}?sslmode={mode}")
    await db.connect()
    assert await db.health_check() is answers
    await db.disconnect()


def _in_child(work):
    """What `work` returns in a forked process."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)  # a lock that nobody frees ends the child, not the suite
        try:
            os.write(writer, repr(work()).encode())
        except BaseException as exc:
            os.write(writer, f"{type(exc).__name__}: {exc}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return answer


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize(
    ("service", "driver", "query"),
    [
        pytest.param("postgres", "psycopg", "SELECT pg_backend_pid()", marks=pytest.mark.postgres),
        pytest.param("mariadb", "pymysql", "SELECT connection_id()", marks=pytest.mark.mariadb),
    ],
)
def test_a_child_has_connections_of_its_own(make_database, service, driver, query):
    pytest.importorskip(driver)
    db = DatabaseManager(make_database(service))
    db.connect()

    def connection_id():
        with db.transaction() as session:
            return session.scalar(text(query))

    mine = connection_id()
    with db._lock:  # a thread of the parent may hold it
        theirs = _in_child(lambda: (connection_id(), db.disconnect(), db.is_connected))

    assert theirs.endswith(", None, False)"), theirs
    assert str(mine) not in theirs
    assert connection_id() == mine  # the child has not closed it
    db.disconnect()


async def test_engines_are_made_by_what_sqlalchemy_has_at_the_time(monkeypatch, tmp_path):
    """Instrumentations replace the functions after this package was imported."""
    made = []

    def counted(function):
        def make(*args, **kwargs):
            made.append(function.__name__)
            return function(*args, **kwargs)

        return make

    create = sqlalchemy.create_engine
    monkeypatch.setattr(sqlalchemy, "create_engine", counted(create))
    monkeypatch.setattr(
        asyncio_api, "create_async_engine", counted(asyncio_api.create_async_engine)
    )
    db, twin = (
        kind(f"sqlite:///{tmp_path}/x.db") for kind in (AsyncDatabaseManager, DatabaseManager)
    )
    await db.connect()
    twin.connect()
    await db.disconnect()
    twin.disconnect()
    assert made == ["create_async_engine", "create_engine"]
