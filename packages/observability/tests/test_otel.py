"""Traces: one span a request, with the request id of the logs, redacted and bounded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

pytest.importorskip("opentelemetry.sdk")
pytest.importorskip("fastapi.telemetry")

from fastapi import FastAPI, WebSocket
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

from tijolo.core import clear_request_id, set_request_id
from tijolo.core.testing import assert_settings_read
from tijolo.observability import (
    JSONFormatter,
    TracingSettings,
    setup_tracing_from_settings,
)
from tijolo.observability.otel import (
    REQUEST_ID_ATTRIBUTE,
    RequestIDSpanMiddleware,
    SpanRecorder,
    exporting_at_once,
    instrument,
    setup_tracing,
    uninstrument,
)

REMOTE = "00-11111111111111111111111111111111-2222222222222222-01"


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter):
    tracing = setup_tracing("shop", processors=[exporting_at_once(exporter)], set_global=False)
    yield tracing
    tracing.shutdown()


class RequestID:
    """What tijolo.web does, in short."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        token = set_request_id("request-1")
        try:
            await self.app(scope, receive, send)
        finally:
            clear_request_id(token)


def service(tracing, *, id_outside=True):
    app = FastAPI(telemetry=tracing.fastapi)
    lines = []

    class Sink(logging.Handler):
        def emit(self, record):
            lines.append(json.loads(self.format(record)))

    sink = Sink()
    sink.setFormatter(JSONFormatter())
    logger = logging.Logger("shop")
    logger.addHandler(sink)

    @app.get("/orders/{number}")
    async def read_order(number: int) -> dict[str, int]:
        logger.info("order read")
        with tracing.provider.get_tracer("shop").start_as_current_span("price"):
            return {"number": number}

    @app.get("/broken")
    async def broken() -> None:
        raise ValueError("password=hunter2")

    @app.websocket("/feed")
    async def feed(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    if not id_outside:
        app.add_middleware(RequestID)
    instrument(tracing, app=app)
    if id_outside:
        app.add_middleware(RequestID)
    return app, lines


async def get(app, path, **headers):
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        return await client.get(path, headers=headers)


def one(exporter, kind=SpanKind.SERVER):
    (span,) = [span for span in exporter.get_finished_spans() if span.kind is kind]
    return span


@pytest.mark.parametrize("id_outside", [True, False])
async def test_a_request_is_one_span_with_the_id_that_its_logs_have(tracing, exporter, id_outside):
    app, lines = service(tracing, id_outside=id_outside)

    await get(app, "/orders/5")

    span = one(exporter)
    (price,) = [span for span in exporter.get_finished_spans() if span.name == "price"]
    assert span.name == "GET /orders/{number}"
    assert span.attributes["http.route"] == "/orders/{number}"
    assert span.attributes[REQUEST_ID_ATTRIBUTE] == "request-1"
    assert price.attributes[REQUEST_ID_ATTRIBUTE] == "request-1"
    assert price.parent.span_id == span.context.span_id
    assert lines[0]["request_id"] == "request-1"
    assert lines[0]["trace_id"] == f"{span.context.trace_id:032x}"
    assert len(exporter.get_finished_spans()) == 2


async def test_a_request_that_fails_has_its_id_too_and_no_secret(tracing, exporter):
    app, _ = service(tracing)

    answer = await get(app, "/broken?code=abc&page=2")

    span = one(exporter)
    assert (answer.status_code, span.status.status_code) == (500, StatusCode.ERROR)
    assert span.attributes[REQUEST_ID_ATTRIBUTE] == "request-1"
    assert span.attributes["url.query"] == "code=***&page=2"
    assert "hunter2" not in span.to_json()


async def test_messages_that_nobody_knows_pass_through():
    seen = []

    async def app(scope, receive, send):
        await send({"type": "http.response.early_hint", "links": []})
        await send({"type": "something.new"})

    middleware = RequestIDSpanMiddleware(app)

    async def send(message):
        seen.append(message["type"])

    for kind in ("http", "websocket", "lifespan"):
        await middleware({"type": kind}, None, send)
    assert seen == ["http.response.early_hint", "something.new"] * 3


async def test_a_web_socket_has_its_id(tracing, exporter):
    app, _ = service(tracing, id_outside=False)
    scope = {
        "type": "websocket",
        "path": "/feed",
        "raw_path": b"/feed",
        "query_string": b"",
        "headers": [],
        "subprotocols": [],
        "server": ("shop", 80),
        "scheme": "ws",
        "asgi": {"version": "3.0"},
    }
    messages = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}])

    async def receive():
        return next(messages)

    async def send(message):
        pass

    await app(scope, receive, send)

    assert one(exporter).attributes[REQUEST_ID_ATTRIBUTE] == "request-1"


