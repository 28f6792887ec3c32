"""Attempts: one reservation, never check-then-hit (A27)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid

import pytest

from tijolo.auth import (
    AttemptThrottle,
    LoginThrottle,
    LoginThrottleSettings,
    MailThrottle,
    ThrottleBackend,
    ThrottleStatus,
)
from tijolo.core import ServiceUnavailableException, TooManyRequestsException
from tijolo.web import MemoryRateLimitStore


def redis_module():
    pytest.importorskip("redis")
    from tijolo.web import redis

    return redis


@pytest.fixture
async def connection(redis_url):
    module = redis_module()
    client, prefix = module.redis_client(redis_url, timeout_seconds=5), f"t:{uuid.uuid4().hex}:"
    yield client, prefix
    async for key in client.scan_iter(match=f"{prefix}*"):
        await client.delete(key)
    await client.aclose()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def backend(request):
    if request.param == "memory":
        return MemoryRateLimitStore()
    client, prefix = request.getfixturevalue("connection")
    return redis_module().RedisRateLimitStore(client, prefix=prefix, timeout_seconds=5)


def login_throttle(store, **settings):
    return LoginThrottle(store, LoginThrottleSettings(**settings))


async def refused(call):
    try:
        await call
    except TooManyRequestsException:
        return True
    return False


# --- attempts of one key


async def test_of_fifty_guesses_at_once_five_are_made(backend):
    throttle = AttemptThrottle(backend, max_attempts=5, window_seconds=900)
    made = 0

    async def guess():
        nonlocal made
        await throttle.raise_if_blocked("ana@example.com")
        made += 1
        await asyncio.sleep(0.01)  # a wrong password takes its time

    answers = await asyncio.gather(*(guess() for _ in range(50)), return_exceptions=True)
    assert made == 5
    assert sum(isinstance(answer, TooManyRequestsException) for answer in answers) == 45


@pytest.mark.redis
async def test_fifty_guesses_at_several_replicas_are_five(connection, redis_url):
    module, (_, prefix) = redis_module(), connection
    clients = [module.redis_client(redis_url, timeout_seconds=5) for _ in range(5)]
    throttles = [
        AttemptThrottle(
            module.RedisRateLimitStore(client, prefix=prefix, timeout_seconds=5),
            max_attempts=5,
            window_seconds=900,
        )
        for client in clients
    ]
    hits = await asyncio.gather(*(throttles[n % 5].hit("ana") for n in range(50)))
    assert sum(not hit.blocked for hit in hits) == 5
    for client in clients:
        await client.aclose()


@pytest.mark.redis
async def test_no_key_is_without_an_end(connection):
    client, prefix = connection
    store = redis_module().RedisRateLimitStore(client, prefix=prefix, timeout_seconds=5)
    attempts = AttemptThrottle(store, max_attempts=3, window_seconds=60)
    logins = login_throttle(store, AUTH_LOGIN_MAX_PER_ACCOUNT=3)
    for _ in range(5):
        await attempts.hit("a")
        await attempts.refund("a")
        await attempts.hit("b")
        await refused(logins.reserve("ana", address="203.0.113.9"))
    await logins.succeeded("ana")
    keys = [key async for key in client.scan_iter(match=f"{prefix}*")]
    assert len(keys) == 4
    assert all([0 < await client.ttl(key) <= 366 * 86_400 for key in keys])


async def test_a_status_says_what_is_left_and_takes_nothing(backend):
    throttle = AttemptThrottle(backend, max_attempts=2, window_seconds=600)
    for _ in range(3):
        assert await throttle.status("k") == ThrottleStatus(0, False, 0)
    assert await throttle.hit("k") == ThrottleStatus(1, False, 0)
    assert await throttle.hit("k") == ThrottleStatus(2, False, 0)
    for seen in (await throttle.status("k"), await throttle.hit("k"), await throttle.status("k")):
        assert (seen.attempts, seen.blocked) == (2, True)
        assert 200 < seen.retry_after_seconds <= 300
    with pytest.raises(TooManyRequestsException, match="later, please") as caught:
        await throttle.raise_if_blocked("k", message="later, please")
    assert caught.value.headers["Retry-After"] == str(caught.value.details["retry_after_seconds"])
    assert (await throttle.status("other")).attempts == 0


async def test_attempts_come_back_one_by_one():
    class Clock:
        now = 0.0

    store = MemoryRateLimitStore(clock=lambda: Clock.now)
    throttle = AttemptThrottle(store, max_attempts=3, window_seconds=30)
    for _ in range(3):
        await throttle.raise_if_blocked("k")
    wait = (await throttle.status("k")).retry_after_seconds
    assert wait == 10
    Clock.now = wait - 0.001
    assert (await throttle.status("k")).blocked
    Clock.now = wait
    assert not (await throttle.hit("k")).blocked
    assert (await throttle.hit("k")).blocked
    Clock.now = 1000
    assert (await throttle.status("k")).attempts == 0


async def test_what_succeeded_is_given_back(backend):
    throttle = AttemptThrottle(backend, max_attempts=2, window_seconds=600)
    for _ in range(20):
        await throttle.raise_if_blocked("k")
        assert await throttle.refund("k")
    for _ in range(3):
        await throttle.hit("k")
    assert (await throttle.status("k")).blocked
    assert await throttle.reset("k")
    assert await throttle.status("k") == ThrottleStatus(0, False, 0)


async def test_namespaces_are_apart(backend):
    first, second = (
        AttemptThrottle(backend, max_attempts=1, window_seconds=60, namespace=name)
        for name in ("code", "login")
    )
    await first.hit("k")
    assert (await first.status("k")).blocked
    assert not (await second.status("k")).blocked


async def test_keys_of_any_text(backend):
    throttle = AttemptThrottle(backend, max_attempts=1, window_seconds=60)
    names = ["", " ", "é", "x" * 1_000_000, "\0", "\ud800", "a:b", "*", "\r\nFLUSHALL\r\n"]
    for name in names:
        assert not (await throttle.hit(name)).blocked
    for name in names:
        assert (await throttle.hit(name)).blocked
    assert not (await throttle.status("a")).blocked


@pytest.mark.redis
async def test_no_address_and_no_account_is_readable_in_the_store(connection):
    client, prefix = connection
    store = redis_module().RedisRateLimitStore(client, prefix=prefix, timeout_seconds=5)
    await LoginThrottle(store).reserve("ana@example.com", address="203.0.113.9")
    keys = b" ".join([key async for key in client.scan_iter(match=f"{prefix}*")])
    assert b"ana" not in keys
    assert b"203.0" not in keys


@pytest.mark.parametrize(
    "wrong",
    [{"max_attempts": 0}, {"window_seconds": 0}, {"max_attempts": -1}, {"namespace": ""}],
)
def test_numbers_that_are_none_are_refused(wrong):
    options = {"max_attempts": 5, "window_seconds": 60, **wrong}
    with pytest.raises(ValueError, match=r"quota|window_seconds|namespace"):
        AttemptThrottle(MemoryRateLimitStore(), **options)


def test_a_redis_client_is_told_what_to_wrap_it_in():
    assert isinstance(MemoryRateLimitStore(), ThrottleBackend)
    for make in (
        lambda: AttemptThrottle(object(), max_attempts=5, window_seconds=60),
        lambda: LoginThrottle(object()),
    ):
        with pytest.raises(TypeError, match="RedisRateLimitStore"):
            make()


# --- log-ins


async def test_an_account_is_guessed_at_from_many_addresses_no_more_often(backend):
    throttle = login_throttle(backend, AUTH_LOGIN_MAX_PER_ACCOUNT=5)
    asked = [throttle.reserve("ana", address=f"203.0.113.{n}") for n in range(50)]
    assert (await asyncio.gather(*map(refused, asked))).count(False) == 5
    assert not await refused(throttle.reserve("leo", address="203.0.113.1"))


async def test_an_address_guesses_at_many_accounts_no_more_often(backend):
    throttle = login_throttle(backend, AUTH_LOGIN_MAX_PER_ADDRESS=5)
    asked = [throttle.reserve(f"user{n}", address="203.0.113.9") for n in range(50)]
    assert (await asyncio.gather(*map(refused, asked))).count(False) == 5
    assert not await refused(throttle.reserve("user1", address="203.0.113.10"))


async def test_a_refused_address_uses_nothing_of_the_account(backend):
    throttle = login_throttle(backend, AUTH_LOGIN_MAX_PER_ADDRESS=2, AUTH_LOGIN_MAX_PER_ACCOUNT=4)
    for _ in range(20):
        await refused(throttle.reserve("ana", address="203.0.113.9"))
    left = [await refused(throttle.reserve("ana", address=f"198.51.100.{n}")) for n in range(3)]
    assert left == [False, False, True]


async def test_a_success_never_gives_the_address_anything_back(backend):
    """An attacker logs into an own account between guesses."""
    throttle = login_throttle(backend, AUTH_LOGIN_MAX_PER_ADDRESS=6)
    guesses = 0
    for n in range(50):
        if not await refused(throttle.reserve("mallory", address="203.0.113.9")):
            assert await throttle.succeeded("mallory")
        guesses += not await refused(throttle.reserve(f"victim{n}", address="203.0.113.9"))
    assert guesses == 3


async def test_who_logs_in_all_day_is_not_refused(backend):
    throttle = login_throttle(backend, AUTH_LOGIN_MAX_PER_ACCOUNT=3)
    for n in range(250):
        assert not await refused(throttle.reserve("ana", address=f"198.51.{n}.1"))
        assert await throttle.succeeded("ana")
    # and nothing was counted meanwhile
    left = [await refused(throttle.reserve("ana", address=f"198.52.{n}.1")) for n in range(4)]
    assert left == [False, False, False, True]


async def test_a_success_gives_no_guesses_to_others(backend):
    """The owner's log-in is one attempt; the guesses before it stay counted."""
    throttle = login_throttle(backend, AUTH_LOGIN_MAX_PER_ACCOUNT=4)
    for _ in range(3):
        await throttle.reserve("ana")
    await throttle.reserve("ana")
    await throttle.succeeded("ana")
    assert [await refused(throttle.reserve("ana")) for _ in range(2)] == [False, True]


