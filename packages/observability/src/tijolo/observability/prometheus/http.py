"""What is counted about HTTP requests and WebSockets, apart from who watches them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, MutableMapping, Sequence
from math import inf
from threading import Lock
from typing import Any, Literal, cast

from tijolo.core import route_template
from tijolo.observability.prometheus._exemplars import trace_exemplar
from tijolo.observability.prometheus._memory import (
    MemoryCounter,
    MemoryGauge,
    MemoryHistogram,
    check_exemplar,
    record_separately,
    record_together,
)
from tijolo.observability.prometheus.families import Counter, Gauge, GaugeSeries, Histogram
from tijolo.observability.prometheus.hub import DEFAULT_LATENCY_BUCKETS, Metrics

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Exemplar = dict[str, str] | None
_Record = Callable[[float, float | None, int, Exemplar], None]
SocketOutcome = Literal["accepted", "rejected", "failed"]
GROUPS = frozenset({"traffic", "performance", "reliability"})

CLIENT_LEFT = 499
"""The status of a request whose client left before it was answered."""

OTHER_METHOD = "OTHER"
"""The label of every method that HTTP does not define."""

DEFAULT_SIZE_BUCKETS: tuple[float, ...] = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
"""Upper bounds of the buckets of response sizes, in bytes."""

MEASURED_KEY = "tijolo.measured"
"""Where the layer that measures a request says so in its scope, for the layers inside it."""

_OPENED_KEY = "tijolo.measured.opened"
_BATCH = 512
_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)


class HTTPMetrics:
    """Counts requests. `PrometheusMiddleware` tells it; so can any layer that already watches.

    Such a layer calls :meth:`begin` before the application and, when it said True,
    :meth:`observe` once after it.

    Labels are bounded: methods that HTTP does not define are ``OTHER``, paths that no route
    matched are ``__unmatched__`` (``tijolo.core.route_template``), and each metric has its limit
    of series.

    Args:
        metrics: where they are registered.
        latency_buckets: in seconds.
        size_buckets: in bytes.
        groups: which to record: ``traffic`` (requests, in progress, WebSockets), ``performance``
            (durations, time to first byte, sizes), ``reliability`` (exceptions, disconnects).
        exemplar: gives the exemplar of a measurement; `{}` for none this time, None where there
            is no tracing, and then it is asked less often. Default the current trace, where it
            is sampled. They are shown in OpenMetrics, and not in multi-process mode.

    Raises:
        ValueError: for an unknown group.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        latency_buckets: Sequence[float] = DEFAULT_LATENCY_BUCKETS,
        size_buckets: Sequence[float] = DEFAULT_SIZE_BUCKETS,
        groups: Collection[str] = GROUPS,
        exemplar: Callable[[], Exemplar] | None = trace_exemplar,
    ) -> None:
        unknown = sorted(set(groups) - GROUPS)
        if unknown:
            raise ValueError(f"unknown group {unknown[0]!r}; there are: {sorted(GROUPS)}")
        self._exemplar = None if metrics.multiprocess else exemplar
        self._failed = False
        self._look = self._exemplar is not None
        self._records: dict[tuple[int, str, int], tuple[_Record, object]] = {}
        self._by_labels: dict[tuple[str, str, int], _Record] = {}
        self._max_records = metrics.max_series
        self._combined: Any = record_separately if metrics.multiprocess else record_together
        # Written in batches, and before anybody reads: a batch runs from the processor's cache,
        # where single requests would each fetch it from memory.
        self._pending: deque[GaugeSeries | tuple[_Record, float, float | None, int]] = deque()
        self._batch = 1 if metrics.multiprocess else _BATCH
        self._writing = Lock()
        self._waiting: dict[str, GaugeSeries] = {}
        self._declare_traffic(metrics, on="traffic" in groups)
        self._declare_performance(
            metrics, latency_buckets, size_buckets, on="performance" in groups
        )
        self._declare_reliability(metrics, on="reliability" in groups)
        for family in (
            self.requests_total,
            self.in_progress,
            self.request_duration,
            self.first_byte,
            self.response_size,
        ):
            family.before_reading(self._write)

    def begin(self, scope: Scope) -> bool:
        """A request has come; False when a layer further out measures it already."""
        if MEASURED_KEY in scope:
            return False
        scope[MEASURED_KEY] = True
        waiting = self._waiting.get(scope["method"])
        self._pending.append(waiting or self._waiting_of(_method(scope)))
        if len(self._pending) >= self._batch:
            self._write()
        return True

    def observe(
        self,
        scope: Scope,
        status: int,
        seconds: float,
        first_byte_seconds: float | None = None,
        size: int = 0,
        exception: BaseException | None = None,
        disconnected: bool = False,
    ) -> None:
        """The request of ``scope`` is over: the application ran, the response ended or did not.

        Args:
            status: what was sent; 0 when nothing was, which counts as 500 with an ``exception``
                and as ``CLIENT_LEFT`` without.
            seconds: from the request's arrival to the end of its response.
            first_byte_seconds: to the start of the response; None where there was none.
            size: of the body as it was sent, in bytes.
            exception: what the application raised.
            disconnected: the client left before the response was complete.
        """
        # The route's own object says which it is at a fraction of the template's cost, except
        # below a mount, where one object can have many templates.
        found = scope.get("route")
        if "fastapi" in scope:
            found = scope["fastapi"].get("effective_route_context", found)
        known = self._records.get((id(found), scope["method"], status))
        if (
            known is None
            or "app_root_path" in scope
            or exception is not None
            or disconnected
            or self._look
        ):
            self._observe_now(
                scope, status, seconds, first_byte_seconds, size, exception, disconnected
            )
            return
        self._pending.append((known[0], seconds, first_byte_seconds, size))
        if len(self._pending) >= self._batch:
            self._write()

    def _observe_now(
        self,
        scope: Scope,
        status: int,
        seconds: float,
        first_byte_seconds: float | None,
        size: int,
        exception: BaseException | None,
        disconnected: bool,
    ) -> None:
        self._write()  # the request's beginning before its end
        status = status or (500 if exception else CLIENT_LEFT)
        method, route = _method(scope), route_template(scope)
        record = self._record_of(scope, method, route, status)
        exemplar = self._look_for_trace()
        record(seconds, first_byte_seconds, size, exemplar)
        if exception is not None:
            name = type(exception).__name__
            self.exceptions_total.labels(method, route, name).inc(1, exemplar)
        elif disconnected:
            self.disconnects_total.labels(method, route).inc(1, exemplar)

    def _write(self) -> None:
        """Bring the series up to date with what is pending."""
        pending = self._pending
        self._look = self._exemplar is not None
        with self._writing:
            while pending:
                entry = pending.popleft()
                if type(entry) is tuple:
                    record, seconds, first_byte_seconds, size = entry
                    record(seconds, first_byte_seconds, size, None)
                else:
                    cast("GaugeSeries", entry).inc()

    def socket_ended(self, scope: Scope, outcome: SocketOutcome) -> None:
        """A WebSocket was closed (`accepted`), or never opened."""
        if outcome == "accepted":
            # where it was opened: one that is accepted before the router ran has no route yet
            self.sockets.labels(scope.pop(_OPENED_KEY, None) or route_template(scope)).dec()
        else:
            self.sockets_total.labels(route_template(scope), outcome).inc()

    def socket_opened(self, scope: Scope) -> None:
        """A WebSocket was accepted."""
        route = scope[_OPENED_KEY] = route_template(scope)
        self.sockets.labels(route).inc()
        self.sockets_total.labels(route, "accepted").inc()

    def _look_for_trace(self) -> Exemplar:
        exemplar = None if self._exemplar is None else self._asked(self._exemplar)
        # Where no request has a trace, one in each batch is asked: asking costs a microsecond.
        self._look = exemplar is not None
        return exemplar

    def _asked(self, exemplar: Callable[[], Exemplar]) -> Exemplar:
        """What `exemplar` gives; a request is counted, and answered, also where that is no good."""
        try:
            found = exemplar()
            if found:
                check_exemplar(found)
        except Exception:
            if not self._failed:
                logger.warning("The exemplars of requests fail: %r", exemplar, exc_info=True)
            self._failed = True
            return None
        self._failed = False
        return found

    def _waiting_of(self, method: str) -> GaugeSeries:
        waiting = self._waiting[method] = self.in_progress.labels(method)
        return waiting

    def _record_of(self, scope: Scope, method: str, route: str, status: int) -> _Record:
        key = method, route, status
        record = self._by_labels.get(key)
        if record is None:
            record = self._combined(
                self._waiting_of(method),
                self.requests_total.labels(*key),
                self.request_duration.labels(*key),
                self.first_byte.labels(method, route),
                self.response_size.labels(method, route),
            )
            # What goes to the overflow series is not remembered, or this would grow without end.
            if len(self._by_labels) < self._max_records:
                self._by_labels[key] = record
        self._remember(scope, status, record)
        return record

    def _remember(self, scope: Scope, status: int, record: _Record) -> None:
        """Find the record by the route's object from now on."""
        fastapi: dict[str, Any] = scope.get("fastapi") or {}
        found = fastapi.get("effective_route_context", scope.get("route"))
        fits = found is not None and "app_root_path" not in scope and scope["method"] in _METHODS
        if fits and len(self._records) < self._max_records:
            # with the object, so that no other one gets its id
            self._records[id(found), scope["method"], status] = record, found

    def _declare_traffic(self, metrics: Metrics, *, on: bool) -> None:
        self.requests_total: Counter = _or_off(
            on,
            metrics.counter,
            "http_requests_total",
            "HTTP requests that ended.",
            ["method", "route", "status"],
        )
        self.in_progress: Gauge = _or_off(
            on,
            metrics.gauge,
            "http_requests_in_progress",
            "HTTP requests that have not ended yet.",
            ["method"],
        )
        self.sockets: Gauge = _or_off(
            on,
            metrics.gauge,
            "websocket_connections_in_progress",
            "Open WebSockets.",
            ["route"],
        )
        self.sockets_total: Counter = _or_off(
            on,
            metrics.counter,
            "websocket_connections_total",
            "WebSockets that were accepted, were rejected, or failed before either.",
            ["route", "outcome"],
        )

    def _declare_performance(
        self,
        metrics: Metrics,
        latency_buckets: Sequence[float],
        size_buckets: Sequence[float],
        *,
        on: bool,
    ) -> None:
        self.request_duration: Histogram = _or_off(
            on,
            metrics.histogram,
            "http_request_duration_seconds",
            "Time from the request to the end of its response.",
            ["method", "route", "status"],
            buckets=latency_buckets,
        )
        self.first_byte: Histogram = _or_off(
            on,
            metrics.histogram,
            "http_time_to_first_byte_seconds",
            "Time from the request to the start of its response.",
            ["method", "route"],
            buckets=latency_buckets,
        )
        self.response_size: Histogram = _or_off(
            on,
            metrics.histogram,
            "http_response_size_bytes",
            "Size of the responses' bodies, as they were sent.",
            ["method", "route"],
            buckets=size_buckets,
        )

    def _declare_reliability(self, metrics: Metrics, *, on: bool) -> None:
        self.exceptions_total: Counter = _or_off(
            on,
            metrics.counter,
            "http_exceptions_total",
            "Exceptions that no handler of the application took.",
            ["method", "route", "exception"],
        )
        self.disconnects_total: Counter = _or_off(
            on,
            metrics.counter,
            "http_client_disconnects_total",
            "Requests whose client left before the response was complete.",
            ["method", "route"],
        )


class _Off:
    """A metric of a group that is not recorded: one series, which nobody sees."""

    def __init__(self, series: Any) -> None:
        self._series = series

    def labels(self, *values: object) -> Any:
        return self._series

    def before_reading(self, bring_up_to_date: Callable[[], None]) -> None:
        """Nobody reads it."""


_HIDDEN = Lock()
_OFF = {
    "counter": _Off(MemoryCounter("off", {}, _HIDDEN)),
    "gauge": _Off(MemoryGauge("off", {}, _HIDDEN)),
    "histogram": _Off(MemoryHistogram("off", {}, _HIDDEN, (inf,))),
}


def _or_off(on: bool, declare: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return declare(*args, **options) if on else _OFF[declare.__name__]


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in _METHODS else OTHER_METHOD
