from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tijolo.web import MemoryRateLimitStore, RateLimit, RateLimitStore, rate_limits
from tijolo.web.rate_limits import spend

SECOND = 1_000_000

# --- what a limit is


@pytest.mark.parametrize(
    ("text", "quota", "seconds", "name"),
    [
        ("100/minute", 100, 60, "100/minute"),
        ("10/s", 10, 1, "10/second"),
        ("1000/h", 1000, 3600, "1000/hour"),
        ("5/15minutes", 5, 900, "5/15minutes"),
        ("5/15m", 5, 900, "5/15minutes"),
        ("1/days", 1, 86_400, "1/day"),
        ("7/90seconds", 7, 90, "7/90seconds"),
    ],
)
def test_a_limit_is_read_from_text(text, quota, seconds, name):
    limit = RateLimit.parse(text)
    assert (limit.quota, limit.window_seconds, limit.name) == (quota, seconds, name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "100",
        "100/",
        "/minute",
        "0/minute",
        "-1/minute",
        "+1/minute",
        "1.5/minute",
        "010/minute",
        "100 /minute",
        "100/ minute",
        "100/minute\n",
        "100/Minute",
        "100/min",
        "100/0minutes",
        "100/month",
        "100 per minute",
        "١٠٠/minute",
        "99999999999/minute",
        "100/367days",
        "100/minute/hour",
    ],
)
def test_any_other_text_is_refused_and_says_what_is_not(text):
    with pytest.raises(ValueError, match=r"rate limit|window_seconds|quota"):
        RateLimit.parse(text)


@given(st.text(max_size=20))
def test_no_text_makes_the_parser_fail_in_another_way(text):
    try:
        limit = RateLimit.parse(text)
    except ValueError:
        return
    assert RateLimit.parse(limit.name) == limit


@pytest.mark.parametrize(
    "arguments",
    [
        {"quota": 0, "window_seconds": 1},
        {"quota": True, "window_seconds": 1},
        {"quota": 1.5, "window_seconds": 1},
        {"quota": 1, "window_seconds": 0},
        {"quota": 1, "window_seconds": float("nan")},
        {"quota": 1, "window_seconds": float("inf")},
        {"quota": 2_000_000, "window_seconds": 1},
        {"quota": 1, "window_seconds": 1, "algorithm": "leaky"},
        {"quota": 1, "window_seconds": 1, "name": 'a"b'},
        {"quota": 1, "window_seconds": 1, "name": "a\nb"},
        {"quota": 1, "window_seconds": 1, "name": "é"},
    ],
)
def test_a_limit_that_cannot_work_is_refused(arguments):
    with pytest.raises(ValueError, match=r"quota|window_seconds|algorithm|name|microsecond"):
        RateLimit(**arguments)


def test_several_limits_come_shortest_first_and_may_not_contradict():
    assert [limit.name for limit in rate_limits("1000/hour, 10/second")] == [
        "10/second",
        "1000/hour",
    ]
    for wrong in ("10/s,20/s", "10/s,10/second", "", [], "10/s;20/m"):
        with pytest.raises(ValueError, match="rate limit"):
            rate_limits(wrong)


# --- the arithmetic


@given(
    quota=st.integers(1, 50),
    window_ms=st.integers(50, 5_000),
    algorithm=st.sampled_from(["gcra", "sliding_window"]),
    steps=st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(1, 3)), max_size=60),
)
def test_no_window_holds_more_than_twice_the_quota_and_waiting_is_exact(
    quota, window_ms, algorithm, steps
):
    limit = RateLimit(quota, window_ms / 1000, algorithm=algorithm)
    stored, now, taken = (), 10**15, []
    for pause, cost in steps:
        now += pause
        spending = spend(limit, stored, now, cost)
        left = spending.left
        assert 0 <= left.remaining <= quota
        assert left.reset_us >= 0
        if spending.allowed:
            assert left.wait_us == 0
            stored = spending.stored
            taken += [now] * cost
        elif cost > quota:
            assert left.wait_us == -1
        else:
            assert left.wait_us > 0
            assert spend(limit, stored, now + left.wait_us, cost).allowed
            assert not spend(limit, stored, now + left.wait_us - 1, cost).allowed
            assert not spend(limit, stored, now, left.remaining + 1).allowed
        assert left.remaining == 0 or spend(limit, stored, now, left.remaining).allowed
    for begin in taken:
        within = [t for t in taken if begin <= t < begin + limit.window_us]
        assert len(within) <= 2 * quota


