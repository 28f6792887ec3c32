"""Series kept in this process's memory, with their lines written in advance.

`prometheus_client` builds a dictionary and a string for every sample of every scrape: 10
microseconds a line. Here each series holds the text of its lines with gaps for the numbers, so
that a thousand histograms take milliseconds; and a histogram finds its bucket by bisection. All
series of one registry share a lock, so that several can be changed in one go. What is registered
is an ordinary collector all the same, so that the client's own functions (`generate_latest`,
`push_to_gateway`, restricted registries) see the same samples.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from math import inf, isfinite, isnan
from threading import Lock
from time import sleep, time
from typing import Any, Literal

from tijolo.observability.prometheus._client import Exemplar, Metric, Sample, go_float

Kind = Literal["counter", "gauge", "histogram"]
_MAX_EXEMPLAR = 128  # characters of all names and values: OpenMetrics 1.0, "Exemplars"
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})

_TURN = 50  # series, a fraction of a millisecond

Labels = Mapping[str, str]


class MemoryCounter:
    """One series of a counter."""

    __slots__ = ("_exemplar", "_line", "labels", "lock", "value")

    def __init__(self, name: str, labels: Labels, lock: Lock) -> None:
        self.labels = labels
        self._line = f"{name}_total{_braced(labels)} "
        self.lock = lock
        self.value = 0.0
        self._exemplar: Exemplar | None = None

    def inc(self, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
        """Add `amount`, which is not negative."""
        if not amount >= 0:
            raise ValueError(f"a counter only goes up; got {amount!r}, use a gauge")
        amount = float(amount)  # one of numpy would make a sum of numpy, which writes itself
        made = _exemplar(exemplar, amount) if exemplar else None
        with self.lock:
            self.value += amount
            self._exemplar = made or self._exemplar

    def text(self) -> str:
        """The lines of the text format."""
        return f"{self._line}{_number(self.value)}\n"

    def openmetrics(self) -> str:
        """The lines of OpenMetrics."""
        with self.lock:
            value, exemplar = self.value, self._exemplar
        return f"{self._line}{_number(value)}{_exemplar_text(exemplar)}\n"

    def samples(self, name: str) -> Iterable[Sample]:
        """What the client's own exposition takes."""
        with self.lock:
            value, exemplar = self.value, self._exemplar
        yield Sample(f"{name}_total", dict(self.labels), value, None, exemplar)


class MemoryGauge:
    """One series of a gauge."""

    __slots__ = ("_line", "labels", "lock", "value")

    def __init__(self, name: str, labels: Labels, lock: Lock) -> None:
        self.labels = labels
        self._line = f"{name}{_braced(labels)} "
        self.lock = lock
        self.value = 0.0

    def set(self, value: float) -> None:
        """Replace the value."""
        with self.lock:
            self.value = float(value)

    def inc(self, amount: float = 1) -> None:
        """Add `amount`."""
        amount = float(amount)
        with self.lock:
            self.value += amount

    def dec(self, amount: float = 1) -> None:
        """Take `amount` away."""
        amount = float(amount)
        with self.lock:
            self.value -= amount

    def text(self) -> str:
        """The lines of the text format."""
        return f"{self._line}{_number(self.value)}\n"

    openmetrics = text

    def samples(self, name: str) -> Iterable[Sample]:
        """What the client's own exposition takes."""
        yield Sample(name, dict(self.labels), self.value)


