from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import hypercorn.asyncio
import hypercorn.config
import pytest
import uvicorn

from tijolo.web import MemoryIdempotencyStore, MemoryRateLimitStore


@dataclass
class Exchange:
    """What an application sent in answer to one hand-made scope."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def starts(self) -> list[dict[str, Any]]:
        return [m for m in self.messages if m["type"] == "http.response.start"]

    @property
    def status(self) -> int:
        return self.starts[0]["status"]

    @property
    def headers(self) -> dict[str, str]:
        return {k.decode("latin-1"): v.decode("latin-1") for k, v in self.starts[0]["headers"]}

    @property
    def body(self) -> bytes:
        parts = (m for m in self.messages if m["type"] == "http.response.body")
        return b"".join(m.get("body", b"") for m in parts)

    def json(self) -> Any:
        return json.loads(self.body)


def http_scope(path: str = "/", method: str = "GET", **extra: Any) -> dict[str, Any]:
    headers = [
        (k.lower().encode(), v.encode("latin-1")) for k, v in extra.pop("headers", {}).items()
    ]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogatepass"),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("203.0.113.9", 4321),
        "server": ("127.0.0.1", 80),
        **extra,
    }


@pytest.fixture
def scope_of() -> Callable[..., dict[str, Any]]:
    return http_scope


@pytest.fixture
def exchange() -> Callable[..., Any]:
    """Drive an ASGI application by hand: (app, path or scope, body=[chunks], **scope)."""

    async def run(
        app: Any,
        path: str | dict[str, Any] = "/",
        *,
        body: list[bytes] | None = None,
        catch: bool = False,
        **extra: Any,
    ) -> Exchange:
        scope = path if isinstance(path, dict) else http_scope(path, **extra)
        chunks = list(body or [b""])
        made = Exchange()

        async def receive() -> dict[str, Any]:
            if not chunks:
                return {"type": "http.disconnect"}
            chunk = chunks.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

        async def send(message: dict[str, Any]) -> None:
            made.messages.append(message)

        try:
            await app(scope, receive, send)
        except Exception as exc:
            if not catch:
                raise
            made.error = exc
        return made

    return run


@pytest.fixture
def records() -> AsyncIterator[list[logging.LogRecord]]:
    """Every record that the web package logs, as it is logged."""
    kept: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record)

    logger, handler = logging.getLogger("tijolo.web"), Keep(logging.DEBUG)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield kept
    logger.removeHandler(handler)
    logger.setLevel(level)


@contextlib.asynccontextmanager
async def _uvicorn(app: Any, http: str) -> AsyncIterator[int]:
    config = uvicorn.Config(app, host="127.0.0.1", port=0, http=http, log_config=None, ws="none")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server._serve())
    while not server.started:
        if serving.done():
            serving.result()
        await asyncio.sleep(0.005)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def _hypercorn(app: Any) -> AsyncIterator[int]:
    config = hypercorn.config.Config()
    config.bind = ["127.0.0.1:0"]
    config.graceful_timeout = 1
    sockets = config.create_sockets()
    port = sockets.insecure_sockets[0].getsockname()[1]
    config.create_sockets = lambda: sockets  # type: ignore[method-assign]
    stop = asyncio.Event()
    serving = asyncio.create_task(hypercorn.asyncio.serve(app, config, shutdown_trigger=stop.wait))
    try:
        await _accepts(port, serving)
        yield port
    finally:
        stop.set()
        await serving


async def _accepts(port: int, serving: asyncio.Task[Any]) -> None:
    while True:
        if serving.done():
            serving.result()
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.005)
        else:
            writer.close()
            return


@pytest.fixture(params=["uvicorn-h11", "uvicorn-httptools", "hypercorn"])
def serve(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """(app) -> async context manager that serves it on a loopback port and yields the port."""
    name: str = request.param
    if name == "hypercorn":
        return _hypercorn
    return lambda app: _uvicorn(app, name.partition("-")[2])


# --- rate limits and idempotency keys


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def redis_connection(redis_url: str) -> AsyncIterator[Any]:
    """A client of the test server, and a prefix that this test alone uses."""
    asyncio_redis = pytest.importorskip("redis.asyncio")
    client = asyncio_redis.Redis.from_url(redis_url)
    prefix = f"tijolo-web-test:{uuid.uuid4().hex}:"
    yield client, prefix
    async for key in client.scan_iter(match=f"{prefix}*"):
        await client.delete(key)
    await client.aclose()


_STORES = ["memory", pytest.param("redis", marks=pytest.mark.redis)]


def _redis_module() -> Any:
    pytest.importorskip("redis")
    from tijolo.web import redis

    return redis


@pytest.fixture(params=_STORES)
def rate_limit_store(request: pytest.FixtureRequest) -> Any:
    if request.param == "memory":
        return MemoryRateLimitStore()
    module = _redis_module()
    client, prefix = request.getfixturevalue("redis_connection")
    return module.RedisRateLimitStore(client, prefix=prefix, timeout_seconds=5)


@pytest.fixture(params=_STORES)
def idempotency_store(request: pytest.FixtureRequest) -> Any:
    if request.param == "memory":
        return MemoryIdempotencyStore()
    module = _redis_module()
    client, prefix = request.getfixturevalue("redis_connection")
    return module.RedisIdempotencyStore(client, prefix=prefix, timeout_seconds=5)
