"""Row 1.2: what measuring one request costs. Row 7.2: what a scrape of 1,000 label sets costs.

CPU time of the event loop's thread: what a scrape does in a thread of its own is shown apart.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Histogram as ClientHistogram
from starlette.middleware import Middleware

from tests.benchmarks.harness import Contender, Group
from tijolo.core import OpsAccess
from tijolo.observability.prometheus import (
    DEFAULT_LATENCY_BUCKETS,
    Metrics,
    PrometheusMiddleware,
    make_metrics_router,
)

LABEL_SETS = 1_000
_LABELS = ["method", "route", "status"]
_OPENMETRICS = "application/openmetrics-text"


def groups() -> list[Group]:
    """Both rows, and the work that row 7.2 moves out of the event loop."""
    client, ours = _client_registry(), _filled_metrics()
    return [
        Group(
            row="1.2",
            title="metrics of one GET",
            contenders=[
                Contender(name="FastAPI alone", run=_get(_service()), role="baseline"),
                _instrumentator(),
                _measured("PrometheusMiddleware", goal=1.10),
                _measured("PrometheusMiddleware, traffic only", groups=["traffic"]),
            ],
            rounds=120,
            slice_seconds=0.005,
            clock=time.thread_time,
        ),
        Group(
            row="7.2",
            title="a scrape of 1,000 histograms, as the event loop sees it",
            contenders=[
                _generate_latest(client),
                Contender(name="make_metrics_router, text", run=_scrape(ours, ""), goal=0.05),
                Contender(
                    name="make_metrics_router, OpenMetrics",
                    run=_scrape(ours, _OPENMETRICS),
                    goal=0.05,
                ),
            ],
            rounds=10,
            slice_seconds=0.2,
            clock=time.thread_time,
        ),
        Group(
            row="7.2a",
            title="the same, all of its work",
            contenders=[
                _generate_latest(client),
                Contender(name="Metrics.render, text", run=_render(ours, ""), goal=0.05),
                Contender(name="Metrics.render, OpenMetrics", run=_render(ours, _OPENMETRICS)),
            ],
            rounds=10,
            slice_seconds=0.2,
            clock=time.thread_time,
        ),
    ]


def _service(*middleware: Middleware) -> FastAPI:
    app = FastAPI(openapi_url=None, middleware=list(middleware))

    @app.get("/items/{item_id}")
    async def read_item(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    return app


def _measured(name: str, goal: float | None = None, **options: Any) -> Contender:
    app = _service(Middleware(PrometheusMiddleware, metrics=Metrics(), **options))
    return Contender(name=name, run=_get(app), goal=goal)


def _instrumentator() -> Contender:
    from prometheus_fastapi_instrumentator import Instrumentator

    app = _service()
    Instrumentator(registry=CollectorRegistry()).instrument(app)
    return Contender(name="prometheus-fastapi-instrumentator", run=_get(app), role="peer")


def _get(
    app: FastAPI, path: str = "/items/7", accept: str = "application/json"
) -> Callable[[int], Awaitable[None]]:
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"shop.example"), (b"accept", accept.encode())],
        "client": ("203.0.113.9", 40000),
        "server": ("127.0.0.1", 8000),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(f"answered {message['status']}")

    async def run(count: int) -> None:
        for _ in range(count):
            await app({**scope, "state": {}}, receive, send)

    return run


def _label_values(number: int) -> tuple[str, str, str]:
    return "GET", f"/api/v1/resources{number}/{{id}}", "200"


def _client_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    name, buckets = "http_request_duration_seconds", DEFAULT_LATENCY_BUCKETS
    family = ClientHistogram(name, "Time.", _LABELS, registry=registry, buckets=buckets)
    for number in range(LABEL_SETS):
        family.labels(*_label_values(number)).observe(number / 100)
    return registry


def _filled_metrics() -> Metrics:
    metrics = Metrics(CollectorRegistry())
    family = metrics.histogram("http_request_duration_seconds", "Time.", _LABELS)
    for number in range(LABEL_SETS):
        family.labels(*_label_values(number)).observe(number / 100)
    return metrics


def _generate_latest(registry: CollectorRegistry) -> Contender:
    def run(count: int) -> None:
        for _ in range(count):
            generate_latest(registry)

    return Contender(name="prometheus_client.generate_latest", run=run, role="baseline")


def _render(metrics: Metrics, accept: str) -> Callable[[int], None]:
    def run(count: int) -> None:
        for _ in range(count):
            metrics.render(accept=accept)

    return run


def _scrape(metrics: Metrics, accept: str) -> Callable[[int], Awaitable[None]]:
    app = FastAPI(openapi_url=None)
    app.include_router(
        make_metrics_router(metrics, access=OpsAccess(allow_anonymous=True), compress=False)
    )
    return _get(app, "/metrics", accept)
