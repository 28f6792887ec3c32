"""Several workers, one set of metrics: their files, and what workers that ended leave behind.

Imported in multi-process mode only: it locks files, which Windows does in another way.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import struct
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic_settings import BaseSettings

from tijolo.observability.prometheus._client import (
    CollectorRegistry,
    GCCollector,
    Metric,
    MmapedDict,
    MultiProcessCollector,
    ProcessCollector,
    Sample,
    mark_process_dead,
)

if TYPE_CHECKING:
    from tijolo.observability.prometheus.hub import Metrics

logger = logging.getLogger(__name__)

_OF_A_WORKER = re.compile(r"[a-z_]+_(\d+)\.db")
_DAMAGED = (struct.error, RuntimeError, TypeError, ValueError)
"""What the client raises for a file that its worker did not live to write."""

_Value = tuple[float, float]  # and when it was set, where that matters


def _sum(one: _Value, other: _Value) -> _Value:
    return one[0] + other[0], 0.0


_KEPT: dict[str, Callable[[_Value, _Value], _Value]] = {
    "counter": _sum,
    "histogram": _sum,
    "summary": _sum,
    "gauge_sum": _sum,
    "gauge_max": max,
    "gauge_min": min,
    "gauge_mostrecent": lambda one, other: max(one, other, key=lambda value: value[1]),
}
"""What stays of workers that ended, and how the values of two become one."""


class MultiprocessSettings(BaseSettings):
    """What `prometheus_client` reads from the environment of each worker."""

    PROMETHEUS_MULTIPROC_DIR: Path


class AllWorkers:
    """Collects the files of all workers, while nobody rearranges them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._files = MultiProcessCollector(None, path=str(directory))

    def collect(self) -> Iterable[Metric]:
        """The sum of all workers, without files that cannot be read: of one that was killed."""
        with _locked(self.directory, fcntl.LOCK_SH):
            try:
                return list(self._files.collect())
            except _DAMAGED:
                good = [str(path) for path in self.directory.glob("*.db") if _is_readable(path)]
                return list(MultiProcessCollector.merge(good))


def forget_dead_workers(directory: Path) -> None:
    """Remove the live gauges of processes that ended, and add up what they counted in one file.

    What they counted stays counted: a counter that went down would look like a restart. So do
    gauges that are not of the living alone. Workers must see each other's process ids: no
    namespaces between them.
    """
    with _locked(directory, fcntl.LOCK_EX):
        pids = {int(found[1]) for path in directory.iterdir() if (found := _worker_file(path))}
        dead = [pid for pid in sorted(pids) if not _is_alive(pid)]
        for pid in dead:
            mark_process_dead(pid, str(directory))
        for kind in _KEPT:
            paths = [directory / f"{kind}_{pid}.db" for pid in dead]
            _merge(kind, directory, [path for path in paths if path.exists()])


def _merge(kind: str, directory: Path, sources: list[Path]) -> None:
    if not sources:
        return
    target = directory / f"{kind}_dead.db"
    totals: dict[str, _Value] = {}
    for path in filter(_is_readable, [target, *sources] if target.exists() else sources):
        for key, value, moment, _ in MmapedDict.read_all_values_from_file(str(path)):
            found = value, moment
            totals[key] = _KEPT[kind](totals[key], found) if key in totals else found
    unfinished = target.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    written = MmapedDict(str(unfinished))
    for key, (value, moment) in totals.items():
        written.write_value(key, value, moment)
    written.close()
    unfinished.replace(target)
    for path in sources:
        path.unlink()


def _is_readable(path: Path) -> bool:
    """Whether the client can read the file; one that it cannot is named in the log."""
    try:
        for key, *_ in MmapedDict.read_all_values_from_file(str(path)):
            _, _, labels, _ = json.loads(key)
            sorted(labels.items())
    except (AttributeError, OSError, *_DAMAGED):
        logger.warning("The metrics file %s cannot be read, and is left out", path.name)
        return False
    return True


@contextmanager
def _locked(directory: Path, how: int) -> Generator[None]:
    with (directory / "lock").open("a") as file:
        fcntl.flock(file, how)
        yield


def _worker_file(path: Path) -> re.Match[str] | None:
    return _OF_A_WORKER.fullmatch(path.name)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is there, and somebody else's
        return True
    return True


class WorkerSampler:
    """Writes what this worker's process and garbage collector say into the shared files.

    The client's own collectors would show only the worker that happens to be scraped.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        # unregistered: they are asked here, and nowhere else
        self._sources = [
            ProcessCollector(registry=None),
            GCCollector(registry=CollectorRegistry()),
        ]
        self._counted: dict[tuple[str, tuple[str, ...]], float] = {}

    def __call__(self) -> None:
        """Bring the shared values up to date."""
        for source in self._sources:
            for found in source.collect():
                for sample in found.samples:
                    self._write(found, sample)

    def _write(self, found: Metric, sample: Sample) -> None:
        names, values = tuple(sample.labels), tuple(sample.labels.values())
        if found.type != "counter":
            gauge = self._metrics.gauge(
                sample.name, found.documentation, names, multiprocess_mode="liveall"
            )
            gauge.labels(*values).set(sample.value)
            return
        counter = self._metrics.counter(sample.name, found.documentation, names)
        grown = sample.value - self._counted.get((sample.name, values), 0.0)
        self._counted[sample.name, values] = sample.value
        counter.labels(*values).inc(max(0.0, grown))
