"""The ASGI layer that measures each request to the end of its response."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from time import perf_counter

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tijolo.observability.prometheus._client import CollectorRegistry
from tijolo.observability.prometheus.http import (
    GROUPS,
    MEASURED_KEY,
    HTTPMetrics,
    SocketOutcome,
)
from tijolo.observability.prometheus.hub import DEFAULT_LATENCY_BUCKETS, Metrics

_FILE_MESSAGES = frozenset({"http.response.pathsend", "http.response.zerocopysend"})


class PrometheusMiddleware:
    """Measure HTTP requests and WebSockets: `app.add_middleware(PrometheusMiddleware, ...)`.

    A request is over when its response is complete, also one that streams. A response that the
    client did not wait for keeps the status that was sent, or has 499 where none was, and is
    counted in ``http_client_disconnects_total`` as far as the application noticed: a handler that
    answers into a closed connection never learns of it. An exception that reaches this layer
    counts as 500 where no other status was sent before.

    Add it last, so that it is outermost among the application's own layers. It does not see what
    is answered outside them; where two layers measure one request, only the outer one counts.

    Args:
        registry: where the metrics live; this or `metrics` or `http`.
        metrics: the same, as a `Metrics`.
        http: a recorder with options of its own.
        latency_buckets: upper bounds in seconds.
        groups: as in `HTTPMetrics`.
        exclude_paths: paths that are not measured, with all below them: `/metrics`, `/health`.

    Raises:
        TypeError: for none or more than one of `registry`, `metrics` and `http`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        registry: CollectorRegistry | None = None,
        metrics: Metrics | None = None,
        http: HTTPMetrics | None = None,
        latency_buckets: Sequence[float] = DEFAULT_LATENCY_BUCKETS,
        groups: Collection[str] = GROUPS,
        exclude_paths: Collection[str] = (),
    ) -> None:
        given = [option for option in (registry, metrics, http) if option is not None]
        if len(given) != 1:
            raise TypeError(f"give one of registry, metrics and http; got {len(given)}")
        if registry is not None:
            metrics = Metrics.of(registry)
        if metrics is not None:
            http = HTTPMetrics(metrics, latency_buckets=latency_buckets, groups=groups)
        assert http is not None  # noqa: S101 - one was given
        self.app = app
        self.http = http
        self._excluded = tuple(path.rstrip("/") for path in exclude_paths)
        self._below_excluded = tuple(f"{path}/" for path in self._excluded)
        self.requests_total = http.requests_total
        self.request_duration = http.request_duration
        self.in_progress = http.in_progress

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application against the clock."""
        if scope["type"] != "http":
            await self._without_request(scope, receive, send)
            return
        http = self.http
        if (self._excluded and self._is_excluded(scope)) or not http.begin(scope):
            await self.app(scope, receive, send)
            return
        status, size, finished = 0, 0, False
        first_byte: float | None = None
        started = perf_counter()

        def measuring_send(message: Message) -> Awaitable[None]:
            nonlocal status, size, finished, first_byte
            kind = message["type"]
            if kind == "http.response.body":
                size += len(message.get("body", b""))
                finished = not message.get("more_body", False)
            elif kind == "http.response.start":
                status = message["status"]
                first_byte = perf_counter() - started
            elif kind in _FILE_MESSAGES:
                finished = not message.get("more_body", False)
            return send(message)

        try:
            await self.app(scope, receive, measuring_send)
        except BaseException as exc:
            left = _client_left(exc)
            seconds = perf_counter() - started
            error = None if left else exc
            http.observe(scope, status, seconds, first_byte, size, error, left)
            raise
        http.observe(scope, status, perf_counter() - started, first_byte, size, None, not finished)

    async def _without_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        counted = scope["type"] == "websocket" and MEASURED_KEY not in scope
        if not counted or (self._excluded and self._is_excluded(scope)):
            await self.app(scope, receive, send)
            return
        scope[MEASURED_KEY] = True
        await self._measure_socket(scope, receive, send)

    async def _measure_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        outcome: SocketOutcome = "failed"

        def measuring_send(message: Message) -> Awaitable[None]:
            nonlocal outcome
            if outcome == "failed":
                kind = message["type"]
                if kind == "websocket.accept":
                    outcome = "accepted"
                    self.http.socket_opened(scope)
                elif kind in ("websocket.close", "websocket.http.response.start"):
                    outcome = "rejected"
            return send(message)

        try:
            await self.app(scope, receive, measuring_send)
        finally:
            self.http.socket_ended(scope, outcome)

    def _is_excluded(self, scope: Scope) -> bool:
        path: str = scope["path"]
        return path in self._excluded or path.startswith(self._below_excluded)


def _client_left(error: BaseException) -> bool:
    """Whether the request ended because nobody waits for it any longer.

    A task that awaited something that somebody else cancelled raises `CancelledError` as well,
    and is a failure like any other.
    """
    if isinstance(error, ClientDisconnect):
        return True
    if isinstance(error, Exception):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:  # another event loop, whose way to cancel we do not know
        return True
    return task is None or task.cancelling() > 0