async def test_what_leaves_is_redacted_and_what_matters_stays(tracing, exporter):
    tracer = tracing.provider.get_tracer("shop")

    def fail():
        raise ValueError("cannot reach postgresql://app:hunter2@db")

    with contextlib.suppress(ValueError), tracer.start_as_current_span("pay") as span:
        span.set_attributes(
            {
                "url.full": "https://app:hunter2@bank/pay?code=hunter2",
                "db_password": "hunter2",
                "items": ["token=hunter2", "plain"],
                "count": 5,
                "tokens": 7,
            }
        )
        span.add_event("token=hunter2", {"authorization": "hunter2"})
        fail()

    (found,) = exporter.get_finished_spans()
    assert "hunter2" not in found.to_json()
    assert found.attributes["url.full"] == "https://***@bank/pay?code=***"
    assert tuple(found.attributes["items"]) == ("token=***", "plain")
    assert (found.attributes["count"], found.attributes["tokens"]) == (5, 7)
    assert found.status.description == "ValueError: cannot reach postgresql://***@db"
    assert [event.name for event in found.events] == ["token=***", "exception"]
    assert found.resource.attributes["service.name"] == "shop"
    assert found.instrumentation_scope.name == "shop"


@pytest.mark.parametrize(
    ("ratio", "trust", "headers", "recorded"),
    [
        (0.0, True, {}, 0),
        (1.0, True, {}, 1),
        (0.0, True, {"traceparent": REMOTE}, 1),
        (0.0, False, {"traceparent": REMOTE}, 0),
        (1.0, False, {"traceparent": REMOTE[:-1] + "0"}, 1),
        (1.0, True, {"traceparent": REMOTE[:-1] + "0"}, 0),
        (1.0, True, {"traceparent": "garbage"}, 1),
    ],
)
async def test_sampling_follows_the_ratio_and_whom_it_trusts(
    exporter, ratio, trust, headers, recorded
):
    tracing = setup_tracing(
        "shop",
        sample_ratio=ratio,
        trust_remote_sampling=trust,
        processors=[exporting_at_once(exporter)],
        set_global=False,
    )
    app, lines = service(tracing)

    await get(app, "/orders/5", **headers)
    tracing.shutdown()

    assert len([s for s in exporter.get_finished_spans() if s.kind is SpanKind.SERVER]) == recorded
    assert len(lines[0]["trace_id"]) == 32  # also of what is not recorded
    if headers.get("traceparent", "").startswith("00"):
        assert lines[0]["trace_id"] == "1" * 32


class Stuck(SpanExporter):
    """A collector that never answers."""

    def __init__(self):
        self.release = threading.Event()
        self.taken = 0
        self.done = threading.Event()

    def shutdown(self):
        self.done.set()

    def export(self, spans):
        self.release.wait(20)
        self.taken += len(spans)
        return SpanExportResult.SUCCESS


def test_a_collector_that_hangs_holds_neither_spans_nor_the_shutdown():
    exporter = Stuck()
    tracing = setup_tracing("shop", exporter=exporter, queue_size=10, set_global=False)
    tracer = tracing.provider.get_tracer("shop")
    began = time.monotonic()

    for _ in range(1000):
        tracer.start_span("work").end()
    assert tracing.flush(0.05) is False
    assert tracing.shutdown(0.05) is False

    assert time.monotonic() - began < 10
    exporter.release.set()
    assert exporter.done.wait(10)
    assert exporter.taken <= 20
    assert tracing.shutdown() is True


async def test_the_end_of_the_service_exports_what_waits(exporter):
    tracing = setup_tracing("shop", exporter=exporter, set_global=False)
    await tracing.connect()
    assert await tracing.health_check()
    tracing.provider.get_tracer("shop").start_span("work").end()

    await tracing.disconnect()
    await tracing.disconnect()

    assert [span.name for span in exporter.get_finished_spans()] == ["work"]


