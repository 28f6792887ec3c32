from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import traceback

import pytest
from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict
from sqlalchemy import AsyncAdaptedQueuePool, text
from sqlalchemy.pool import NullPool

import tijolo.db
from tijolo.core import (
    AppException,
    BaseAppSettings,
    BaseSchema,
    ConflictException,
    Environment,
    NotFoundException,
)
from tijolo.core.testing import assert_settings_read
from tijolo.db import (
    AsyncDatabaseManager,
    BaseController,
    BaseRepository,
    BaseService,
    DatabaseManager,
    DatabaseSettings,
)
from tijolo.db.testing import (
    count_queries,
    create_test_engine,
    rolled_back_session,
    test_database,
    test_session,
)

PUBLIC = [
    "AlembicHelper",
    "AsyncDatabaseManager",
    "AuditMixin",
    "BASE_COLUMN_ORDER",
    "BaseController",
    "BaseModel",
    "BaseRepository",
    "BaseService",
    "CountPolicy",
    "CursorPage",
    "DatabaseFailure",
    "DatabaseManager",
    "DatabaseSettings",
    "ForUpdate",
    "InvalidCursorException",
    "InvalidFilterError",
    "InvalidPageError",
    "NAMING_CONVENTION",
    "Page",
    "PoolStatus",
    "ProcessRevisionDirectives",
    "QueryObserver",
    "RowLimitExceededError",
    "SoftDeleteMixin",
    "StaleVersionException",
    "TimestampMixin",
    "TransactionConflictException",
    "UNSET",
    "UnknownFilterError",
    "UnknownOrderError",
    "UtcDateTime",
    "VersionMixin",
    "__version__",
    "compose_hooks",
    "on_commit",
    "on_rollback",
    "reorder_base_columns_first",
    "savepoint",
    "unique_when_alive",
    "utc_now",
    "uuid7",
    "wait_for_database",
]


class Settings(DatabaseSettings, BaseAppSettings):
    model_config = SettingsConfigDict(env_file=None)


def test_the_front_door_is_what_it_was():
    assert sorted(tijolo.db.__all__) == PUBLIC


def test_importing_the_package_loads_neither_fastapi_nor_alembic():
    code = "import sys, tijolo.db; print([m for m in ('fastapi', 'alembic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_connect_and_disconnect_are_idempotent_also_at_once(db_url):
    db = AsyncDatabaseManager(db_url)
    assert not db.is_connected
    with pytest.raises(RuntimeError, match="connect"):
        await db.get_session()
    await asyncio.gather(*(db.connect() for _ in range(5)))
    engine = db.engine
    await db.connect()
    assert db.engine is engine
    await asyncio.gather(*(db.disconnect() for _ in range(5)))
    await db.disconnect()
    assert not db.is_connected
    await db.connect()
    assert await db.health_check()
    await db.disconnect()


@pytest.mark.parametrize("environment", ["production", "staging", None])
async def test_drop_tables_is_refused_outside_development(environment):
    options = {} if environment is None else {"environment": environment}
    db = AsyncDatabaseManager("sqlite://", **options)
    await db.connect()
    with pytest.raises(RuntimeError, match="refused"):
        await db.drop_tables()
    await db.disconnect()


async def test_d24_a_pool_without_a_size_gets_no_size(db_url):
    for options in ({"poolclass": NullPool}, {"pgbouncer": True}):
        db = AsyncDatabaseManager(db_url, **options)
        await db.connect()
        async with db.transaction() as session:
            assert await session.scalar(text("SELECT 1")) == 1
        await db.disconnect()
    with pytest.raises(ValueError, match="pgbouncer"):
        AsyncDatabaseManager(db_url, poolclass=AsyncAdaptedQueuePool, pgbouncer=True)


async def test_d25_the_health_check_answers_while_the_pool_is_full(db_url, caplog):
    pytest.importorskip("asyncpg")  # what is down below
    db = AsyncDatabaseManager(db_url, pool_size=1, max_overflow=0, pool_timeout=30)
    await db.connect()
    async with db.transaction() as session:
        await session.execute(text("SELECT 1"))
        assert await db.health_check()
    await db.disconnect()
    down = AsyncDatabaseManager("postgresql://user:hush@127.0.0.1:1/none")
    with caplog.at_level(logging.WARNING):
        assert await down.health_check() is False
    assert "ConnectionRefusedError" in caplog.text
    assert "hush" not in caplog.text


async def test_d26_sqlite_checks_references_and_uses_wal(tmp_path):
    db = AsyncDatabaseManager(f"sqlite:///{tmp_path}/x.db", environment="test")
    await db.connect()
    async with db.transaction() as session:
        assert await session.scalar(text("PRAGMA foreign_keys")) == 1
        assert await session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert await session.scalar(text("PRAGMA busy_timeout")) == 5000
    await db.disconnect()


