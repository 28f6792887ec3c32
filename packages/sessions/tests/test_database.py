"""What the store in a database does beyond the contract."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import pytest

pytest.importorskip("tijolo.db")

from sqlalchemy import MetaData, func, select

from tijolo.core import AppException, utcnow
from tijolo.db import AsyncDatabaseManager, BaseModel
from tijolo.db.testing import count_queries
from tijolo.sessions import Session, SessionStoreUnavailableException, new_session_id
from tijolo.sessions._within import _given_up
from tijolo.sessions.db import BaseSessionModel, DatabaseSessionStore, make_session_model


def login(clock=utcnow, *, user_id=None, seconds=3_600, **fields):
    _, session_id = new_session_id()
    return Session.start(
        session_id, now=clock(), absolute_seconds=seconds, user_id=user_id, **fields
    )


async def rows_in(database):
    manager, model = database
    async with manager.read_only() as session:
        return await session.scalar(select(func.count()).select_from(model))


async def test_a_reading_is_one_select_and_a_touch_one_update(database, database_store, clock):
    """S4."""
    manager, _ = database
    session = await database_store.create(login(clock, user_id=uuid4(), idle_seconds=600))
    with count_queries(manager.engine, at_most=1):
        assert await database_store.get(session.session_id, touch_seconds=60) is not None
    with count_queries(manager.engine, at_most=1):
        assert await database_store.get("absent", touch_seconds=0) is None
    clock.advance(60)
    with count_queries(manager.engine, at_most=2) as counted:
        assert await database_store.get(session.session_id, touch_seconds=60) is not None
    assert [statement.split()[0] for statement in counted.statements] == ["SELECT", "UPDATE"]


async def test_of_many_requests_at_once_one_touches(database, database_store, clock):
    session = await database_store.create(login(clock, idle_seconds=600))
    clock.advance(60)
    found = await asyncio.gather(
        *(database_store.get(session.session_id, touch_seconds=60) for _ in range(8))
    )
    assert sum(one.touched for one in found) == 1
    assert {one.expires_at for one in found} == {clock() + timedelta(seconds=600)}


async def test_a_touch_that_comes_after_the_end_is_no_touch(database, database_store, clock):
    """S1: the session ends between the SELECT and the UPDATE."""
    session = await database_store.create(login(clock, user_id=uuid4(), idle_seconds=600))
    clock.advance(60)
    read = database_store._read

    async def read_then_end(*arguments):
        found = await read(*arguments)
        await database_store.delete_by_user(session.user_id)
        return found

    database_store._read = read_then_end
    assert await database_store.get(session.session_id, touch_seconds=60) is None
    database_store._read = read
    assert await rows_in(database) == 0


async def test_what_has_expired_is_removed_in_portions(database, database_store, clock):
    """S20, for rows."""
    for _ in range(5):
        await database_store.create(login(clock, seconds=60))
    kept = await database_store.create(login(clock, seconds=3_600))
    clock.advance(60)
    assert await database_store.delete_expired(limit=3) == 3
    assert await database_store.delete_expired(limit=3) == 2
    assert await database_store.delete_expired() == 0
    assert await database_store.get(kept.session_id) == kept


async def test_a_login_removes_the_users_own_that_have_expired(database, database_store, clock):
    """S3."""
    user_id = uuid4()
    for _ in range(10):
        await database_store.create(login(clock, user_id=user_id, seconds=60))
        clock.advance(60)
    assert await rows_in(database) == 1


async def test_two_processes_see_the_same(database, database_store, clock):
    manager, model = database
    url = manager.engine.url
    if url.query.get("mode") == "memory":
        pytest.skip("a database in memory is one process's")
    other = AsyncDatabaseManager(url, environment="test")
    await other.connect()
    second = DatabaseSessionStore(other, model, clock=clock)
    session = await database_store.create(login(clock, user_id=uuid4()))
    assert await second.get(session.session_id) == session
    assert await second.delete_by_user(session.user_id) == 1
    assert await database_store.get(session.session_id) is None
    await other.disconnect()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://nobody:s3cr3t@127.0.0.1:1/none",
        "mysql+asyncmy://nobody:s3cr3t@127.0.0.1:1/none",
    ],
)
async def test_a_database_that_is_not_there_is_told_apart_from_a_session_that_is_not(url):
    pytest.importorskip("asyncpg")
    pytest.importorskip("asyncmy")
    manager = AsyncDatabaseManager(url, environment="test")
    await manager.connect()
    model = make_session_model(tablename=f"n{uuid4().hex[:8]}", metadata=MetaData())
    store = DatabaseSessionStore(manager, model)
    session = login(user_id=uuid4())
    for step in (
        store.get("i"),
        store.create(session),
        store.save("i", {"a": 1}),
        store.rotate("i", session),
        store.delete("i"),
        store.delete_by_public_id(uuid4(), "p"),
        store.delete_by_user(uuid4()),
        store.list_by_user(uuid4()),
        store.delete_expired(),
    ):
        with pytest.raises(SessionStoreUnavailableException) as caught:
            await step
        assert "s3cr3t" not in f"{caught.value}{caught.value.__cause__!r}"
    await manager.disconnect()


async def test_a_table_that_is_missing_is_an_error_and_no_outage(database, clock):
    manager, _ = database
    model = make_session_model(tablename=f"n{uuid4().hex[:8]}", metadata=MetaData())
    with pytest.raises(AppException) as caught:
        await DatabaseSessionStore(manager, model, clock=clock).get("i")
    assert not isinstance(caught.value, SessionStoreUnavailableException)


def test_the_model_shows_neither_ids_nor_data():
    model = make_session_model(tablename=f"n{uuid4().hex[:8]}", metadata=MetaData())
    row = model(session_id="iiii", rotated_from="rrrr", data='{"a":"s3cr3t"}', public_id="pppp")
    assert row.to_dict() == {"public_id": "pppp"}
    assert "iiii" not in repr(row)
    assert "s3cr3t" not in repr(row)


def test_the_models_table_is_where_migrations_look():
    assert issubclass(BaseSessionModel, BaseModel)
    own = MetaData()
    assert make_session_model(tablename="logins", metadata=own).__table__ is own.tables["logins"]
    with pytest.raises(ValueError, match="max_data_bytes"):
        DatabaseSessionStore(None, make_session_model(tablename="x", metadata=own),
                             max_data_bytes=-1)  # fmt: skip


@pytest.mark.parametrize("behind_seconds", [0, 2])
async def test_to_a_slower_clock_too_the_id_from_before_a_login_is_dead(
    database, database_store, clock, behind_seconds
):
    """Session fixation: whoever planted the visitor's id would have the user's session."""
    manager, model = database
    replica = DatabaseSessionStore(
        manager, model, clock=lambda: clock() - timedelta(seconds=behind_seconds)
    )
    visitor = await database_store.create(login(clock))
    signed_in = login(clock, user_id=uuid4())
    assert await database_store.rotate(visitor.session_id, signed_in)
    assert await replica.get(visitor.session_id) is None
    assert await replica.get(visitor.session_id, touch_seconds=0) is None
    assert not await replica.save(visitor.session_id, {"planted": 1})
    assert not await replica.delete(visitor.session_id)
    assert not await replica.rotate(visitor.session_id, login(clock, user_id=uuid4()))
    assert (await replica.get(signed_in.session_id)).user_id == signed_in.user_id


async def test_an_old_id_finds_the_session_that_is_renewed_while_it_reads(
    database, database_store, clock
):
    """The answer to a renewal was lost; its page sends several requests at once by the old id."""
    user_id = uuid4()
    old = await database_store.create(login(clock, user_id=user_id, idle_seconds=600))
    unused, newest = login(clock, user_id=user_id), login(clock, user_id=user_id)
    assert await database_store.rotate(old.session_id, unused, overlap_seconds=30)
    clock.advance(60)
    read = database_store._read

    async def read_then_renew(*arguments):
        found = await read(*arguments)
        database_store._read = read
        assert await database_store.rotate(
            unused.session_id, newest, overlap_seconds=30, through=old.session_id
        )
        return found

    database_store._read = read_then_renew
    found = await database_store.get(old.session_id, touch_seconds=60)
    assert found is not None
    assert found.session_id == newest.session_id


async def test_a_login_whose_cap_cannot_be_kept_is_a_login(database_store, clock, caplog):
    async def busy(*_):
        raise SessionStoreUnavailableException from TimeoutError()

    database_store._prune = busy
    session = await database_store.create(login(clock, user_id=uuid4()), max_per_user=1)
    assert await database_store.get(session.session_id) == session
    assert "surplus sessions stay until the next login (TimeoutError)" in caplog.text


class Silent:
    """Between a store and its server: passes everything on until it is told to say nothing."""

    def __init__(self, host, port):
        self._host, self._port = host, port
        self._talks = asyncio.Event()
        self._talks.set()
        self._writers = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._between, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for writer in self._writers:
            writer.close()
        for writer in self._writers:
            with suppress(OSError):
                await writer.wait_closed()

    def freeze(self):
        self._talks.clear()

    def thaw(self):
        self._talks.set()

    async def _between(self, reader, writer):
        there, to_server = await asyncio.open_connection(self._host, self._port)
        self._writers += [writer, to_server]
        ways = (self._pass(reader, to_server), self._pass(there, writer))
        await asyncio.gather(*ways, return_exceptions=True)

    async def _pass(self, source, target):
        while data := await source.read(65_536):
            await self._talks.wait()
            target.write(data)
        target.close()


async def test_a_server_that_says_nothing_is_an_outage(database, clock, request):
    manager, model = database
    url = manager.engine.url
    if url.get_backend_name() == "sqlite":
        pytest.skip("no server")
    async with Silent(url.host, url.port or 5432) as between:
        slow = AsyncDatabaseManager(
            url.set(host="127.0.0.1", port=between.port), environment="test"
        )
        await slow.connect()
        store = DatabaseSessionStore(slow, model, clock=clock, timeout_seconds=60)
        session = await store.create(login(clock, user_id=uuid4()))
        store = DatabaseSessionStore(slow, model, clock=clock, timeout_seconds=0.3)
        between.freeze()
        calls = [store.get(session.session_id), store.delete(session.session_id)]
        calls += [store.create(login(clock, user_id=uuid4()))]
        for call in calls:
            with pytest.raises(SessionStoreUnavailableException):
                await asyncio.wait_for(call, 5)
        between.thaw()
        for _ in range(500):  # until what was given up has let its connection go
            if not _given_up:
                break
            await asyncio.sleep(0.01)
        await slow.disconnect()
    kept = DatabaseSessionStore(manager, model, clock=clock)
    assert await kept.get(session.session_id) is not None


async def test_a_timeout_that_is_none_is_refused(database):
    with pytest.raises(ValueError, match="timeout_seconds"):
        DatabaseSessionStore(*database, timeout_seconds=0)


def test_the_address_for_the_log_has_no_password():
    url = "postgresql+asyncpg://ana:geheim@db.example/shop"
    model = make_session_model(tablename="address", metadata=MetaData())
    store = DatabaseSessionStore(AsyncDatabaseManager(url, environment="test"), model)
    assert store.address == "postgresql+asyncpg://ana:***@db.example/shop"