class MemoryHistogram:
    """One series of a histogram; `bounds` are ascending and end with infinity."""

    __slots__ = ("_exemplars", "_template", "bounds", "counts", "labels", "lock", "total")

    def __init__(self, name: str, labels: Labels, lock: Lock, bounds: Sequence[float]) -> None:
        self.labels = labels
        self.bounds = bounds
        braced = _braced(labels)
        with_bounds = [_braced({**labels, "le": go_float(bound)}) for bound in bounds]
        buckets = "".join(f"{_literal(f'{name}_bucket{each} ')}%d\n" for each in with_bounds)
        count, total = _literal(f"{name}_count{braced} "), _literal(f"{name}_sum{braced} ")
        # OpenMetrics: neither of them where the sum could shrink; "%.0s" writes nothing
        ends = "%.0s%.0s" if bounds[0] < 0 else f"{count}%d\n{total}%s\n"
        self._template = buckets + ends
        self.lock = lock
        self.counts = [0] * len(bounds)
        self.total = 0.0
        self._exemplars: dict[int, Exemplar] = {}

    def observe(self, value: float, exemplar: dict[str, str] | None = None) -> None:
        """Count `value` in its bucket; NaN in the last one, and not in the sum."""
        value = float(value)
        number = not isnan(value)
        bucket = bisect_left(self.bounds, value) if number else len(self.bounds) - 1
        made = _exemplar(exemplar, value) if exemplar else None
        with self.lock:
            self.counts[bucket] += 1
            if number:
                self.total += value
            if made:
                self._exemplars[bucket] = made

    def text(self) -> str:
        """The lines of the text format."""
        cumulative, total, _ = self._state()
        return self._template % (*cumulative, cumulative[-1], _number(total))

    def openmetrics(self) -> str:
        """The lines of OpenMetrics."""
        cumulative, total, exemplars = self._state()
        text = self._template % (*cumulative, cumulative[-1], _number(total))
        if not exemplars:
            return text
        lines = text.splitlines()
        for bucket, exemplar in exemplars.items():
            lines[bucket] += _exemplar_text(exemplar)
        return "\n".join(lines) + "\n"

    def samples(self, name: str) -> Iterable[Sample]:
        """What the client's own exposition takes."""
        cumulative, total, exemplars = self._state()
        for bucket, (bound, count) in enumerate(zip(self.bounds, cumulative, strict=True)):
            labels = {**self.labels, "le": go_float(bound)}
            yield Sample(f"{name}_bucket", labels, float(count), None, exemplars.get(bucket))
        if self.bounds[0] >= 0:
            yield Sample(f"{name}_count", dict(self.labels), float(cumulative[-1]))
            yield Sample(f"{name}_sum", dict(self.labels), total)

    def _state(self) -> tuple[list[int], float, dict[int, Exemplar]]:
        with self.lock:
            counts, total = self.counts.copy(), self.total
            exemplars = self._exemplars.copy() if self._exemplars else self._exemplars
        return list(accumulate(counts)), total, exemplars


MemorySeries = MemoryCounter | MemoryGauge | MemoryHistogram


class MemoryCollector:
    """What the registry holds for one family.

    Args:
        kind: its type.
        name: its name, that of a counter without `_total`.
        series: the series that there are now.
    """

    def __init__(
        self,
        kind: Kind,
        name: str,
        documentation: str,
        series: Callable[[], Iterable[MemorySeries]],
    ) -> None:
        documentation = writable(documentation)
        self.kind: Kind = kind
        self.name = name
        self.documentation = documentation
        self.series = series
        shown = f"{name}_total" if kind == "counter" else name
        self._text_head = _head(shown, documentation.translate(_HELP_ESCAPES), kind)
        self._openmetrics_head = _head(name, documentation.translate(_ESCAPES), kind)

    def describe(self) -> Iterable[Metric]:
        """The family without its samples, by which the registry finds duplicates."""
        return [Metric(self.name, self.documentation, self.kind)]

    def collect(self) -> Iterable[Metric]:
        """The family; its samples are made when somebody asks for them."""
        return [LiveMetric(self)]

    def text(self) -> str:
        """The family in the text format, version 0.0.4."""
        return "".join(_in_turns(self._text_head, [each.text for each in self.series()]))

    def openmetrics(self) -> str:
        """The family in OpenMetrics 1.0."""
        writers = [each.openmetrics for each in self.series()]
        return "".join(_in_turns(self._openmetrics_head, writers))


