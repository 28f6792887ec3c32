"""Several workers, one set of metrics: their files, and what workers that ended leave behind.

Imported in multi-process mode only: it locks files, which Windows does in another way.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections import defaultdict
from collections.abc import Generator, Iterable
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

_OF_A_WORKER = re.compile(r"[a-z_]+_(\d+)\.db")
_SUMMED = ("counter", "histogram", "summary")


class MultiprocessSettings(BaseSettings):
    """What `prometheus_client` reads from the environment of each worker."""

    PROMETHEUS_MULTIPROC_DIR: Path


class AllWorkers:
    """Collects the files of all workers, while nobody rearranges them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._files = MultiProcessCollector(None, path=str(directory))

    def collect(self) -> Iterable[Metric]:
        """The sum of all workers."""
        with _locked(self.directory, fcntl.LOCK_SH):
            return list(self._files.collect())


def forget_dead_workers(directory: Path) -> None:
    """Remove the live gauges of processes that ended, and add up their counters in one file.

    What they counted stays counted: a counter that went down would look like a restart. Workers
    must see each other's process ids: no namespaces between them.
    """
    with _locked(directory, fcntl.LOCK_EX):
        pids = {int(found[1]) for path in directory.iterdir() if (found := _worker_file(path))}
        dead = [pid for pid in sorted(pids) if not _is_alive(pid)]
        for pid in dead:
            mark_process_dead(pid, str(directory))
        for kind in _SUMMED:
            paths = [directory / f"{kind}_{pid}.db" for pid in dead]
            _merge(directory / f"{kind}_dead.db", [path for path in paths if path.exists()])


def _merge(target: Path, sources: list[Path]) -> None:
    if not sources:
        return
    totals: defaultdict[str, float] = defaultdict(float)
    for path in [target, *sources] if target.exists() else sources:
        for key, value, _, _ in MmapedDict.read_all_values_from_file(str(path)):
            totals[key] += value
    unfinished = target.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    written = MmapedDict(str(unfinished))
    for key, value in totals.items():
        written.write_value(key, value, 0.0)
    written.close()
    unfinished.replace(target)
    for path in sources:
        path.unlink()


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