def test_flush_exports_what_waits(exporter):
    tracing = setup_tracing("shop", exporter=exporter, set_global=False)
    tracing.provider.get_tracer("shop").start_span("work").end()
    assert tracing.flush() is True
    assert len(exporter.get_finished_spans()) == 1
    assert tracing.shutdown() is True


@pytest.fixture
def traced(tracing):
    """instrument(...) that is undone."""
    done = []

    def start(*libraries, **options):
        done.extend(libraries)
        instrument(tracing, *libraries, **options)

    yield start
    uninstrument(*done)


def test_sql_is_traced_without_its_values(tracing, exporter, traced, caplog):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    pytest.importorskip("opentelemetry.instrumentation.sqlalchemy")
    before = sqlalchemy.create_engine("sqlite://")
    traced("sqlalchemy", engines=[before])
    traced("sqlalchemy")  # a second time changes nothing
    later = sqlalchemy.create_engine("sqlite://")

    with tracing.provider.get_tracer("shop").start_as_current_span("request") as parent:
        for engine in (before, later):
            with engine.connect() as connection:
                connection.execute(sqlalchemy.text("SELECT :name"), {"name": "hunter2"})
            engine.dispose()

    assert caplog.messages == []
    found = [span for span in exporter.get_finished_spans() if span.name.startswith("SELECT")]
    assert len(found) == 2
    for span in found:
        assert span.context.trace_id == parent.get_span_context().trace_id
        assert "hunter2" not in span.to_json()


