"""The decorators, alone and together."""

from __future__ import annotations

import asyncio
import contextlib
import random
from datetime import timedelta

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tijolo.core import NotFoundException
from tijolo.http import CircuitPolicy, CircuitState
from tijolo.http import stability as sp


async def test_fallback_stands_in_for_a_dependency_and_not_for_a_mistake() -> None:
    @sp.Fallback(lambda: "cached")
    async def call(error: Exception) -> str:
        raise error

    for error in (httpx.ReadError("x"), OSError(), sp.CircuitOpenError("h"), TimeoutError()):
        assert await call(error) == "cached"
    with pytest.raises(KeyError):
        await call(KeyError("typo"))
    with pytest.raises(asyncio.CancelledError):
        await call(asyncio.CancelledError())  # type: ignore[arg-type]


async def test_fallback_awaits_and_shows_both_errors_when_the_alternative_fails_too() -> None:
    async def worse() -> str:
        raise RuntimeError("cache is down")

    @sp.Fallback(worse)
    async def call() -> str:
        raise httpx.ConnectError("first")

    with pytest.raises(RuntimeError) as caught:
        await call()
    assert isinstance(caught.value.__context__, httpx.ConnectError)


async def test_timeout_cuts_off_and_leaves_other_timeouts_alone() -> None:
    @sp.Timeout(0.02)
    async def slow() -> None:
        await asyncio.sleep(5)

    @sp.Timeout(5)
    async def own() -> None:
        raise TimeoutError("mine")

    with pytest.raises(sp.StabilityTimeoutError) as caught:
        await slow()
    assert (caught.value.status_code, caught.value.code) == (504, "UPSTREAM_TIMEOUT")
    assert isinstance(caught.value, TimeoutError)
    assert "slow" in str(caught.value)
    with pytest.raises(TimeoutError, match="mine"):
        await own()


async def test_retry_raises_the_last_error_itself_and_spreads_its_waits(clock) -> None:
    tried = []

    @sp.RetryPattern(4, timedelta(seconds=1), sleep=clock.sleep, uniform=lambda low, high: high)
    async def call() -> None:
        tried.append(1)
        raise ConnectionResetError(len(tried))

    with pytest.raises(ConnectionResetError) as caught:
        await call()
    assert caught.value.args == (4,)
    assert clock.slept == [1, 2, 4]


async def test_retry_leaves_what_will_not_change() -> None:
    tried = []

    @sp.RetryPattern()
    async def call(error: Exception) -> None:
        tried.append(1)
        raise error

    for error in (ValueError(), NotFoundException(), sp.CircuitOpenError("h")):
        with pytest.raises(type(error)):
            await call(error)
    assert len(tried) == 3


async def test_retry_has_a_budget(clock) -> None:
    tried = []

    @sp.RetryPattern(3, sleep=clock.sleep, budget_ratio=0.1, budget_burst=4)
    async def call() -> None:
        tried.append(1)
        raise OSError

    for _ in range(30):
        with pytest.raises(OSError):  # noqa: PT011
            await call()
    assert 30 + 4 <= len(tried) <= 30 + 4 + 3


async def test_the_breaker_opens_by_rate_and_forgets_old_failures(clock) -> None:
    """Three failures in twenty-one calls, with successes between them, are no outage."""
    breaker = sp.CircuitBreaker("p", fail_threshold=3, clock=clock)
    fails = [True] + [False] * 9
    at = iter(fails * 3)

    @breaker
    async def call() -> None:
        if next(at):
            raise OSError

    for _ in range(30):
        clock.now += 0.5
        with contextlib.suppress(OSError):
            await call()
    assert breaker.snapshot().state is CircuitState.CLOSED


async def test_the_breaker_counts_what_the_other_side_did(clock) -> None:
    breaker = sp.CircuitBreaker(fail_threshold=1, clock=clock)

    @breaker
    async def call(error: BaseException | None = None) -> None:
        if error:
            raise error

    refused = sp.ThrottlingError("x"), sp.BulkheadFullError("x"), NotFoundException()
    for error in (*refused, asyncio.CancelledError()):
        with pytest.raises(type(error)):
            await call(error)
    assert breaker.snapshot().state is CircuitState.CLOSED
    with pytest.raises(ValueError):  # noqa: PT011
        await call(ValueError())
    with pytest.raises(sp.CircuitOpenError) as caught:
        await call()
    assert "call" in caught.value.host
    clock.now += 10
    await call()
    assert breaker.snapshot().state is CircuitState.CLOSED


@pytest.mark.parametrize("probes", [1, 2, 3])
async def test_fifty_at_once_meet_a_half_open_breaker(clock, probes) -> None:
    policy = CircuitPolicy(
        failure_threshold=1, minimum_calls=1, half_open_probes=probes, open_seconds=5
    )
    gate, ran, failing = asyncio.Event(), [], [True]

    @sp.CircuitBreaker(policy=policy, clock=clock)
    async def call() -> None:
        if failing[0]:
            raise OSError
        ran.append(1)
        await gate.wait()

    with pytest.raises(OSError):  # noqa: PT011
        await call()
    failing[0] = False
    clock.now += 5
    tasks = [asyncio.create_task(call()) for _ in range(50)]
    await asyncio.sleep(0.01)
    gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert len(ran) == probes
    assert sum(isinstance(o, sp.CircuitOpenError) for o in outcomes) == 50 - probes


