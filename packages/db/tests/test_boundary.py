import asyncio
import traceback
from typing import Annotated

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.core import AppException, ConflictException, ServiceUnavailableException
from tijolo.db import (
    AsyncDatabaseManager,
    BaseRepository,
    TransactionConflictException,
    on_commit,
    on_rollback,
    savepoint,
)

DEFERRED = {
    "sqlite": (
        "CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER"
        " REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"
    ),
    "postgres": (
        "CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER"
        " REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"
    ),
}
DEFERRING = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture
async def deferred(db, backend):
    """A table whose foreign key is checked at COMMIT."""
    async with db.engine.begin() as connection:
        await connection.execute(text("CREATE TABLE parent (id INTEGER PRIMARY KEY)"))
        await connection.execute(text(DEFERRED[backend]))
    yield db
    async with db.engine.begin() as connection:
        await connection.execute(text("DROP TABLE child"))
        await connection.execute(text("DROP TABLE parent"))


def client_of(app):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service")


def spellings(db):
    return {
        "plain": Depends(db.session_dependency),
        "function": Depends(db.session_dependency, scope="function"),
        "uncached": Depends(db.session_dependency, use_cache=False),
    }


async def _insert_orphan(session, number):
    await session.execute(text(f"INSERT INTO child (id, parent) VALUES ({number}, 77)"))


@pytest.mark.parametrize("backend", DEFERRING, indirect=True)
@pytest.mark.parametrize("spelling", ["plain", "function", "uncached"])
@pytest.mark.parametrize("kind", ["json", "stream", "background"])
async def test_a_commit_that_fails_is_a_5xx_and_saves_nothing(deferred, spelling, kind):
    app, ran = FastAPI(), []

    dependency = spellings(deferred)[spelling]

    @app.post("/")
    async def create(tasks: BackgroundTasks, session: AsyncSession = dependency):
        await _insert_orphan(session, 1)
        if kind == "background":
            tasks.add_task(ran.append, "background")
        if kind == "stream":
            return StreamingResponse(iter(["saved"]))
        return {"saved": True}

    async with client_of(app) as client:
        response = await client.post("/")
    assert response.status_code == 500
    assert "saved" not in response.json()
    assert "77" not in response.text
    assert ran == []
    async with deferred.read_only() as session:
        assert await session.scalar(text("SELECT count(*) FROM child")) == 0


@pytest.mark.parametrize("backend", DEFERRING, indirect=True)
async def test_a_failed_commit_says_so_without_values(deferred):
    with pytest.raises(AppException) as caught:
        async with deferred.transaction() as session:
            await _insert_orphan(session, 4242)
    assert (caught.value.status_code, caught.value.code) == (500, "COMMIT_FAILED")
    shown = "".join(traceback.format_exception(caught.value))
    assert "4242" not in shown
    assert "Key (" not in shown


@pytest.mark.parametrize("spelling", ["plain", "function", "uncached"])
async def test_the_commit_precedes_the_response(db, shop, spelling):
    app, seen = FastAPI(), []

    dependency = spellings(db)[spelling]

    @app.post("/")
    async def create(tasks: BackgroundTasks, session: AsyncSession = dependency):
        await BaseRepository(session, model=shop.Product).add(shop.Product(name="tea"))

        async def look():
            async with db.read_only() as other:
                seen.append(await BaseRepository(other, model=shop.Product).count())
            with pytest.raises(Exception, match="closed"):
                await session.execute(text("SELECT 1"))
            seen.append("closed")

        tasks.add_task(look)
        on_commit(session, lambda: seen.append("hook"))
        return {}

    order = []
    async with db.read_only():
        pass
    original = app.router

    async def watched(scope, receive, send):
        async def watching(message):
            if message["type"] == "http.response.start":
                async with db.read_only() as other:
                    order.append(await BaseRepository(other, model=shop.Product).count())
            await send(message)

        await original(scope, receive, watching)

    app.router = watched  # type: ignore[assignment]
    async with client_of(app) as client:
        assert (await client.post("/")).status_code == 200
    assert order == [1]
    assert seen == ["hook", 1, "closed"]


