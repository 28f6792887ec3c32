"""One registry for everything that a service measures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import inf, isnan
from pathlib import Path
from threading import Lock
from typing import Any, Literal, TypeVar, cast
from weakref import WeakValueDictionary

from tijolo.observability.prometheus import _memory
from tijolo.observability.prometheus._client import (
    Collector,
    CollectorRegistry,
    GCCollector,
    Metric,
    PlatformCollector,
    ProcessCollector,
    metrics,
    values,
)
from tijolo.observability.prometheus.exposition import (
    Exposition,
    GuardedCollector,
    choose_format,
    render,
)
from tijolo.observability.prometheus.families import (
    AnyFamily,
    Counter,
    Family,
    Gauge,
    Histogram,
    check_names,
    label_names_of,
)

logger = logging.getLogger(__name__)

DEFAULT_LATENCY_BUCKETS: tuple[float, ...] = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds of the buckets of durations, in seconds."""

DEFAULT_MAX_SERIES = 1_000

GaugeMode = Literal[
    "all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum",
    "mostrecent", "livemostrecent",
]  # fmt: skip
"""How the workers' values of one gauge become one; `live...` leaves out workers that ended."""

F = TypeVar("F", bound="Counter | Gauge | Histogram")
_hubs: WeakValueDictionary[int, Metrics] = WeakValueDictionary()  # by the id of the registry


def make_prometheus_registry() -> CollectorRegistry:
    """Make a registry with the metrics of the process, the garbage collector and the platform."""
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def is_multiprocess() -> bool:
    """Whether `PROMETHEUS_MULTIPROC_DIR` was set when the client was imported."""
    return values.ValueClass is not values.MutexValue


class Metrics:
    """Makes the service's metrics, keeps them in one registry, and renders it.

    Asking a second time for a metric gives the one that exists, so that a module that is loaded
    twice, or two applications in one process, share it.

    With `PROMETHEUS_MULTIPROC_DIR` in the environment the values live in files of that directory,
    one set for each worker, and every worker renders the sum of all.

    Args:
        registry: default, a new one with the process's own metrics.
        max_series: the limit of a metric that sets none itself.
    """

    def __init__(
        self, registry: CollectorRegistry | None = None, *, max_series: int = DEFAULT_MAX_SERIES
    ) -> None:
        self.registry = make_prometheus_registry() if registry is None else registry
        if id(self.registry) in _hubs:
            raise ValueError("this registry has a Metrics already; Metrics.of(registry) gives it")
        self.max_series = max_series
        self.multiprocess = is_multiprocess()
        self._families: dict[str, tuple[tuple[Any, ...], AnyFamily]] = {}
        self._directory: Path | None = None
        self._samplers: dict[Callable[[], None], bool] = {}
        self._lock = Lock()
        self._values = Lock()  # of all series: see record_together
        self._shown: Collector = self.registry
        self._overflows = self.counter(
            "metrics_overflow_total",
            "Values that went to the overflow series of a metric with too many series.",
            ["metric"],
        )
        if self.multiprocess:
            self._share_with_workers()
        # What the registry holds lives as long as it does, and holds the registry: ids stay true.
        self.registry.register(_Kept(self))
        _hubs[id(self.registry)] = self

    @classmethod
    def of(cls, registry: CollectorRegistry) -> Metrics:
        """The metrics of `registry`, made when it has none."""
        return _hubs.get(id(registry)) or cls(registry)

    def counter(
        self,
        name: str,
        documentation: str,
        labels: Iterable[str] = (),
        *,
        max_series: int | None = None,
    ) -> Counter:
        """Something that only grows; `_total` is added to a name without it.

        Raises:
            ValueError: for a name or label that Prometheus does not take, or a name that is
                taken by another metric.
        """
        base = name.removesuffix("_total")
        return self._declare(Counter, "counter", base, documentation, labels, max_series)

    def gauge(
        self,
        name: str,
        documentation: str,
        labels: Iterable[str] = (),
        *,
        max_series: int | None = None,
        multiprocess_mode: GaugeMode = "livesum",
    ) -> Gauge:
        """Something that goes up and down.

        Args:
            multiprocess_mode: how the values of several workers become one; it changes nothing
                in a single process.

        Raises:
            ValueError: as in `counter`.
        """
        mode = {"multiprocess_mode": multiprocess_mode}
        return self._declare(Gauge, "gauge", name, documentation, labels, max_series, **mode)

    def histogram(
        self,
        name: str,
        documentation: str,
        labels: Iterable[str] = (),
        *,
        buckets: Sequence[float] = DEFAULT_LATENCY_BUCKETS,
        max_series: int | None = None,
    ) -> Histogram:
        """How values are distributed over `buckets`, which are upper bounds in ascending order.

        Raises:
            ValueError: as in `counter`, or for buckets that do not ascend.
        """
        bounds = {"buckets": _bounds(name, buckets)}
        return self._declare(
            Histogram, "histogram", name, documentation, labels, max_series, **bounds
        )

    def add_collector(self, collector: Collector) -> None:
        """Show what `collector` reads when it is scraped: facts of the host, not of one worker.

        One that raises is left out of that scrape, and logged once until it works again.
        """
        guarded = GuardedCollector(collector)
        self.registry.register(guarded)
        if self.multiprocess:
            cast("CollectorRegistry", self._shown).register(guarded)

    def add_sampler(self, sampler: Callable[[], None]) -> None:
        """Call `sampler`, which sets gauges, before each scrape and from `RuntimeMonitor`.

        It runs on the event loop: it must only read what is in memory.
        """
        self._samplers.setdefault(sampler, True)

    def forget_dead_workers(self) -> None:
        """In multi-process mode: tidy the files of workers that ended. `RuntimeMonitor` does it.

        Their gauges are removed, and their counters added up in one file.
        """
        if self._directory is not None:
            from tijolo.observability.prometheus.multiprocess import forget_dead_workers

            forget_dead_workers(self._directory)

    def sample(self) -> None:
        """Run the samplers; one that raises is logged once until it works again."""
        for sampler, worked in list(self._samplers.items()):
            try:
                sampler()
            except Exception:
                if worked:
                    logger.warning("A metrics sampler fails: %r", sampler, exc_info=True)
                self._samplers[sampler] = False
            else:
                self._samplers[sampler] = True

    def render(self, *, accept: str = "", prefix: str = "") -> Exposition:
        """The metrics whose names begin with `prefix`, as the `Accept` header wants them.

        It takes milliseconds for thousands of series; the router calls it in a thread.
        """
        return render(self._shown, choose_format(accept), prefix)

    def _share_with_workers(self) -> None:
        from tijolo.observability.prometheus import multiprocess

        # without auto_describe, which would read all the files now
        shown = CollectorRegistry()
        settings = multiprocess.MultiprocessSettings()  # type: ignore[call-arg]  # its environment
        self._directory = settings.PROMETHEUS_MULTIPROC_DIR
        shown.register(multiprocess.AllWorkers(self._directory))
        PlatformCollector(registry=shown)
        self._shown = shown
        self.add_sampler(multiprocess.WorkerSampler(self))

    def _declare(
        self,
        family: type[F],
        kind: _memory.Kind,
        name: str,
        documentation: str,
        labels: Iterable[str],
        max_series: int | None,
        **options: Any,
    ) -> F:
        names = label_names_of(labels)
        signature = kind, names, options
        with self._lock:
            known, existing = self._families.get(name, (None, None))
            if known is not None:
                if known != signature:
                    raise ValueError(
                        f"metric {name!r} exists as {known}; it cannot also be {signature}"
                    )
                return cast("F", existing)
            check_names(name, names)
            made = self._new(family, kind, name, documentation, names, max_series, options)
            self._families[name] = signature, made
            return made

    def _new(
        self,
        family: type[F],
        kind: _memory.Kind,
        name: str,
        documentation: str,
        names: tuple[str, ...],
        max_series: int | None,
        options: dict[str, Any],
    ) -> F:
        limit = self.max_series if max_series is None else max_series
        backend = _in_files if self.multiprocess else _in_memory
        new_series, register = backend(kind, name, documentation, names, options, self._values)
        made = cast("type[Family[Any]]", family)(
            f"{name}_total" if kind == "counter" else name,
            names,
            new_series,
            max_series=limit,
            on_overflow=self._count_overflow,
        )
        register(self.registry, made)
        return cast("F", made)

    def _count_overflow(self, metric: str) -> None:
        if metric != self._overflows.name:
            self._overflows.labels(metric).inc()


