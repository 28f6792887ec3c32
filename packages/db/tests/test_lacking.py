"""Where the migrations have not run, the log of a developer says which table is missing."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import MetaData, String, text
from sqlalchemy.orm import Mapped, mapped_column

from tijolo.core import AppException
from tijolo.db import AsyncDatabaseManager, BaseModel, DatabaseManager

COMMAND = "python -m tijolo.db upgrade"
SECRET = "hush-" + "hush"
TABLE = f"wish_{uuid4().hex[:8]}"


class Own(BaseModel):
    __abstract__ = True
    metadata = MetaData()


class Wish(Own):
    __tablename__ = TABLE
    name: Mapped[str] = mapped_column(String(80))


@pytest.fixture
def told(caplog):
    """What the logs say of migrations so far."""

    def said():
        assert SECRET not in caplog.text
        return [record.getMessage() for record in caplog.records if COMMAND in record.getMessage()]

    return said


@pytest.fixture
async def connect(db_url):
    made = []

    async def connected(environment):
        secret = uuid4().hex + uuid4().hex
        db = AsyncDatabaseManager(
            db_url, environment=environment, metadata=Own.metadata, cursor_secret=secret
        )
        await db.connect()
        made.append(db)
        return db

    yield connected
    for db in made:
        if db.environment.is_development:
            await db.drop_tables()
        await db.disconnect()


async def _refused(db):
    with pytest.raises(AppException) as caught:
        async with db.transaction() as session:
            session.add(Wish(name=SECRET))
    assert caught.value.code == "DATABASE_ERROR"
    assert TABLE not in f"{caught.value.message} {caught.value.details}"


@pytest.mark.parametrize("environment", ["local", "development", "test"])
async def test_a_table_and_a_column_that_are_missing_are_named(connect, told, environment):
    db = await connect(environment)
    await _refused(db)
    (said,) = told()
    assert f"has no table '{TABLE}'" in said
    assert db.db_url_safe in said

    await db.create_tables()
    assert await db.what_is_lacking() is None
    async with db.transaction() as session:
        await session.execute(text(f"ALTER TABLE {TABLE} DROP COLUMN name"))
    await _refused(db)
    assert f"has no column 'name' in table '{TABLE}'" in told()[-1]


@pytest.mark.parametrize("environment", ["staging", "production"])
async def test_elsewhere_nothing_is_looked_for(connect, told, environment):
    await _refused(await connect(environment))
    assert told() == []


async def test_an_error_of_another_kind_is_not_blamed_on_migrations(connect, told):
    db = await connect("test")
    await db.create_tables()
    with pytest.raises(AppException):
        async with db.transaction() as session:
            await session.execute(text("SELECT nope, :value"), {"value": SECRET})
    assert told() == []


def test_the_synchronous_twin_names_it_too(db_url, told):
    db = DatabaseManager(db_url, environment="test", metadata=Own.metadata)
    db.connect()
    try:
        with pytest.raises(AppException), db.transaction() as session:
            session.add(Wish(name=SECRET))
        assert f"has no table '{TABLE}'" in told()[0]
    finally:
        db.disconnect()


async def test_who_forgot_to_connect_is_told_what_connects():
    with pytest.raises(RuntimeError, match=r"AppLifecycle\(resources=\[db\]\)"):
        await AsyncDatabaseManager("sqlite://", environment="test").create_tables()
