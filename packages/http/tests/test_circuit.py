"""The state machine, the budget and Retry-After, without a network."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tijolo.http import (
    Circuit,
    CircuitOpenError,
    CircuitPolicy,
    CircuitState,
    RetryBudget,
    RetryPolicy,
    parse_retry_after,
)


def circuit(clock, **policy) -> Circuit:
    policy.setdefault("failure_threshold", 3)
    policy.setdefault("minimum_calls", 3)
    return Circuit("c", CircuitPolicy(**policy), clock=clock)


def fail(c: Circuit, times: int = 1) -> None:
    for _ in range(times):
        c.acquire().failure()


def succeed(c: Circuit, times: int = 1) -> None:
    for _ in range(times):
        c.acquire().success()


def test_it_opens_at_the_rate_and_not_before_there_are_enough_calls(clock) -> None:
    c = circuit(clock, failure_threshold=2, minimum_calls=10, failure_rate=0.5)
    fail(c, 4)
    succeed(c, 4)
    assert c.state is CircuitState.CLOSED  # 4 of 8, too few calls
    succeed(c, 1)
    fail(c, 1)
    assert c.state is CircuitState.OPEN  # 5 of 10


def test_a_low_rate_does_not_open_it_however_many_failures(clock) -> None:
    c = circuit(clock, failure_threshold=3, failure_rate=0.5)
    for _ in range(50):
        succeed(c, 9)
        fail(c)
    assert c.state is CircuitState.CLOSED


def test_what_is_older_than_the_window_is_forgotten(clock) -> None:
    c = circuit(clock, window_seconds=10)
    fail(c, 2)
    clock.now += 11
    fail(c, 2)
    assert c.state is CircuitState.CLOSED
    assert c.snapshot().failures == 2
    fail(c)
    assert c.state is CircuitState.OPEN


def test_open_refuses_until_the_time_is_over(clock) -> None:
    c = circuit(clock, open_seconds=20)
    fail(c, 3)
    clock.now += 15
    with pytest.raises(CircuitOpenError) as caught:
        c.acquire()
    assert caught.value.retry_after_seconds == 5
    assert c.snapshot().retry_after_seconds == 5
    clock.now += 5
    assert c.state is CircuitState.HALF_OPEN


@pytest.mark.parametrize("probes", [1, 2, 3])
def test_half_open_lets_that_many_through_and_closes_when_all_succeed(clock, probes) -> None:
    c = circuit(clock, half_open_probes=probes, open_seconds=10)
    fail(c, 3)
    clock.now += 10
    permits = [c.acquire() for _ in range(probes)]
    with pytest.raises(CircuitOpenError):
        c.acquire()
    for permit in permits[:-1]:
        permit.success()
        with pytest.raises(CircuitOpenError):  # its place is not given again
            c.acquire()
    assert c.state is CircuitState.HALF_OPEN
    permits[-1].success()
    assert c.state is CircuitState.CLOSED


def test_one_failed_probe_opens_it_for_the_whole_time_again(clock) -> None:
    c = circuit(clock, half_open_probes=3, open_seconds=10)
    fail(c, 3)
    clock.now += 10
    first, second = c.acquire(), c.acquire()
    first.failure()
    assert c.state is CircuitState.OPEN
    second.success()  # late
    assert c.state is CircuitState.OPEN
    clock.now += 9
    with pytest.raises(CircuitOpenError):
        c.acquire()


def test_results_of_an_epoch_that_is_over_are_discarded(clock) -> None:
    c = circuit(clock, open_seconds=10)
    late = [c.acquire() for _ in range(6)]
    fail(c, 3)
    clock.now += 10
    probe = c.acquire()
    late[0].success()  # no probe: closes nothing
    assert c.state is CircuitState.HALF_OPEN
    late[1].failure()  # nor opens
    assert c.state is CircuitState.HALF_OPEN
    probe.success()
    for permit in late[2:]:
        permit.failure()
    assert c.state is CircuitState.CLOSED
    assert c.snapshot().failures == 0


def test_a_probe_that_never_comes_back_loses_its_lease(clock) -> None:
    c = circuit(clock, open_seconds=10, probe_lease_seconds=30)
    fail(c, 3)
    clock.now += 10
    lost = c.acquire()
    clock.now += 29
    with pytest.raises(CircuitOpenError) as caught:
        c.acquire()
    assert caught.value.retry_after_seconds == pytest.approx(1)
    clock.now += 1
    fresh = c.acquire()
    lost.failure()  # not a probe any more
    assert c.state is CircuitState.HALF_OPEN
    fresh.success()
    assert c.state is CircuitState.CLOSED


def test_a_released_probe_gives_its_place_back(clock) -> None:
    c = circuit(clock, open_seconds=10)
    fail(c, 3)
    clock.now += 10
    c.acquire().release()
    c.acquire().success()
    assert c.state is CircuitState.CLOSED


def test_a_permit_speaks_once(clock) -> None:
    c = circuit(clock)
    permit = c.acquire()
    permit.success()
    permit.failure()
    permit.failure()
    assert (c.snapshot().calls, c.snapshot().failures) == (1, 0)


def test_a_permit_as_a_context_manager(clock) -> None:
    c = circuit(clock)
    with c.acquire():
        pass
    with pytest.raises(OSError), c.acquire():  # noqa: PT011
        raise OSError
    with pytest.raises(asyncio.CancelledError), c.acquire():
        raise asyncio.CancelledError
    assert (c.snapshot().calls, c.snapshot().failures) == (2, 1)


def test_slow_is_failed_where_the_policy_says_so(clock) -> None:
    c = circuit(clock, slow_call_seconds=2.0)
    for _ in range(3):
        permit = c.acquire()
        clock.now += 2.5
        permit.success()
    assert c.state is CircuitState.OPEN


def test_changes_are_told(clock) -> None:
    told = []
    c = Circuit(
        "c",
        CircuitPolicy(failure_threshold=1, minimum_calls=1, open_seconds=1),
        clock=clock,
        on_change=lambda *change: told.append(change),
    )
    fail(c)
    clock.now += 1
    c.acquire().success()
    names = [(before.value, after.value) for _, before, after in told]
    assert names == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]


@settings(deadline=None)
@given(
    probes=st.integers(1, 4),
    steps=st.lists(
        st.tuples(st.sampled_from(["acquire", "ok", "bad", "drop"]), st.floats(0, 4)), max_size=120
    ),
)
def test_half_open_never_holds_more_leases_than_probes(probes, steps) -> None:
    now = [0.0]
    policy = CircuitPolicy(
        failure_threshold=2,
        minimum_calls=2,
        half_open_probes=probes,
        open_seconds=5,
        probe_lease_seconds=1e9,
    )
    c = Circuit("c", policy, clock=lambda: now[0])
    out = []
    for what, wait in steps:
        now[0] += wait
        if what == "acquire":
            with contextlib.suppress(CircuitOpenError):
                out.append(c.acquire())
            if c.state is CircuitState.HALF_OPEN and out:
                epoch = max(permit.epoch for permit in out)
                live = [p for p in out if p.epoch == epoch]
                assert len(live) <= probes or c._state is not CircuitState.HALF_OPEN
        elif out:
            permit = out.pop()
            {"ok": permit.success, "bad": permit.failure, "drop": permit.release}[what]()
        assert c.snapshot().failures <= c.snapshot().calls


@pytest.mark.parametrize(
    "policy",
    [
        {"failure_threshold": 0},
        {"failure_rate": 0},
        {"failure_rate": 1.5},
        {"minimum_calls": 0},
        {"half_open_probes": 0},
        {"open_seconds": 0},
        {"window_seconds": -1},
        {"probe_lease_seconds": 0},
        {"slow_call_seconds": 0},
        {"patience_seconds": 0},
    ],
)
def test_policies_that_make_no_sense_are_refused(policy) -> None:
    with pytest.raises(ValueError, match=next(iter(policy))):
        CircuitPolicy(**policy)


# --- retries -------------------------------------------------------------------------------------


def test_the_retry_policy_keeps_its_contract() -> None:
    policy = RetryPolicy(4, 1.0, 5.0, frozenset({503}))
    assert RetryPolicy().retry_statuses == {429, 500, 502, 503, 504}
    assert [policy.backoff_bound(n) for n in (1, 2, 3, 4, 10_000)] == [1, 2, 4, 5, 5]
    assert all(0 <= policy.sleep_for(n) <= policy.backoff_bound(n) for n in range(1, 50))
    for wrong in ({"max_attempts": 0}, {"backoff_max_seconds": -1}, {"budget_ratio": -0.1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            RetryPolicy(**wrong)


@settings(deadline=None)
@given(calls=st.lists(st.booleans(), max_size=500), ratio=st.floats(0, 1), burst=st.integers(0, 20))
def test_retries_never_exceed_their_share(calls, ratio, burst) -> None:
    budget, retried, made = RetryBudget(ratio, burst), 0, 0
    for is_call in calls:
        if is_call:
            made += 1
            budget.deposit()
        else:
            retried += budget.withdraw()
    assert retried <= burst + made * ratio + 1e-6
    assert budget.tokens >= 0


NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("9" * 4000, 999_999_999_999.0),
        ("-1", None),
        ("1.5", None),
        ("١٢", None),
        ("soon", None),
        ("x" * 10_000, None),
        ("Sun, 22 Nov 2026 12:01:30 GMT", 90.0),
        ("Sunday, 22-Nov-26 12:01:30 GMT", 90.0),
        ("Sun Nov 22 12:01:30 2026", 90.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("Sun, 99 Nov 2026 11:00:00 GMT", None),
    ],
)
def test_retry_after(value, seconds) -> None:
    assert parse_retry_after(value, now=NOW) == seconds


@settings(deadline=None)
@given(st.text(max_size=80))
def test_retry_after_takes_anything(value) -> None:
    seconds = parse_retry_after(value, now=NOW)
    assert seconds is None or seconds >= 0


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_retry_after_reads_every_date(ahead) -> None:
    date = email.utils.format_datetime(NOW + timedelta(seconds=ahead), usegmt=True)
    assert parse_retry_after(date, now=NOW) == ahead
