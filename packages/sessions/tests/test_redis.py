"""What the store in Redis does beyond the contract."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

pytest.importorskip("redis")

from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.crc import key_slot

from tijolo.core import utcnow
from tijolo.sessions import (
    Session,
    SessionAuth,
    SessionSettings,
    SessionStoreUnavailableException,
    new_session_id,
)
from tijolo.sessions.redis import RedisSessionStore, _milliseconds, _moment
from tijolo.web.redis import redis_client

pytestmark = pytest.mark.redis


def login(clock=utcnow, *, user_id=None, seconds=3_600, **fields):
    _, session_id = new_session_id()
    return Session.start(
        session_id, now=clock(), absolute_seconds=seconds, user_id=user_id, **fields
    )


@pytest_asyncio.fixture
async def raw(redis_url, prefix):
    """A client beside the store's."""
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest_asyncio.fixture
async def own(make_redis):
    """A server of this test's own, and a client of it."""
    server = make_redis()
    client = redis_client(server.url, timeout_seconds=60)
    yield server, client
    await client.aclose()


async def watched(url, work):
    """The commands that clients sent while ``work`` ran; those of scripts are not among them."""
    watcher, other = (Redis.from_url(url, decode_responses=True) for _ in range(2))
    await other.ping()  # it is connected before anybody counts
    async with watcher.monitor() as monitor:
        await work()
        await other.echo("end")
        commands = []
        async for command in monitor.listen():
            if command["command"] == "ECHO end":
                break
            if command["client_type"] != "lua":
                commands.append(command["command"].split()[0])
    await watcher.aclose()
    await other.aclose()
    return commands


@pytest.mark.parametrize("touch_seconds", [None, 0, 60])
async def test_a_reading_is_exactly_one_command(own, clock, touch_seconds):
    """S4."""
    server, client = own
    store = RedisSessionStore(client, clock=clock, timeout_seconds=60)
    user_id = uuid4()
    session = await store.create(login(clock, user_id=user_id, idle_seconds=600, data={"a": 1}))
    rotated = login(clock, user_id=user_id, idle_seconds=600)
    await store.rotate(session.session_id, rotated, overlap_seconds=60)
    await store.get(session.session_id)  # the script is known now

    async def work():
        for session_id in (session.session_id, rotated.session_id, "absent"):
            for _ in range(5):
                clock.advance(1)
                await store.get(session_id, touch_seconds=touch_seconds)

    assert await watched(server.url, work) == ["EVALSHA"] * 15


async def test_every_other_step_is_one_command_too(own, clock):
    """S4: nothing can come between."""
    server, client = own
    store = RedisSessionStore(client, clock=clock, timeout_seconds=60)
    user_id = uuid4()
    sessions = [login(clock, user_id=user_id) for _ in range(3)]

    async def work():
        await store.create(sessions[0], max_per_user=2)
        await store.create(sessions[1], max_per_user=2)
        await store.save(sessions[0].session_id, {"a": 1}, ["b"])
        await store.rotate(sessions[0].session_id, sessions[2], overlap_seconds=5)
        await store.list_by_user(user_id)
        await store.delete(sessions[2].session_id)
        await store.delete_by_public_id(user_id, sessions[1].public_id)
        await store.delete_by_user(user_id)

    await work()
    assert await watched(server.url, work) == ["EVALSHA"] * 8


async def test_scripts_that_the_server_forgot_are_sent_again(own, clock):
    _, client = own
    store = RedisSessionStore(client, clock=clock, timeout_seconds=60)
    session = await store.create(login(clock))
    await client.script_flush()
    assert await store.get(session.session_id) == session


async def test_a_client_that_decodes_reads_the_same(redis_store, redis_url, prefix, clock):
    session = await redis_store.create(login(clock, user_id=uuid4(), data={"é": "日本"}))
    client = Redis.from_url(redis_url, decode_responses=True)
    store = RedisSessionStore(client, prefix=prefix, clock=clock, timeout_seconds=60)
    assert await store.get(session.session_id) == session
    assert await store.list_by_user(session.user_id) == [session]
    await client.aclose()


async def test_every_key_is_on_one_node_of_a_cluster(redis_store, raw, prefix, clock):
    for _ in range(3):
        session = await redis_store.create(login(clock, user_id=uuid4()))
        new = login(clock, user_id=session.user_id)
        await redis_store.rotate(session.session_id, new, overlap_seconds=60)
    keys = [key async for key in raw.scan_iter(match=prefix + "*", count=10_000)]
    assert len(keys) == 3 * 4
    assert len({key_slot(key) for key in keys}) == 1


