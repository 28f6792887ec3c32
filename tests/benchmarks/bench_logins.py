"""What eight logins at once do to everybody else, and how fast they are (row 2.7).

A server of its own; the p99 is that of a route that does nothing, called a hundred times a second
while eight clients log in one after another. Hashing in the event loop is what services do that
call bcrypt in an ``async def``.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

from tests.benchmarks.harness import Contender, Group
from tests.benchmarks.servers import free_port, wait_for

_CLIENTS = 8
_SECONDS = 2.0
_PAUSE_SECONDS = 0.01


class _Connection:
    """One kept-alive HTTP/1.1 connection, as cheap as it can be for who measures."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> None:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(f"GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{path} answered {head[:40]!r}")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


class _Server:
    """The application in a process of its own, and a clock of what was observed of it."""

    def __init__(self) -> None:
        self.spent = 0.0
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> float:
        return self.spent

    async def start(self) -> None:
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        command = [sys.executable, "-m", "uvicorn", "--factory", "tests.benchmarks.apps_logins:app"]
        command += ["--port", str(self.port), "--log-level", "warning", "--no-access-log"]
        self._process = subprocess.Popen(command)
        wait_for(self.port)

    async def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait, 10)

    async def p99_of_pings(self) -> float:
        connection, times = _Connection(self.port), list[float]()
        until = time.perf_counter() + _SECONDS
        while time.perf_counter() < until:
            started = time.perf_counter()
            await connection.get("/ping")
            times.append(time.perf_counter() - started)
            await asyncio.sleep(_PAUSE_SECONDS)
        connection.close()
        return sorted(times)[int(len(times) * 0.99)]

    async def during(self, path: str | None, observe: Callable[[], Awaitable[float]]) -> float:
        """What ``observe`` gives while the clients log in by ``path``; by None, while nobody does.

        Whoever waits for a login when it ends waits for it still: the next contender starts on an
        idle server.
        """
        leaving = asyncio.Event()

        async def log_in() -> None:
            with contextlib.closing(_Connection(self.port)) as connection:
                while path is not None and not leaving.is_set():
                    await connection.get(path)

        async with asyncio.TaskGroup() as clients:
            for _ in range(_CLIENTS):
                clients.create_task(log_in())
            await asyncio.sleep(0.1)
            seen = await observe()
            leaving.set()
        return seen

    def p99(self, path: str | None) -> Callable[[int], Awaitable[None]]:
        async def run(count: int) -> None:
            self.spent += count * await self.during(path, self.p99_of_pings)

        return run

    def login(self, path: str) -> Callable[[int], Awaitable[None]]:
        async def run(count: int) -> None:
            connections = [_Connection(self.port) for _ in range(_CLIENTS)]
            started = time.perf_counter()
            await asyncio.gather(*[connection.get(path) for connection in connections])
            self.spent += count * (time.perf_counter() - started) / _CLIENTS
            for connection in connections:
                connection.close()

        return run


_PLACES = {"/service": "tijolo HashService", "/loop": "in the loop", "/threads": "to_thread"}


def _group(server: _Server, title: str, contenders: list[Contender]) -> Group:
    return Group(
        row="2.7",
        title=title,
        clock=server,
        rounds=5,
        slice_seconds=1e-9,  # one observation a slice
        setup=server.start,
        teardown=server.stop,
        contenders=contenders,
    )


def groups() -> list[Group]:
    """Row 2.7: at most twice the idle p99, and no fewer logins a second than in the loop."""
    others, speed = _Server(), _Server()
    return [
        _group(
            others,
            "p99 of another route during 8 logins at once",
            [
                Contender(name="nobody logs in", role="baseline", run=others.p99(None)),
                Contender(name=_PLACES["/service"], goal=2.0, run=others.p99("/service")),
                Contender(name=_PLACES["/threads"], role="peer", run=others.p99("/threads")),
                Contender(name=_PLACES["/loop"], role="peer", run=others.p99("/loop")),
            ],
        ),
        _group(
            speed,
            "time of a login while 8 log in (bcrypt, cost 12)",
            [
                Contender(name=_PLACES["/loop"], role="baseline", run=speed.login("/loop")),
                Contender(name=_PLACES["/service"], goal=1.0, run=speed.login("/service")),
                Contender(name=_PLACES["/threads"], role="peer", run=speed.login("/threads")),
            ],
        ),
    ]
