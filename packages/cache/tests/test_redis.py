"""The manager, and the contract on a real server."""

from __future__ import annotations

import asyncio
import logging
import secrets

import pytest
import pytest_asyncio

pytest.importorskip("redis")

from redis.asyncio import Redis

from tijolo.cache import BackendRefusedError, NotConnectedError, RedisSettings, cached
from tijolo.cache.redis import AsyncRedisManager, LockHeldError, LockLostError, RedisBackend
from tijolo.cache.testing import BackendContract
from tijolo.core import Resource
from tijolo.core.testing import assert_settings_read


@pytest.mark.redis
@pytest.mark.parametrize("decode_responses", [True, False])
class TestRedis(BackendContract):
    @pytest_asyncio.fixture
    async def backend(self, redis_url, decode_responses):
        backend = RedisBackend(AsyncRedisManager(redis_url, decode_responses=decode_responses))
        await backend.connect()
        yield backend
        await backend.disconnect()


@pytest_asyncio.fixture
async def redis(redis_url):
    manager = AsyncRedisManager(redis_url)
    await manager.connect()
    yield manager
    await manager.disconnect()


@pytest.fixture
def name():
    return f"tijolo-test:{secrets.token_hex(6)}"


def test_the_manager_is_a_resource():
    assert isinstance(AsyncRedisManager("redis://localhost"), Resource)


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:s3cret-pass@db.example:6380/2",
        "rediss://:s3cret-pass@db.example/0?password=s3cret-pass",
        "redis://:s3cret-pass@db.example:99999999/0",
        "unix://:s3cret-pass@/run/redis.sock?password=s3cret-pass",
    ],
)
def test_the_repr_shows_the_place_and_never_the_password(url):
    manager = AsyncRedisManager(url)
    assert "s3cret" not in repr(manager)
    assert "s3cret" not in repr(RedisBackend(manager))
    assert "not connected" in repr(manager)
    assert manager.url == url


@pytest.mark.parametrize("url", ["http://:hunter2@localhost", "localhost:6379", ""])
def test_another_scheme_is_refused_without_showing_the_url(url):
    with pytest.raises(ValueError, match="redis://") as refused:
        AsyncRedisManager(url)
    assert "hunter2" not in str(refused.value)


def test_a_manager_that_is_not_connected_says_so():
    with pytest.raises(NotConnectedError, match=r"connect\(\)"):
        _ = AsyncRedisManager("redis://localhost").client


@pytest.mark.redis
async def test_connect_and_disconnect_may_be_repeated(redis_url):
    manager = AsyncRedisManager(redis_url)
    assert await manager.health_check() is False
    for _ in range(2):
        await manager.connect()
        client = manager.client
        await manager.connect()
        assert manager.client is client
        assert await manager.health_check() is True
        await manager.disconnect()
        await manager.disconnect()
        assert manager.is_connected is False


@pytest.mark.redis
async def test_the_contract_names_give_the_client(redis, name):
    async with redis.get_client_context() as client:
        assert await client.set(name, "é", ex=5)
    async for client in redis.client_dependency():
        assert await client.get(name) == "é"


@pytest.mark.redis
async def test_an_injected_client_is_left_open(redis_url):
    client = Redis.from_url(redis_url)
    manager = AsyncRedisManager.from_client(client)
    await manager.connect()
    assert manager.client is client
    assert manager.decode_responses is False
    assert "injected" not in repr(manager)
    await manager.disconnect()
    assert await client.ping() is True
    assert await manager.health_check() is True
    await client.aclose()


@pytest.mark.redis
async def test_a_backend_leaves_a_manager_that_was_connected_before(redis):
    backend = RedisBackend(redis)
    await backend.connect()
    await backend.disconnect()
    assert await redis.health_check() is True


async def test_a_server_that_is_down_is_no_reason_not_to_start(caplog):
    manager = AsyncRedisManager("redis://:hunter2@127.0.0.1:1/0")
    with caplog.at_level(logging.WARNING):
        await manager.connect()
    assert "does not answer at start-up" in caplog.text
    assert "hunter2" not in caplog.text
    assert await manager.health_check() is False
    await manager.disconnect()


async def test_a_server_that_says_nothing_is_unhealthy_within_the_timeout(own_redis):
    manager = AsyncRedisManager(own_redis.url, socket_timeout=0.1, socket_connect_timeout=0.1)
    await manager.connect()
    own_redis.freeze()
    try:
        assert await asyncio.wait_for(manager.health_check(), 5) is False
    finally:
        own_redis.thaw()
    assert await manager.health_check() is True
    await manager.disconnect()


@pytest.mark.redis
async def test_more_commands_than_connections_wait_for_one(redis_url, name):
    manager = AsyncRedisManager(redis_url, max_connections=2)
    await manager.connect()
    values = await asyncio.gather(*(manager.increment(name, ttl_seconds=5) for _ in range(100)))
    await manager.disconnect()
    assert sorted(values) == list(range(1, 101))


@pytest.mark.redis
async def test_answers_never_reach_the_wrong_caller_after_cancellations(redis, name):
    await asyncio.gather(*(redis.client.set(f"{name}:{n}", str(n), ex=30) for n in range(40)))

    async def get(n, patience):
        try:
            async with asyncio.timeout(patience):
                return await redis.client.get(f"{name}:{n}")
        except TimeoutError:
            return None

    for round_number in range(5):
        patience = 0.0005 * round_number
        answers = await asyncio.gather(*(get(n, patience) for n in range(40)))
        assert all(a in (None, str(n)) for n, a in enumerate(answers))
    assert await get(7, 5) == "7"