async def test_every_key_ends_by_itself(redis_store, raw, prefix, clock):
    """S2: the user's keys live as long as the longest session, whatever came later."""
    user_id = uuid4()
    long = await redis_store.create(login(clock, user_id=user_id, seconds=90 * 86_400))
    short = await redis_store.create(login(clock, user_id=user_id, seconds=60))
    await redis_store.rotate(short.session_id, login(clock, user_id=user_id), overlap_seconds=30)
    await redis_store.delete_by_user(user_id, keep=long.session_id)
    await redis_store.create(login(clock, user_id=user_id, seconds=60))
    keys = [key async for key in raw.scan_iter(match=prefix + "*", count=10_000)]
    assert all([await raw.pexpiretime(key) > 0 for key in keys])
    ends = round(long.absolute_expires_at.timestamp() * 1000)
    for kind in ("u", "e"):
        assert await raw.pexpiretime(f"{prefix}{kind}:{user_id.hex}") >= ends


async def test_a_session_ends_in_redis_when_it_says(redis_store, raw, prefix):
    """S19: Redis is told the moment, not a distance from somebody's midnight."""
    session = await redis_store.create(login(idle_seconds=600))
    ends = await raw.pexpiretime(f"{prefix}s:{session.session_id}")
    assert datetime.fromtimestamp(ends / 1000, UTC) == session.expires_at


async def test_the_set_of_a_users_sessions_is_pruned_as_it_is_written(
    redis_store, raw, prefix, clock
):
    """S3."""
    user_id = uuid4()
    for _ in range(300):
        await redis_store.create(login(clock, user_id=user_id, seconds=10))
        clock.advance(1)
    assert await raw.zcard(f"{prefix}u:{user_id.hex}") <= 10
    clock.advance(10)
    await redis_store.create(login(clock, user_id=user_id))
    assert await raw.zcard(f"{prefix}u:{user_id.hex}") == 1


@pytest.mark.parametrize("kind", ["e", "u"])
async def test_a_key_that_the_server_lost_revives_nobody(redis_store, raw, prefix, clock, kind):
    """S2: what ended stays so, and the end of all needs no list of them."""
    user_id = uuid4()
    ended = [await redis_store.create(login(clock, user_id=user_id)) for _ in range(3)]
    await raw.delete(f"{prefix}{kind}:{user_id.hex}")
    if kind == "u":
        assert await redis_store.get(ended[0].session_id) is not None
        await redis_store.delete_by_user(user_id)
    await redis_store.create(login(clock, user_id=user_id))
    for session in ended:
        assert await redis_store.get(session.session_id) is None
        assert not await redis_store.save(session.session_id, {"a": 1})


async def test_ending_all_deletes_one_key_and_frees_the_rest(redis_store, raw, prefix, clock):
    user_id = uuid4()
    for _ in range(20):
        await redis_store.create(login(clock, user_id=user_id))
    assert await redis_store.delete_by_user(user_id) == 20
    assert [key async for key in raw.scan_iter(match=prefix + "*", count=10_000)] == []


async def test_a_rotation_whose_answer_was_lost_can_be_repeated(redis_store, clock):
    old = await redis_store.create(login(clock, user_id=uuid4()))
    new = login(clock, user_id=old.user_id)
    assert await redis_store.rotate(old.session_id, new) is True
    assert await redis_store.rotate(old.session_id, new) is True
    await redis_store.delete(new.session_id)
    assert await redis_store.rotate(old.session_id, new) is False


async def test_what_an_older_release_wrote_is_read(redis_store, raw, prefix, clock):
    session = await redis_store.create(login(clock))
    key = f"{prefix}s:{session.session_id}"
    record = (await raw.hget(key, "r")).decode()
    assert '"renewed_at":null,' in record
    await raw.hset(key, "r", record.replace('"renewed_at":null,', ""))
    assert await redis_store.get(session.session_id) == session


@pytest.mark.parametrize("answer_timeout", [True, False])
async def test_a_server_that_is_not_there_is_told_apart_from_a_session_that_is_not(
    make_redis, answer_timeout
):
    server = make_redis()
    client = redis_client(server.url, timeout_seconds=0.3, answer_timeout=answer_timeout)
    store = RedisSessionStore(client, timeout_seconds=0.3)
    session = await store.create(login(user_id=uuid4()))
    for stop in (server.freeze, server.kill):
        stop()
        for step in every_step(store, session):
            with pytest.raises(SessionStoreUnavailableException) as caught:
                await step
            assert caught.value.status_code == 503
            assert caught.value.code == "SESSION_STORE_UNAVAILABLE"
            assert caught.value.headers["Retry-After"] == "1"
            assert "127.0.0.1" not in str(caught.value)
        if stop == server.freeze:
            server.thaw()
    await client.aclose()


