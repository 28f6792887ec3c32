"""Several processes over one backend: one computation, and a death that frees its lease."""

from __future__ import annotations

import secrets

import pytest

SCRIPT = """
import asyncio, os, signal, sys, time
from pathlib import Path
from tijolo.cache import Cache, SQLiteBackend, cached

kind, place, namespace, counter, role = sys.argv[1:]

def backend():
    if kind == "sqlite":
        return SQLiteBackend(place, busy_seconds=5)
    from tijolo.cache.redis import AsyncRedisManager, RedisBackend
    return RedisBackend(AsyncRedisManager(place))

async def main():
    cache = Cache(backend(), namespace=namespace, timeout_seconds=5)
    await cache.connect()

    @cached(cache, ttl=600, lease_seconds=2)
    async def slow(n: int) -> str:
        with open(counter, "a") as file:
            file.write(f"{os.getpid()}\\n")
        if role == "dies":
            os.kill(os.getpid(), signal.SIGKILL) if n == 9 else None
        await asyncio.sleep(0.3)
        return f"{n}"

    if role == "dies":
        await slow(9)
    # all start together
    deadline = time.time() + 5
    Path(f"{counter}.{os.getpid()}").touch()
    while len(list(Path(counter).parent.glob("count.*"))) < 2 and time.time() < deadline:
        await asyncio.sleep(0.01)
    results = await asyncio.gather(*(slow(7) for _ in range(50)))
    assert results == ["7"] * 50, results
    print(cache.stats.misses)
    await cache.disconnect()

asyncio.run(main())
"""


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def place(request, tmp_path, redis_url):
    if request.param == "redis":
        pytest.importorskip("redis")
    return request.param, redis_url if request.param == "redis" else str(tmp_path / "cache.db")


async def test_a_hundred_misses_in_two_processes_compute_once(run_python, place, tmp_path):
    namespace = f"tijolo-test-{secrets.token_hex(6)}"
    arguments = (*place, namespace, str(tmp_path / "count"), "lives")
    misses = await run_python(SCRIPT, arguments, arguments)
    assert sorted(map(int, misses)) == [0, 1]
    assert len((tmp_path / "count").read_text().splitlines()) == 1


async def test_a_process_that_dies_while_computing_frees_its_lease(run_python, place, tmp_path):
    from tijolo.cache import Cache, SQLiteBackend, cached

    namespace = f"tijolo-test-{secrets.token_hex(6)}"
    with pytest.raises(AssertionError):  # killed
        await run_python(SCRIPT, (*place, namespace, str(tmp_path / "count"), "dies"))
    if place[0] == "sqlite":
        backend = SQLiteBackend(place[1], busy_seconds=5)
    else:
        from tijolo.cache.redis import AsyncRedisManager, RedisBackend

        backend = RedisBackend(AsyncRedisManager(place[1]))
    cache = Cache(backend, namespace=namespace, timeout_seconds=5)
    await cache.connect()

    async def slow(n: int) -> str:
        return "after"

    slow.__module__, slow.__qualname__ = "__main__", "main.<locals>.slow"
    survivor = cached(cache, ttl=600, lease_seconds=2)(slow)
    assert await backend.acquire(survivor.key_for(9), (), "other", 1, 1) is None  # still held
    assert await survivor(9) == "after"
    assert cache.stats.stored == 1
    await cache.clear()
    await cache.disconnect()