@pytest.mark.redis
async def test_a_counter_always_has_an_end(redis, name):
    values = await asyncio.gather(*(redis.increment(name, ttl_seconds=5) for _ in range(30)))
    assert sorted(values) == list(range(1, 31))
    assert 0 < await redis.client.pttl(name) <= 5_000
    await redis.client.persist(name)
    assert await redis.increment(name, amount=5, ttl_seconds=5) == 35
    assert 0 < await redis.client.pttl(name) <= 5_000


@pytest.mark.redis
async def test_a_lock_has_one_holder_and_a_growing_fence(redis, name):
    inside = 0
    fences = []

    async def enter():
        nonlocal inside
        try:
            async with redis.lock(name) as lock:
                inside += 1
                assert inside == 1
                fences.append(lock.fence)
                assert await lock.extend(5) is True
                await asyncio.sleep(0.002)
                inside -= 1
        except LockHeldError:
            await asyncio.sleep(0.003)

    for _ in range(10):
        await asyncio.gather(*(enter() for _ in range(20)))
    assert len(fences) >= 10
    assert fences == sorted(set(fences))


@pytest.mark.redis
async def test_a_lock_that_ended_before_its_block_says_so_and_frees_nobody_else(redis, name):
    with pytest.raises(LockLostError, match="ended before"):  # noqa: PT012
        async with redis.lock(name, lease_seconds=0.02) as lock:
            await asyncio.sleep(0.06)
            assert await lock.extend(5) is False
            other = redis.lock(name)
            await other.__aenter__()
    with pytest.raises(LockHeldError, match="held by another"):
        async with redis.lock(name):
            pass
    await other.__aexit__(None, None, None)


@pytest.mark.redis
async def test_a_block_that_raises_frees_its_lock_and_keeps_its_exception(redis, name):
    with pytest.raises(KeyError):
        async with redis.lock(name):
            raise KeyError(name)
    async with redis.lock(name):
        pass


@pytest.mark.redis
async def test_a_refusal_of_the_server_is_no_outage(redis, name):
    backend = RedisBackend(redis)
    await redis.client.lpush(name, "a list")
    await redis.client.expire(name, 5)
    with pytest.raises(BackendRefusedError, match="WRONGTYPE"):
        await backend.acquire("{x}:k" + name, [name], "t", 1, 5)


def test_settings_hide_the_password_and_have_the_contract_names():
    settings = RedisSettings(REDIS_URL="redis://:hunter2@localhost/3")
    assert "hunter2" not in repr(settings)
    assert RedisSettings().REDIS_DECODE_RESPONSES is True
    assert RedisSettings().REDIS_URL.get_secret_value() == "redis://localhost:6379/0"
    with assert_settings_read(RedisSettings, by="tijolo.cache"):
        manager = AsyncRedisManager.from_settings(settings)
    assert repr(manager) == "AsyncRedisManager(redis://localhost/3, not connected)"


@pytest.mark.redis
async def test_cached_takes_the_manager_as_the_contract_does(redis, name):
    calls = []

    @cached(redis, ttl=5, key_prefix=name)
    async def order(number: int) -> dict[str, int]:
        calls.append(number)
        return {"number": number}

    assert [await order(1) for _ in range(3)] == [{"number": 1}] * 3
    assert calls == [1]
    assert order.cache is redis.as_cache()
    await order.invalidate(1)
    await order(1)
    assert calls == [1, 1]
    await order.invalidate(1)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cret/pass@db.example:6379/0",
        "redis://:12345/s3cret@db.example:6379/0",
        "redis://user:12345#s3cret@db.example:6379/0",
        "redis://:s3cret?pass@db.example/0",
        "redis://:s3cret[pass@db.example/0",
        "redis://:s3cret\u2100@db.example/0",
    ],
)
def test_a_password_that_takes_the_url_apart_is_refused_and_not_shown(url):
    with pytest.raises(ValueError, match="percent-encoded") as refused:
        AsyncRedisManager(url)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.redis
@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
async def test_a_lock_or_counter_without_a_time_is_refused(redis, name, seconds):
    with pytest.raises(ValueError, match="above 0"):
        async with redis.lock(name, lease_seconds=seconds):
            pytest.fail("entered")
    with pytest.raises(ValueError, match="above 0"):
        await redis.increment(name, ttl_seconds=seconds)


@pytest.mark.redis
async def test_a_fence_grows_even_when_redis_has_forgotten_it_and_is_not_kept_for_ever(redis, name):
    fences = []
    for _ in range(3):
        async with redis.lock(name, lease_seconds=5) as lock:
            fences.append(lock.fence)
        assert 0 < await redis.client.ttl(f"{{{name}}}:fence") < 2 * 86_400
        await redis.client.delete(f"{{{name}}}:fence")
    assert fences == sorted(set(fences))
    await redis.client.set(f"{{{name}}}:fence", fences[-1] + 10**9)  # a clock that went back
    async with redis.lock(name, lease_seconds=5) as lock:
        assert lock.fence == fences[-1] + 10**9 + 1


async def test_a_refused_release_does_not_hide_what_the_block_raised(own_redis):
    manager = AsyncRedisManager(own_redis.url)
    await manager.connect()

    async def fail() -> None:
        async with manager.lock("nightly"):
            await manager.client.config_set("min-replicas-to-write", 3)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    await manager.disconnect()


@pytest.mark.redis
async def test_who_leaves_while_taking_a_lock_does_not_keep_it(redis, name):
    execute = redis.client.execute_command

    async def late(*command, **options):
        answer = await execute(*command, **options)
        if "NX" in str(command[1]):
            await asyncio.Event().wait()  # granted, and the answer is on its way
        return answer

    redis.client.execute_command = late

    async def hold():
        async with redis.lock(name, lease_seconds=60):
            pytest.fail("entered")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(hold(), 0.1)
    redis.client.execute_command = execute
    async with redis.lock(name, lease_seconds=5):
        pass
