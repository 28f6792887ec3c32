"""Revocation: one suite for every store, and the guard in front of them (2a row 24)."""

import asyncio
import uuid

import pytest

from tijolo.auth import (
    FailureMode,
    GuardedChecker,
    MemoryRevocationStore,
    Principal,
    RevocationStoreFullException,
    RevocationUnavailableException,
)
from tijolo.auth.testing import RevocationStoreContract


def principal(**changes):
    return Principal(**{"subject": "7", "token_id": "t1", "session_id": "s1", **changes})


class TestMemory(RevocationStoreContract):
    @pytest.fixture
    def store(self, clock):
        return MemoryRevocationStore(clock=clock)

    async def test_it_ends_when_the_token_would_have(self, store, clock):
        await store.revoke_token("t1", expires_at=clock() + 60)
        await store.revoke_token("t1", expires_at=clock() + 10)  # comes late; shortens nothing
        clock.pass_seconds(59)
        assert await store.is_revoked(principal(), "")
        clock.pass_seconds(1)
        assert not await store.is_revoked(principal(), "")

    async def test_full_means_refused_and_nothing_is_forgotten(self, clock):
        store = MemoryRevocationStore(max_entries=3, clock=clock)
        for n in range(3):
            await store.revoke_token(f"t{n}", expires_at=clock() + 10 * (n + 1))
        with pytest.raises(RevocationStoreFullException):
            await store.revoke_token("t9", expires_at=clock() + 60)
        for n in range(3):
            assert await store.is_revoked(principal(token_id=f"t{n}"), "")
        await store.revoke_token("t2", expires_at=clock() + 90)  # what is there may change
        clock.pass_seconds(10)
        await store.revoke_token("t9", expires_at=clock() + 5)
        with pytest.raises(RevocationStoreFullException):
            await store.revoke_token("t8", expires_at=clock() + 60)
        clock.pass_seconds(5)
        await store.revoke_token("t8", expires_at=clock() + 60)
        with pytest.raises(ValueError, match="1 or more"):
            MemoryRevocationStore(max_entries=0)

    async def test_room_is_made_a_little_at_a_time(self, clock):
        """Looking through all of it for each new one held the event loop 15 ms each time."""
        looked_at = 0

        class Counting(MemoryRevocationStore):
            def _make_room(self, now):
                nonlocal looked_at
                before = len(self._entries)
                super()._make_room(now)
                looked_at = max(looked_at, before - len(self._entries))

        store = Counting(max_entries=1000, clock=clock)
        for n in range(1000):
            await store.revoke_token(f"t{n}", expires_at=clock() + 10)
        await store.revoke_token("t999", expires_at=clock() + 500)
        clock.pass_seconds(11)
        for n in range(990):
            await store.revoke_token(f"x{n}", expires_at=clock() + 60)
        assert looked_at <= 100
        assert await store.is_revoked(principal(token_id="t999"), "")
        assert await store.is_revoked(principal(token_id="x0"), "")
        assert len(store._entries) == len(store._ends) == 991


@pytest.mark.redis
class TestRedis(RevocationStoreContract):
    @pytest.fixture
    def clock(self):
        import time

        return time.time  # Redis has the only other clock there is

    @pytest.fixture
    async def client(self, redis_url):
        redis = pytest.importorskip("redis.asyncio")
        client = redis.Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2)
        yield client
        await client.aclose()

    @pytest.fixture
    async def store(self, client, redis_url):
        from tijolo.auth.redis import RedisRevocationStore

        prefix = f"tijolo:test:{uuid.uuid4().hex}:"
        yield RedisRevocationStore(client, prefix=prefix)
        keys = [key async for key in client.scan_iter(f"{prefix}*")]
        if keys:
            await client.delete(*keys)

    async def test_a_key_ends_with_the_token(self, store, client, clock):
        await store.revoke_token("t1", expires_at=clock() + 60)
        await store.revoke_token("t1", expires_at=clock() + 10)
        (key,) = [key async for key in client.scan_iter(f"{store._prefix}*")]
        assert 55_000 < await client.pttl(key) <= 61_000
        assert b"t1" not in key

    async def test_it_does_end(self, store, clock):
        await store.revoke_token("t1", expires_at=clock() + 0.05)
        assert await store.is_revoked(principal(), "")
        await asyncio.sleep(0.1)
        assert not await store.is_revoked(principal(), "")

    async def test_a_client_that_decodes_will_do(self, redis_url, clock):
        redis = pytest.importorskip("redis.asyncio")
        from tijolo.auth.redis import RedisRevocationStore

        client = redis.Redis.from_url(redis_url, decode_responses=True)
        store = RedisRevocationStore(client, prefix=f"tijolo:test:{uuid.uuid4().hex}:")
        await store.revoke_before_epoch("7", 2, expires_at=clock() + 1)
        assert await store.is_revoked(principal(epoch=1), "")
        await client.aclose()
        with pytest.raises(ValueError, match="prefix"):
            RedisRevocationStore(client, prefix="")

    async def test_a_server_that_goes_away_is_no_yes(self, own_redis, clock):
        redis = pytest.importorskip("redis.asyncio")
        from tijolo.auth.redis import RedisRevocationStore

        client = redis.Redis.from_url(own_redis.url, socket_timeout=1, socket_connect_timeout=1)
        store = RedisRevocationStore(client)
        closed = GuardedChecker(store, timeout_seconds=0.3)
        opened = GuardedChecker(store, timeout_seconds=0.3, failure_mode=FailureMode.OPEN)
        await store.revoke_token("t1", expires_at=clock() + 60)
        assert await closed.is_revoked(principal(), "")
        own_redis.kill()
        with pytest.raises(RevocationUnavailableException):
            await closed.is_revoked(principal(), "")
        assert not await opened.is_revoked(principal(), "")
        await client.aclose()