class LiveMetric(Metric):
    """A family that can write itself, and that is a list of samples for everybody else."""

    def __init__(self, collector: MemoryCollector) -> None:
        self.collector = collector
        super().__init__(collector.name, collector.documentation, collector.kind)

    @property
    def samples(self) -> list[Sample]:
        """The samples of this moment."""
        name = self.collector.name
        return [sample for series in self.collector.series() for sample in series.samples(name)]

    @samples.setter
    def samples(self, value: list[Sample]) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The base class begins with an empty list."""


def _in_turns(head: str, writers: Sequence[Callable[[], str]]) -> list[str]:
    """The head and what the writers write, letting other threads run in between.

    A thread that computes keeps the interpreter's lock for five milliseconds at a time, each of
    which the event loop would wait for.
    """
    lines = [head]
    for start in range(0, len(writers), _TURN):
        lines += [write() for write in writers[start : start + _TURN]]
        sleep(0)
    return lines


def _head(name: str, documentation: str, kind: Kind) -> str:
    return f"# HELP {name} {documentation}\n# TYPE {name} {kind}\n"


def _braced(labels: Labels) -> str:
    if not labels:
        return ""
    pairs = [f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items()]
    return f"{{{','.join(pairs)}}}"


def _literal(text: str) -> str:
    return text.replace("%", "%%")


def _number(value: float) -> str:
    if isfinite(value):
        return repr(value)
    return "NaN" if isnan(value) else "+Inf" if value == inf else "-Inf"


def check_exemplar(labels: dict[str, str]) -> None:
    """Refuse what would make a whole scrape unreadable (OpenMetrics 1.0, "Exemplars").

    Raises:
        ValueError: for too many characters, or a name that is none.
    """
    length = sum(len(name) + len(text) for name, text in labels.items())
    if length > _MAX_EXEMPLAR:
        raise ValueError(
            f"an exemplar has at most {_MAX_EXEMPLAR} characters of labels, got {length}"
        )
    for name in labels:
        if not (name.isidentifier() and name.isascii()):
            raise ValueError(f"{name!r} is no label name of an exemplar: letters, digits and _")


def _exemplar(labels: dict[str, str], value: float) -> Exemplar:
    check_exemplar(labels)
    return Exemplar({name: writable(text) for name, text in labels.items()}, value, time())


def writable(text: str) -> str:
    """`text` without half of a surrogate pair, which no output can hold."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _exemplar_text(exemplar: Exemplar | None) -> str:
    if exemplar is None:
        return ""
    return f" # {_braced(exemplar.labels) or '{}'} {_number(exemplar.value)} {exemplar.timestamp}"


def record_together(
    waiting: MemoryGauge,
    requests: MemoryCounter,
    seconds: MemoryHistogram,
    first_byte: MemoryHistogram,
    size: MemoryHistogram,
) -> Callable[[float, float | None, int, dict[str, str] | None], None]:
    """The function that records one answered request in its five series.

    The same as one call for each of them, for a third of the cost: every request pays for this.
    """
    lock = requests.lock
    seconds_bounds, seconds_counts = seconds.bounds, seconds.counts
    first_bounds, first_counts = first_byte.bounds, first_byte.counts
    size_bounds, size_counts = size.bounds, size.counts

    def record(
        took: float, first: float | None, sent: int, exemplar: dict[str, str] | None
    ) -> None:
        if exemplar or first is None:
            separately(took, first, sent, exemplar)
            return
        bucket = bisect_left(seconds_bounds, took)
        first_bucket = bisect_left(first_bounds, first)
        size_bucket = bisect_left(size_bounds, sent)
        with lock:
            waiting.value -= 1
            requests.value += 1
            seconds.total += took
            seconds_counts[bucket] += 1
            first_byte.total += first
            first_counts[first_bucket] += 1
            size.total += sent
            size_counts[size_bucket] += 1

    separately = record_separately(waiting, requests, seconds, first_byte, size)
    return record


def record_separately(
    waiting: Any, requests: Any, seconds: Any, first_byte: Any, size: Any
) -> Callable[[float, float | None, int, dict[str, str] | None], None]:
    """The same with one call for each series, of this module or of the client."""

    def record(
        took: float, first: float | None, sent: int, exemplar: dict[str, str] | None
    ) -> None:
        waiting.dec()
        requests.inc(1, exemplar)
        seconds.observe(took, exemplar)
        if first is not None:
            first_byte.observe(first, exemplar)
            size.observe(sent)

    return record
