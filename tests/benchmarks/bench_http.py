"""One GET through HTTPClient, against bare httpx over the same transport, in process.

The transport answers at once, so what is measured is the client alone: building the request, the
circuit, the budget, the deadline, the bounded body and the log line that nobody reads.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

import httpx

from tests.benchmarks.harness import Contender, Group
from tijolo.http import BearerAuth, Circuit, HTTPClient
from tijolo.http import stability as sp

_BODY = b'{"id": 7, "name": "caneta"}'
_URL = "https://api.example.com/items/7"


class _Instant(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200,
            headers=[(b"content-type", b"application/json"), (b"content-length", b"27")],
            stream=httpx.ByteStream(_BODY),
        )


def _httpx(url: str, **options: object) -> Callable[[int], Awaitable[None]]:
    client = httpx.AsyncClient(transport=_Instant(), **options)  # type: ignore[arg-type]

    async def run(count: int) -> None:
        for _ in range(count):
            response = await client.get(url)
            if response.status_code != 200:
                raise RuntimeError(f"answered {response.status_code}")

    return run


def _tijolo(url: str, **options: object) -> Callable[[int], Awaitable[None]]:
    client = HTTPClient(transport=_Instant(), **options)  # type: ignore[arg-type]

    async def run(count: int) -> None:
        for _ in range(count):
            response = await client.get(url)
            if response.status_code != 200:
                raise RuntimeError(f"answered {response.status_code}")

    return run


async def _nothing() -> None: ...


def _calls(func: Callable[[], Awaitable[None]]) -> Callable[[int], Awaitable[None]]:
    async def run(count: int) -> None:
        for _ in range(count):
            await func()

    return run


def _permits() -> Callable[[int], None]:
    circuit = Circuit("bench")

    def run(count: int) -> None:
        for _ in range(count):
            circuit.acquire().success()

    return run


def groups() -> list[Group]:
    """The client, and the patterns on a coroutine that does nothing."""
    for name in ("httpx", "tijolo.http"):
        logging.getLogger(name).setLevel(logging.WARNING)
    base = "https://api.example.com"
    return [
        Group(
            row="http.1",
            title="one GET, transport that answers at once",
            contenders=[
                Contender(name="httpx.AsyncClient", run=_httpx(_URL), role="baseline"),
                Contender(name="HTTPClient", run=_tijolo(_URL), goal=1.0),
                Contender(
                    name="HTTPClient, base URL and bearer token",
                    run=_tijolo("/items/7", base_url=base, auth=BearerAuth("t")),
                    goal=1.3,
                ),
            ],
            rounds=80,
            slice_seconds=0.01,
            clock=time.thread_time,
        ),
        Group(
            row="http.2",
            title="patterns on a coroutine that does nothing",
            contenders=[
                Contender(name="alone", run=_calls(_nothing), role="baseline"),
                Contender(name="Circuit, acquire and success", run=_permits()),
                Contender(name="CircuitBreaker", run=_calls(sp.CircuitBreaker()(_nothing))),
                Contender(name="Timeout", run=_calls(sp.Timeout()(_nothing))),
                Contender(name="RetryPattern", run=_calls(sp.RetryPattern()(_nothing))),
                Contender(name="Throttling", run=_calls(sp.Throttling(1e9)(_nothing))),
                Contender(name="Bulkhead", run=_calls(sp.Bulkhead()(_nothing))),
            ],
            rounds=40,
            slice_seconds=0.005,
            clock=time.thread_time,
        ),
    ]
