"""Nothing that was invalidated is returned again, whoever was computing meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from tijolo.cache import Cache, MemoryBackend, cached
from tijolo.cache.backends import Snapshot
from tijolo.cache.testing import FaultyBackend


def reader(cache, source, **options):
    @cached(cache, ttl=600, **options)
    async def read(key: str) -> int:
        value = source[key]
        await asyncio.sleep(source.get("delay", 0))
        return value

    return read


async def test_by_key(cache):
    source = {"a": 1, "b": 1}
    read = reader(cache, source)
    await read("a")
    await read("b")
    source.update(a=2, b=2)
    assert await read.invalidate("a") is True
    assert (await read("a"), await read("b")) == (2, 1)


async def test_by_tag(cache):
    source = {"a": 1, "b": 1}
    read = reader(cache, source, tags=["all", "item:{key}"])
    other = reader(cache, source, tags=lambda key: [f"other:{key}"], key_prefix="other")
    for function in (read, other):
        await function("a")
        await function("b")
    source.update(a=2, b=2)
    assert await cache.invalidate_tags("item:a") is True
    assert (await read("a"), await read("b"), await other("a")) == (2, 1, 1)
    await cache.invalidate_tags("all", "other:b")
    assert (await read("b"), await other("a"), await other("b")) == (2, 1, 2)


async def test_by_namespace_and_nothing_beside_it(cache, backend, namespace):
    source = {"a": 1}
    neighbour = Cache(backend, namespace=namespace + "x")
    next_version = Cache(backend, namespace=namespace, version=2)
    readers = [reader(c, source) for c in (cache, neighbour, next_version)]
    for read in readers:
        await read("a")
    source["a"] = 2
    assert await cache.clear() is True
    assert [await read("a") for read in readers] == [2, 1, 1]
    for other in (neighbour, next_version):
        await other.clear()


async def test_no_command_walks_through_the_database(own_redis, namespace):
    from tijolo.cache import redis

    manager = redis.AsyncRedisManager(own_redis.url)
    await manager.connect()
    cache = Cache(redis.RedisBackend(manager), namespace=namespace, timeout_seconds=5)
    read = reader(cache, {str(n): n for n in range(50)}, tags=["t"])
    for n in range(50):
        await read(str(n))
    await manager.client.config_resetstat()
    await cache.invalidate_tags("t")
    await cache.clear()
    sent = {name.removeprefix("cmdstat_") for name in await manager.client.info("commandstats")}
    assert sent - {"info", "config|resetstat"} == {"del"}
    await manager.disconnect()


@pytest.mark.parametrize("way", ["key", "tag", "clear"])
async def test_what_was_being_computed_is_not_kept(cache, way):
    """A reader that began before the change, a change, an invalidation, the reader's store."""
    value, began, go_on = 1, asyncio.Event(), asyncio.Event()

    @cached(cache, ttl=600, tags=["t"])
    async def read(key: str) -> int:
        seen = value
        began.set()
        await go_on.wait()
        return seen

    before = asyncio.ensure_future(read("a"))
    await began.wait()
    value = 2
    if way == "key":
        await read.invalidate("a")
    elif way == "tag":
        await cache.invalidate_tags("t")
    else:
        await cache.clear()
    after = asyncio.ensure_future(read("a"))
    go_on.set()
    assert await before == 1  # it asked before the change
    assert await after == 2
    assert await read("a") == 2
    assert cache.stats.outdated == 1


async def test_many_readers_and_writers_never_see_the_past(cache):
    source = {"a": 0, "delay": 0.001}
    read = reader(cache, source, tags=["t"])
    invalidated = 0

    async def write():
        nonlocal invalidated
        for _ in range(15):
            source["a"] += 1
            value = source["a"]
            await (cache.invalidate_tags("t") if value % 2 else read.invalidate("a"))
            invalidated = max(invalidated, value)
            await asyncio.sleep(0.002)

    async def check():
        while not writer.done():
            known = invalidated
            assert await read("a") >= known
            await asyncio.sleep(0.0005)

    writer = asyncio.ensure_future(write())
    await asyncio.gather(*(check() for _ in range(20)), writer)
    assert await read("a") == 15


