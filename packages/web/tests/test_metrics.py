"""Prometheus metrics of an application that ``create_app`` built, all layers counted."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

pytest.importorskip("prometheus_client")

from fastapi import APIRouter, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from tijolo.core import BaseAppSettings
from tijolo.observability.prometheus import Metrics, MetricsSettings, install_metrics
from tijolo.web import (
    CSRFSettings,
    IdempotencySettings,
    RateLimitSettings,
    RequestMetrics,
    WebSettings,
    create_app,
)

TOKEN = "k3fJ0pZq9sVtXw2Yb7Rn5Lm8Hd4Gc6Ae"


class Settings(
    MetricsSettings,
    RateLimitSettings,
    IdempotencySettings,
    WebSettings,
    BaseAppSettings,
    env_file=None,
):
    """What a service composes."""


class WithForms(CSRFSettings, Settings, env_file=None):
    """A service whose users are known by cookies."""


def router():
    routes = APIRouter()

    @routes.get("/items/{item_id}")
    async def item(item_id: int) -> int:
        return item_id

    @routes.post("/items")
    async def add(name: str) -> str:
        return name

    @routes.get("/broken")
    async def broken():
        raise ZeroDivisionError

    @routes.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts():
            yield b"a" * 1000
            await asyncio.sleep(0.05)
            yield b"b" * 1000

        return StreamingResponse(parts())

    @routes.get("/torn")
    async def torn() -> StreamingResponse:
        async def parts():
            yield b"a"
            raise ZeroDivisionError

        return StreamingResponse(parts())

    @routes.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()
        await socket.close()

    return routes


def make_app(metrics=None, **settings):
    kind = WithForms if "CSRF_SECRET" in settings else Settings
    chosen = kind(
        **{"ENVIRONMENT": "test", "METRICS_ENABLED": True, "METRICS_TOKEN": TOKEN, **settings}
    )
    return create_app(chosen, router(), metrics=metrics)


def scraped(client):
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(samples, name, **labels):
    return samples.get((name, *sorted(labels.items())), 0)


def requests(samples, route, status, method="GET"):
    return value(samples, "http_requests_total", method=method, route=route, status=str(status))


def test_every_answer_is_counted_once_also_those_of_the_outer_layers():
    app = make_app(REQUEST_BODY_MAX_BYTES=10, TRUSTED_HOSTS=["testserver"])
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/items/5").status_code == 200
        assert client.get("/items/6").status_code == 200
        assert client.get("/items/x").status_code == 422
        assert client.get("/nowhere").status_code == 404
        assert client.post("/items", content=b"x" * 100).status_code == 413
        assert client.get("/items/5", headers={"host": "evil.example"}).status_code == 400
        samples = scraped(client)
    assert requests(samples, "/items/{item_id}", 200) == 2
    assert requests(samples, "/items/{item_id}", 422) == 1
    assert requests(samples, "__unmatched__", 404) == 1
    assert requests(samples, "__unmatched__", 413, "POST") == 1
    assert requests(samples, "__unmatched__", 400) == 1
    assert value(samples, "http_requests_in_progress", method="GET") == 0
    assert not any("/metrics" in str(key) for key in samples)


def test_what_a_layer_answers_in_the_place_of_a_route_is_counted_there():
    mounted = FastAPI()

    @mounted.get("/deep/{name}")
    async def deep(name: str) -> str:
        return name

    app = make_app(
        RATE_LIMITS=["2/minute"],
        RATE_LIMIT_EXEMPT_PATHS=["/metrics", "/items"],
        IDEMPOTENCY_ENABLED=True,
        CSRF_SECRET=TOKEN,
        CSRF_EXCLUDE_PATHS=["/items"],
    )
    app.mount("/below", mounted)
    with TestClient(app) as client:
        for path in ("/items/1", "/items/2", "/items/3", "/below/deep/x", "/nowhere", "/items/x"):
            client.get(path)
        for key in ("a", "a", "b"):
            client.post("/items?name=x", headers={"Idempotency-Key": key})
        assert client.put("/items/7").status_code == 429
        assert client.post("/items?name=y", headers={"Idempotency-Key": "a"}).status_code == 422
        samples = scraped(client)
    assert requests(samples, "/items/{item_id}", 200) == 2
    assert requests(samples, "/items/{item_id}", 429) == 2
    assert requests(samples, "/below/deep/{name}", 429) == 1
    assert requests(samples, "__unmatched__", 429) == 1
    assert requests(samples, "/items", 200, "POST") == 3
    assert requests(samples, "/items", 422, "POST") == 1


def test_a_write_that_another_page_made_is_counted_at_its_route():
    app = make_app(CSRF_SECRET=TOKEN)
    with TestClient(app) as client:
        assert client.post("/items?name=x").status_code == 403
        samples = scraped(client)
    assert requests(samples, "/items", 403, "POST") == 1


def test_an_application_is_measured_once():
    app = make_app()
    settings = Settings(ENVIRONMENT="test", METRICS_ENABLED=True, METRICS_TOKEN=TOKEN)
    with pytest.raises(RuntimeError, match="has metrics already"):
        install_metrics(app, settings)
    own = FastAPI()
    install_metrics(own, settings)
    with pytest.raises(RuntimeError, match="has metrics already"):
        install_metrics(own, settings)


def test_what_the_error_boundary_answered_is_a_500_and_an_exception():
    with TestClient(make_app(), raise_server_exceptions=False) as client:
        assert client.get("/broken").status_code == 500
        with contextlib.suppress(Exception):
            client.get("/torn")
        samples = scraped(client)
    assert requests(samples, "/broken", 500) == 1
    for route in ("/broken", "/torn"):
        counted = value(
            samples,
            "http_exceptions_total",
            method="GET",
            route=route,
            exception="ZeroDivisionError",
        )
        assert counted == 1, route


def test_a_stream_is_measured_to_its_end_and_to_its_start():
    with TestClient(make_app()) as client:
        client.get("/stream")
        samples = scraped(client)
    labels = {"method": "GET", "route": "/stream"}
    whole = value(samples, "http_request_duration_seconds_sum", status="200", **labels)
    start = value(samples, "http_time_to_first_byte_seconds_sum", **labels)
    assert start < 0.05 <= whole
    assert value(samples, "http_response_size_bytes_sum", **labels) == 2000


def test_a_refused_caller_is_counted_too():
    app = make_app(RATE_LIMITS="1/hour", RATE_LIMIT_EXEMPT_PATHS="/metrics")
    with TestClient(app) as client:
        statuses = [client.get("/items/5").status_code for _ in range(3)]
        assert statuses == [200, 429, 429]
        samples = scraped(client)
    assert requests(samples, "/items/{item_id}", 429) == 2


def test_web_sockets_are_counted():
    with TestClient(make_app()) as client:
        with client.websocket_connect("/talk") as socket:
            assert value(scraped(client), "websocket_connections_in_progress", route="/talk") == 1
            socket.send_text("bye")
        samples = scraped(client)
    assert value(samples, "websocket_connections_in_progress", route="/talk") == 0


def test_the_service_counts_beside_its_requests():
    metrics = Metrics()
    orders = metrics.counter("orders_total", "Orders placed.", [])
    app = make_app(metrics)
    assert app.state.metrics is metrics
    with TestClient(app) as client:
        orders.inc()
        assert value(scraped(client), "orders_total") == 1


def test_without_the_settings_nothing_is_measured_and_nothing_is_shown():
    class Bare(WebSettings, BaseAppSettings, env_file=None):
        pass

    with TestClient(create_app(Bare(ENVIRONMENT="test"), router())) as client:
        assert client.get("/metrics").status_code == 404
    with TestClient(make_app(METRICS_ENABLED=False)) as client:
        assert client.get("/metrics").status_code == 404
        assert client.get("/items/5").status_code == 200


def test_metrics_that_nobody_could_see_are_refused():
    class Bare(WebSettings, BaseAppSettings, env_file=None):
        pass

    with pytest.raises(TypeError, match="MetricsSettings"):
        create_app(Bare(ENVIRONMENT="test"), metrics=Metrics())
    with pytest.raises(ValueError, match="METRICS_TOKEN"):
        make_app(METRICS_TOKEN=None)


def test_metrics_of_ones_own_fit_the_protocol():
    seen = []

    class Own:
        def begin(self, scope):
            return True

        def observe(self, scope, status, seconds, *rest):
            seen.append((scope["path"], status))

    from tijolo.web import EnvelopeMiddleware

    counting: RequestMetrics = Own()
    app = EnvelopeMiddleware(make_app(METRICS_ENABLED=False), metrics=counting)
    with TestClient(app) as client:
        client.get("/items/5")
    assert seen == [("/items/5", 200)]


def test_metrics_of_ones_own_that_fail_cost_neither_the_answer_nor_its_log(caplog):
    class Broken:
        def begin(self, scope):
            return True

        def observe(self, *details):
            raise ConnectionError("nobody takes the numbers")

    from tijolo.web import EnvelopeMiddleware

    app = EnvelopeMiddleware(make_app(METRICS_ENABLED=False), metrics=Broken())
    with caplog.at_level("INFO", logger="tijolo.web"), TestClient(app) as client:
        assert [client.get("/items/5").status_code for _ in range(3)] == [200] * 3
    assert [record.name for record in caplog.records].count("tijolo.web.access") == 3
    failures = [record for record in caplog.records if record.name == "tijolo.web.envelope"]
    assert len(failures) == 1