async def test_a_handler_that_raises_rolls_back(db, shop):
    app, outcome = FastAPI(), []

    @app.post("/{how}")
    async def create(how: str, session: Annotated[AsyncSession, Depends(db.session_dependency)]):
        on_rollback(session, lambda: outcome.append("undone"))
        on_commit(session, lambda: outcome.append("done"))
        await BaseRepository(session, model=shop.Product).add(shop.Product(name="tea"))
        raise ConflictException("no") if how == "app" else RuntimeError("boom")

    async with client_of(app) as client:
        assert (await client.post("/app")).status_code == 409
        assert (await client.post("/other")).status_code == 500
    async with db.read_only() as session:
        assert await BaseRepository(session, model=shop.Product).count() == 0
    assert outcome == ["undone", "undone"]


async def test_dependency_overrides_replace_the_session(db, shop):
    app = FastAPI()

    @app.get("/")
    async def read(session: Annotated[AsyncSession, Depends(db.session_dependency)]):
        return str(session)

    app.dependency_overrides[db.session_dependency] = lambda: "another"
    async with client_of(app) as client:
        assert (await client.get("/")).json() == "another"


async def test_a_websocket_gets_a_session_that_commits(db, shop):
    app = FastAPI()

    @app.websocket("/")
    async def talk(
        socket: WebSocket, session: Annotated[AsyncSession, Depends(db.session_dependency)]
    ):
        await socket.accept()
        await BaseRepository(session, model=shop.Product).add(shop.Product(name="ws"))
        await socket.close()

    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message["type"])

    scope = {
        "type": "websocket",
        "path": "/",
        "raw_path": b"/",
        "root_path": "",
        "headers": [],
        "query_string": b"",
        "subprotocols": [],
    }
    await app(scope, receive, send)
    assert sent == ["websocket.accept", "websocket.close"]
    async with db.read_only() as session:
        assert await BaseRepository(session, model=shop.Product).count() == 1


async def test_a_streaming_response_may_read(db, shop):
    app = FastAPI()
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        await repo.add_all([shop.Product(name=f"p{n}") for n in range(5)])

    @app.get("/")
    async def export(session: Annotated[AsyncSession, Depends(db.read_session_dependency)]):
        async def lines():
            repo = BaseRepository(session, model=shop.Product)
            async for row in repo.stream(order_by=shop.Product.name, chunk_size=2):
                yield f"{row.name}\n"

        return StreamingResponse(lines())

    async with client_of(app) as client:
        assert (await client.get("/")).text == "p0\np1\np2\np3\np4\n"


async def test_a_read_session_never_writes(db, shop):
    with pytest.raises(AppException) as caught:
        async with db.read_only() as session:
            session.add(shop.Product(name="no"))
    assert caught.value.code == "DATABASE_ERROR"
    with pytest.raises(AppException):
        async with db.read_only() as session:
            await session.execute(text("DELETE FROM product"))
    async with db.transaction() as session:  # the connection writes again afterwards
        await BaseRepository(session, model=shop.Product).add(shop.Product(name="yes"))
    async with db.read_only() as session:
        assert await BaseRepository(session, model=shop.Product).count() == 1


async def test_a_savepoint_undoes_itself_and_its_hooks(db, shop):
    done = []
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        await repo.add(shop.Product(name="kept"))
        on_commit(session, lambda: done.append("outer"))
        with pytest.raises(RuntimeError):  # noqa: PT012
            async with savepoint(session):
                on_commit(session, lambda: done.append("inner"))
                await repo.add(shop.Product(name="undone"))
                raise RuntimeError
    async with db.read_only() as session:
        rows = await BaseRepository(session, model=shop.Product).list()
        assert [row.name for row in rows] == ["kept"]
    assert done == ["outer"]


async def test_a_failing_hook_does_not_fail_what_was_saved(db, shop, caplog):
    done = []
    async with db.transaction() as session:
        await BaseRepository(session, model=shop.Product).add(shop.Product(name="kept"))

        async def fails():
            raise RuntimeError("mail server")

        on_commit(session, fails)
        on_commit(session, lambda: done.append(True))
    assert done == [True]
    assert "a hook after commit failed" in caplog.text