def test_gcra_gives_the_quota_at_once_and_then_unit_by_unit():
    limit = RateLimit(3, 60)
    stored, now = (), 0
    for expected in (2, 1, 0):
        allowed, left, stored = spend(limit, stored, now, 1)
        assert (allowed, left.remaining) == (True, expected)
    refused = spend(limit, stored, now, 1)
    assert (refused.allowed, refused.left.wait_us) == (False, 20 * SECOND)
    assert spend(limit, stored, 20 * SECOND, 1).allowed
    assert spend(limit, stored, 60 * SECOND, 3).allowed


def test_a_sliding_window_begins_with_the_first_request_and_slides():
    limit = RateLimit(10, 60, algorithm="sliding_window")
    now = 10**12 + 59 * SECOND  # whatever the clock says about minutes
    spent = spend(limit, (), now, 10)
    assert spent.allowed
    assert not spend(limit, spent.stored, now + 59 * SECOND, 1).allowed
    # half of the last window has left, and with it half of its ten units
    assert spend(limit, spent.stored, now + 90 * SECOND, 5).allowed
    assert not spend(limit, spent.stored, now + 90 * SECOND, 6).allowed


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_window"])
def test_a_clock_that_goes_back_blocks_nobody_for_longer_than_a_window(algorithm):
    limit = RateLimit(2, 60, algorithm=algorithm)
    stored = spend(limit, (), 10**15, 2).stored
    refused = spend(limit, stored, 10**15 - 10**12, 1)  # eleven days earlier
    assert refused.left.wait_us <= 2 * 60 * SECOND


# --- the stores


def test_both_stores_satisfy_the_protocol(rate_limit_store):
    assert isinstance(rate_limit_store, RateLimitStore)


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_window"])
async def test_of_two_hundred_racers_exactly_the_quota_pass(rate_limit_store, algorithm):
    limits = rate_limits("50/day", algorithm=algorithm)
    found = await asyncio.gather(*(rate_limit_store.reserve("k", limits) for _ in range(200)))
    assert sum(reservation.allowed for reservation in found) == 50


async def test_several_limits_are_taken_together_or_not_at_all(rate_limit_store):
    limits = rate_limits("2/hour, 5/day")
    for _ in range(2):
        assert (await rate_limit_store.reserve("k", limits)).allowed
    for _ in range(3):
        refused = await rate_limit_store.reserve("k", limits)
        assert not refused.allowed
        hour, day = refused.states
        assert (hour.remaining, hour.wait_us > 0) == (0, True)
        assert (day.remaining, day.wait_us) == (3, 0)


async def test_a_cost_is_weighed_and_one_over_the_quota_never_fits(rate_limit_store):
    limits = rate_limits("10/day")
    assert (await rate_limit_store.reserve("k", limits, 7)).states[0].remaining == 3
    assert not (await rate_limit_store.reserve("k", limits, 4)).allowed
    assert (await rate_limit_store.reserve("k", limits, 11)).states[0].wait_us == -1
    assert (await rate_limit_store.reserve("k", limits, 3)).allowed


@pytest.mark.parametrize("cost", [-1, True, 1.0, "1", None])
async def test_a_cost_that_is_none_is_refused(rate_limit_store, cost):
    with pytest.raises(ValueError, match="cost"):
        await rate_limit_store.reserve("k", rate_limits("10/day"), cost)
    with pytest.raises(ValueError, match="cost"):
        await rate_limit_store.refund("k", rate_limits("10/day"), cost)


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_window"])
async def test_a_refund_gives_units_back_and_never_more_than_the_quota(rate_limit_store, algorithm):
    limits = rate_limits("3/day", algorithm=algorithm)
    await rate_limit_store.reserve("k", limits, 3)
    await rate_limit_store.refund("k", limits)
    assert (await rate_limit_store.reserve("k", limits, 0)).states[0].remaining == 1
    await rate_limit_store.refund("k", limits, 100)
    await rate_limit_store.refund("unknown", limits, 100)
    assert (await rate_limit_store.reserve("k", limits, 0)).states[0].remaining == 3
    assert not (await rate_limit_store.reserve("k", limits, 4)).allowed