async def test_throttling_lets_a_burst_through_and_then_its_rate(clock) -> None:
    """A thousand a second is a thousand, not one in ten."""
    throttle = sp.Throttling(1000, clock=clock)

    @throttle
    async def call() -> int:
        return 1

    assert sum([await call() for _ in range(10)]) == 10
    for _ in range(990):
        await call()
    with pytest.raises(sp.ThrottlingError) as caught:
        await call()
    assert 0 < caught.value.retry_after_seconds <= 0.0011
    clock.now += 0.5
    for _ in range(500):
        await call()
    with pytest.raises(sp.ThrottlingError):
        await call()


@settings(deadline=None)
@given(
    rate=st.integers(1, 50),
    burst=st.integers(1, 20),
    gaps=st.lists(st.floats(0, 0.5), min_size=1, max_size=60),
)
def test_throttling_never_lets_more_through_than_burst_and_rate(rate, burst, gaps) -> None:
    now, passed = [0.0], []
    throttle = sp.Throttling(rate, burst=burst, clock=lambda: now[0])

    async def call() -> None:
        passed.append(now[0])

    guarded = throttle(call)

    async def drive() -> None:
        for gap in gaps:
            now[0] += gap
            for _ in range(3):
                with contextlib.suppress(sp.ThrottlingError):
                    await guarded()

    asyncio.run(drive())
    for i, start in enumerate(passed):
        for j in range(i, len(passed)):
            assert j - i + 1 <= burst + (passed[j] - start) * rate + 1e-6


async def test_throttling_may_wait_for_its_turn(clock) -> None:
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))

    @sp.Throttling(10, burst=1, max_wait_seconds=0.25, clock=clock, sleep=sleep)
    async def call() -> None: ...

    outcomes = await asyncio.gather(*(call() for _ in range(5)), return_exceptions=True)
    assert [isinstance(o, sp.ThrottlingError) for o in outcomes] == [False] * 3 + [True] * 2
    assert slept == [0.1, 0.2]


async def test_the_bulkhead_bounds_what_runs_and_what_waits() -> None:
    running, most, gate = [], [], asyncio.Event()

    @sp.Bulkhead(3, max_waiting=2, max_wait_seconds=5)
    async def call() -> str:
        running.append(1)
        most.append(len(running))
        await gate.wait()
        running.pop()
        return "done"

    tasks = [asyncio.create_task(call()) for _ in range(20)]
    await asyncio.sleep(0.01)
    assert len(running) == 3
    gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes.count("done") == 5
    assert sum(isinstance(o, sp.BulkheadFullError) for o in outcomes) == 15
    assert max(most) == 3
    assert await call() == "done"


async def test_the_bulkheads_places_survive_cancellation_and_waits_that_end() -> None:
    gate = asyncio.Event()

    @sp.Bulkhead(1, max_waiting=5, max_wait_seconds=0.02)
    async def call() -> None:
        await gate.wait()

    holder = asyncio.create_task(call())
    await asyncio.sleep(0)
    with pytest.raises(sp.BulkheadFullError):
        await call()
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
    gate.set()
    await call()


async def test_no_place_is_lost_when_half_of_the_calls_are_cancelled() -> None:
    @sp.Bulkhead(4, max_waiting=200, max_wait_seconds=5)
    async def call() -> str:
        await asyncio.sleep(0.001)
        return "done"

    chance = random.Random(7)
    tasks = [asyncio.create_task(call()) for _ in range(120)]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        chance.choice(tasks).cancel() if chance.random() < 0.2 else None
    async with asyncio.timeout(5):
        assert await asyncio.gather(*(call() for _ in range(4))) == ["done"] * 4


async def test_the_patterns_compose_in_the_documented_order(clock) -> None:
    tried = []
    breaker = sp.CircuitBreaker("prices", fail_threshold=5, clock=clock)

    @sp.Fallback(lambda: "cached")
    @sp.Timeout(10)
    @sp.RetryPattern(3, sleep=clock.sleep)
    @breaker
    @sp.Throttling(1000, clock=clock)
    @sp.Bulkhead(10)
    @sp.Timeout(0.01)
    async def prices(day: str, *, currency: str) -> str:
        tried.append((day, currency))
        await asyncio.sleep(5)
        return "fresh"

    assert await prices("monday", currency="BRL") == "cached"
    assert tried == [("monday", "BRL")] * 3  # each attempt passes what is below
    assert breaker.snapshot().failures == 3  # and is counted
    assert await prices("monday", currency="BRL") == "cached"
    assert len(tried) == 5  # the breaker opened in the middle
    assert await prices("monday", currency="BRL") == "cached"
    assert len(tried) == 5  # and refuses
    names = [pattern.name for pattern in sp.patterns_of(prices)]
    assert names == [
        "fallback",
        "timeout",
        "retry",
        "circuit breaker",
        "throttling",
        "bulkhead",
        "timeout",
    ]
    assert prices.__name__ == "prices"


def test_values_that_make_no_sense_are_refused() -> None:
    for make in (
        lambda: sp.Timeout(0),
        lambda: sp.RetryPattern(0),
        lambda: sp.Throttling(0),
        lambda: sp.Throttling(10, burst=0),
        lambda: sp.Throttling(10, max_wait_seconds=-1),
        lambda: sp.Bulkhead(0),
        lambda: sp.Bulkhead(1, max_waiting=-1),
        lambda: sp.CircuitBreaker(fail_threshold=0),
        lambda: sp.CircuitBreaker(fail_threshold=9, policy=CircuitPolicy()),
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            make()