async def test_hooks_need_a_boundary(db):
    session = await db.get_session()
    with pytest.raises(RuntimeError, match="boundary"):
        on_commit(session, print)
    await session.close()


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ],
    indirect=True,
)
async def test_a_deadlock_is_tried_again(db, shop):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        a, b = await repo.add_all([shop.Product(name="a"), shop.Product(name="b")])
    attempts, met = [], asyncio.Barrier(2)

    def transfer(first, second):
        async def work(session):
            attempts.append(first)
            repo = BaseRepository(session, model=shop.Product)
            row = await repo.get_by_id(first, for_update=True)
            if len(attempts) <= 2:
                await met.wait()
            other = await repo.get_by_id(second, for_update=True)
            row.stock += 1
            other.stock += 1
            await repo.update_many([row, other])

        return work

    await asyncio.gather(
        db.run_in_transaction(transfer(a.id, b.id)), db.run_in_transaction(transfer(b.id, a.id))
    )
    assert len(attempts) == 3
    async with db.read_only() as session:
        rows = await BaseRepository(session, model=shop.Product).list()
        assert [row.stock for row in rows] == [2, 2]


async def test_attempts_end(db):
    calls = []

    async def clash(session):
        calls.append(1)
        raise TransactionConflictException

    with pytest.raises(TransactionConflictException):
        await db.run_in_transaction(clash, attempts=3, backoff=0)
    assert len(calls) == 3


async def test_a_database_that_is_down_is_503_without_its_address():
    pytest.importorskip("asyncpg")
    db = AsyncDatabaseManager("postgresql://user:hush@127.0.0.1:1/none")
    await db.connect()
    with pytest.raises(ServiceUnavailableException) as caught:
        async with db.transaction() as session:
            await session.execute(text("SELECT 1"))
    assert (caught.value.status_code, caught.value.code) == (503, "DATABASE_UNAVAILABLE")
    shown = "".join(traceback.format_exception(caught.value)) + repr(db)
    assert "hush" not in shown
    assert await db.health_check() is False
    await db.disconnect()


async def test_an_exhausted_pool_is_503(db_url):
    db = AsyncDatabaseManager(db_url, pool_size=1, max_overflow=0, pool_timeout=0.05)
    await db.connect()
    async with db.transaction() as session:
        await session.execute(text("SELECT 1"))
        with pytest.raises(ServiceUnavailableException) as caught:
            async with db.transaction() as other:
                await other.execute(text("SELECT 1"))
        assert caught.value.code == "DATABASE_POOL_EXHAUSTED"
        assert await db.health_check()  # on a connection of its own
    await db.disconnect()


@pytest.mark.parametrize(
    ("backend", "slow"),
    [
        pytest.param("postgres", "SELECT pg_sleep(5)", marks=pytest.mark.postgres),
        pytest.param(
            "mariadb",
            "SELECT SLEEP(5)",
            marks=pytest.mark.mariadb,
        ),
    ],
    indirect=["backend"],
)
async def test_a_statement_over_its_time_is_503(db_url, slow):
    db = AsyncDatabaseManager(db_url, statement_timeout=0.2)
    await db.connect()
    with pytest.raises(ServiceUnavailableException) as caught:
        async with db.transaction() as session:
            await session.execute(text(slow))
    assert caught.value.code == "DATABASE_TIMEOUT"
    await db.disconnect()


@pytest.mark.parametrize(
    "backend",
    ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)],
    indirect=True,
)
async def test_a_lock_that_is_not_free_is_503(db, db_url, shop):
    async with db.transaction() as session:
        row = await BaseRepository(session, model=shop.Product).add(shop.Product(name="x"))
    other = AsyncDatabaseManager(db_url, lock_timeout=0.1)
    await other.connect()
    async with db.transaction() as session:
        await BaseRepository(session, model=shop.Product).get_by_id(row.id, for_update=True)
        with pytest.raises(ServiceUnavailableException) as caught:
            async with other.transaction() as second:
                await BaseRepository(second, model=shop.Product).get_by_id(row.id, for_update=True)
    assert caught.value.code in {"DATABASE_TIMEOUT", "TRANSACTION_CONFLICT"}
    await other.disconnect()


async def test_a_value_the_database_cannot_hold_is_422(db, shop, backend):
    if backend == "sqlite":
        pytest.skip("SQLite holds any text in any column")
    with pytest.raises(AppException) as caught:
        async with db.transaction() as session:
            await BaseRepository(session, model=shop.Product).add(shop.Product(name="long" * 100))
    assert (caught.value.status_code, caught.value.code) == (422, "VALUE_REJECTED")
    assert "longlong" not in "".join(traceback.format_exception(caught.value))
