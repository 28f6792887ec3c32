"""Gauges of NVIDIA GPUs: the extras `prometheus` and `gpu`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from threading import Lock

from tijolo.observability.gpu import GPUReader, shared_reader
from tijolo.observability.prometheus._client import GaugeMetricFamily, Metric
from tijolo.observability.readings import GPUMetrics

_LABELS = ("gpu", "name")


class GPUCollector:
    """Reads the GPUs when it is scraped: `metrics.add_collector(GPUCollector())`.

    ``gpu_monitoring_up`` is 0 where no driver answers; ``gpu_device_up`` is 0 for a device that
    fails while others are read.

    Args:
        reader: default, the one that the process shares.
        cache_seconds: how long a reading is good for several scrapers.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        reader: GPUReader | None = None,
        *,
        cache_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader or shared_reader()
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._lock = Lock()
        self._read_at: float | None = None
        self._reading: tuple[list[GPUMetrics], list[int], bool] = [], [], False

    def describe(self) -> Iterable[Metric]:
        """The gauges without values: registering reads nothing."""
        return _families([], [], up=False)

    def collect(self) -> Iterable[Metric]:
        """The gauges."""
        with self._lock:
            now = self._clock()
            if self._read_at is None or now - self._read_at >= self._cache_seconds:
                devices = self._reader.read()
                self._reading = devices, list(self._reader.failed), self._reader.problem is None
                self._read_at = now
            devices, failed, up = self._reading
        return _families(devices, failed, up=up)


def _families(devices: list[GPUMetrics], failed: list[int], *, up: bool) -> Iterable[Metric]:
    monitoring = GaugeMetricFamily("gpu_monitoring_up", "Whether the driver answers.")
    monitoring.add_metric((), float(up))
    answering = GaugeMetricFamily("gpu_device_up", "Whether the device answers.", labels=["gpu"])
    total = GaugeMetricFamily("gpu_memory_size_bytes", "Memory of the device.", labels=_LABELS)
    used = GaugeMetricFamily("gpu_memory_used_bytes", "Memory in use.", labels=_LABELS)
    busy = GaugeMetricFamily("gpu_utilization_ratio", "Part of the time it worked.", labels=_LABELS)
    heat = GaugeMetricFamily("gpu_temperature_celsius", "Temperature.", labels=_LABELS)
    for device in devices:
        labels = str(device.index), device.name
        answering.add_metric(labels[:1], 1)
        total.add_metric(labels, device.memory_total_bytes)
        used.add_metric(labels, device.memory_used_bytes)
        if device.utilization_percent is not None:
            busy.add_metric(labels, device.utilization_percent / 100)
        if device.temperature_celsius is not None:
            heat.add_metric(labels, device.temperature_celsius)
    for index in failed:
        answering.add_metric((str(index),), 0)
    return [monitoring, answering, total, used, busy, heat]