async def test_a_hundred_failures_in_a_row_are_the_last_until_a_reset():
    class Clock:
        now = 0.0

    store = MemoryRateLimitStore(clock=lambda: Clock.now)
    throttle = login_throttle(store, AUTH_LOGIN_MAX_PER_ACCOUNT=10)
    tried = 0
    for _ in range(2_000):  # patiently, over three hours
        Clock.now += 90.0 / 15
        tried += not await refused(throttle.reserve("ana"))
    assert tried == 100
    Clock.now += 86_400
    assert await refused(throttle.reserve("ana"))
    await throttle.reset("ana")
    assert not await refused(throttle.reserve("ana"))


async def test_a_success_ends_a_row_of_failures():
    class Clock:
        now = 0.0

    store = MemoryRateLimitStore(clock=lambda: Clock.now)
    throttle = login_throttle(store, AUTH_LOGIN_MAX_CONSECUTIVE_FAILURES=20)
    for _ in range(10):
        for _ in range(19):
            Clock.now += 900
            assert not await refused(throttle.reserve("ana"))
        Clock.now += 900
        assert not await refused(throttle.reserve("ana"))
        assert await throttle.succeeded("ana")
    tried = 0
    for _ in range(40):  # a row that nothing ends does end
        Clock.now += 900
        tried += not await refused(throttle.reserve("ana"))
    assert tried == 20


