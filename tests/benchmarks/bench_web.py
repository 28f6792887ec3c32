"""One GET of a small FastAPI application, bare and behind this package's layers, in process.

Only the application's own CPU time counts: an ASGI driver calls it without a server, on the
thread's clock. Each contender has its own application, built the same way.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from tests.benchmarks.harness import Contender, Group
from tijolo.core import BaseAppSettings, Environment
from tijolo.observability.prometheus import MetricsSettings
from tijolo.web import (
    BodySizeLimitMiddleware,
    CORSSettings,
    RateLimitSettings,
    RequestIDMiddleware,
    RequestTimingMiddleware,
    SecurityHeadersMiddleware,
    WebSettings,
    create_app,
)

Scope = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]

_SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.4"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/items/7",
    "raw_path": b"/items/7",
    "query_string": b"",
    "root_path": "",
    "headers": [
        (b"host", b"shop.example"),
        (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0 Safari/537.36"),
        (b"accept", b"application/json"),
        (b"accept-encoding", b"gzip, deflate, br"),
        (b"accept-language", b"pt-BR,pt;q=0.9"),
        (b"connection", b"keep-alive"),
    ],
    "client": ("203.0.113.9", 40000),
    "server": ("127.0.0.1", 8000),
}


class Settings(WebSettings, CORSSettings, BaseAppSettings, env_file=None):
    """What a service composes."""


class FullSettings(MetricsSettings, RateLimitSettings, Settings, env_file=None):
    """With metrics and a rate limit."""


def _with_route(app: FastAPI) -> FastAPI:
    @app.get("/items/{item_id}")
    async def read_item(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    return app


def layered(*middleware: Middleware) -> FastAPI:
    return _with_route(FastAPI(openapi_url=None, middleware=list(middleware)))


def _default_stack(**settings: Any) -> FastAPI:
    chosen = Settings(ENVIRONMENT=Environment.PRODUCTION, HEALTH_PREFIX="", **settings)
    return _with_route(create_app(chosen))


def full_stack(**settings: Any) -> FastAPI:
    chosen = FullSettings(
        ENVIRONMENT=Environment.PRODUCTION,
        HEALTH_PREFIX="",
        METRICS_ENABLED=True,
        METRICS_NETWORKS=("10.0.0.0/8",),
        RATE_LIMITS=["1000000/second"],
        **settings,
    )
    app = _with_route(create_app(chosen))
    # create_app puts a service's own routes before /metrics: the router tries them in this order
    app.router.routes.insert(0, app.router.routes.pop())
    return app


def _best_of_breed() -> Contender:
    """Three functions of today's libraries: request id, metrics, rate limit."""
    from asgi_correlation_id import CorrelationIdMiddleware
    from prometheus_client import CollectorRegistry
    from prometheus_fastapi_instrumentator import Instrumentator
    from slowapi import Limiter
    from slowapi.middleware import SlowAPIASGIMiddleware
    from slowapi.util import get_remote_address

    app = layered(Middleware(CorrelationIdMiddleware), Middleware(SlowAPIASGIMiddleware))
    app.state.limiter = Limiter(key_func=get_remote_address, default_limits=["1000000/second"])
    Instrumentator(registry=CollectorRegistry()).instrument(app)
    return Contender(
        name="asgi-correlation-id, instrumentator, slowapi", run=_driver(app), role="peer"
    )


def _driver(app: App) -> Callable[[int], Awaitable[None]]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(f"answered {message['status']}")

    async def run(count: int) -> None:
        for _ in range(count):
            # state: what a server with lifespan support puts there
            await app({**_SCOPE, "state": {}}, receive, send)

    return run


def _subject(name: str, app: App, goal: float | None = None) -> Contender:
    return Contender(name=name, run=_driver(app), goal=goal)


def _group(row: str, title: str, *contenders: Contender) -> Group:
    bare = Contender(name="FastAPI alone", run=_driver(layered()), role="baseline")
    return group_of(row, title, bare, *contenders)


def group_of(row: str, title: str, *contenders: Contender) -> Group:
    """A group on the thread's own clock: nothing here waits for anybody."""
    return Group(
        row=row,
        title=title,
        contenders=list(contenders),
        rounds=120,
        slice_seconds=0.005,
        clock=time.thread_time,
    )


def _correlation_id() -> Contender:
    from asgi_correlation_id import CorrelationIdMiddleware

    app = layered(Middleware(CorrelationIdMiddleware))
    return Contender(name="asgi-correlation-id", run=_driver(app), role="peer")


def groups() -> list[Group]:
    """Rows 1.1, 1.4 and 1.5, and the default stack."""
    logging.getLogger("tijolo.web.access").setLevel(logging.WARNING)
    logged = _default_stack()
    return [
        _group(
            "1.1",
            "request id",
            _correlation_id(),
            _subject("RequestIDMiddleware", layered(Middleware(RequestIDMiddleware)), 1.08),
        ),
        _group(
            "1.4",
            "security headers",
            _subject(
                "SecurityHeadersMiddleware", layered(Middleware(SecurityHeadersMiddleware)), 1.05
            ),
        ),
        _group(
            "1.5",
            "body limit",
            _subject(
                "BodySizeLimitMiddleware",
                layered(Middleware(BodySizeLimitMiddleware, max_bytes=1_048_576)),
                1.04,
            ),
        ),
        _group(
            "1.8a",
            "default stack: request id, timing, security headers, body limit, error boundary",
            _subject("create_app", logged, 1.15),
            _subject(
                "timing alone", layered(Middleware(RequestTimingMiddleware, access_log=False))
            ),
            Contender(
                name="create_app, access log into a NullHandler",
                run=_logging_driver(_default_stack()),
            ),
        ),
        _group(
            "1.8",
            "the same with metrics and a rate limit",
            _best_of_breed(),
            _subject("create_app", full_stack(), 1.20),
            _subject("without Server-Timing", full_stack(TIMING_HEADER="none")),
        ),
    ]


def _logging_driver(app: App) -> Callable[[int], Awaitable[None]]:
    """The same with the access log on and its records thrown away."""
    logger = logging.getLogger("tijolo.web.access")
    drive = _driver(app)

    async def run(count: int) -> None:
        handler = logging.NullHandler()
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        try:
            await drive(count)
        finally:
            logger.setLevel(logging.WARNING)
            logger.propagate = True
            logger.removeHandler(handler)

    return run