async def test_a_refund_races_reservations_without_losing_one(rate_limit_store):
    limits = rate_limits("40/day")
    await rate_limit_store.reserve("k", limits, 20)
    await asyncio.gather(
        *(rate_limit_store.reserve("k", limits) for _ in range(20)),
        *(rate_limit_store.refund("k", limits) for _ in range(20)),
    )
    assert (await rate_limit_store.reserve("k", limits, 0)).states[0].remaining == 20


async def test_a_cost_of_nothing_looks_and_takes_nothing(rate_limit_store):
    limits = rate_limits("1/day")
    for _ in range(3):
        assert (await rate_limit_store.reserve("k", limits, 0)).states[0].remaining == 1
    assert (await rate_limit_store.reserve("k", limits)).allowed
    assert (await rate_limit_store.reserve("k", limits, 0)).states[0].remaining == 0


async def test_reset_forgets_and_keys_are_apart(rate_limit_store):
    limits = rate_limits("1/day")
    await rate_limit_store.reserve("a", limits)
    assert (await rate_limit_store.reserve("b", limits)).allowed
    await rate_limit_store.reset("a")
    await rate_limit_store.reset("unknown")
    assert (await rate_limit_store.reserve("a", limits)).allowed
    assert not (await rate_limit_store.reserve("b", limits)).allowed


async def test_units_come_back_when_they_were_said_to(rate_limit_store):
    limits = (RateLimit(1, 0.1),)
    assert (await rate_limit_store.reserve("k", limits)).allowed
    refused = await rate_limit_store.reserve("k", limits)
    assert not refused.allowed
    await asyncio.sleep(refused.states[0].wait_us / SECOND + 0.002)
    assert (await rate_limit_store.reserve("k", limits)).allowed


async def test_a_limit_that_changed_starts_afresh(rate_limit_store):
    await rate_limit_store.reserve("k", rate_limits("1/day"))
    assert (await rate_limit_store.reserve("k", rate_limits("2/day"))).allowed


# --- the store in memory


async def test_other_limits_of_the_same_key_take_nothing_from_each_other(rate_limit_store):
    """As of two limiters of one name, or of two services that share one Redis."""
    long, short = rate_limits("3/day"), rate_limits("1000/second")
    slid = rate_limits([RateLimit(4, 86_400, name="slid", algorithm="sliding_window")])
    passed = {"long": 0, "slid": 0}
    for _ in range(20):
        await rate_limit_store.reserve("k", short)
        passed["long"] += (await rate_limit_store.reserve("k", long)).allowed
        await rate_limit_store.reserve("k", short)
        passed["slid"] += (await rate_limit_store.reserve("k", slid)).allowed
        await asyncio.sleep(0.002)  # longer than the short limit needs its key
    assert passed == {"long": 3, "slid": 4}
    await rate_limit_store.refund("k", long)
    assert (await rate_limit_store.reserve("k", long)).allowed
    assert not (await rate_limit_store.reserve("k", slid)).allowed
    await rate_limit_store.reset("k")
    assert (await rate_limit_store.reserve("k", slid)).states[0].remaining == 3


async def test_what_other_limits_held_of_a_key_ends_with_its_window(clock):
    store = MemoryRateLimitStore(clock=clock)
    await store.reserve("k", rate_limits("3/second"))
    clock.now += 2
    day = rate_limits("3/day")
    await store.reserve("k", day)
    assert store._used["k"][0] == day


async def test_memory_is_bounded_and_a_flood_of_keys_does_not_free_who_is_blocked(clock):
    store = MemoryRateLimitStore(max_keys=1_000, clock=clock)
    limits = rate_limits("5/hour")
    for _ in range(6):
        await store.reserve("attacker", limits)
    for number in range(50_000):
        await store.reserve(f"flood-{number}", limits)
    assert len(store) == 1_000
    assert not (await store.reserve("attacker", limits)).allowed


async def test_memory_stays_bounded_when_everybody_is_blocked(clock):
    store = MemoryRateLimitStore(max_keys=100, clock=clock)
    limits = rate_limits("1/hour")
    for number in range(5_000):
        await store.reserve(f"k{number}", limits)
    assert len(store) == 100
    assert not (await store.reserve("k4999", limits)).allowed