async def test_ipv6_clients_are_counted_by_their_network(backend):
    throttle = login_throttle(backend, AUTH_LOGIN_MAX_PER_ADDRESS=5)
    asked = [throttle.reserve(f"u{n}", address=f"2001:db8:1:2::{n:x}") for n in range(50)]
    assert (await asyncio.gather(*map(refused, asked))).count(False) == 5
    assert not await refused(throttle.reserve("u", address="2001:db8:1:3::1"))
    assert not await refused(throttle.reserve("u", address="203.0.113.9"))
    mapped = [throttle.reserve(f"m{n}", address="::ffff:203.0.113.9") for n in range(5)]
    assert (await asyncio.gather(*map(refused, mapped))).count(False) == 4


async def test_an_address_that_nobody_knows_is_not_shared_by_strangers(caplog):
    throttle = login_throttle(MemoryRateLimitStore(), AUTH_LOGIN_MAX_PER_ADDRESS=1)
    for n in range(5):
        assert not await refused(throttle.reserve(f"u{n}", address=None))
        assert not await refused(throttle.reserve(f"v{n}", address="unix:"))
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_nobody_can_fill_anothers_mailbox(backend):
    settings = LoginThrottleSettings(AUTH_MAIL_MAX_PER_ACCOUNT=3, AUTH_MAIL_MAX_PER_ADDRESS=10)
    throttle = MailThrottle(backend, settings)
    asked = [throttle.reserve("ana", address=f"203.0.113.{n}") for n in range(50)]
    assert (await asyncio.gather(*map(refused, asked))).count(False) == 3
    asked = [throttle.reserve(f"u{n}", address="198.51.100.1") for n in range(50)]
    assert (await asyncio.gather(*map(refused, asked))).count(False) == 10


