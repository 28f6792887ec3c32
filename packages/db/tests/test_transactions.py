"""What was written is saved whole, or the caller is told that it was not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import traceback

import pytest
from sqlalchemy import CheckConstraint, MetaData, String, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Mapped, mapped_column

from tijolo.core import (
    AppException,
    ConflictException,
    PreconditionFailedException,
    ServiceUnavailableException,
)
from tijolo.db import (
    AsyncDatabaseManager,
    BaseModel,
    BaseRepository,
    BaseService,
    DatabaseManager,
    TransactionConflictException,
    on_commit,
    on_rollback,
    savepoint,
)

POSTGRES = [pytest.param("postgres", marks=pytest.mark.postgres)]
MARIADB = [pytest.param("mariadb", marks=pytest.mark.mariadb)]


class Own(BaseModel):
    __abstract__ = True
    metadata = MetaData()


class Shelf(Own):
    pages: Mapped[int] = mapped_column(default=1)
    label: Mapped[str | None] = mapped_column(String(40), default=None)
    __table_args__ = (CheckConstraint("pages > 0", name="pages_positive"),)


async def _swallow(session, statement):
    """What a careless handler does."""
    with contextlib.suppress(Exception):
        await session.execute(text(statement))


async def _names(db, shop):
    async with db.read_only() as session:
        rows = await BaseRepository(session, model=shop.Product).list(order_by=shop.Product.name)
        return [row.name for row in rows]


@pytest.mark.parametrize("backend", POSTGRES, indirect=True)
async def test_a_transaction_that_the_server_aborted_is_not_committed_silently(db, shop):
    ran = []
    with pytest.raises(AppException) as caught:  # noqa: PT012
        async with db.transaction() as session:
            on_commit(session, lambda: ran.append("commit"))
            await BaseRepository(session, model=shop.Product).add(shop.Product(name="lost"))
            await _swallow(session, "SELECT * FROM nope")
    assert (caught.value.status_code, caught.value.code) == (500, "COMMIT_FAILED")
    assert ran == []
    assert await _names(db, shop) == []


@pytest.mark.parametrize("backend", POSTGRES, indirect=True)
async def test_an_error_inside_a_savepoint_leaves_the_rest_to_be_committed(db, shop):
    async with db.transaction() as session:
        await BaseRepository(session, model=shop.Product).add(shop.Product(name="kept"))
        with pytest.raises(Exception, match="nope"):
            async with savepoint(session):
                await session.execute(text("SELECT * FROM nope"))
    assert await _names(db, shop) == ["kept"]


@pytest.mark.parametrize("backend", POSTGRES, indirect=True)
def test_the_synchronous_twin_does_not_commit_an_aborted_transaction(db_url):
    db = DatabaseManager(db_url)
    db.connect()
    with pytest.raises(AppException) as caught, db.transaction() as session:  # noqa: PT012
        with contextlib.suppress(Exception):
            session.execute(text("SELECT * FROM nope"))
        assert session.is_active
    assert (caught.value.status_code, caught.value.code) == (500, "COMMIT_FAILED")
    with db.transaction() as session:
        assert session.scalar(text("SELECT 1")) == 1
    db.disconnect()


async def _cross(db, shop, *, inside_savepoint, caught):
    """Two transactions that take two rows in opposite order; what each of them raised."""
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        x, y = await repo.add_all([shop.Product(name="x"), shop.Product(name="y")])
    met = asyncio.Barrier(2)

    async def work(first, second):
        async with db.transaction() as session:
            repo = BaseRepository(session, model=shop.Product)
            await repo.add(shop.Product(name=f"first {first.name}"))
            await repo.get_by_id(first.id, for_update=True)
            async with asyncio.timeout(10):
                await met.wait()
            try:
                if inside_savepoint:
                    async with savepoint(session):
                        await repo.get_by_id(second.id, for_update=True)
                else:
                    await repo.get_by_id(second.id, for_update=True)
            except Exception:
                if not caught:
                    raise
            await repo.add(shop.Product(name=f"last {first.name}"))

    return await asyncio.gather(work(x, y), work(y, x), return_exceptions=True)


@pytest.mark.parametrize("backend", MARIADB, indirect=True)
@pytest.mark.parametrize("inside_savepoint", [True, False])
async def test_a_swallowed_deadlock_saves_no_half(db, shop, inside_savepoint):
    outcomes = await _cross(db, shop, inside_savepoint=inside_savepoint, caught=True)
    (failed,) = [outcome for outcome in outcomes if outcome is not None]
    assert (failed.status_code, failed.code) == (500, "COMMIT_FAILED")
    winner = "x" if outcomes[0] is None else "y"
    assert await _names(db, shop) == [f"first {winner}", f"last {winner}", "x", "y"]


@pytest.mark.parametrize("backend", MARIADB, indirect=True)
async def test_a_deadlock_inside_a_savepoint_is_still_a_transaction_conflict(db, shop):
    outcomes = await _cross(db, shop, inside_savepoint=True, caught=False)
    (failed,) = [outcome for outcome in outcomes if outcome is not None]
    assert type(failed) is TransactionConflictException


async def test_a_session_that_waits_for_its_rollback_shows_no_values(db, shop):
    async with db.transaction() as session:
        session.add(shop.Product(name="a", sku="victim@example.com"))
    with pytest.raises(AppException) as caught:  # noqa: PT012
        async with db.transaction() as session:
            session.add(shop.Product(name="b", sku="victim@example.com"))
            with contextlib.suppress(Exception):
                await session.flush()
    assert (caught.value.status_code, caught.value.code) == (500, "COMMIT_FAILED")
    shown = "".join(traceback.format_exception(caught.value))
    assert "victim" not in shown
    assert "INSERT" not in shown


@pytest.mark.parametrize("through", ["session", "repository"])
async def test_no_link_of_the_exception_chain_holds_the_drivers_error(db, shop, through):
    async with db.transaction() as session:
        session.add(shop.Product(name="a", sku="victim@example.com"))
    with pytest.raises(ConflictException) as caught:  # noqa: PT012
        async with db.transaction() as session:
            twin = shop.Product(name="b", sku="victim@example.com")
            if through == "session":
                session.add(twin)
            else:
                await BaseRepository(session, model=shop.Product).add(twin)
    links, waiting = [], [caught.value]
    while waiting:
        link = waiting.pop()
        links.append(str(link))
        waiting += [other for other in (link.__cause__, link.__context__) if other is not None]
    assert "victim" not in " ".join(links)


async def test_a_check_that_fails_is_a_conflict(db):
    async with db.engine.begin() as connection:
        await connection.run_sync(Own.metadata.create_all)
    with pytest.raises(ConflictException) as caught:
        async with db.transaction() as session:
            await BaseRepository(session, model=Shelf).add(Shelf(pages=-1))
    assert caught.value.details["reason"] == "check"
    async with db.engine.begin() as connection:
        await connection.run_sync(Own.metadata.drop_all)


@pytest.mark.parametrize("how", ["service", "attribute"])
async def test_a_version_in_the_body_does_not_pass_for_the_stored_one(db, shop, how):
    class Documents(BaseRepository):
        def map_to_response(self, instance):
            return instance.title, instance.version

    async with db.transaction() as session:
        repo = Documents(session, model=shop.Document)
        row = await repo.add(shop.Document(title="a", slug="a"))
        row.title = "b"
        await repo.update(row)
    body = {"title": "stale", "version": 1}
    with pytest.raises(PreconditionFailedException):  # noqa: PT012
        async with db.transaction() as session:
            repo = Documents(session, model=shop.Document)
            if how == "service":
                await BaseService(repo).update(row.id, body, expected_version=1)
            found = await repo.get_by_id(row.id)
            found.title, found.version = "stale", 1
            await repo.update(found, expected_version=1)
    async with db.transaction() as session:
        service = BaseService(Documents(session, model=shop.Document))
        assert await service.update(row.id, body, expected_version=2) == ("stale", 3)


async def test_a_savepoint_that_rolls_back_runs_its_own_rollback_hooks(db):
    ran = []
    async with db.transaction() as session:
        on_rollback(session, lambda: ran.append("outer"))
        with pytest.raises(RuntimeError):  # noqa: PT012
            async with savepoint(session):
                on_rollback(session, lambda: ran.append("inner"))
                raise RuntimeError
        assert ran == ["inner"]
    assert ran == ["inner"]


@pytest.mark.parametrize("backend", POSTGRES, indirect=True)
async def test_no_hook_runs_when_the_outcome_of_the_commit_is_unknown(db):
    ran = []
    with pytest.raises(AppException) as caught:  # noqa: PT012
        async with db.transaction() as session:
            on_rollback(session, lambda: ran.append("rollback"))
            on_commit(session, lambda: ran.append("commit"))
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
            async with db.engine.connect() as other:
                await other.execute(text(f"SELECT pg_terminate_backend({pid}, 5000)"))
    assert caught.value.code == "COMMIT_OUTCOME_UNKNOWN"
    assert ran == []


@pytest.mark.postgres
async def test_a_server_that_freezes_is_a_503_in_bounded_time(postgres_url):
    pytest.importorskip("asyncpg")
    target = make_url(postgres_url)
    frozen = asyncio.Event()

    async def carry(source, sink):
        while data := await source.read(65536):
            if not frozen.is_set():  # else it is lost, and the connection stays open
                sink.write(data)
        sink.close()

    async def proxy(reader, writer):
        from_server, to_server = await asyncio.open_connection(target.host, target.port or 5432)
        await asyncio.gather(carry(reader, to_server), carry(from_server, writer))

    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        db = AsyncDatabaseManager(
            target.set(host="127.0.0.1", port=port), statement_timeout=0.3, connect_timeout=0.3
        )
        await db.connect()
        async with db.transaction() as session:
            await session.execute(text("SELECT 1"))
        frozen.set()
        with pytest.raises(ServiceUnavailableException) as caught:
            async with asyncio.timeout(20), db.transaction() as session:
                await session.execute(text("SELECT 1"))
        await db.disconnect()

    assert caught.value.code == "DATABASE_TIMEOUT"


@pytest.mark.parametrize("driver", ["asyncmy", "asyncpg"])
async def test_a_server_that_accepts_and_says_nothing_is_a_503_in_bounded_time(driver):
    pytest.importorskip(driver)
    backend = {"asyncmy": "mysql", "asyncpg": "postgresql"}[driver]

    async def silent(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        db = AsyncDatabaseManager(
            f"{backend}+{driver}://u:hush@127.0.0.1:{port}/x", connect_timeout=1
        )
        await db.connect()
        with pytest.raises(ServiceUnavailableException) as caught:
            async with asyncio.timeout(20), db.transaction() as session:
                await session.execute(text("SELECT 1"))
        await db.disconnect()

    assert caught.value.code == "DATABASE_UNAVAILABLE"


@pytest.mark.parametrize("driver", ["pymysql", "psycopg"])
def test_a_silent_server_is_a_503_for_the_synchronous_twin_too(driver):
    pytest.importorskip(driver)
    backend = {"pymysql": "mysql", "psycopg": "postgresql"}[driver]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        db = DatabaseManager(
            f"{backend}+{driver}://u:hush@127.0.0.1:{port}/x",
            connect_timeout=1,
            statement_timeout=1,
        )
        db.connect()
        with pytest.raises(ServiceUnavailableException) as caught, db.transaction() as session:
            session.execute(text("SELECT 1"))
        db.disconnect()

    assert caught.value.code == "DATABASE_UNAVAILABLE"


# --- given up


def _slow_after(session, method):
    """``session.commit`` or ``rollback``, whose answer takes its time; and when it is awaited."""
    real, reached = getattr(session, method), asyncio.Event()

    async def slow():
        await real()
        reached.set()
        await asyncio.sleep(60)

    setattr(session, method, slow)
    return reached


async def _given_up(work, reached):
    task = asyncio.ensure_future(work)
    await asyncio.wait_for(reached(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)


async def test_nothing_is_undone_that_a_commit_may_have_saved(db, shop):
    ran, known = [], asyncio.Queue()

    async def work():
        async with db.transaction() as session:
            on_rollback(session, lambda: ran.append("undone"))
            await BaseRepository(session, model=shop.Product).add(shop.Product(name="x"))
            known.put_nowait(_slow_after(session, "commit"))

    async def reached():
        await (await known.get()).wait()

    await _given_up(work(), reached)
    assert await _names(db, shop) == ["x"]
    assert ran == []


async def test_what_undoes_a_transaction_runs_though_its_rollback_is_given_up(db, shop):
    ran, known = [], asyncio.Queue()

    async def work():
        async with db.transaction() as session:
            on_rollback(session, lambda: ran.append("undone"))
            await BaseRepository(session, model=shop.Product).add(shop.Product(name="x"))
            known.put_nowait(_slow_after(session, "rollback"))
            raise ValueError

    async def reached():
        await (await known.get()).wait()

    await _given_up(work(), reached)
    assert await _names(db, shop) == []
    assert ran == ["undone"]


async def test_who_gives_up_in_one_hook_leaves_the_others_to_run(db):
    ran, reached = [], asyncio.Event()

    async def slow():
        reached.set()
        await asyncio.sleep(60)

    async def second():
        await asyncio.sleep(0)
        ran.append("second")

    async def work():
        async with db.transaction() as session:
            for hook in (slow, second, lambda: ran.append("third")):
                on_commit(session, hook)

    await _given_up(work(), reached.wait)
    assert ran == ["second", "third"]
