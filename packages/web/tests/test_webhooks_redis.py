import asyncio
import uuid

import pytest

pytest.importorskip("redis")

import redis.asyncio as redis

from tijolo.core import ServiceUnavailableException
from tijolo.web.webhooks import DeliveryState
from tijolo.web.webhooks_redis import RedisReplayStore


@pytest.fixture
async def store(redis_url):
    client = redis.Redis.from_url(redis_url)
    prefix = f"tijolo:test:webhook:{uuid.uuid4().hex}:"
    yield RedisReplayStore(client, prefix=prefix)
    for key in [key async for key in client.scan_iter(f"{prefix}*")]:
        await client.delete(key)
    await client.aclose()


@pytest.mark.redis
async def test_thirty_racers_on_two_replicas_get_the_delivery_once(store, redis_url):
    other_client = redis.Redis.from_url(redis_url, decode_responses=True)
    other = RedisReplayStore(other_client, prefix=store.prefix)
    asked = [
        replica.reserve("k", str(number), lease_seconds=60)
        for number in range(15)
        for replica in (store, other)
    ]
    states = await asyncio.gather(*asked)
    await other_client.aclose()
    assert states.count(DeliveryState.NEW) == 1
    assert states.count(DeliveryState.IN_PROGRESS) == 29


@pytest.mark.redis
async def test_handled_released_and_expired(store):
    assert await store.reserve("k", "a", lease_seconds=60) is DeliveryState.NEW
    await store.release("k", "b")  # not b's
    assert await store.reserve("k", "b", lease_seconds=60) is DeliveryState.IN_PROGRESS
    await store.release("k", "a")
    assert await store.reserve("k", "b", lease_seconds=60) is DeliveryState.NEW
    await store.complete("k", ttl_seconds=60)
    assert await store.reserve("k", "c", lease_seconds=60) is DeliveryState.HANDLED
    await store.release("k", "b")  # what was handled stays handled
    assert await store.reserve("k", "c", lease_seconds=60) is DeliveryState.HANDLED

    assert await store.reserve("short", "a", lease_seconds=0.02) is DeliveryState.NEW
    await asyncio.sleep(0.05)
    assert await store.reserve("short", "b", lease_seconds=60) is DeliveryState.NEW


async def test_a_server_that_dies_refuses_what_comes_and_is_told_once(records, own_redis):
    client = redis.Redis.from_url(own_redis.url, socket_connect_timeout=1)
    store = RedisReplayStore(client, timeout_seconds=0.3)
    assert await store.reserve("k", "a", lease_seconds=60) is DeliveryState.NEW
    own_redis.kill()
    for number in range(3):
        with pytest.raises(ServiceUnavailableException) as refused:
            await store.reserve(str(number), "a", lease_seconds=60)
        assert refused.value.code == "WEBHOOK_REPLAY_STORE_UNAVAILABLE"
    await store.complete("k", ttl_seconds=60)  # the handler has run: nothing is raised
    await store.release("k", "a")
    assert store.failures == 5
    own_redis.start()
    assert await store.reserve("new", "a", lease_seconds=60) is DeliveryState.NEW
    await client.aclose()
    told = [r.getMessage() for r in records if "replay store" in r.getMessage()]
    assert len(told) == 2
    assert "again" in told[1]


async def test_a_server_that_is_silent_is_not_waited_for():
    async def say_nothing(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = redis.Redis(host="127.0.0.1", port=port)
    store = RedisReplayStore(client, timeout_seconds=0.1)
    with pytest.raises(ServiceUnavailableException):
        await asyncio.wait_for(store.reserve("k", "a", lease_seconds=60), 5)
    await client.aclose()
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0)


def test_a_timeout_that_cannot_work_is_refused():
    with pytest.raises(ValueError, match="timeout_seconds"):
        RedisReplayStore(redis.Redis(), timeout_seconds=0)
