"""One computation for all who wait, and what happens when it ends badly."""

from __future__ import annotations

import asyncio
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

from tijolo.cache import Cache, MemoryBackend, cached
from tijolo.cache.testing import FaultyBackend
from tijolo.core import NotFoundException, ServiceUnavailableException


async def all_wait(function, number):
    """Until ``number`` callers wait for the computation that calls this."""
    flight = function.cache.loader.flights.get(function.key_for())
    while flight.waiting < number:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def test_fifty_misses_at_once_compute_once(cache):
    calls = 0

    @cached(cache)
    async def slow(n: int) -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.03)
        return n

    assert await asyncio.gather(*(slow(7) for _ in range(50))) == [7] * 50
    assert calls == 1
    # one who came between the end of the computation and the store reads the entry
    assert (cache.stats.misses, cache.stats.shared + cache.stats.hits) == (1, 49)


async def test_different_keys_do_not_wait_for_each_other(memory):
    running = 0
    most = 0

    @cached(memory)
    async def slow(n: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return n

    await asyncio.gather(*(slow(n) for n in range(20)))
    assert most == 20


async def test_a_cancelled_leader_neither_cancels_nor_hangs_the_others(cache):
    started = []
    begun = asyncio.Event()

    @cached(cache)
    async def slow() -> int:
        started.append(asyncio.current_task())
        begun.set()
        await asyncio.sleep(0.03)
        return len(started)

    callers = [asyncio.ensure_future(slow()) for _ in range(20)]
    await begun.wait()
    assert started == [callers[0]]  # in the caller's own task, with the caller's own session
    callers[0].cancel()
    results = await asyncio.wait_for(asyncio.gather(*callers, return_exceptions=True), 5)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == [2] * 19
    assert len(started) == 2


async def test_leaders_that_are_cancelled_one_after_the_other_leave_an_answer(memory):
    @cached(memory)
    async def slow() -> int:
        await asyncio.sleep(0.01)
        return 1

    callers = [asyncio.ensure_future(slow()) for _ in range(12)]
    for caller in callers[:-1]:
        await asyncio.sleep(0.002)
        caller.cancel()
    assert await asyncio.wait_for(callers[-1], 5) == 1
    assert memory.loader.flights.get("anything") is None


async def test_a_cancelled_follower_takes_nobody_along(memory):
    @cached(memory)
    async def slow() -> int:
        await asyncio.sleep(0.02)
        return 1

    callers = [asyncio.ensure_future(slow()) for _ in range(3)]
    await asyncio.sleep(0.005)
    callers[1].cancel()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert (results[0], results[2]) == (1, 1)
    assert memory.stats.misses == 1


async def test_those_who_wait_get_the_leaders_exception_and_it_is_not_kept(cache):
    calls = 0

    @cached(cache)
    async def broken() -> int:
        nonlocal calls
        calls += 1
        await all_wait(broken, 9)
        raise ServiceUnavailableException("later")

    for attempt in (1, 2):
        results = await asyncio.gather(*(broken() for _ in range(10)), return_exceptions=True)
        assert all(isinstance(r, ServiceUnavailableException) for r in results)
        assert calls == attempt


async def test_results_that_are_not_kept_are_shared_all_the_same(cache):
    calls = 0

    @cached(cache)
    async def nothing() -> int | None:
        nonlocal calls
        calls += 1
        await all_wait(nothing, 19)
        return None

    assert await asyncio.gather(*(nothing() for _ in range(20))) == [None] * 20
    assert calls == 1


async def test_old_values_are_returned_while_one_is_computed(memory, clock, events):
    version = 0
    release = asyncio.Event()

    @cached(memory, ttl=10, stale_while_revalidate=60)
    async def page() -> int:
        nonlocal version
        version += 1
        if version == 2:
            await release.wait()
        return version

    assert await page() == 1
    clock.advance(11)
    assert [await page() for _ in range(5)] == [1] * 5
    await asyncio.sleep(0)
    assert version == 2
    release.set()
    await asyncio.sleep(0.01)
    assert await page() == 2
    assert version == 2
    assert memory.stats.stale == 5
    clock.advance(10 + 60 + 1)
    assert await page() == 3  # too old to be of use


async def test_a_refresh_that_fails_leaves_the_old_value_and_is_logged_once(memory, clock, caplog):
    calls = 0

    @cached(memory, ttl=10, stale_while_revalidate=60)
    async def page() -> int:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise RuntimeError("down")
        return 1

    await page()
    clock.advance(11)
    for _ in range(5):
        assert await page() == 1
        await asyncio.sleep(0.001)
    assert calls > 2
    assert caplog.text.count("failed; its last result is used") == 1


async def test_refreshes_are_bounded_and_end_with_the_cache(namespace, clock):
    cache = Cache(
        MemoryBackend(clock=clock), namespace=namespace, clock=clock, max_background=3, jitter=0
    )
    running = 0
    cancelled = 0
    first = True

    @cached(cache, ttl=10, stale_while_revalidate=60)
    async def page(n: int) -> int:
        nonlocal running, cancelled
        if first:
            return n
        running += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled += 1
            raise
        return n

    for n in range(10):
        await page(n)
    first = False
    clock.advance(11)
    assert [await page(n) for n in range(10)] == list(range(10))
    await asyncio.sleep(0.005)
    assert running == 3
    await asyncio.wait_for(cache.disconnect(), 5)
    assert cancelled == 3


async def test_with_an_ignored_session_one_caller_refreshes_and_the_others_do_not_wait(
    memory, clock
):
    sessions = []
    release = asyncio.Event()

    @cached(memory, ttl=10, stale_while_revalidate=60, ignore=["session"])
    async def page(session: str) -> int:
        sessions.append(session)
        if len(sessions) == 2:
            await release.wait()
        return len(sessions)

    await page("first")
    clock.advance(11)
    refreshing = asyncio.ensure_future(page("second"))
    await asyncio.sleep(0.001)
    assert [await page(f"other {n}") for n in range(3)] == [1, 1, 1]
    release.set()
    assert await refreshing == 2
    assert sessions == ["first", "second"]
    assert await page("last") == 2


async def test_an_old_value_stands_in_for_a_failure_as_long_as_it_may(memory, clock):
    down = False

    @cached(memory, ttl=10, stale_if_error=60)
    async def page() -> int:
        if down:
            raise ConnectionError
        return 1

    await page()
    down = True
    clock.advance(50)
    assert await asyncio.gather(*(page() for _ in range(5))) == [1] * 5
    clock.advance(21)
    with pytest.raises(ConnectionError):
        await page()


async def test_an_old_value_does_not_stand_in_for_an_answer(memory, clock):
    gone = False

    @cached(memory, ttl=10, stale_if_error=60, stale_while_revalidate=1, background=False)
    async def page() -> int:
        if gone:
            raise NotFoundException
        return 1

    await page()
    gone = True
    clock.advance(10.5)
    with pytest.raises(NotFoundException):
        await page()


@pytest.mark.parametrize("background", [True, False])
async def test_news_that_a_refresh_brings_is_not_kept_from_anybody(memory, clock, background):
    gone = False

    @cached(memory, ttl=10, stale_while_revalidate=600, stale_if_error=600, background=background)
    async def page() -> int:
        if gone:
            raise NotFoundException
        return 1

    await page()
    gone = True
    clock.advance(11)
    if background:
        assert await page() == 1
        await asyncio.sleep(0.01)
    for _ in range(2):
        with pytest.raises(NotFoundException):
            await page()


async def test_a_refresh_that_never_began_does_not_stop_the_next(memory, clock):
    runs = 0

    @cached(memory, ttl=10, stale_while_revalidate=600)
    async def page() -> int:
        nonlocal runs
        runs += 1
        return runs

    await page()
    clock.advance(11)
    assert await page() == 1
    await memory.disconnect()  # before the refresh had its first turn
    assert await page() == 1
    await asyncio.sleep(0.01)
    assert await page() == 2


async def test_a_lease_is_renewed_while_a_computation_takes_longer(cache):
    @cached(cache, lease_seconds=0.3)
    async def slow() -> int:
        await asyncio.sleep(0.45)
        return 1

    assert await slow() == 1
    assert cache.stats.stored == 1
    assert await slow() == 1
    assert cache.stats.misses == 1


async def test_a_computation_that_blocks_past_its_lease_keeps_nothing(cache):
    import time

    @cached(cache, lease_seconds=0.03)
    async def blocking() -> int:
        time.sleep(0.08)  # noqa: ASYNC251, what must not happen and does
        return 1

    assert await blocking() == 1
    assert cache.stats.outdated == 1


# -- two caches over one backend: what two processes are to each other ---------------------


class Paused(FaultyBackend):
    """Stops in one method, before or after it is carried out, until it is told to go on."""

    def __init__(self, inner, method, *, after):
        super().__init__(inner)
        self.method, self.stops_after = method, after
        self.there, self.go = asyncio.Event(), asyncio.Event()

    async def _pause(self, name):
        if name == self.method and not self.go.is_set():
            self.there.set()
            await self.go.wait()

    async def acquire(self, *args):
        if not self.stops_after:
            await self._pause("acquire")
        result = await super().acquire(*args)
        if self.stops_after:
            await self._pause("acquire")
        return result

    async def store(self, *args):
        result = await super().store(*args)
        await self._pause("store")
        return result


def two(namespace, method, *, after):
    inner = MemoryBackend()
    paused = Paused(inner, method, after=after)
    return paused, [Cache(b, namespace=namespace, timeout_seconds=30) for b in (paused, inner)]


async def test_who_gets_the_lease_after_the_other_stored_computes_nothing(namespace):
    backend, caches = two(namespace, "acquire", after=False)
    runs = []

    async def work() -> int:
        runs.append(1)
        return 5

    late = asyncio.ensure_future(caches[0].get_or_compute("key", work, int))
    await backend.there.wait()  # it has seen a miss
    assert await caches[1].get_or_compute("key", work, int) == 5
    backend.go.set()
    assert await late == 5
    assert len(runs) == 1


async def test_a_caller_who_leaves_while_taking_the_lease_does_not_keep_it(namespace):
    backend, caches = two(namespace, "acquire", after=True)

    async def work() -> int:
        return 5

    leaving = asyncio.ensure_future(caches[0].get_or_compute("key", work, int))
    await backend.there.wait()  # the lease is taken, the answer on its way
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert await asyncio.wait_for(caches[1].get_or_compute("key", work, int), 3) == 5
    assert caches[1].stats.stored == 1


async def test_nobody_joins_a_computation_that_is_being_stored(namespace):
    """The store was carried out, another process invalidates, then somebody asks here."""
    backend, caches = two(namespace, "store", after=True)
    value = 1

    async def work() -> int:
        return value

    first = asyncio.ensure_future(caches[0].get_or_compute("key", work, int, tags=["t"]))
    await backend.there.wait()
    value = 2
    await caches[1].invalidate_tags("t")
    second = asyncio.ensure_future(caches[0].get_or_compute("key", work, int, tags=["t"]))
    await asyncio.sleep(0.01)
    backend.go.set()
    assert (await first, await second) == (1, 2)


async def test_a_condition_that_raises_keeps_nobody_waiting(cache):
    broken = [True]

    def condition(result: int) -> bool:
        if broken.pop() if broken else False:
            raise KeyError(result)
        return True

    @cached(cache, condition=condition)
    async def read() -> int:
        return 1

    with pytest.raises(KeyError):
        await read()
    assert await asyncio.wait_for(read(), 5) == 1  # and not after lease_seconds


async def test_a_caller_who_leaves_while_storing_keeps_nobody_waiting(namespace):
    class Slow(FaultyBackend):
        storing = asyncio.Event()

        async def store(self, *arguments):
            if not self.storing.is_set():
                self.storing.set()
                await asyncio.Event().wait()
            return await super().store(*arguments)

    backend = Slow()
    cache = Cache(backend, namespace=namespace, timeout_seconds=30)

    @cached(cache)
    async def read() -> int:
        return 1

    caller = asyncio.create_task(read())
    await backend.storing.wait()
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    assert await asyncio.wait_for(read(), 5) == 1
    await cache.disconnect()


async def test_the_trace_of_a_shared_failure_does_not_grow_with_those_who_share_it(memory):
    @cached(memory)
    async def read() -> int:
        await all_wait(read, 99)
        raise ValueError

    results = await asyncio.gather(*(read() for _ in range(100)), return_exceptions=True)
    assert all(isinstance(result, ValueError) for result in results)
    assert len(traceback.extract_tb(results[0].__traceback__)) < 20


def test_callers_of_two_event_loops_at_once_are_both_answered(namespace):
    cache = Cache(namespace=namespace)
    both = threading.Barrier(2)

    @cached(cache)
    async def read() -> int:
        await asyncio.sleep(0.1)
        return 1

    def run(_: int) -> int:
        async def ask() -> int:
            both.wait(10)
            return await read()

        return asyncio.run(ask())

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(run, range(2))) == [1, 1]