class _Kept:
    """Ties the life of a `Metrics` to its registry's."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def describe(self) -> Iterable[Metric]:
        """Nothing."""
        return []

    collect = describe


_NewSeries = Callable[[tuple[str, ...]], Any]
_Register = Callable[[CollectorRegistry, "Family[Any]"], None]


def _in_memory(
    kind: _memory.Kind,
    name: str,
    documentation: str,
    names: tuple[str, ...],
    options: dict[str, Any],
    lock: Lock,
) -> tuple[_NewSeries, _Register]:
    def new_series(label_values: tuple[str, ...]) -> _memory.MemorySeries:
        labels = dict(zip(names, label_values, strict=True))
        if kind == "counter":
            return _memory.MemoryCounter(name, labels, lock)
        if kind == "gauge":
            return _memory.MemoryGauge(name, labels, lock)
        return _memory.MemoryHistogram(name, labels, lock, options["buckets"])

    def register(registry: CollectorRegistry, family: Family[Any]) -> None:
        registry.register(_memory.MemoryCollector(kind, name, documentation, family.series))

    return new_series, register


def _in_files(
    kind: _memory.Kind,
    name: str,
    documentation: str,
    names: tuple[str, ...],
    options: dict[str, Any],
    lock: Lock,
) -> tuple[_NewSeries, _Register]:
    """The client's own metrics, which know how to share files with other workers."""
    maker: Any = {
        "counter": metrics.Counter,
        "gauge": metrics.Gauge,
        "histogram": metrics.Histogram,
    }[kind]
    shared: Any = maker(name, documentation, names, registry=None, **options)

    def new_series(label_values: tuple[str, ...]) -> Any:
        return shared.labels(*label_values) if names else shared

    def register(registry: CollectorRegistry, family: Family[Any]) -> None:
        """Nowhere: what is shown is what the files hold."""

    return new_series, register


def _bounds(name: str, buckets: Sequence[float]) -> tuple[float, ...]:
    bounds = tuple(float(bound) for bound in buckets)
    ascending = all(low < high for low, high in pairwise(bounds))
    if not ascending or not bounds or any(isnan(bound) for bound in bounds) or bounds == (inf,):
        raise ValueError(f"metric {name}: buckets must be numbers that ascend, got {buckets!r}")
    return bounds if bounds[-1] == inf else (*bounds, inf)
