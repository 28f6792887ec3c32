"""One suite for every place that remembers used states, with the real server."""

from __future__ import annotations

import asyncio
import secrets

import pytest

pytest.importorskip("tijolo.http.client", reason="tijolo-http is not installed")

from tijolo.auth.oauth import MemoryUsedStates


class UsedStatesContract:
    async def test_a_state_is_taken_once(self, states):
        one, other = secrets.token_hex(32), secrets.token_hex(32)
        assert await states.claim(one, ttl_seconds=60)
        assert not await states.claim(one, ttl_seconds=60)
        assert await states.claim(other, ttl_seconds=60)

    async def test_of_fifty_at_once_one_takes_it(self, states):
        one = secrets.token_hex(32)
        taken = await asyncio.gather(*(states.claim(one, ttl_seconds=60) for _ in range(50)))
        assert sum(taken) == 1

    async def test_it_is_forgotten_in_the_end(self, states):
        one = secrets.token_hex(32)
        assert await states.claim(one, ttl_seconds=0.05)
        async with asyncio.timeout(20):
            while not await states.claim(one, ttl_seconds=60):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


class TestMemory(UsedStatesContract):
    @pytest.fixture
    def states(self):
        return MemoryUsedStates()

    def test_it_needs_room(self):
        with pytest.raises(ValueError, match="max_entries"):
            MemoryUsedStates(max_entries=0)


@pytest.mark.redis
class TestRedis(UsedStatesContract):
    @pytest.fixture
    async def client(self, redis_url):
        redis = pytest.importorskip("redis.asyncio")
        client = redis.Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2)
        yield client
        await client.aclose()

    @pytest.fixture
    async def states(self, client):
        from tijolo.auth.oauth.redis import RedisUsedStates

        prefix = f"tijolo-test:{secrets.token_hex(8)}:"
        yield RedisUsedStates(client, prefix=prefix)
        async for key in client.scan_iter(match=f"{prefix}*"):
            await client.delete(key)

    async def test_nothing_stays_without_an_end(self, states, client):
        one = secrets.token_hex(32)
        await states.claim(one, ttl_seconds=60)
        keys = [key async for key in client.scan_iter(match=f"*{one}")]
        assert 0 < await client.pttl(keys[0]) <= 60_000

    def test_a_prefix_keeps_keys_apart(self, client):
        from tijolo.auth.oauth.redis import RedisUsedStates

        with pytest.raises(ValueError, match="prefix"):
            RedisUsedStates(client, prefix="")