async def test_d26_orphans_are_refused(db, shop):
    async with db.transaction() as session:
        with pytest.raises(ConflictException) as caught:
            await BaseRepository(session, model=shop.Line).add(
                shop.Line(order_id=tijolo.db.uuid7(), position=1)
            )
    assert caught.value.details["reason"] == "foreign_key"


async def test_d23_parameters_stay_out_of_tracebacks_unless_debugging(db_url, shop):
    for debug in (False, True):
        db = AsyncDatabaseManager(db_url, environment="test", metadata=shop.metadata, debug=debug)
        await db.connect()
        await db.create_tables()
        with pytest.raises(AppException) as caught:
            async with db.transaction() as session:
                await session.execute(text("SELECT nope, :value"), {"value": "hush-" + "hush"})
        shown = "".join(traceback.format_exception(caught.value))
        assert ("hush-hush" in shown) is debug
        assert ("SELECT nope, " in shown.replace('text("SELECT nope, ', "")) is debug
        await db.disconnect()


async def test_two_managers_are_two_databases(tmp_path, shop):
    first, second = (
        AsyncDatabaseManager(f"sqlite:///{tmp_path}/{n}.db", metadata=shop.metadata) for n in "ab"
    )
    memory, other = (AsyncDatabaseManager("sqlite://", metadata=shop.metadata) for _ in "ab")
    for db in (first, second, memory, other):
        await db.connect()
        await db.create_tables()
    for db in (first, memory):
        async with db.transaction() as session:
            await BaseRepository(session, model=shop.Product).add(shop.Product(name="x"))
    counts = []
    for db in (first, second, memory, other):
        async with db.read_only() as session:
            counts.append(await BaseRepository(session, model=shop.Product).count())
        await db.disconnect()
    assert counts == [1, 0, 1, 0]


async def test_sqlite_in_memory_takes_writers_in_turn(shop):
    db = AsyncDatabaseManager("sqlite://", metadata=shop.metadata)
    await db.connect()
    await db.create_tables()

    async def write(number):
        async with db.transaction() as session:
            await BaseRepository(session, model=shop.Product).add(shop.Product(name=str(number)))
            await asyncio.sleep(0)

    async with db.read_only() as reader:
        await BaseRepository(reader, model=shop.Product).count()
        await asyncio.gather(*(write(number) for number in range(20)))
    async with db.read_only() as session:
        assert await BaseRepository(session, model=shop.Product).count() == 20
    await db.disconnect()


NASTY = "p%40 s/@:?#&=+é'\"\\"


@pytest.mark.parametrize("driver", ["postgresql", "mysql", "mariadb", "postgresql+asyncpg"])
def test_urls_are_assembled_from_parts_whatever_the_password(driver):
    settings = Settings(
        DATABASE_DRIVER=driver,
        DATABASE_HOST="db.internal",
        DATABASE_PORT=1234,
        DATABASE_NAME="shop",
        DATABASE_USER="us/er",
        DATABASE_PASSWORD=NASTY,
    )
    url = settings.database_url()
    assert (url.password, url.username, url.host, url.port, url.database) == (
        NASTY,
        "us/er",
        "db.internal",
        1234,
        "shop",
    )
    shown = repr(AsyncDatabaseManager.from_settings(settings)) + repr(settings) + repr(url)
    assert NASTY not in shown
    assert "%40" not in shown.replace("%2540", "")


def test_urls_have_an_order_of_precedence():
    assert str(Settings().database_url()) == "sqlite+aiosqlite:///./app.db"
    given = {"DATABASE_URL": "sqlite:///a.db", "DATABASE_TEST_URL": "sqlite:///t.db"}
    assert Settings(**given, DATABASE_NAME="p").database_url().database == "a.db"
    assert Settings(**given, ENVIRONMENT="test").database_url().database == "t.db"
    assert (
        Settings(DATABASE_DRIVER="sqlite", DATABASE_NAME="f.db").database_url().database == "f.db"
    )
    with pytest.raises(ValueError, match="DATABASE_NAME"):
        Settings(DATABASE_HOST="h").database_url()


@pytest.mark.parametrize("bad", ["not a url hush", "://hush", "oracle://u:hush@h/d", ""])
def test_a_bad_url_is_refused_without_being_shown(bad):
    with pytest.raises(ValueError, match="database") as caught:
        AsyncDatabaseManager(bad)
    assert "hush" not in "".join(traceback.format_exception(caught.value)).replace(repr(bad), "")


async def test_every_setting_is_read(tmp_path):
    settings = Settings(DATABASE_URL=f"sqlite:///{tmp_path}/x.db", ENVIRONMENT="test")
    with assert_settings_read(DatabaseSettings, by="tijolo.db"):
        db = AsyncDatabaseManager.from_settings(settings)
    assert db.environment is Environment.TEST
    await db.connect()
    assert await db.health_check()
    await db.disconnect()


