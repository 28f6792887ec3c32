"""The service's own counters, gauges and histograms, each with a bounded number of series."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from threading import Lock
from time import perf_counter, time
from typing import Any, Generic, Protocol, TypeVar

logger = logging.getLogger(__name__)

OVERFLOW = "__overflow__"
"""Value of every label of the series that takes what came after the limit was reached."""

MAX_LABEL_LENGTH = 200
"""Characters of a label's value; the rest is cut off."""

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z", re.ASCII)
_RESERVED_LABELS = frozenset({"le", "quantile", "pid"})


class CounterSeries(Protocol):
    """One series of a `Counter`: ours, or the client's in multi-process mode."""

    def inc(self, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
        """Add `amount`, which is not negative."""


class GaugeSeries(Protocol):
    """One series of a `Gauge`."""

    def set(self, value: float, /) -> None:
        """Replace the value."""

    def inc(self, amount: float = 1) -> None:
        """Add `amount`."""

    def dec(self, amount: float = 1) -> None:
        """Take `amount` away."""


class HistogramSeries(Protocol):
    """One series of a `Histogram`."""

    def observe(self, value: float, exemplar: dict[str, str] | None = None, /) -> None:
        """Count `value` in its bucket."""


S = TypeVar("S")


class Family(Generic[S]):
    """A metric and its series; made by `Metrics`, never by hand.

    Args:
        new_series: makes the series for label values in the order of `label_names`.
        max_series: how many there may be; what comes later shares one series, whose labels all
            have the value `OVERFLOW`.
        on_overflow: called with the metric's name each time a value is sent there.
    """

    def __init__(
        self,
        name: str,
        label_names: Iterable[str],
        new_series: Callable[[tuple[str, ...]], S],
        *,
        max_series: int,
        on_overflow: Callable[[str], None],
    ) -> None:
        if max_series < 1:
            raise ValueError(f"max_series must be 1 or more, got {max_series!r}")
        self.name = name
        self.label_names = tuple(label_names)
        self.max_series = max_series
        self._new_series = new_series
        self._on_overflow = on_overflow
        self._series: dict[tuple[str, ...], S] = {}
        self._overflow: S | None = None
        self._lock = Lock()
        self._before_reading: list[Callable[[], None]] = []
        if not self.label_names:
            self._add(())

    def labels(self, *values: object, **by_name: object) -> S:
        """The series of these label values, given in order or by name.

        Keep what it returns where the same series is used often. After `max_series` different
        ones it is the overflow series: that a value may be lost is better than that a scrape
        grows without end.

        Raises:
            ValueError: labels are missing or unknown.
        """
        if by_name:
            values = self._in_order(values, by_name)
        elif len(values) != len(self.label_names):
            raise ValueError(f"{self.name} has the labels {self.label_names}, got {values!r}")
        key = tuple([value if type(value) is str else str(value) for value in values])
        series = self._series.get(key)
        return self._add(key) if series is None else series

    def series(self) -> list[S]:
        """All series that there are now, the overflow series last."""
        for bring_up_to_date in self._before_reading:
            bring_up_to_date()
        with self._lock:
            known = list(self._series.values())
        return known if self._overflow is None else [*known, self._overflow]

    def before_reading(self, bring_up_to_date: Callable[[], None]) -> None:
        """Call this before the series are read: for a recorder that writes in batches."""
        self._before_reading.append(bring_up_to_date)

    def __len__(self) -> int:
        return len(self._series)

    def _in_order(
        self, values: tuple[object, ...], by_name: dict[str, object]
    ) -> tuple[object, ...]:
        if values or by_name.keys() != set(self.label_names):
            given = ", ".join(sorted(by_name))
            raise ValueError(f"{self.name} has the labels {self.label_names}, got {given}")
        return tuple([by_name[name] for name in self.label_names])

    def _add(self, raw: tuple[str, ...]) -> S:
        key = tuple(map(_fit, raw))
        with self._lock:
            series = self._series.get(key)
            if series is not None:
                return series
            if len(self._series) < self.max_series:
                series = self._series[key] = self._new_series(key)
                return series
            first = self._overflow is None
            if self._overflow is None:
                self._overflow = self._new_series((OVERFLOW,) * len(key))
            series = self._overflow
        if first:
            logger.warning(
                "Metric %s reached its limit of %d series; what is new counts as %s",
                self.name,
                self.max_series,
                OVERFLOW,
            )
        self._on_overflow(self.name)
        return series

    @property
    def _only(self) -> S:
        series = self._series.get(())
        if series is None:
            raise ValueError(f"{self.name} has the labels {self.label_names}: call labels() first")
        return series


class Counter(Family[CounterSeries]):
    """Something that only grows: requests, orders, failures. Its name ends in `_total`."""

    def inc(self, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
        """Count, where there are no labels."""
        self._only.inc(amount, exemplar)


class Gauge(Family[GaugeSeries]):
    """Something that goes up and down: a queue's length, a temperature."""

    def set(self, value: float) -> None:
        """Replace the value, where there are no labels."""
        self._only.set(value)

    def inc(self, amount: float = 1) -> None:
        """Add `amount`, where there are no labels."""
        self._only.inc(amount)

    def dec(self, amount: float = 1) -> None:
        """Take `amount` away, where there are no labels."""
        self._only.dec(amount)

    def set_to_current_time(self) -> None:
        """The Unix time in seconds, where there are no labels."""
        self._only.set(time())


class Histogram(Family[HistogramSeries]):
    """How values are distributed: durations in seconds, sizes in bytes."""

    def observe(self, value: float, exemplar: dict[str, str] | None = None) -> None:
        """Count `value`, where there are no labels."""
        self._only.observe(value, exemplar)

    @contextmanager
    def time(self, *values: object, **by_name: object) -> Generator[None]:
        """Observe how many seconds the block took, in the series of these labels."""
        series = self.labels(*values, **by_name)
        started = perf_counter()
        try:
            yield
        finally:
            series.observe(perf_counter() - started)


def check_names(name: str, label_names: tuple[str, ...]) -> None:
    """Refuse what Prometheus would not take.

    Raises:
        ValueError: for a name that is none, or a label that is reserved or there twice.
    """
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is no metric name: letters, digits and _, no digit first")
    for label in label_names:
        if not _NAME.match(label) or label.startswith("__") or label in _RESERVED_LABELS:
            raise ValueError(f"metric {name}: {label!r} is no label name, or a reserved one")
    if len(set(label_names)) != len(label_names):
        raise ValueError(f"metric {name}: a label is there twice in {label_names}")


def label_names_of(labels: Iterable[str]) -> tuple[str, ...]:
    """The names as a tuple.

    Raises:
        TypeError: for one text in place of a list of names.
    """
    if isinstance(labels, str):
        raise TypeError(f"labels must be a list of names, got the text {labels!r}")
    return tuple(labels)


def _fit(value: str) -> str:
    """`value` in a form that can be written: bounded, and without half of a surrogate pair."""
    return value[:MAX_LABEL_LENGTH].encode("utf-8", "backslashreplace").decode("utf-8")


AnyFamily = Counter | Gauge | Histogram
Signature = tuple[Any, ...]
