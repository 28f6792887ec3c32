from __future__ import annotations

import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import closing, suppress

import pytest
import pytest_asyncio

from tijolo.core.testing.pytest_services import service_url
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


DATABASES = [
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


@pytest_asyncio.fixture(params=DATABASES)
async def database(request, tmp_path):
    """A connected manager of each database in turn, and the model of a table of its own."""
    pytest.importorskip("tijolo.db")
    pytest.importorskip("aiosqlite")
    from sqlalchemy import MetaData

    from tijolo.db import AsyncDatabaseManager
    from tijolo.sessions.db import make_session_model

    url = f"sqlite+aiosqlite:///{tmp_path}/sessions.db"
    if request.param != "sqlite":
        pytest.importorskip({"postgres": "asyncpg", "mariadb": "asyncmy"}[request.param])
        url = service_url(request.param)
    metadata = MetaData()
    model = make_session_model(tablename=f"s_{secrets.token_hex(6)}", metadata=metadata)
    # a busy machine is no outage; the stress tests have twenty at once
    patience = {"pool_timeout": 120, "lock_timeout": 120, "connect_timeout": 120}
    manager = AsyncDatabaseManager(
        url, environment="test", metadata=metadata, pool_size=24, **patience
    )
    await manager.connect()
    await manager.create_tables()
    yield manager, model
    await manager.drop_tables()
    await manager.disconnect()


@pytest_asyncio.fixture
async def database_store(clock, database):
    from tijolo.sessions.db import DatabaseSessionStore

    manager, model = database
    return DatabaseSessionStore(manager, model, clock=clock, max_data_bytes=1_000)


class OwnRedis:
    """A redis-server of one test's own, to stop, freeze and start again."""

    def __init__(self, folder, *options):
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = ["redis-server", "--port", str(self.port), "--save", "", "--dir", folder]
        self._command += options
        self._process = None

    def start(self):
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(1_000):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as s:
                s.sendall(b"PING\r\n")
                if s.recv(7) == b"+PONG\r\n":
                    return
            time.sleep(0.01)
        raise RuntimeError("redis-server did not start")

    def freeze(self):
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._process.send_signal(signal.SIGCONT)

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def make_redis(tmp_path):
    """Start a server with these options."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    pytest.importorskip("redis")
    servers = []

    def make(*options):
        servers.append(OwnRedis(str(tmp_path), *options))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.kill()
