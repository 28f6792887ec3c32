from __future__ import annotations

import asyncio
import secrets
import sys
from contextlib import suppress

import pytest
import pytest_asyncio

from tijolo.cache import Cache, MemoryBackend, SQLiteBackend
from tijolo.cache.testing import ManualClock, RecordedEvents

BACKENDS = ["memory", "sqlite", pytest.param("redis", marks=pytest.mark.redis)]


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def events():
    return RecordedEvents()


@pytest.fixture
def namespace():
    return f"tijolo-test-{secrets.token_hex(6)}"


@pytest_asyncio.fixture(params=BACKENDS)
async def backend(request, tmp_path, redis_url):
    """Every backend in turn."""
    if request.param == "memory":
        made = MemoryBackend()
    elif request.param == "sqlite":
        made = SQLiteBackend(tmp_path / "cache.db", busy_seconds=5)
    else:
        pytest.importorskip("redis")
        from tijolo.cache import redis

        made = redis.RedisBackend(redis.AsyncRedisManager(redis_url))
    await made.connect()
    yield made
    await made.disconnect()


@pytest_asyncio.fixture
async def cache(backend, namespace, events):
    # a busy machine is no outage
    made = Cache(backend, namespace=namespace, observers=[events], timeout_seconds=30, jitter=0)
    yield made
    await made.clear()
    await made.disconnect()


@pytest_asyncio.fixture
async def memory(namespace, events, clock):
    """A cache in memory whose clock stands still."""
    made = Cache(
        MemoryBackend(clock=clock), namespace=namespace, observers=[events], clock=clock, jitter=0
    )
    yield made
    await made.disconnect()


class LosingProxy:
    """In front of a Redis: carries commands out, and loses the answers it was told to lose."""

    def __init__(self, host, port):
        self._target = (host, port)
        self.lose = None
        """A part of the command whose answer, once, is lost together with its connection."""
        self.lost = 0
        self._server = None
        self._serving = set()

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return f"redis://{host}:{port}/0"

    async def stop(self):
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader, writer):
        self._serving.add(asyncio.current_task())
        upstream_reader, upstream = await asyncio.open_connection(*self._target)
        try:
            while command := await reader.read(65_536):
                upstream.write(command)
                answer = await upstream_reader.read(65_536)
                if self.lose is not None and self.lose in command:
                    self.lose = None
                    self.lost += 1
                    return
                writer.write(answer)
        finally:
            for end in (writer, upstream):
                end.close()
                with suppress(OSError):
                    await end.wait_closed()


@pytest_asyncio.fixture
async def losing_proxy(own_redis):
    """``own_redis`` behind a proxy that loses answers; its address is ``proxy.url``."""
    proxy = LosingProxy("127.0.0.1", own_redis.port)
    proxy.url = await proxy.start()
    yield proxy
    await proxy.stop()


@pytest.fixture
def run_python(tmp_path):
    """Run a script in processes of their own, all at once; their standard output."""

    async def run(source, *argument_lists):
        script = tmp_path / f"script_{secrets.token_hex(4)}.py"
        await asyncio.to_thread(script.write_text, source)
        started = [
            await asyncio.create_subprocess_exec(
                sys.executable, str(script), *arguments, stdout=-1, stderr=-1
            )
            for arguments in argument_lists
        ]
        done = await asyncio.gather(*(p.communicate() for p in started))
        for process, (_, err) in zip(started, done, strict=True):
            assert process.returncode == 0, err.decode()
        return [out.decode() for out, _ in done]

    return run