def test_more_than_a_hundred_in_a_row_are_refused_as_a_setting():
    with pytest.raises(ValueError, match="AUTH_LOGIN_MAX_CONSECUTIVE_FAILURES"):
        LoginThrottleSettings(AUTH_LOGIN_MAX_CONSECUTIVE_FAILURES=101)


async def test_the_environment_is_the_applications_to_read(monkeypatch):
    monkeypatch.setenv("AUTH_LOGIN_MAX_PER_ACCOUNT", "1")
    throttle = LoginThrottle(MemoryRateLimitStore())
    assert [await refused(throttle.reserve("ana")) for _ in range(11)] == [False] * 10 + [True]


LONG = os.environ.get("TIJOLO_LONG_TESTS") == "1"


async def test_a_flood_of_names_and_networks_frees_no_account_that_is_locked():
    """With TIJOLO_LONG_TESTS=1 a million names; each takes the place of one that is not locked."""
    flood, places = (1_000_000, 100_000) if LONG else (30_000, 3_000)
    store = MemoryRateLimitStore(max_keys=places, clock=lambda: 0.0)
    throttle = login_throttle(store, AUTH_LOGIN_MAX_PER_ACCOUNT=3)
    locked = [f"user{n}" for n in range(50)]
    for name in locked:
        assert [await refused(throttle.reserve(name)) for _ in range(4)][2:] == [False, True]
    for n in range(flood):  # each from a /64 of its own, of which a /32 has four thousand million
        address = f"2001:db8:{n >> 16:x}:{n & 0xFFFF:x}::1"
        assert not await refused(throttle.reserve(f"made-up-{n}", address=address))
    assert len(store) == places
    assert [name for name in locked if not await refused(throttle.reserve(name))] == []


# --- a store that is down


class Down:
    """A store that never answers well."""

    async def reserve(self, key, limits, cost=1):
        raise ConnectionError("redis://:geheim@db")

    async def refund(self, key, limits, cost=1):
        raise ConnectionError("redis://:geheim@db")

    async def reset(self, key):
        raise ConnectionError("redis://:geheim@db")


async def test_a_throttle_fails_closed_unless_it_is_told_otherwise(caplog):
    closed = AttemptThrottle(Down(), max_attempts=5, window_seconds=60)
    for call in (closed.status, closed.hit, closed.raise_if_blocked):
        with pytest.raises(ServiceUnavailableException):
            await call("k")
    assert not await closed.reset("k")
    assert not await closed.refund("k")
    opened = AttemptThrottle(Down(), max_attempts=5, window_seconds=60, fail_open=True)
    assert await opened.raise_if_blocked("k") == ThrottleStatus(0, False, 0)
    assert "geheim" not in caplog.text


@pytest.mark.parametrize(("mode", "passed"), [("closed", 0), ("open", 50), ("local", 5)])
async def test_a_login_throttle_fails_as_it_is_told(mode, passed):
    throttle = login_throttle(
        Down(), AUTH_LOGIN_MAX_PER_ACCOUNT=5, AUTH_LOGIN_ON_STORE_FAILURE=mode
    )
    made = 0
    for n in range(50):
        with contextlib.suppress(TooManyRequestsException, ServiceUnavailableException):
            await throttle.reserve("ana", address=f"203.0.113.{n}")
            made += 1
    assert made == passed
    assert not await throttle.succeeded("ana")


async def test_redis_is_killed_and_comes_back(own_redis):
    module = redis_module()
    client = module.redis_client(own_redis.url, timeout_seconds=5)
    store = module.RedisRateLimitStore(client, timeout_seconds=5)
    throttles = {
        mode: LoginThrottle(
            store,
            LoginThrottleSettings(AUTH_LOGIN_MAX_PER_ACCOUNT=5, AUTH_LOGIN_ON_STORE_FAILURE=mode),
            namespace=mode,
        )
        for mode in ("closed", "local")
    }

    async def passed(mode, count=20):
        asked = [throttles[mode].reserve("ana") for _ in range(count)]
        return (await asyncio.gather(*asked, return_exceptions=True)).count(None)

    assert [await passed("closed"), await passed("local")] == [5, 5]
    own_redis.kill()
    assert [await passed("closed"), await passed("local")] == [0, 5]
    own_redis.start()
    for _ in range(200):
        if await passed("closed", 1):
            break
        await asyncio.sleep(0.1)
    assert await passed("closed") == 4
    await client.aclose()
