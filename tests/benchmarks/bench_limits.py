"""Rate limits and idempotency keys around one small FastAPI route, in process.

As in ``bench_web``: an ASGI driver without a server, on the thread's CPU clock.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.middleware import Middleware
from starlette.requests import Request

from tests.benchmarks.harness import Contender, Group
from tijolo.web import IdempotencyMiddleware, MemoryIdempotencyStore, RateLimitMiddleware

Scope = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]

_HEADERS = [
    (b"host", b"shop.example"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0 Safari/537.36"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"accept-language", b"pt-BR,pt;q=0.9"),
    (b"connection", b"keep-alive"),
]
_GET: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.4"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/items/7",
    "raw_path": b"/items/7",
    "query_string": b"",
    "root_path": "",
    "headers": _HEADERS,
    "client": ("203.0.113.9", 40000),
    "server": ("127.0.0.1", 8000),
}
_BODY = b'{"sku":"brick","count":3,"note":"x"}'
_MANY = 1_000_000_000


class Order(BaseModel):
    """What the route takes and answers."""

    sku: str
    count: int
    note: str


def _app(*middleware: Middleware) -> FastAPI:
    app = FastAPI(openapi_url=None, middleware=list(middleware))

    @app.get("/items/{item_id}")
    async def read_item(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    return app


def _gets(app: App) -> Callable[[int], Awaitable[None]]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(f"answered {message['status']}")

    async def run(count: int) -> None:
        for _ in range(count):
            await app({**_GET, "state": {}}, receive, send)

    return run


def _orders(*middleware: Middleware) -> FastAPI:
    app = FastAPI(openapi_url=None, middleware=list(middleware))

    @app.post("/orders", status_code=201)
    async def create_order(order: Order) -> Order:
        return order

    return app


def _posts(app: App, *, keys: Iterator[bytes] | None = None) -> Callable[[int], Awaitable[None]]:
    """POST the same order, each time with the next of ``keys``."""
    headers = [*_HEADERS, (b"content-type", b"application/json"), (b"content-length", b"36")]
    scope = {**_GET, "method": "POST", "path": "/orders", "raw_path": b"/orders"}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": _BODY, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != 201:
            raise RuntimeError(f"answered {message['status']}")

    async def run(count: int) -> None:
        for _ in range(count):
            sent = headers if keys is None else [*headers, (b"idempotency-key", next(keys))]
            await app({**scope, "headers": sent, "state": {}}, receive, send)

    return run


def _uuids() -> Iterator[bytes]:
    return (b"%032x" % number for number in itertools.count())


def _group(row: str, title: str, *contenders: Contender) -> Group:
    return Group(
        row=row,
        title=title,
        contenders=list(contenders),
        rounds=120,
        slice_seconds=0.005,
        clock=time.thread_time,
    )


def _slowapi() -> Contender:
    from slowapi import Limiter
    from slowapi.util import get_remote_address

    limiter = Limiter(key_func=get_remote_address)
    app = FastAPI(openapi_url=None)
    app.state.limiter = limiter

    @app.get("/items/{item_id}")
    @limiter.limit(f"{_MANY}/day")
    async def read_item(request: Request, item_id: int) -> dict[str, int]:
        return {"id": item_id}

    return Contender(name="slowapi decorator", run=_gets(app), role="peer")


def _asgi_idempotency_header(keys: Iterator[bytes], name: str) -> Contender:
    from idempotency_header_middleware import IdempotencyHeaderMiddleware
    from idempotency_header_middleware.backends import MemoryBackend

    app = _orders(Middleware(IdempotencyHeaderMiddleware, backend=MemoryBackend()))
    return Contender(name=name, run=_posts(app, keys=keys), role="peer")


def _ours(keys: Iterator[bytes], name: str, goal: float) -> Contender:
    app = _orders(Middleware(IdempotencyMiddleware, store=MemoryIdempotencyStore()))
    return Contender(name=name, run=_posts(app, keys=keys), goal=goal)


def groups() -> list[Group]:
    """Rows 1.3, 1.11 and 1.12."""
    one = _app(Middleware(RateLimitMiddleware, limits=f"{_MANY}/day"))
    same = b"00000000-0000-4000-8000-000000000000"
    two = _app(Middleware(RateLimitMiddleware, limits=f"1000000/second, {_MANY}/day"))
    return [
        _group(
            "1.3",
            "rate limit in memory",
            Contender(name="FastAPI alone", run=_gets(_app()), role="baseline"),
            _slowapi(),
            Contender(name="RateLimitMiddleware, one limit", run=_gets(one), goal=1.08),
            Contender(name="RateLimitMiddleware, two limits", run=_gets(two)),
        ),
        _group(
            "1.11",
            "idempotency key, seen for the first time",
            Contender(name="FastAPI alone", run=_posts(_orders()), role="baseline"),
            _asgi_idempotency_header(_uuids(), "asgi-idempotency-header"),
            _ours(_uuids(), "IdempotencyMiddleware", 1.12),
        ),
        _group(
            "1.12",
            "idempotency key, answer replayed",
            Contender(name="FastAPI alone", run=_posts(_orders()), role="baseline"),
            _asgi_idempotency_header(itertools.repeat(same), "asgi-idempotency-header"),
            _ours(itertools.repeat(same), "IdempotencyMiddleware", 0.13),
        ),
    ]
