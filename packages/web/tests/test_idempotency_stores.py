"""What every idempotency store does, and what only the one in memory does."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tijolo.web import (
    CachedResponse,
    IdempotencyStore,
    IdempotencyStoreFullError,
    MemoryIdempotencyStore,
)

KEY, PRINT, OTHER = "a" * 64, "b" * 64, "c" * 64


def test_both_stores_satisfy_the_protocol(idempotency_store):
    assert isinstance(idempotency_store, IdempotencyStore)


async def test_of_two_hundred_owners_exactly_one_gets_the_key(idempotency_store):
    found = await asyncio.gather(
        *(idempotency_store.reserve(KEY, PRINT, f"o{n}", 30) for n in range(200))
    )
    assert sorted(state for state, _ in found) == ["acquired"] + ["running"] * 199
    assert {answer for _, answer in found} == {None}


async def test_a_key_runs_then_is_completed(idempotency_store):
    store = idempotency_store
    answer = bytes(range(256))
    assert await store.reserve(KEY, PRINT, "o1", 30) == ("acquired", None)
    assert await store.reserve(KEY, PRINT, "o1", 30) == ("acquired", None)  # a lost reply
    assert await store.reserve(KEY, PRINT, "o2", 30) == ("running", None)
    assert await store.reserve(KEY, OTHER, "o2", 30) == ("mismatch", None)
    assert await store.complete(KEY, PRINT, "o1", answer, 30)
    assert await store.complete(KEY, PRINT, "o1", b"again", 30)  # a lost reply, too
    for owner in ("o1", "o2"):
        assert await store.reserve(KEY, PRINT, owner, 30) == ("completed", answer)
    assert await store.reserve(KEY, OTHER, "o2", 30) == ("mismatch", None)


async def test_an_empty_answer_is_an_answer(idempotency_store):
    await idempotency_store.reserve(KEY, PRINT, "o1", 30)
    await idempotency_store.complete(KEY, PRINT, "o1", b"", 30)
    assert await idempotency_store.reserve(KEY, PRINT, "o2", 30) == ("completed", b"")


async def test_only_the_owner_renews_completes_and_releases(idempotency_store):
    store = idempotency_store
    await store.reserve(KEY, PRINT, "o1", 30)
    assert not await store.renew(KEY, "o2", 30)
    assert not await store.release(KEY, "o2")
    assert not await store.complete(KEY, PRINT, "o2", b"x", 30)
    assert await store.renew(KEY, "o1", 30)
    assert await store.release(KEY, "o1")
    assert not await store.release(KEY, "o1")
    assert not await store.renew(KEY, "o1", 30)
    assert await store.reserve(KEY, OTHER, "o3", 30) == ("acquired", None)


async def test_what_is_completed_is_neither_released_nor_renewed(idempotency_store):
    await idempotency_store.reserve(KEY, PRINT, "o1", 30)
    await idempotency_store.complete(KEY, PRINT, "o1", b"x", 30)
    assert not await idempotency_store.release(KEY, "o1")
    assert not await idempotency_store.renew(KEY, "o1", 0.01)
    assert not await idempotency_store.complete(KEY, PRINT, "o2", b"y", 30)
    await asyncio.sleep(0.02)
    assert await idempotency_store.reserve(KEY, PRINT, "o2", 30) == ("completed", b"x")


async def test_a_lease_that_is_over_frees_the_key_and_its_owner_cannot_take_it_back(
    idempotency_store,
):
    store = idempotency_store
    await store.reserve(KEY, PRINT, "o1", 0.05)
    await asyncio.sleep(0.07)
    assert not await store.renew(KEY, "o1", 30)
    assert await store.reserve(KEY, OTHER, "o2", 30) == ("acquired", None)
    assert not await store.complete(KEY, PRINT, "o1", b"late", 30)
    assert not await store.release(KEY, "o1")
    assert await store.complete(KEY, OTHER, "o2", b"in time", 30)


async def test_a_lease_that_is_renewed_holds(idempotency_store):
    await idempotency_store.reserve(KEY, PRINT, "o1", 0.05)
    assert await idempotency_store.renew(KEY, "o1", 30)
    await asyncio.sleep(0.07)
    assert await idempotency_store.reserve(KEY, PRINT, "o2", 30) == ("running", None)


async def test_an_answer_for_an_absent_record_is_kept(idempotency_store):
    assert await idempotency_store.complete(KEY, PRINT, "o1", b"x", 30)
    assert await idempotency_store.reserve(KEY, PRINT, "o2", 30) == ("completed", b"x")
    assert await idempotency_store.reserve(KEY, OTHER, "o2", 30) == ("mismatch", None)


async def test_an_answer_is_forgotten_when_its_time_is_over(idempotency_store):
    await idempotency_store.complete(KEY, PRINT, "o1", b"x", 0.05)
    await asyncio.sleep(0.07)
    assert await idempotency_store.reserve(KEY, OTHER, "o2", 30) == ("acquired", None)


@pytest.mark.redis
async def test_every_record_in_redis_ends_by_itself(redis_connection):
    redis = pytest.importorskip("tijolo.web.redis")
    client, prefix = redis_connection
    store = redis.RedisIdempotencyStore(client, prefix=prefix)
    await store.reserve(KEY, PRINT, "o1", 30)
    assert 0 < await client.pttl(prefix + KEY) <= 30_000
    await store.complete(KEY, PRINT, "o1", b"x", 60)
    assert 30_000 < await client.pttl(prefix + KEY) <= 60_000


@pytest.mark.redis
async def test_a_client_that_decodes_is_refused(redis_url):
    pytest.importorskip("redis")
    redis = pytest.importorskip("tijolo.web.redis")
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    with pytest.raises(ValueError, match="decode_responses"):
        redis.RedisIdempotencyStore(client)
    with pytest.raises(ValueError, match="timeout_seconds"):
        redis.RedisRateLimitStore(client, timeout_seconds=0)
    await client.aclose()


# --- in memory


async def test_memory_is_bounded_in_entries_and_the_oldest_answer_goes(clock):
    store = MemoryIdempotencyStore(max_entries=3, clock=clock)
    for n in range(10):
        await store.reserve(f"k{n}", PRINT, "o", 30)
        await store.complete(f"k{n}", PRINT, "o", b"x", 30)
        assert len(store) <= 3
    assert (await store.reserve("k9", PRINT, "o2", 30))[0] == "completed"
    assert (await store.reserve("k0", PRINT, "o2", 30))[0] == "acquired"


async def test_memory_is_bounded_in_bytes(clock):
    store = MemoryIdempotencyStore(max_bytes=100, clock=clock)
    for n in range(10):
        await store.complete(f"k{n}", PRINT, "o", b"x" * 40, 30)
    assert len(store) == 2
    await store.complete("huge", PRINT, "o", b"x" * 101, 30)
    assert await store.reserve("huge", PRINT, "o2", 30) == ("completed", b"")


async def test_a_running_request_is_never_forgotten(clock):
    store = MemoryIdempotencyStore(max_entries=2, clock=clock)
    await store.reserve("r1", PRINT, "o", 30)
    await store.reserve("r2", PRINT, "o", 60)
    with pytest.raises(IdempotencyStoreFullError):
        await store.reserve("r3", PRINT, "o", 30)
    clock.now += 31  # the first one's process forgot to renew
    assert (await store.reserve("r3", PRINT, "o", 30))[0] == "acquired"
    with pytest.raises(IdempotencyStoreFullError):
        await store.reserve("r4", PRINT, "o", 30)


async def test_expired_answers_leave_memory_without_being_asked_for(clock):
    store = MemoryIdempotencyStore(clock=clock)
    for n in range(100):
        await store.complete(f"k{n}", PRINT, "o", b"x", 30)
    clock.now += 31
    await store.reserve("new", PRINT, "o", 30)
    assert len(store) == 1


@pytest.mark.parametrize("wrong", [{"max_entries": 0}, {"max_bytes": 0}])
def test_a_store_without_room_is_refused(wrong):
    with pytest.raises(ValueError, match="max_entries"):
        MemoryIdempotencyStore(**wrong)


# --- an answer as bytes

TOKENS = st.binary(min_size=1, max_size=12).filter(lambda b: not set(b) & set(b":\n\r\0"))
VALUES = st.binary(max_size=20).filter(lambda b: not set(b) & set(b"\n\r\0"))


@given(st.integers(100, 599), st.lists(st.tuples(TOKENS, VALUES), max_size=6), st.binary())
def test_an_answer_comes_back_byte_for_byte(status, headers, body):
    answer = CachedResponse(status, headers, body)
    assert CachedResponse.decode(answer.encode()) == answer


@given(st.binary())
def test_bytes_of_somebody_else_are_no_answer(stored):
    with pytest.raises(ValueError):  # noqa: PT011
        CachedResponse.decode(b"0" + stored)


def test_an_answer_knows_its_media_type():
    assert CachedResponse(200, [(b"Content-Type", b"text/plain")], b"").media_type == "text/plain"
    assert CachedResponse(200, [], b"").media_type is None


@pytest.mark.parametrize("header", [(b"a", b"1\n2"), (b"a:b", b"1"), (b"a\n", b"1")])
def test_a_header_that_http_cannot_carry_is_not_kept(header):
    with pytest.raises(ValueError, match="header"):
        CachedResponse(200, [header], b"").encode()