def test_a_cursor_secret_is_needed_outside_development():
    from tijolo.db.cursors import CursorSigner, Position

    position = Position((1,), False)
    with pytest.raises(RuntimeError, match="DATABASE_CURSOR_SECRET"):
        CursorSigner().dump(position, b"")
    with pytest.raises(ValueError, match="32 bytes"):
        CursorSigner(SecretStr("short"))
    one, two = (CursorSigner("s" * 31 + "tu") for _ in range(2))
    assert two.load(one.dump(position, b"q"), b"q", 1) == position
    assert CursorSigner(environment=Environment.TEST).dump(position, b"")
    assert "stu" not in repr(one)


def test_the_synchronous_twin(db_url, shop, backend):
    db = DatabaseManager(db_url, environment="test", metadata=shop.metadata)
    db.connect()
    db.connect()
    db.create_tables()
    assert db.health_check()
    with db.transaction() as session:
        session.execute(shop.Product.__table__.delete())
        session.add(shop.Product(name="sync", sku="s"))
    with pytest.raises(ConflictException) as caught, db.transaction() as session:
        session.add(shop.Product(name="again", sku="s"))
    assert caught.value.details["reason"] == "unique"
    with pytest.raises(AppException), db.read_only() as session:
        session.execute(shop.Product.__table__.delete())
    with db.read_only() as session:
        assert [row.name for row in session.query(shop.Product)] == ["sync"]
    with db.transaction() as session:
        session.execute(shop.Product.__table__.delete())
    db.disconnect()
    db.disconnect()
    assert not db.is_connected
    strict = DatabaseManager("sqlite://")
    strict.connect()
    with pytest.raises(RuntimeError, match="refused"):
        strict.drop_tables()
    strict.disconnect()


class ProductIn(BaseSchema):
    name: str | None = None
    price: int | None = None


class ProductOut(BaseSchema):
    name: str
    stock: int
    price: int | None


async def test_d33_services_and_controllers_create_and_update(db, shop):
    class Products(BaseRepository):
        orderable = ("name",)

        def map_to_response(self, instance):
            return ProductOut.model_validate(instance)

    async with db.transaction() as session:
        controller = BaseController(BaseService(Products(session, model=shop.Product)))
        created = await controller.create(ProductIn(name="tea", price=3))
        assert created == ProductOut(name="tea", stock=0, price=3)
        row = await controller.service.repository.get({"name": "tea"})
        assert (await controller.update(row.id, ProductIn(price=None))).price is None
        assert (await controller.update(row.id, {"stock": 4})).stock == 4
        assert (await controller.get_by_id(row.id)).name == "tea"
        assert await controller.service.get_or_none({"name": "none"}) is None
        assert await controller.service.exists({"name": "tea"})
        assert await controller.list() == [ProductOut(name="tea", stock=4, price=None)]
        page = await controller.paginate(order_by="name")
        assert (page["items"][0].name, page["total"]) == ("tea", 1)
        assert (await controller.cursor_paginate())["items"][0].name == "tea"
        await controller.delete(row.id)
        assert await controller.count() == 0
        with pytest.raises(NotFoundException):
            await controller.delete(row.id)


async def test_the_defaults_of_a_schema_are_part_of_what_it_creates(db, shop):
    class NewProduct(BaseSchema):
        name: str
        stock: int = 7
        price: int | None = None

    async with db.transaction() as session:
        repository = BaseRepository(session, model=shop.Product)
        service = BaseService(repository)
        repository.map_to_response = lambda row: row
        assert (await service.create(NewProduct(name="tea"))).stock == 7
        # a change names what was sent, and nothing else
        row = await repository.get({"name": "tea"})
        row.stock = 1
        assert (await service.update(row.id, NewProduct(name="mate"))).stock == 1


async def test_test_databases_have_tables_and_end(shop):
    async with test_database(metadata=shop.metadata) as factory, factory() as session:
        await BaseRepository(session, model=shop.Product).add(shop.Product(name="x"))
        await session.commit()
    async with test_session(metadata=shop.metadata) as session:
        repo = BaseRepository(session, model=shop.Product)
        assert await repo.count() == 0
        await repo.add_all([shop.Product(name=str(n)) for n in range(3)])
        assert (await repo.cursor_paginate(limit=2))["has_more"]


async def test_a_rolled_back_session_leaves_nothing(db, shop):
    async with rolled_back_session(db.engine) as session:
        await BaseRepository(session, model=shop.Product).add(shop.Product(name="x"))
        await session.commit()
    async with db.read_only() as session:
        assert await BaseRepository(session, model=shop.Product).count() == 0


async def test_a_query_budget_lists_what_was_sent():
    engine = create_test_engine()
    async with engine.connect() as connection:
        with (  # noqa: PT012
            pytest.raises(AssertionError, match=r"2 queries, at most 1 wanted:\n  SELECT 1"),
            count_queries(engine, at_most=1),
        ):
            await connection.execute(text("SELECT 1"))
            await connection.execute(text("SELECT 2"))
    await engine.dispose()