async def test_calls_by_httpx_carry_the_trace_on(tracing, exporter, traced):
    pytest.importorskip("opentelemetry.instrumentation.httpx")
    traced("httpx")
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers["traceparent"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with serving(Handler) as address:
        async with httpx.AsyncClient() as client:
            await client.get(f"{address}/pay?token=hunter2")

    span = one(exporter, SpanKind.CLIENT)
    assert seen[0].split("-")[1:3] == [
        f"{span.context.trace_id:032x}",
        f"{span.context.span_id:016x}",
    ]
    assert "hunter2" not in span.to_json()


@pytest.mark.redis
async def test_commands_to_redis_are_traced_without_their_values(
    tracing, exporter, traced, redis_url
):
    redis = pytest.importorskip("redis.asyncio")
    pytest.importorskip("opentelemetry.instrumentation.redis")
    traced("redis")

    client = redis.Redis.from_url(redis_url)
    await client.set("tijolo-otel-test", "hunter2", ex=5)
    await client.aclose()

    spans = exporter.get_finished_spans()
    assert "SET" in {span.name for span in spans}
    assert all("hunter2" not in span.to_json() for span in spans)


def test_a_missing_instrumentation_is_named_with_its_command(tracing, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.redis", None)

    with pytest.raises(ImportError, match="install --upgrade opentelemetry-instrumentation-redis"):
        instrument(tracing, "redis")


def test_mistakes_are_told(tracing):
    with pytest.raises(ValueError, match="'mongo'; there are: httpx"):
        instrument(tracing, "mongo")
    with pytest.raises(ValueError, match="engines are traced by 'sqlalchemy'"):
        instrument(tracing, engines=[object()])
    for options in ({"sample_ratio": 2}, {"queue_size": 0}, {"export_timeout_seconds": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            setup_tracing("shop", set_global=False, **options)
    with pytest.raises(ValueError, match="service_name"):
        setup_tracing("", set_global=False)


def test_a_recorder_keeps_the_newest():
    recorder = SpanRecorder(capacity=3)
    tracing = setup_tracing("shop", processors=[recorder], set_global=False)
    for number in range(5):
        tracing.provider.get_tracer("shop").start_span(f"span {number}").end()

    assert [span.name for span in recorder.spans] == ["span 2", "span 3", "span 4"]
    assert len(recorder.named("span 3")) == 1
    recorder.clear()
    assert recorder.spans == []
    tracing.shutdown()


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_extra_is_needed_for_its_module_alone():
    done = run_python(
        "import sys\n"
        "sys.modules['opentelemetry.sdk'] = None\n"
        "import tijolo.observability\n"
        "import tijolo.observability.otel\n"
    )
    assert 'pip install "tijolo-observability[otel]"' in done.stderr
    assert "MissingExtraError" in done.stderr


def test_importing_the_package_does_not_import_the_sdk():
    done = run_python(
        "import sys, tijolo.observability\n"
        "print(*[name for name in sys.modules if 'opentelemetry.sdk' in name])"
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_a_second_global_provider_is_refused():
    done = run_python(
        "from opentelemetry import trace\n"
        "from tijolo.observability.otel import setup_tracing\n"
        "first = setup_tracing('shop')\n"
        "assert trace.get_tracer_provider() is first.provider\n"
        "try:\n"
        "    setup_tracing('shop')\n"
        "except RuntimeError as exc:\n"
        "    print(exc)\n"
    )
    assert "another tracer provider already" in done.stdout


class serving:  # noqa: N801 - reads as a verb
    """An HTTP server on a free port."""

    def __init__(self, handler):
        self.server = HTTPServer(("127.0.0.1", 0), handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *exc_info):
        self.server.shutdown()
        self.server.server_close()


def test_settings_lead_to_the_collector(monkeypatch):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    monkeypatch.setattr("tijolo.observability.otel._make_global", lambda provider: None)
    seen = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            seen.append((self.path, self.headers["authorization"], body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with serving(Collector) as address:
        settings = TracingSettings(
            TRACING_ENABLED=True,
            TRACING_SERVICE_NAME="shop-of-the-test",
            TRACING_OTLP_ENDPOINT=f"{address}/v1/traces",
            TRACING_OTLP_AUTHORIZATION="Bearer collector-token",
        )
        with assert_settings_read(TracingSettings, by="tijolo.observability"):
            tracing = setup_tracing_from_settings(settings)
        tracing.provider.get_tracer("shop").start_span("work").end()
        assert tracing.shutdown()

    ((path, authorization, _),) = seen
    assert (path, authorization) == ("/v1/traces", "Bearer collector-token")
    assert "collector-token" not in repr(settings)


def test_tracing_that_is_off_needs_nothing():
    assert setup_tracing_from_settings(TracingSettings()) is None
    with pytest.raises(ValueError, match="TRACING_SAMPLE_RATIO"):
        TracingSettings(TRACING_SAMPLE_RATIO=2)


def test_an_endpoint_that_is_no_url_is_refused():
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    from tijolo.observability.otlp import otlp_exporter

    with pytest.raises(ValueError, match="endpoint must be a URL"):
        otlp_exporter("collector:4318")


async def test_many_requests_at_once_keep_their_ids_apart(tracing, exporter):
    app = FastAPI(telemetry=tracing.fastapi)

    @app.get("/{number}")
    async def read(number: str) -> None:
        set_request_id(f"request-{number}")
        await asyncio.sleep(0)

    instrument(tracing, app=app)
    await asyncio.gather(*[get(app, f"/{number}") for number in range(50)])

    for span in exporter.get_finished_spans():
        number = span.attributes["url.path"].removeprefix("/")
        assert span.attributes[REQUEST_ID_ATTRIBUTE] == f"request-{number}"
    assert len(exporter.get_finished_spans()) == 50


def test_a_secret_is_hidden_whatever_its_type_and_wherever_it_stands(tracing, exporter):
    other = SpanContext(1, 2, is_remote=True)
    links = [Link(other, {"password": "hunter2", "note": "token=hunter2", "kept": "a"})]
    tracer = tracing.provider.get_tracer("shop")
    with tracer.start_as_current_span("pay", links=links) as span:
        span.set_attributes({"otp": 123456, "card_pin": [1, 2], "password": b"hunter2"})
        span.set_attributes({"max_tokens": 5, "has_token": True, "ids": [1, 2]})
        span.add_event("typed", {"pin": 1234})

    (span,) = exporter.get_finished_spans()
    hidden = [span.attributes[name] for name in ("otp", "card_pin", "password")]
    assert hidden == ["***"] * 3
    kept = {name: span.attributes[name] for name in ("max_tokens", "has_token", "ids")}
    assert kept == {"max_tokens": 5, "has_token": True, "ids": [1, 2]}
    assert span.events[0].attributes["pin"] == "***"
    (link,) = span.links
    assert link.context == other
    assert dict(link.attributes) == {"password": "***", "note": "token=***", "kept": "a"}
