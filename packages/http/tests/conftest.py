"""A server on a real socket that fails in every way, and what else the tests share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import trustme
import uvicorn

Handler = Callable[["Received", asyncio.StreamReader, "Answer"], Awaitable[None]]


@dataclass
class Received:
    """One request, as its bytes were read."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


class Answer:
    """What a handler sends, byte by byte if it likes."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.closed = False

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def reset(self) -> None:
        """Close with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self.closed = True
        self.writer.close()


@dataclass
class FailingServer:
    """HTTP/1.1 on loopback; each path answers as its handler says, requests are kept."""

    scheme: str = "http"
    host: str = "127.0.0.1"
    port: int = 0
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    handlers: dict[str, Handler] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def on(self, path: str) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.handlers[path] = handler
            return handler

        return register

    def answers(self, path: str, *answers: tuple[int, bytes, dict[str, str]] | int) -> None:
        """Give these in turn, the last for ever."""
        left = list(answers)

        async def handler(_r: Received, _in: asyncio.StreamReader, out: Answer) -> None:
            answer = left.pop(0) if len(left) > 1 else left[0]
            status, body, headers = answer if isinstance(answer, tuple) else (answer, b"", {})
            await out.send(status, body, **headers)

        self.handlers[path] = handler

    async def arrived(self, count: int) -> None:
        """Wait until there were that many requests."""
        async with asyncio.timeout(20):
            while len(self.requests) < count:
                self._news.clear()
                await self._news.wait()

    async def start(self, context: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        number, out = self.connections, Answer(writer)
        try:
            while not out.closed and (received := await self._read(reader, number)) is not None:
                self.requests.append(received)
                self._news.set()
                handler = self.handlers.get(received.path, _ok)
                await handler(received, reader, out)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    @staticmethod
    async def _read(reader: asyncio.StreamReader, number: int) -> Received | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.rstrip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readline(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        else:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Received(method, target, headers, body, number)


async def _ok(received: Received, _in: asyncio.StreamReader, out: Answer) -> None:
    await out.send(200, b"" if received.method == "HEAD" else b"ok")


@pytest.fixture
async def server() -> AsyncIterator[FailingServer]:
    """A server on plain HTTP."""
    made = FailingServer()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def other_server() -> AsyncIterator[FailingServer]:
    """A second one: another origin."""
    made = FailingServer()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """A client's context that trusts the tests' authority alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


@pytest.fixture
async def tls_server() -> AsyncIterator[Callable[..., Awaitable[FailingServer]]]:
    """(certificate, host) -> a server on TLS with that certificate."""
    made: list[FailingServer] = []

    async def start(certificate: trustme.LeafCert, host: str = "localhost") -> FailingServer:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        server = FailingServer(scheme="https", host=host)
        await server.start(context)
        made.append(server)
        return server

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, _context: None)  # clients that break TLS off
    yield start
    for server in made:
        await server.stop()


@pytest.fixture
def serve() -> Callable[[Any], contextlib.AbstractAsyncContextManager[str]]:
    """(ASGI application) -> async context manager that serves it under uvicorn: its URL."""

    @contextlib.asynccontextmanager
    async def serving(app: Any) -> AsyncIterator[str]:
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, ws="none")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server._serve())
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            await task

    return serving


class Clock:
    """Monotonic seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """Every record of the package, as it is logged."""
    kept: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record)

    logger, handler = logging.getLogger("tijolo.http"), Keep(logging.DEBUG)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield kept
    logger.removeHandler(handler)
    logger.setLevel(level)
