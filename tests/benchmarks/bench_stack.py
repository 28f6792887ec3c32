"""Everything at once: what ``create_app`` puts around a route with every setting on."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from tests.benchmarks.bench_web import FullSettings, group_of
from tests.benchmarks.harness import Contender, Group
from tijolo.core import Environment
from tijolo.web import CSRFSettings, IdempotencySettings, create_app

_BODY = b'{"sku":"brick","count":3,"note":"x"}'
_HEADERS = [
    (b"host", b"shop.example"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0 Safari/537.36"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"accept-language", b"pt-BR,pt;q=0.9"),
    (b"connection", b"keep-alive"),
    (b"sec-fetch-site", b"same-origin"),
    (b"content-type", b"application/json"),
    (b"content-length", b"36"),
]
_SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.4"},
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "path": "/orders",
    "raw_path": b"/orders",
    "query_string": b"",
    "root_path": "",
    "client": ("203.0.113.9", 40000),
    "server": ("127.0.0.1", 8000),
}


class AllSettings(CSRFSettings, IdempotencySettings, FullSettings, env_file=None):
    """Request id, timing, headers, body limit, boundary, metrics, rate limit, CSRF, keys."""


class Order(BaseModel):
    """What the route takes and answers."""

    sku: str
    count: int
    note: str


def _with_routes(app: FastAPI) -> FastAPI:
    @app.post("/orders", status_code=201)
    async def create_order(order: Order) -> Order:
        return order

    @app.get("/orders")
    async def read_orders() -> dict[str, int]:
        return {"orders": 7}

    routes = app.router.routes
    routes[:0] = [routes.pop(), routes.pop()][::-1]  # before those that create_app added
    return app


def _everything() -> FastAPI:
    settings = AllSettings(
        ENVIRONMENT=Environment.PRODUCTION,
        HEALTH_PREFIX="",
        METRICS_ENABLED=True,
        METRICS_NETWORKS=("10.0.0.0/8",),
        RATE_LIMITS=["1000000/second"],
        IDEMPOTENCY_ENABLED=True,
        CSRF_SECRET="k3fJ0pZq9sVtXw2Yb7Rn5Lm8Hd4Gc6Ae",
    )
    return _with_routes(create_app(settings))


def _driver(app: FastAPI, method: str, *, keyed: bool = False) -> Callable[[int], Awaitable[None]]:
    numbers = itertools.count()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": _BODY, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            raise RuntimeError(f"answered {message['status']}")

    async def run(count: int) -> None:
        for _ in range(count):
            headers = list(_HEADERS)
            if keyed:
                headers.append((b"idempotency-key", b"%032x" % next(numbers)))
            scope = {**_SCOPE, "method": method, "headers": headers, "state": {}}
            await app(scope, receive, send)

    return run


def groups() -> list[Group]:
    """Rows 1.9 and 1.13; sessions, the seventh layer of those rows, are not there yet."""
    logging.getLogger("tijolo.web.access").setLevel(logging.WARNING)
    bare = _with_routes(FastAPI(openapi_url=None))
    return [
        group_of(
            row,
            title,
            Contender(name="FastAPI alone", run=_driver(bare, method), role="baseline"),
            Contender(
                name="create_app with all of it",
                run=_driver(_everything(), method, keyed=method == "POST"),
                goal=goal,
            ),
        )
        for row, title, method, goal in (
            ("1.9", "GET through every layer but sessions", "GET", 1.30),
            ("1.13", "POST through every layer but sessions, with a new key each", "POST", 1.35),
        )
    ]