class Scripted:
    """A checker that answers, raises or hangs as it is told."""

    def __init__(self):
        self.answer = False
        self.asked = 0

    async def is_revoked(self, principal, token):
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is None:
            await asyncio.Event().wait()
        return self.answer


async def test_who_cannot_be_asked_is_a_503_or_a_yes(caplog, clock):
    checker = Scripted()
    closed = GuardedChecker(checker, clock=clock)
    opened = GuardedChecker(checker, failure_mode=FailureMode.OPEN, clock=clock)
    checker.answer = OSError("redis://:geheim@host is down")
    for _ in range(3):
        with pytest.raises(RevocationUnavailableException) as error:
            await closed.is_revoked(principal(), "")
        assert error.value.status_code == 503
        assert error.value.headers["Retry-After"] == "1"
        assert not await opened.is_revoked(principal(), "")
    checker.answer = False
    clock.pass_seconds(1)
    await closed.is_revoked(principal(), "")
    told = [record.levelname for record in caplog.records]
    assert told == ["ERROR", "ERROR", "WARNING"]  # once for each guard, and its end
    assert closed.failures == 3
    assert "geheim" not in caplog.text


async def test_who_is_down_is_asked_by_one_request_in_a_second(clock):
    checker = Scripted()
    closed = GuardedChecker(checker, clock=clock)
    opened = GuardedChecker(checker, failure_mode=FailureMode.OPEN, clock=clock)
    checker.answer = OSError("down")
    for _ in range(50):
        with pytest.raises(RevocationUnavailableException) as refused:
            await closed.is_revoked(principal(), "")
        assert refused.value.headers["Retry-After"] == "1"
        assert not await opened.is_revoked(principal(), "")
    assert checker.asked == 2 * 3
    checker.answer = True  # it is back, and nobody is let in by what was remembered of the outage
    clock.pass_seconds(1)
    for _ in range(5):
        assert await closed.is_revoked(principal(), "")
        assert await opened.is_revoked(principal(), "")
    assert checker.asked == 2 * 3 + 2 * 5


async def test_who_does_not_answer_in_time_has_failed():
    checker = Scripted()
    checker.answer = None
    guard = GuardedChecker(checker, timeout_seconds=0.02)
    with pytest.raises(RevocationUnavailableException):
        await guard.is_revoked(principal(), "")


async def test_a_caller_that_gives_up_is_no_failure():
    checker = Scripted()
    checker.answer = None
    guard = GuardedChecker(checker)
    task = asyncio.ensure_future(guard.is_revoked(principal(), ""))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert guard.failures == 0


async def test_an_answer_is_believed_for_a_while_and_no_longer(clock):
    checker = Scripted()
    guard = GuardedChecker(checker, cache_seconds=10, cache_size=2, clock=clock)
    assert not await guard.is_revoked(principal(), "")
    checker.answer = True
    clock.pass_seconds(9)
    assert not await guard.is_revoked(principal(), "")
    clock.pass_seconds(1)
    assert await guard.is_revoked(principal(), "")
    assert checker.asked == 2
    for n in range(5):
        await guard.is_revoked(principal(token_id=f"x{n}"), "")
    assert len(guard._cache) == 2
    checker.answer = False
    every_time = GuardedChecker(checker, clock=clock)
    for _ in range(3):
        await every_time.is_revoked(principal(), "")
    assert checker.asked == 10


async def test_a_late_answer_does_not_bring_a_token_back_to_life(clock):
    """The question was asked before the revocation, and its answer comes after one asked since."""
    answers = [asyncio.get_running_loop().create_future() for _ in range(2)]
    asked = iter(answers)

    class InOrder:
        async def is_revoked(self, principal, token):
            return await next(asked)

    guard = GuardedChecker(InOrder(), cache_seconds=10, clock=clock)
    before = asyncio.create_task(guard.is_revoked(principal(), ""))
    since = asyncio.create_task(guard.is_revoked(principal(), ""))
    await asyncio.sleep(0)
    answers[1].set_result(True)
    assert await since
    answers[0].set_result(False)
    assert await before
    assert await guard.is_revoked(principal(), "")


async def test_an_answer_is_as_old_as_its_question(clock):
    class Slow:
        asked = 0

        async def is_revoked(self, principal, token):
            self.asked += 1
            clock.pass_seconds(2)
            return False

    checker = Slow()
    guard = GuardedChecker(checker, cache_seconds=10, clock=clock)
    await guard.is_revoked(principal(), "")
    clock.pass_seconds(7.9)
    await guard.is_revoked(principal(), "")
    assert checker.asked == 1
    clock.pass_seconds(0.2)
    await guard.is_revoked(principal(), "")
    assert checker.asked == 2


async def test_a_token_without_an_id_is_asked_about_every_time(clock):
    checker = Scripted()
    guard = GuardedChecker(checker, cache_seconds=10, clock=clock)
    for _ in range(3):
        await guard.is_revoked(principal(token_id=""), "")
    assert checker.asked == 3


def test_a_guard_refuses_limits_that_are_none():
    for options in ({"timeout_seconds": 0}, {"cache_seconds": -1}, {"cache_size": 0}):
        with pytest.raises(ValueError, match="positive"):
            GuardedChecker(Scripted(), **options)
