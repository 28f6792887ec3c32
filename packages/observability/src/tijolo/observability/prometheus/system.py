"""Gauges of CPU, memory and disks: the extras `prometheus` and `system`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Lock

from tijolo.observability.cgroups import Cgroup
from tijolo.observability.prometheus._client import GaugeMetricFamily, Metric
from tijolo.observability.system import CPUMeter, MetricsUtils, read_memory

_GAUGES: dict[str, tuple[str, Sequence[str]]] = {
    "system_cpu_utilization_ratio": ("Part of the usable processor time that was used.", ()),
    "system_cpu_limit_cores": ("Cores that the service may use.", ()),
    "system_load_average": ("Load of the machine.", ("window",)),
    "system_memory_limit_bytes": ("Memory that the service may use.", ()),
    "system_memory_used_bytes": ("Memory in use, without caches that can be dropped.", ()),
    "system_memory_available_bytes": ("Memory that is left.", ()),
    "system_disk_size_bytes": ("Size of the file system.", ("path",)),
    "system_disk_used_bytes": ("What is used of the file system.", ("path",)),
    "system_disk_free_bytes": ("What the service may still write.", ("path",)),
}


class SystemCollector:
    """Reads the system when it is scraped: `metrics.add_collector(SystemCollector())`.

    In a container the limits are those of its cgroup. The scrape endpoints collect in a thread,
    so that a disk that hangs holds up no request.

    Args:
        disk_paths: the file systems to show.
        cache_seconds: how long a reading is good for several scrapers.
        cgroup: default, that of the process.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        disk_paths: Sequence[str] = ("/",),
        cache_seconds: float = 5.0,
        cgroup: Cgroup | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._disk_paths = list(disk_paths)
        self._cache_seconds = cache_seconds
        self._cgroup = cgroup or Cgroup()
        self._clock = clock
        self._cpu = CPUMeter(self._cgroup, clock=clock)
        self._lock = Lock()
        self._read_at: float | None = None
        self._reading: list[tuple[str, tuple[str, ...], float]] = []

    def describe(self) -> Iterable[Metric]:
        """The gauges without values: registering reads nothing."""
        return _families().values()

    def collect(self) -> Iterable[Metric]:
        """The gauges."""
        with self._lock:
            now = self._clock()
            if self._read_at is None or now - self._read_at >= self._cache_seconds:
                self._reading = list(self._read())
                self._read_at = now
            reading = self._reading
        families = _families()
        for name, labels, value in reading:
            families[name].add_metric(labels, value)
        return families.values()

    def _read(self) -> Iterator[tuple[str, tuple[str, ...], float]]:
        cpu, memory = self._cpu.read(), read_memory(self._cgroup)
        yield "system_cpu_utilization_ratio", (), cpu.percent / 100
        yield "system_cpu_limit_cores", (), cpu.limit_cores
        for window, load in zip(("1m", "5m", "15m"), cpu.load_average or (), strict=False):
            yield "system_load_average", (window,), load
        yield "system_memory_limit_bytes", (), memory.total_bytes
        yield "system_memory_used_bytes", (), memory.used_bytes
        yield "system_memory_available_bytes", (), memory.available_bytes
        for disk in MetricsUtils.disks(self._disk_paths):
            yield "system_disk_size_bytes", (disk.path,), disk.total_bytes
            yield "system_disk_used_bytes", (disk.path,), disk.used_bytes
            yield "system_disk_free_bytes", (disk.path,), disk.free_bytes


def _families() -> dict[str, GaugeMetricFamily]:
    return {
        name: GaugeMetricFamily(name, documentation, labels=labels)
        for name, (documentation, labels) in _GAUGES.items()
    }