def every_step(store, session):
    yield store.get(session.session_id)
    yield store.create(login())
    yield store.save(session.session_id, {"a": 1})
    yield store.rotate(session.session_id, login(user_id=session.user_id))
    yield store.delete(session.session_id)
    yield store.delete_by_public_id(session.user_id, session.public_id)
    yield store.delete_by_user(session.user_id)
    yield store.list_by_user(session.user_id)


@pytest.mark.parametrize(
    "options", [[], ["--appendonly", "yes", "--appendfsync", "always"]], ids=["memory", "disk"]
)
async def test_a_server_that_is_killed_under_load_revives_nobody(make_redis, options):
    """What was acknowledged as ended is ended after the restart, and nobody is somebody else."""
    server = make_redis(*options)
    client = redis_client(server.url, timeout_seconds=1)
    store = RedisSessionStore(client, timeout_seconds=1)
    load = Load(store)
    tasks = [asyncio.create_task(load.run()) for _ in range(8)]
    for _ in range(3):
        await load.progress()
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(0.05)
        await asyncio.to_thread(server.start)
    await load.progress()
    load.stop = True
    await asyncio.gather(*tasks)
    assert load.outages
    assert load.wrong == []
    assert [session_id for session_id in load.ended if await store.get(session_id)] == []
    kept = [session_id for session_id in load.alive if await store.get(session_id)]
    if options:
        assert sorted(kept) == sorted(load.alive)  # and nobody was logged out
    await client.aclose()


class Load:
    """Users who log in, use their sessions, rotate them and log out, and what they were told."""

    def __init__(self, store):
        self.store = store
        self.ended, self.alive, self.wrong = set(), set(), []
        self.outages = 0
        self.stop = False
        self._went = asyncio.Event()

    async def progress(self):
        """Wait until some more rounds went well."""
        for _ in range(40):
            self._went.clear()
            async with asyncio.timeout(60):
                await self._went.wait()

    async def run(self):
        while not self.stop:
            try:
                await self.one_round(uuid4())
                self._went.set()
            except SessionStoreUnavailableException:
                self.outages += 1
                await asyncio.sleep(0.01)

    async def one_round(self, user_id: UUID):
        old, new = login(user_id=user_id), login(user_id=user_id)
        await self.store.create(old)
        found = await self.store.get(old.session_id, touch_seconds=0)
        if found is None:  # a server without a disk forgot it
            self.ended.add(old.session_id)
            return
        if found.user_id != user_id or found.session_id != old.session_id:
            self.wrong.append(found)
        if await self.store.rotate(old.session_id, new):
            self.ended.add(old.session_id)
        other = login(user_id=user_id)
        await self.store.create(other)
        if random.random() < 0.7:
            await self.store.delete_by_user(user_id)
            self.ended |= {old.session_id, new.session_id, other.session_id}
        else:
            self.alive.add(other.session_id)


@pytest.mark.parametrize("answer_timeout", [True, False])
async def test_a_request_that_is_cancelled_leaves_no_answer_for_the_next(
    redis_store, clock, redis_url, prefix, answer_timeout
):
    """Nobody gets the session that another request asked for."""
    client = redis_client(redis_url, timeout_seconds=60, answer_timeout=answer_timeout)
    redis_store = RedisSessionStore(client, prefix=prefix, clock=clock, timeout_seconds=60)
    sessions = [await redis_store.create(login(clock, user_id=uuid4())) for _ in range(20)]

    async def read(session, patience):
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                found = await redis_store.get(session.session_id)
                assert found == session

    for _ in range(10):
        await asyncio.gather(*(read(s, random.random() / 200) for s in sessions))
        await asyncio.gather(*(read(s, 30) for s in sessions))
    await client.aclose()


@settings(deadline=None, max_examples=500)
@given(st.integers(-(10**13), 2 * 10**14) | st.integers(2**33 * 1000 - 5000, 2**33 * 1000 + 5000))
def test_every_moment_is_kept_to_the_millisecond(milliseconds):
    """Through the float that is faster, and after the year in which it is not exact any more."""
    moment = _moment(milliseconds)
    assert moment == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    assert _milliseconds(moment) == milliseconds


async def test_data_that_only_one_parser_knows_are_read(redis_store, clock):
    deep = 1
    for _ in range(240):
        deep = [deep]
    data = {"deep": deep, "half": "\ud800", "large": 10**40, "float": 0.1 + 0.2, "e": -0.0}
    session = await redis_store.create(login(clock, data=data))
    found = await redis_store.get(session.session_id)
    for name, value in data.items():
        assert repr(found.data[name]) == repr(value)