@pytest.mark.parametrize("limits", [rate_limits("5/hour"), rate_limits("5/hour,9/day")])
async def test_a_key_costs_a_few_hundred_bytes(limits):
    store = MemoryRateLimitStore(max_keys=2_000)
    tracemalloc.start()
    try:
        for number in range(2_000):
            await store.reserve(f"default:203.0.113.{number}", limits)
        filled = tracemalloc.get_traced_memory()[0]
        for number in range(2_000, 6_000):
            await store.reserve(f"default:203.0.113.{number}", limits)
        flooded = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert filled / 2_000 < 600
    assert flooded < filled * 1.2


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), max_size=80))
def test_the_short_way_decides_what_the_long_way_decides(steps):
    limits = rate_limits("4/minute")
    times = itertools.accumulate(pause for pause, _ in steps)
    instants = iter([float(second) for second in times for _ in range(2)])
    stores = [MemoryRateLimitStore(clock=lambda: now[0]) for _ in range(2)]
    now = [0.0]
    take = stores[0].taker(limits)
    for _, who in steps:
        now[0] = next(instants) + 0.5
        next(instants)
        taken, reservation = take(f"k{who}"), stores[1].reserve_now(f"k{who}", limits)
        assert (taken is not None) == reservation.allowed
        if taken is not None:
            assert taken == (reservation.states[0].remaining, reservation.states[0].reset_us)


# --- the store in Redis


def test_redis_is_imported_by_its_own_module_alone():
    program = """
import sys
import tijolo.web
assert "redis" not in sys.modules, "imported without being asked for"
sys.modules["redis"] = sys.modules["redis.asyncio"] = None
try:
    import tijolo.web.redis
except ImportError as exc:
    print(type(exc).__name__, exc)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "MissingExtraError" in done.stdout
    assert 'pip install "tijolo-web[redis]"' in done.stdout


@pytest.mark.redis
@pytest.mark.parametrize("algorithm", ["gcra", "sliding_window"])
async def test_every_key_in_redis_ends_by_itself(redis_connection, algorithm):
    redis = pytest.importorskip("tijolo.web.redis")
    client, prefix = redis_connection
    store = redis.RedisRateLimitStore(client, prefix=prefix)
    limits = rate_limits("5/minute, 9/hour", algorithm=algorithm)
    for cost in (1, 3, 9, 0):
        await store.reserve("k", limits, cost)
        await store.refund("k", limits)
        assert 0 < await client.pttl(f"{prefix}k") <= 2 * 3_600_000 + 2


@pytest.mark.redis
async def test_redis_and_memory_decide_alike(redis_connection):
    redis = pytest.importorskip("tijolo.web.redis")
    client, prefix = redis_connection
    clock_now = [0.0]
    memory = MemoryRateLimitStore(clock=lambda: clock_now[0])
    store = redis.RedisRateLimitStore(client, prefix=prefix)
    for algorithm in ("gcra", "sliding_window"):
        limits = rate_limits("7/hour, 20/day", algorithm=algorithm)
        for number, cost in enumerate([1, 3, 2, 2, 1, 0, 8, 21, 1]):
            ours = await memory.reserve(algorithm, limits, cost)
            theirs = await store.reserve(algorithm, limits, cost)
            assert ours.allowed == theirs.allowed, (algorithm, number)
            for mine, other in zip(ours.states, theirs.states, strict=True):
                assert mine.remaining == other.remaining
                # the server's clock has gone on by less than two seconds
                assert abs(mine.wait_us - other.wait_us) < 2 * SECOND
                assert abs(mine.reset_us - other.reset_us) < 2 * SECOND


@pytest.mark.redis
async def test_a_reservation_in_redis_is_one_command(redis_connection):
    redis = pytest.importorskip("tijolo.web.redis")
    client, prefix = redis_connection
    store = redis.RedisRateLimitStore(client, prefix=prefix)
    limits = rate_limits("5/minute, 9/hour")
    await store.reserve("k", limits)
    sent = []
    execute = client.execute_command

    async def counting(*arguments, **options):
        sent.append(arguments[0])
        return await execute(*arguments, **options)

    client.execute_command = counting
    await store.reserve("k", limits)
    assert sent == ["EVALSHA"]
