"""OpenTelemetry traces that share the request id with the logs. Needs the extra `otel`.

FastAPI makes the spans of requests itself (`FastAPI(telemetry=...)`), and the instrumentations of
OpenTelemetry those of SQLAlchemy, httpx and Redis. This module sets up what they report to.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tijolo.core import MissingExtraError, get_request_id
from tijolo.observability.redaction import DEFAULT_REDACTOR, REDACTED, Redactor

try:
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import (
        BatchSpanProcessor,
        SimpleSpanProcessor,
        SpanExporter,
        SpanExportResult,
    )
    from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased
    from opentelemetry.trace import Link, Status
except ImportError as exc:
    raise MissingExtraError("tijolo-observability", "otel", "opentelemetry-sdk") from exc

if TYPE_CHECKING:
    from opentelemetry.context import Context

REQUEST_ID_ATTRIBUTE = "tijolo.request_id"
"""Span attribute with the request id that the logs have."""

_QUERIES = frozenset(("url.query", "http.query"))
_INSTRUMENTATIONS = {
    "httpx": ("httpx", "HTTPXClientInstrumentor"),
    "httpx2": ("httpx", "HTTPX2ClientInstrumentor"),
    "redis": ("redis", "RedisInstrumentor"),
    "sqlalchemy": ("sqlalchemy", "SQLAlchemyInstrumentor"),
}


class Tracing:
    """What spans are reported to. A `Resource` of `tijolo.core`: put it first into the lifecycle,
    so that it is closed last.

    Made by `setup_tracing`.
    """

    def __init__(self, provider: TracerProvider, *, shutdown_timeout_seconds: float) -> None:
        self.provider = provider
        self._timeout = shutdown_timeout_seconds
        self._lock = threading.Lock()
        self._closed = False
        atexit.register(self.shutdown)

    @property
    def fastapi(self) -> Any:
        """For `FastAPI(telemetry=...)`: spans of requests alone, without a span per dependency.

        FastAPI's own metrics and log records stay off: `tijolo.observability` makes those. It is
        a `fastapi.telemetry.TelemetryConfig`, which older versions of FastAPI do not have.
        """
        return {
            "tracer_provider": self.provider,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        }

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        """Export what is waiting; whether that was done in time."""
        return _within(
            timeout_seconds, lambda: self.provider.force_flush(int(timeout_seconds * 1000))
        )

    def shutdown(self, timeout_seconds: float | None = None) -> bool:
        """Export what is waiting and stop; whether that was done in time.

        A collector that hangs cannot hold the process: what it has not taken by then is lost.
        """
        atexit.unregister(self.shutdown)
        with self._lock:
            if self._closed:
                return True
            self._closed = True
        return _within(
            self._timeout if timeout_seconds is None else timeout_seconds, self.provider.shutdown
        )

    async def connect(self) -> None:
        """Nothing: exporters connect when they have something to say."""

    async def disconnect(self) -> None:
        """`shutdown`, off the event loop."""
        await asyncio.to_thread(self.shutdown)

    async def health_check(self) -> bool:
        """True: a service without its collector is healthy."""
        return True


def setup_tracing(
    service_name: str,
    *,
    exporter: SpanExporter | None = None,
    sample_ratio: float = 1.0,
    trust_remote_sampling: bool = True,
    attributes: Mapping[str, str] | None = None,
    processors: Iterable[SpanProcessor] = (),
    queue_size: int = 2048,
    export_timeout_seconds: float = 5.0,
    shutdown_timeout_seconds: float = 5.0,
    redactor: Redactor = DEFAULT_REDACTOR,
    set_global: bool = True,
) -> Tracing:
    """Start reporting spans, each with the request id of its time.

    Call it once, before the application is made. Spans wait for the exporter in a queue; when it
    is full, new ones are dropped. Attributes, events and errors are redacted before they leave.

    Args:
        service_name: `service.name` of the resource.
        exporter: where spans go, such as `tijolo.observability.otlp.otlp_exporter(...)`.
        sample_ratio: how many traces are recorded, from 0 to 1.
        trust_remote_sampling: whether a caller's `traceparent` decides for its trace; False where
            anybody can call, so that nobody can have every request recorded.
        attributes: more of the resource: `service.version`, `deployment.environment.name`.
        processors: more of them, which see spans as they are.
        queue_size: spans that may wait.
        export_timeout_seconds: how long the SDK gives one export.
        shutdown_timeout_seconds: how long the shutdown may take.
        redactor: what is hidden.
        set_global: make it the process's own, for FastAPI and the instrumentations to find.

    Raises:
        ValueError: a number makes no sense.
        RuntimeError: the process has another tracer provider already.
    """
    if not 0 <= sample_ratio <= 1:
        raise ValueError(f"sample_ratio must be from 0 to 1, got {sample_ratio!r}")
    if not service_name or queue_size < 1 or export_timeout_seconds <= 0:
        raise ValueError(
            "setup_tracing needs a service_name, a queue_size of 1 or more and an"
            f" export_timeout_seconds above 0, got {service_name!r}, {queue_size} and"
            f" {export_timeout_seconds}"
        )
    provider = TracerProvider(
        sampler=_sampler(sample_ratio, trust_remote=trust_remote_sampling),
        resource=Resource.create({"service.name": service_name, **(attributes or {})}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(_RequestIDProcessor())
    for processor in processors:
        provider.add_span_processor(processor)
    if exporter is not None:
        provider.add_span_processor(
            BatchSpanProcessor(
                RedactingExporter(exporter, redactor),
                max_queue_size=queue_size,
                max_export_batch_size=min(512, queue_size),
                export_timeout_millis=export_timeout_seconds * 1000,
            )
        )
    if set_global:
        _make_global(provider)
    return Tracing(provider, shutdown_timeout_seconds=shutdown_timeout_seconds)


def instrument(
    tracing: Tracing,
    *libraries: str,
    app: FastAPI | None = None,
    engines: Sequence[Any] = (),
) -> None:
    """Trace what the service calls, and give the spans of its requests their id.

    Args:
        libraries: `"sqlalchemy"`, `"httpx"`, `"httpx2"`, `"redis"`: traced wherever they are
            used from now on. Each needs its instrumentation, for instance
            `opentelemetry-instrumentation-redis`. One that is traced already stays as it is.
        app: gets `RequestIDSpanMiddleware`. FastAPI makes its spans itself.
        engines: SQLAlchemy's, made before this call; a database manager's, after `connect()`.

    Raises:
        ValueError: a library is not known.
        ImportError: an instrumentation is not installed; the message is the command.
    """
    instrumentors = {name: _instrumentor(name) for name in libraries}
    if engines and "sqlalchemy" not in instrumentors:
        raise ValueError("engines are traced by 'sqlalchemy'; name it too")
    for name, instrumentor in instrumentors.items():
        if instrumentor.is_instrumented_by_opentelemetry:
            continue
        options: dict[str, Any] = {"tracer_provider": tracing.provider}
        if name == "sqlalchemy":
            # It says that it knows nothing above 2.0, and does: our tests run it on 2.1.
            options["skip_dep_check"] = True
            options["engines"] = [getattr(engine, "sync_engine", engine) for engine in engines]
        instrumentor.instrument(raise_exception_on_conflict=True, **options)
    if app is not None:
        app.add_middleware(RequestIDSpanMiddleware)


def uninstrument(*libraries: str) -> None:
    """Undo `instrument` of these libraries."""
    for name in libraries:
        instrumentor = _instrumentor(name)
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()


class RequestIDSpanMiddleware:
    """Pure ASGI: puts the request id on the span of the request.

    The span begins before anybody has read or made the id, so it is added when it is there.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Mark the span now, and once more when the answer begins."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        span = trace.get_current_span()

        async def marking(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.accept"}:
                _mark(span)
            await send(message)

        _mark(span)
        await self.app(scope, receive, marking)


class RedactingExporter(SpanExporter):
    """Hands spans on without what the logs would hide: in attributes, events and errors.

    Args:
        exporter: gets the spans.
        redactor: what is hidden.
    """

    def __init__(self, exporter: SpanExporter, redactor: Redactor = DEFAULT_REDACTOR) -> None:
        self._exporter = exporter
        self._redactor = redactor

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Redact and hand on."""
        return self._exporter.export([self._redacted(span) for span in spans])

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter."""
        return self._exporter.force_flush(timeout_millis)

    def _redacted(self, span: ReadableSpan) -> ReadableSpan:
        status = span.status
        return ReadableSpan(
            name=self._redactor.text(span.name),
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=self._attributes(span.attributes),
            events=[
                Event(
                    self._redactor.text(event.name),
                    self._attributes(event.attributes),
                    event.timestamp,
                )
                for event in span.events
            ],
            links=[Link(link.context, self._attributes(link.attributes)) for link in span.links],
            kind=span.kind,
            status=Status(
                status.status_code,
                status.description and self._redactor.text(status.description),
            ),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _attributes(self, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
        return {name: self._value(name, value) for name, value in (attributes or {}).items()}

    def _value(self, name: str, value: Any) -> Any:
        if self._redactor.is_sensitive(name) and not _is_count(name, value):
            return REDACTED  # as in the logs, whatever its type: a PIN can be a number
        if isinstance(value, str):
            return self._redactor.query(value) if name in _QUERIES else self._redactor.text(value)
        if isinstance(value, Sequence) and not isinstance(value, bytes):
            return [self._value(name, item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        return value


def _is_count(name: str, value: Any) -> bool:
    """Whether `value` says no more than how many or whether: `gen_ai.usage.input_tokens`."""
    return isinstance(value, bool) or (
        isinstance(value, int | float) and name.lower().endswith("tokens")
    )


class SpanRecorder(SpanProcessor):
    """Keeps ended spans for a test to look at: `setup_tracing("test", processors=[recorder])`.

    Args:
        capacity: the newest spans that are kept.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._spans: deque[ReadableSpan] = deque(maxlen=capacity)

    def on_end(self, span: ReadableSpan) -> None:
        """Keep `span`."""
        self._spans.append(span)

    @property
    def spans(self) -> list[ReadableSpan]:
        """In the order in which they ended."""
        return list(self._spans)

    def named(self, name: str) -> list[ReadableSpan]:
        """Those of that name."""
        return [span for span in self.spans if span.name == name]

    def clear(self) -> None:
        """Forget them."""
        self._spans.clear()


def exporting_at_once(exporter: SpanExporter) -> SpanProcessor:
    """A processor for tests and scripts: redacts and exports each span when it ends."""
    return SimpleSpanProcessor(RedactingExporter(exporter))


class _RequestIDProcessor(SpanProcessor):
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        _mark(span)


def _mark(span: trace.Span) -> None:
    request_id = get_request_id()
    if request_id is not None and span.is_recording():
        span.set_attribute(REQUEST_ID_ATTRIBUTE, request_id)


def _sampler(ratio: float, *, trust_remote: bool) -> Sampler:
    own = TraceIdRatioBased(ratio)
    if trust_remote:
        return ParentBased(own)
    return ParentBased(own, remote_parent_sampled=own, remote_parent_not_sampled=own)


def _make_global(provider: TracerProvider) -> None:
    trace.set_tracer_provider(provider)
    if trace.get_tracer_provider() is not provider:
        raise RuntimeError(
            "this process has another tracer provider already; call setup_tracing once, or with"
            " set_global=False"
        )


def _instrumentor(name: str) -> Any:
    if name not in _INSTRUMENTATIONS:
        raise ValueError(f"Unknown library {name!r}; there are: {', '.join(_INSTRUMENTATIONS)}")
    part, class_name = _INSTRUMENTATIONS[name]
    distribution = f"opentelemetry-instrumentation-{part}"
    try:
        module = importlib.import_module(f"opentelemetry.instrumentation.{part}")
        return getattr(module, class_name)()
    except (ImportError, AttributeError) as exc:
        raise ImportError(
            f"{name!r} cannot be traced without {distribution!r} in a version that knows it."
            f" Install it with:\n    python -m pip install --upgrade {distribution}",
            name=f"opentelemetry.instrumentation.{part}",
        ) from exc


def _within(seconds: float, work: Any) -> bool:
    """Whether `work`, in a thread that nobody has to wait for, ended well in time."""
    outcome: list[bool] = []

    def run() -> None:
        outcome.append(work() is not False)

    thread = threading.Thread(target=run, name="tijolo-tracing", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter is ending: there are no more threads
        return False
    thread.join(seconds)
    return bool(outcome and outcome[0])
