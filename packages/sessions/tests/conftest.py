from __future__ import annotations

import secrets

import pytest
import pytest_asyncio

from tijolo.sessions import MemorySessionStore
from tijolo.sessions.testing import ManualClock


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def prefix():
    return f"{{tijolo-test-{secrets.token_hex(6)}}}:"


@pytest.fixture
def memory(clock):
    return MemorySessionStore(clock=clock, max_data_bytes=1_000)


@pytest_asyncio.fixture
async def redis_store(clock, prefix, redis_url):
    """In the shared server, under a prefix of its own."""
    pytest.importorskip("redis")
    from tijolo.sessions.redis import RedisSessionStore
    from tijolo.web.redis import redis_client

    client = redis_client(redis_url, timeout_seconds=10)  # a busy machine is no outage
    yield RedisSessionStore(
        client, prefix=prefix, clock=clock, max_data_bytes=1_000, timeout_seconds=10
    )
    async for key in client.scan_iter(match=prefix + "*", count=10_000):
        await client.unlink(key)
    await client.aclose()