async def test_an_id_that_is_no_hash_is_refused(redis_store, clock):
    """The script of a reading finds the prefix by the length of the id."""
    short = login(clock).model_copy(update={"session_id": "abc"})
    with pytest.raises(ValueError, match="SHA-256"):
        await redis_store.create(short)
    old = await redis_store.create(login(clock))
    with pytest.raises(ValueError, match="SHA-256"):
        await redis_store.rotate(old.session_id, short)


@pytest.mark.parametrize("bad", ["", "notes", "notes:", "{notes}", "{}:", "}{notes", "{notes}s"])
async def test_a_prefix_without_hash_tag_or_separator_is_refused(redis_store, bad):
    with pytest.raises(ValueError, match=r"'\{notes\}:', say"):
        RedisSessionStore(redis_store._client, prefix=bad)
    for good in ("{notes}:", "shop:{notes}:", "{notes}-test_", "{a}{b}:"):
        assert RedisSessionStore(redis_store._client, prefix=good).prefix == good


async def test_the_first_failure_says_where_and_what_and_no_password(caplog):
    client = redis_client("redis://ana:geheim@127.0.0.1:1/3", timeout_seconds=1)
    auth = SessionAuth(
        store=RedisSessionStore(client), settings=SessionSettings(SESSION_STORE_RETRY_SECONDS=60)
    )
    for _ in range(5):
        with pytest.raises(SessionStoreUnavailableException):
            await auth.resolve("x")
    assert [r.getMessage() for r in caplog.records if r.name == "tijolo.sessions"] == [
        "the session store at 127.0.0.1:1/3 did not answer (ConnectionError)",
        "the session store at 127.0.0.1:1/3 is down (ConnectionError)",
    ]
    assert "geheim" not in caplog.text
    await client.aclose()


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (Redis.from_url("redis://ana:geheim@cache.example/2"), "cache.example:6379/2"),
        (Redis.from_url("unix://ana:geheim@/run/redis.sock?db=1"), "/run/redis.sock/1"),
        (RedisCluster(host="cache.example", password="geheim"), None),
        (Sentinel([("cache.example", 1)]).master_for("shop", password="geheim"), None),
    ],
    ids=["tcp", "unix", "cluster", "sentinel"],
)
def test_a_store_has_an_address_where_there_is_one_server(client, address):
    store = RedisSessionStore(client)
    assert store.address == address
    SessionAuth(store=store, settings=SessionSettings())


@pytest.mark.parametrize("bad", [{"prefix": ""}, {"timeout_seconds": 0}, {"max_data_bytes": -1}])
async def test_wrong_arguments_are_refused(redis_store, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        RedisSessionStore(redis_store._client, **bad)


async def test_a_full_server_lets_nobody_new_in_and_keeps_who_is_there(make_redis):
    """With ``noeviction``: visitors must not fill it past its limit and shut everybody out."""
    server = make_redis("--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
    client = redis_client(server.url, timeout_seconds=60)
    moved = [timedelta(0)]
    store = RedisSessionStore(client, timeout_seconds=60, clock=lambda: utcnow() + moved[0])
    user_id = uuid4()
    kept = await store.create(login(user_id=user_id, idle_seconds=600))
    visitors = 0
    with suppress(SessionStoreUnavailableException):
        while visitors < 20_000:
            await store.create(login(data={"cart": "x" * 500}))
            visitors += 1
    assert 100 < visitors < 20_000
    memory = await client.info("memory")
    assert memory["used_memory"] < 1.1 * memory["maxmemory"]
    with pytest.raises(SessionStoreUnavailableException):
        await store.create(login(user_id=uuid4()))

    moved[0] = timedelta(seconds=61)
    found = await store.get(kept.session_id, touch_seconds=60)
    assert found is not None
    assert not found.touched
    assert await store.delete(kept.session_id)
    assert await store.get(kept.session_id) is None
    await client.aclose()


async def test_a_replica_is_read_from(make_redis):
    primary, replica = make_redis(), make_redis()
    writer, reader = (redis_client(s.url, timeout_seconds=60) for s in (primary, replica))
    user_id, now = uuid4(), utcnow()
    store = RedisSessionStore(writer, timeout_seconds=60)
    old = await store.create(login(user_id=user_id, idle_seconds=600))
    new = login(user_id=user_id, idle_seconds=600)
    await store.rotate(old.session_id, new, overlap_seconds=30)
    await reader.replicaof("127.0.0.1", primary.port)
    later = RedisSessionStore(reader, timeout_seconds=60, clock=lambda: now + timedelta(minutes=2))
    for _ in range(200):
        with suppress(SessionStoreUnavailableException):
            if await later.get(new.session_id) is not None:
                break
        await asyncio.sleep(0.05)
    found = await later.get(new.session_id, touch_seconds=60)
    assert found is not None
    assert not found.touched
    await writer.aclose()
    await reader.aclose()
