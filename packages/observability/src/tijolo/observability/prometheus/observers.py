"""Metrics of what a service talks to, as plain callables that any client's hook can take.

They import no client: a database manager, an HTTP client or a cache that offers a hook is
connected by handing it the method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tijolo.observability.prometheus.hub import DEFAULT_LATENCY_BUCKETS, Metrics

QUERY_BUCKETS: tuple[float, ...] = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
"""Upper bounds of the buckets of a query's duration, in seconds."""


class PoolStats(Protocol):
    """What a connection pool says of itself."""

    @property
    def size(self) -> int:
        """Connections that are kept open at most."""
        ...

    @property
    def max_size(self) -> int | None:
        """The most there can be; None where there is no such limit."""
        ...

    @property
    def in_use(self) -> int:
        """Connections that somebody holds."""
        ...

    @property
    def idle(self) -> int:
        """Connections that wait to be used."""
        ...


_POOL = {
    "size": "Connections that the pool keeps.",
    "max_size": "The most connections that the pool makes.",
    "in_use": "Connections that somebody holds.",
    "idle": "Connections that wait to be used.",
}


class DatabaseMetrics:
    """Durations and errors of queries, and the state of connection pools.

    Args:
        metrics: where they are registered.
        database: the label that tells several databases apart.
        buckets: upper bounds of durations in seconds.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        database: str = "default",
        buckets: Sequence[float] = QUERY_BUCKETS,
    ) -> None:
        self._metrics = metrics
        self._database = database
        labels = ["database", "operation"]
        self.duration = metrics.histogram(
            "db_query_duration_seconds", "Time that statements took.", labels, buckets=buckets
        )
        self.errors_total = metrics.counter(
            "db_query_errors_total", "Statements that failed.", labels
        )
        self._pool = {
            name: metrics.gauge(f"db_pool_{name}", documentation, ["database"])
            for name, documentation in _POOL.items()
        }

    def observe_query(self, operation: str, seconds: float, ok: bool) -> None:
        """One statement ended; `operation` is its kind (`SELECT`), never its text."""
        labels = self._database, operation.upper()
        self.duration.labels(*labels).observe(seconds)
        if not ok:
            self.errors_total.labels(*labels).inc()

    def watch_pool(self, stats: Callable[[], PoolStats | Mapping[str, int] | None]) -> None:
        """Read `size`, `max_size`, `in_use` and `idle` of what `stats` returns at each scrape.

        `pool_status` of a tijolo-db manager is such a function. A pool without a size, or one
        that is not there yet, may leave values out or be None.
        """

        def read() -> None:
            found = stats()
            if found is None:
                return
            for name, gauge in self._pool.items():
                value = found.get(name) if isinstance(found, Mapping) else getattr(found, name)
                if value is not None:
                    gauge.labels(self._database).set(value)

        self._metrics.add_sampler(read)


class HTTPCall(Protocol):
    """What `tijolo.http` says of a call, and of each of its attempts."""

    @property
    def method(self) -> str: ...  # noqa: D102

    @property
    def origin(self) -> str: ...  # noqa: D102

    @property
    def route(self) -> str: ...  # noqa: D102

    @property
    def status(self) -> int | None: ...  # noqa: D102

    @property
    def error(self) -> str | None: ...  # noqa: D102

    @property
    def seconds(self) -> float: ...  # noqa: D102


class HTTPClientMetrics:
    """Calls to other services: an observer of `tijolo.http`, by its methods' names.

    Args:
        metrics: where they are registered.
        buckets: upper bounds of durations in seconds.
    """

    def __init__(
        self, metrics: Metrics, *, buckets: Sequence[float] = DEFAULT_LATENCY_BUCKETS
    ) -> None:
        labels = ["origin", "method", "route", "status"]
        self.duration = metrics.histogram(
            "http_client_request_duration_seconds",
            "Time that calls to other services took, with all their attempts.",
            labels,
            buckets=buckets,
        )
        self.attempts_total = metrics.counter(
            "http_client_attempts_total", "Attempts; a retry is one more.", labels
        )
        self.circuit_changes_total = metrics.counter(
            "http_client_circuit_changes_total",
            "Changes of a circuit breaker's state, by the state that it took.",
            ["origin", "state"],
        )

    def on_call(self, event: HTTPCall) -> None:
        """A call is over."""
        self.duration.labels(*_call_labels(event)).observe(event.seconds)

    def on_attempt(self, event: HTTPCall) -> None:
        """One try of a call is over."""
        self.attempts_total.labels(*_call_labels(event)).inc()

    def on_circuit(self, origin: str, before: object, after: object) -> None:
        """A circuit breaker changed its state."""
        self.circuit_changes_total.labels(origin, getattr(after, "value", after)).inc()


class CacheHappening(Protocol):
    """What `tijolo.cache` says of each thing that happened."""

    @property
    def kind(self) -> str: ...  # noqa: D102

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def seconds(self) -> float: ...  # noqa: D102


class CacheMetrics:
    """What a cache does: an observer of `tijolo.cache`, by being callable.

    Args:
        metrics: where they are registered.
        buckets: upper bounds of durations in seconds.
    """

    def __init__(
        self, metrics: Metrics, *, buckets: Sequence[float] = DEFAULT_LATENCY_BUCKETS
    ) -> None:
        self.events_total = metrics.counter(
            "cache_events_total", "Hits, misses and what else happened.", ["name", "event"]
        )
        self.computation = metrics.histogram(
            "cache_computation_duration_seconds",
            "Time that it took to compute what was missing.",
            ["name"],
            buckets=buckets,
        )
        self.backend_up = metrics.gauge(
            "cache_backend_up",
            "Whether the cache's server answers: 0 after it went down.",
            multiprocess_mode="livemin",
        )
        self.backend_up.set(1)

    def __call__(self, event: CacheHappening) -> None:
        """Something happened: `event.kind` is `hit`, `miss`, `up`, `down`, ..."""
        self.events_total.labels(event.name, event.kind).inc()
        if event.kind == "miss":
            self.computation.labels(event.name).observe(event.seconds)
        elif event.kind in ("up", "down"):
            self.backend_up.set(event.kind == "up")


class SessionMetrics:
    """What sessions do: the `metrics` of `SessionAuth` of `tijolo.sessions`.

    The labels are the words of its enumerations, and never say whose session it was.

    Args:
        metrics: where they are registered.
        buckets: upper bounds of durations in seconds.
    """

    def __init__(self, metrics: Metrics, *, buckets: Sequence[float] = QUERY_BUCKETS) -> None:
        self.load = metrics.histogram(
            "session_load_duration_seconds",
            "Time that it took to look a request's session up.",
            ["outcome"],
            buckets=buckets,
        )
        self.events_total = metrics.counter(
            "session_events_total", "Sign-ins, sign-outs and what else happened.", ["event"]
        )

    def loaded(self, outcome: str, seconds: float) -> None:
        """A session was looked for; `outcome` is `found`, `absent`, `unavailable`, ..."""
        self.load.labels(str(outcome)).observe(seconds)

    def happened(self, kind: str) -> None:
        """Something happened: `kind` is `login`, `login_failed`, `logout`, ..."""
        self.events_total.labels(str(kind)).inc()


def _call_labels(event: HTTPCall) -> tuple[str, str, str, str]:
    status = event.error or "error" if event.status is None else str(event.status)
    return event.origin, event.method, event.route, status
