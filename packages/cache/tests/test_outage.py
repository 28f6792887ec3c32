"""A backend that is down makes calls slower and never wrong."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

pytest.importorskip("redis")

from tijolo.cache import Cache, MemoryBackend, NotConnectedError, cached
from tijolo.cache.redis import AsyncRedisManager, RedisBackend
from tijolo.cache.testing import FaultyBackend


def make(backend, namespace, **options):
    return Cache(backend, namespace=namespace, **{"retry_seconds": 0.05, "jitter": 0, **options})


def reader(cache, source, **options):
    @cached(cache, ttl=600, **{"tags": ["t"], **options})
    async def read(key: str) -> int:
        value = source[key]
        await asyncio.sleep(source.get("delay", 0))
        return value

    return read


@pytest.mark.parametrize("fault", ["fails", "hangs"])
async def test_an_outage_computes_each_time_and_is_logged_once(namespace, events, caplog, fault):
    backend = FaultyBackend()
    cache = make(backend, namespace, observers=[events], timeout_seconds=0.03, retry_seconds=30)
    source = {"a": 1}
    read = reader(cache, source)
    setattr(backend, fault, True)
    with caplog.at_level(logging.INFO):
        for n in range(20):
            source["a"] = n
            assert await asyncio.wait_for(read("a"), 5) == n
    assert sum(backend.calls.values()) == 3  # then it is left alone
    assert cache.is_available is False
    assert cache.stats.outages == 1
    assert cache.stats.errors == 40
    assert caplog.text.count("is down") == 1
    assert len(caplog.records) == 1
    assert [event.kind for event in events.all if event.kind == "down"] == ["down"]


async def test_one_computation_for_all_who_wait_even_without_the_backend(namespace):
    backend = FaultyBackend()
    backend.fails = True
    cache = make(backend, namespace)
    read = reader(cache, {"a": 1, "delay": 0.05})
    assert await asyncio.gather(*(read("a") for _ in range(50))) == [1] * 50
    assert cache.stats.misses == 1


async def test_a_backend_that_answers_again_is_found_by_one_call_at_a_time(
    namespace, events, caplog
):
    backend = FaultyBackend()
    cache = make(backend, namespace, observers=[events], timeout_seconds=0.05)
    read = reader(cache, {str(n): n for n in range(20)})
    backend.hangs = True
    await asyncio.gather(*(read(str(n)) for n in range(20)))
    await asyncio.sleep(0.07)
    before = sum(backend.calls.values())
    await asyncio.gather(*(read(str(n)) for n in range(20)))
    assert sum(backend.calls.values()) == before + 1
    backend.hangs = False
    await asyncio.sleep(0.07)
    await read("1")
    assert cache.is_available is True
    await read("2")
    await read("2")
    assert cache.stats.hits == 1
    assert len(events.of("up")) == 1
    assert caplog.text.count("answers again") == 1
    await cache.disconnect()


async def test_the_log_never_holds_what_the_backend_said(namespace, caplog):
    class Talkative(FaultyBackend):
        async def read(self, key, tags):
            raise ConnectionError("redis://:hunter2@db refused")

        acquire = read

    cache = make(Talkative(), namespace)

    @cached(cache)
    async def value() -> int:
        return 1

    for _ in range(5):
        assert await value() == 1
    assert "is down (ConnectionError)" in caplog.text or "is down" in caplog.text
    assert "hunter2" not in caplog.text


async def test_a_backend_that_is_not_connected_is_a_mistake_and_no_outage(namespace):
    read = reader(make(RedisBackend(AsyncRedisManager("redis://localhost")), namespace), {"a": 1})
    with pytest.raises(NotConnectedError, match="connect"):
        await read("a")


@pytest.mark.parametrize("way", ["tag", "key", "clear", "lost answer", "cancelled"])
async def test_an_invalidation_during_an_outage_is_carried_out_after_it(namespace, way):
    backend = FaultyBackend()
    cache, other = (make(backend, namespace, timeout_seconds=5) for _ in range(2))
    source = {"a": 1}
    read, elsewhere = reader(cache, source), reader(other, source)
    await read("a")
    source["a"] = 2
    backend.fails, backend.loses_answers = way != "lost answer", way == "lost answer"
    if way == "cancelled":
        backend.fails, backend.hangs = False, True
        call = asyncio.ensure_future(cache.invalidate_tags("t"))
        await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        backend.hangs = False
    elif way == "key":
        assert await read.invalidate("a") is False
    elif way == "clear":
        assert await cache.clear() is False
    else:
        assert await cache.invalidate_tags("t") is False
    assert cache.stats.invalidations_pending > 0
    backend.fails = backend.loses_answers = False
    assert await read("a") == 2  # this process: at once
    deadline = time.monotonic() + 5
    while cache.stats.invalidations_pending and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert cache.stats.invalidations_pending == 0
    assert await elsewhere("a") == 2  # the others: when it was repeated, without any call
    await cache.disconnect()
    await other.disconnect()


async def test_an_invalidation_is_repeated_without_anybody_calling(namespace):
    backend = FaultyBackend()
    cache, other = make(backend, namespace), make(backend, namespace)
    source = {"a": 1}
    elsewhere = reader(other, source)
    await elsewhere("a")
    source["a"] = 2
    backend.fails = True
    assert await cache.invalidate_tags("t") is False
    await asyncio.sleep(0.12)
    backend.fails = False
    deadline = time.monotonic() + 5
    while await elsewhere("a") != 2:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    await cache.disconnect()


def test_a_debt_outlives_the_event_loop_that_made_it(namespace):
    backend = FaultyBackend()
    cache = make(backend, namespace, retry_seconds=0.02)
    source = {"a": 1}
    read = reader(cache, source)

    async def fail() -> None:
        await read("a")
        backend.fails = True
        await cache.invalidate_tags("t")

    async def again() -> None:
        await cache.invalidate_tags("other")
        backend.fails = False
        while cache.stats.invalidations_pending:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        source["a"] = 2
        assert await read("a") == 2
        await cache.disconnect()

    asyncio.run(fail())
    asyncio.run(asyncio.wait_for(again(), 5))


async def test_pending_invalidations_are_bounded(namespace):
    backend = FaultyBackend()
    cache = make(backend, namespace, retry_seconds=30)
    source = {"a": 1}
    read = reader(cache, source, tags=["never named"])
    await read("a")
    source["a"] = 2
    backend.fails = True
    for n in range(3_000):
        await cache.invalidate_tags(f"tag {n}")
    assert cache.stats.invalidations_pending <= 1_000
    backend.fails = False
    await cache.disconnect()  # the last try
    assert await reader(make(backend, namespace), source, tags=["never named"])("a") == 2


async def test_a_debt_that_is_made_again_while_it_is_being_paid_is_still_owed(namespace):
    class Slow(FaultyBackend):
        slow = False

        def __init__(self):
            super().__init__()
            self.done, self.go_on = asyncio.Event(), asyncio.Event()

        async def invalidate(self, keys, tags):
            await super().invalidate(keys, tags)
            if self.slow:
                self.slow = False
                self.done.set()
                await self.go_on.wait()

    backend = Slow()
    cache, other = (make(backend, namespace, timeout_seconds=30) for _ in range(2))
    source = {"a": 1}
    read, elsewhere = reader(cache, source), reader(other, source)
    backend.fails = True
    await cache.invalidate_tags("t")
    backend.fails, backend.slow = False, True
    paying = asyncio.ensure_future(read("a"))
    await backend.done.wait()  # carried out, the answer on its way
    await elsewhere("a")
    source["a"] = 2
    backend.fails = True
    await cache.invalidate_tags("t")  # the same tag, for a later change
    backend.fails = False
    backend.go_on.set()
    await paying
    deadline = time.monotonic() + 5
    while await elsewhere("a") != 2:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    await cache.disconnect()
    await other.disconnect()


async def test_an_invalidation_in_this_process_counts_during_an_outage(namespace):
    backend = FaultyBackend()
    backend.fails = True
    cache = make(backend, namespace)
    source = {"a": 1, "delay": 0.03}
    read = reader(cache, source)
    old = [asyncio.ensure_future(read("a")) for _ in range(3)]
    await asyncio.sleep(0.01)
    source["a"] = 2
    await cache.invalidate_tags("t")
    assert await asyncio.gather(*(read("a") for _ in range(3))) == [2] * 3
    assert (await asyncio.gather(*old))[0] == 1
    await cache.disconnect()


async def test_a_namespace_can_be_emptied_after_an_outage(namespace):
    backend = FaultyBackend()
    cache = make(backend, namespace, clear_after_outage=True)
    source = {"a": 1}
    read = reader(cache, source)
    await read("a")
    source["a"] = 2
    backend.fails = True
    for _ in range(3):
        await read("a")
    backend.fails = False
    await asyncio.sleep(0.08)
    assert await read("a") in (1, 2)  # the call that finds it
    assert await read("a") == 2
    await cache.disconnect()


async def test_a_store_that_fails_returns_the_result(namespace):
    class ReadOnly(FaultyBackend):
        async def store(self, *args):
            raise ConnectionError

    cache = make(ReadOnly(), namespace)
    read = reader(cache, {"a": 1})
    assert await read("a") == 1
    assert cache.stats.errors == 1


@pytest.mark.parametrize("junk", [b"", b"junk", b"T1", b"T1" + b"\xff" * 40, b"\x80\x04K\x01."])
async def test_foreign_bytes_in_the_backend_are_a_miss(namespace, junk):
    backend = MemoryBackend()
    cache = make(backend, namespace)
    read = reader(cache, {"a": 1})
    got = await backend.acquire(read.key_for("a"), (), "t", 5, 60)
    assert got is not None
    await backend.store(read.key_for("a"), "t", junk, 60, (), [])
    assert await read("a") == 1
    assert await read("a") == 1
    assert cache.stats.hits == 1


@pytest.mark.parametrize("method", ["acquire", "store"])
async def test_a_lease_that_may_be_held_by_nobody_is_given_back_after_the_outage(namespace, method):
    class Lossy(FaultyBackend):
        lossy = True

        async def acquire(self, *args):
            got = await super().acquire(*args)
            return self.lose(got) if method == "acquire" else got

        async def store(self, *args):
            if method == "acquire":
                return await super().store(*args)
            return self.lose(None)  # before it is carried out: the lease stays

        def lose(self, got):
            if self.lossy:
                raise ConnectionError
            return got

    backend = Lossy()
    cache, other = make(backend, namespace), make(backend, namespace)
    source = {"a": 1, "b": 1}
    forever = {"lease_seconds": 600, "wait_seconds": 600}
    read, elsewhere = reader(cache, source, **forever), reader(other, source, **forever)
    assert await read("a") == 1
    assert await read("b") == 1
    backend.lossy = False
    assert await asyncio.wait_for(read("a"), 20) == 1  # the same process: it is its own lease
    assert await asyncio.wait_for(elsewhere("b"), 20) == 1  # another: nobody calls the first again
    assert cache.stats.outages == other.stats.outages == 0
    await cache.disconnect()
    await other.disconnect()


async def test_a_lease_that_cannot_be_given_back_is_no_outage(namespace, caplog):
    class Lossy(FaultyBackend):
        async def acquire(self, *args):
            await super().acquire(*args)
            raise ConnectionError

        async def release(self, *args):
            self.calls["release"] = self.calls.get("release", 0) + 1
            raise ConnectionError

    backend = Lossy()
    cache = make(backend, namespace, retry_seconds=0.01)
    read = reader(cache, {"a": 1})
    assert await read("a") == 1
    deadline = time.monotonic() + 10
    while backend.calls.get("release", 0) < 10:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert cache.is_available is True
    assert cache.stats.errors == 1  # the one that lost the lease
    assert not caplog.records
    await cache.disconnect()


async def test_leases_to_give_back_are_bounded(namespace):
    class Lossy(FaultyBackend):
        async def acquire(self, *args):
            await super().acquire(*args)
            raise ConnectionError

    backend = Lossy()
    cache = make(backend, namespace, retry_seconds=30)
    read = reader(cache, {str(n): n for n in range(3_000)})
    for n in range(3_000):
        await read(str(n))
    await cache.disconnect()  # the last try
    assert 0 < backend.calls["release"] <= 1_000


# -- a Redis of one's own ------------------------------------------------------------------


async def redis_cache(server, namespace, **options):
    manager = AsyncRedisManager(server.url, socket_timeout=0.5, socket_connect_timeout=0.5)
    cache = make(RedisBackend(manager), namespace, timeout_seconds=0.5, **options)
    await cache.connect()
    return cache


async def until_available(cache, read):
    deadline = time.monotonic() + 10
    while not cache.is_available:
        assert time.monotonic() < deadline
        await read("other")
        await asyncio.sleep(0.02)


async def test_a_redis_that_is_killed_and_started_again_under_load(own_redis, namespace, caplog):
    cache = await redis_cache(own_redis, namespace)
    source = {"a": 0, "other": 0}
    read = reader(cache, source)
    stop = False
    known = 0
    slowest = 0.0

    async def load():
        nonlocal slowest
        while not stop:
            least, started = known, time.monotonic()
            assert await read("a") >= least
            slowest = max(slowest, time.monotonic() - started)
            await asyncio.sleep(0.002)

    async def change():
        nonlocal known
        while not stop:
            source["a"] += 1
            value = source["a"]
            await cache.invalidate_tags("t")
            known = value
            await asyncio.sleep(0.01)

    tasks = [asyncio.ensure_future(t) for t in (*(load() for _ in range(20)), change())]
    await asyncio.sleep(0.2)
    own_redis.kill()
    await asyncio.sleep(0.2)
    assert cache.is_available is False
    own_redis.start()
    await until_available(cache, read)
    await asyncio.sleep(0.1)
    stop = True
    await asyncio.gather(*tasks)
    assert cache.stats.stored > 0
    assert caplog.text.count("is down") <= 3
    assert slowest < 5
    assert cache.stats.invalidations_pending == 0
    await cache.disconnect()


@pytest.mark.parametrize("answer", [b"'NX'", b"'SET', KEYS[1]"], ids=["acquire", "store"])
async def test_a_lease_is_not_waited_for_when_its_answer_was_lost(losing_proxy, namespace, answer):
    cache, other = [await redis_cache(losing_proxy, namespace) for _ in range(2)]
    source = {"a": 1, "b": 2}
    forever = {"lease_seconds": 600, "wait_seconds": 600}
    read, elsewhere = reader(cache, source, **forever), reader(other, source, **forever)
    for n, key in enumerate(source):
        losing_proxy.lose = answer
        assert await asyncio.wait_for(read(key), 20) == source[key]
        assert losing_proxy.lost == n + 1
    assert await asyncio.wait_for(read("a"), 20) == 1
    assert await asyncio.wait_for(elsewhere("b"), 20) == 2
    assert await elsewhere("a") == 1
    assert cache.stats.outages == 0
    await cache.disconnect()
    await other.disconnect()


async def test_a_redis_that_accepts_and_says_nothing(own_redis, namespace):
    cache = await redis_cache(own_redis, namespace)
    source = {"a": 1, "other": 0}
    read = reader(cache, source)
    await read("a")
    source["a"] = 2
    own_redis.freeze()
    try:
        started = time.monotonic()
        results = await asyncio.wait_for(asyncio.gather(*(read("a") for _ in range(50))), 10)
        assert results == [2] * 50
        assert cache.is_available is False
        assert await cache.invalidate_tags("t") is False
        for _ in range(20):
            assert await read("a") == 2
        assert time.monotonic() - started < 8
        assert await asyncio.wait_for(cache.health_check(), 5) is False
    finally:
        own_redis.thaw()
    await until_available(cache, read)
    # the entry is still there, and was told to go while nobody answered
    assert await read("a") == 2
    assert cache.stats.invalidations_pending == 0
    await cache.disconnect()


async def test_a_redis_that_is_down_at_start_up_is_used_when_it_comes(own_redis, namespace):
    own_redis.kill()
    cache = await redis_cache(own_redis, namespace)
    read = reader(cache, {"a": 1, "other": 0})
    for _ in range(4):
        assert await read("a") == 1
    own_redis.start()
    await until_available(cache, read)
    await read("a")
    await read("a")
    assert cache.stats.hits >= 1
    await cache.disconnect()


async def test_a_redis_that_refuses_writes_is_still_read(own_redis, namespace, caplog):
    cache = await redis_cache(own_redis, namespace)
    source = {"a": 1, "b": 1}
    read = reader(cache, source)
    await read("a")
    manager = AsyncRedisManager(own_redis.url)
    await manager.connect()
    await manager.client.config_set("maxmemory", "1")
    for _ in range(10):
        assert await read("b") == 1
    hits = cache.stats.hits
    assert await read("a") == 1
    assert cache.stats.hits == hits + 1
    assert cache.is_available is True
    assert caplog.text.count("refuses operations") == 1
    source["a"] = 2
    assert await cache.invalidate_tags("t") is True
    assert await read("a") == 2
    await manager.disconnect()
    await cache.disconnect()