async def test_the_hook_for_after_a_commit_is_a_plain_callable(memory):
    source = {"a": 1}
    read = reader(memory, source, tags=["item:{key}"])
    plain = reader(memory, source, key_prefix="plain")
    await read("a")
    await plain("a")
    hook = memory.invalidation("item:a", keys=[plain.key_for("a")])
    source["a"] = 2
    assert (await read("a"), await plain("a")) == (1, 1)  # nothing yet
    assert await hook() is None
    assert (await read("a"), await plain("a")) == (2, 2)


async def test_invalidating_nothing_is_no_work(memory):
    assert await memory.invalidate_tags() is True
    assert memory.stats.invalidations == 0


async def test_hostile_tag_names_are_tags_like_any_other(cache):
    names = ["", "\x00", "x" * 100_000, "é\ud800", "{app}:*", "t:", "*", "\r\n"]
    source = dict.fromkeys(names, 1)
    read = reader(cache, source, tags=["{key}"])
    for name in names:
        await read(name)
    source = source.update(dict.fromkeys(names, 2)) or source
    await cache.invalidate_tags(names[4])
    assert [await read(name) for name in names] == [1, 1, 1, 1, 2, 1, 1, 1]


@pytest.mark.parametrize("options", [{}, {"stale_while_revalidate": 600, "background": False}])
async def test_an_old_value_that_was_invalidated_meanwhile_stands_in_for_nothing(
    memory, clock, options
):
    failing, started, go_on = [], asyncio.Event(), asyncio.Event()

    @cached(memory, ttl=10, stale_if_error=600, tags=["t"], **options)
    async def read() -> str:
        if failing:
            started.set()
            await go_on.wait()
            raise ConnectionError
        return "old"

    await read()
    clock.advance(20)
    failing.append(True)
    caller = asyncio.create_task(read())
    await started.wait()
    assert await memory.invalidate_tags("t") is True
    go_on.set()
    with pytest.raises(ConnectionError):
        await caller


async def test_a_disabled_cache_refreshes_nothing_and_invalidates_for_the_others(namespace):
    backend = MemoryBackend()
    others, disabled = (
        Cache(backend, namespace=namespace, enabled=enabled) for enabled in (True, False)
    )
    source = {"a": 1}
    read, computed = reader(others, source), reader(disabled, source)
    assert await read("a") == 1
    source["a"] = 2
    assert await computed.refresh("a") == 2
    assert len(backend) == 0
    assert await read("a") == 2


async def test_who_joins_after_another_process_invalidated_does_not_get_what_was_before(namespace):
    asked, answered = asyncio.Event(), asyncio.Event()

    class Slow(FaultyBackend):
        slow = True

        async def read(self, *arguments):
            if self.slow:  # not there yet: the other process stores in a moment
                await others_read("a")
            return await super().read(*arguments) if not self.slow else Snapshot(None, [None])

        async def acquire(self, *arguments):
            snapshot = await super().acquire(*arguments)
            if self.slow:
                self.slow = False
                asked.set()
                await answered.wait()  # the answer is on its way
            return snapshot

    backend, source = Slow(), {"a": 1}
    here = Cache(backend, namespace=namespace, timeout_seconds=30)
    others = Cache(backend.inner, namespace=namespace)
    read, others_read = reader(here, source), reader(others, source)
    leader = asyncio.create_task(read("a"))
    await asked.wait()
    source["a"] = 2
    assert await others_read.invalidate("a") is True
    follower = asyncio.create_task(read("a"))
    while here.loader.flights.get(read.key_for("a")).waiting < 1:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    answered.set()
    assert await follower == 2
    assert await leader == 1  # it asked before
    await here.disconnect()
