"""CPU, memory and disks: the extra `system`."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, cast

from tijolo.core import MissingExtraError
from tijolo.observability.cgroups import Cgroup
from tijolo.observability.readings import (
    CPUMetrics,
    DiskMetrics,
    GPUMetrics,
    MemoryMetrics,
    SystemMetrics,
)

try:
    import psutil  # type: ignore[import-untyped]
except ImportError as exc:
    raise MissingExtraError("tijolo-observability", "system", "psutil") from exc

__all__ = [
    "CPUMeter",
    "CPUMetrics",
    "DiskMetrics",
    "GPUMetrics",
    "MemoryMetrics",
    "MetricsUtils",
    "SystemMetrics",
]

logger = logging.getLogger(__name__)
_psutil: Any = cast("Any", psutil)


class CPUMeter:
    """How busy the processors were since it was last asked, without waiting.

    Args:
        cgroup: whose quota and whose use of it count, where it has one.
        clock: monotonic seconds.
    """

    def __init__(
        self, cgroup: Cgroup | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cgroup = cgroup or Cgroup()
        self._clock = clock
        self._lock = threading.Lock()
        self._before = self._used()
        self._percent = 0.0

    def read(self) -> CPUMetrics:
        """The time since the last reading; the same again where no time has passed."""
        with self._lock:
            now = self._used()
            busy, available = now[0] - self._before[0], now[1] - self._before[1]
            if now[2] != self._before[2]:  # a quota came or went: nothing to compare with
                self._before = now
            elif available > 0:
                self._percent = round(min(100.0, max(0.0, 100 * busy / available)), 2)
                self._before = now
            percent = self._percent
        return CPUMetrics(
            percent=percent,
            cores_logical=_psutil.cpu_count() or 1,
            cores_physical=_psutil.cpu_count(logical=False) or _psutil.cpu_count() or 1,
            load_average=os.getloadavg() if hasattr(os, "getloadavg") else None,
            limit_cores=self._limit(),
        )

    def _limit(self) -> float:
        usable = (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else _psutil.cpu_count() or 1
        )
        quota = self._cgroup.cpu_limit()
        return float(usable) if quota is None else min(float(usable), quota)

    def _used(self) -> tuple[float, float, bool]:
        """Seconds of work so far, seconds there were for it, and whether they are the cgroup's."""
        used = self._cgroup.cpu_seconds()
        if used is not None and self._cgroup.cpu_limit() is not None:
            return used, self._clock() * self._limit(), True
        times = _psutil.cpu_times()
        # guest time is part of user time already
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        idle = times.idle + getattr(times, "iowait", 0.0)
        return total - idle, total, False


class MetricsUtils:
    """Readings of the moment; the `_async` ones do not hold up the event loop.

    Under a cgroup's limits they are those of the container, not of the machine.
    """

    @classmethod
    def cpu(cls, *, interval: float = 0.1) -> CPUMetrics:
        """Processors, watched for `interval` seconds, in which it blocks."""
        meter = CPUMeter()
        time.sleep(interval)
        return meter.read()

    @classmethod
    async def cpu_async(cls, *, interval: float = 0.1) -> CPUMetrics:
        """The same; only its caller waits."""
        return await asyncio.to_thread(cls.cpu, interval=interval)

    @classmethod
    def memory(cls) -> MemoryMetrics:
        """Memory."""
        return read_memory(Cgroup())

    @classmethod
    async def memory_async(cls) -> MemoryMetrics:
        """Memory."""
        return await asyncio.to_thread(cls.memory)

    @classmethod
    def disk(cls, path: str = "/") -> DiskMetrics:
        """The file system that holds `path`.

        Raises:
            OSError: there is no such path, or it cannot be asked.
        """
        usage = _psutil.disk_usage(path)
        return DiskMetrics(path, usage.total, usage.used, usage.free, usage.percent)

    @classmethod
    def disks(cls, paths: list[str] | None = None) -> list[DiskMetrics]:
        """The file systems of `paths`; default, of every disk that is mounted.

        One that cannot be asked is left out, and named in the log.
        """
        if paths is None:
            partitions = _psutil.disk_partitions(all=False)
            paths = [partition.mountpoint for partition in partitions] or ["/"]
        found: list[DiskMetrics] = []
        for path in paths:
            try:
                found.append(cls.disk(path))
            except OSError as exc:
                logger.warning("Cannot read the disk of %s: %s", path, exc.strerror)
        return found

    @classmethod
    async def disks_async(cls, paths: list[str] | None = None) -> list[DiskMetrics]:
        """The same; only its caller waits."""
        return await asyncio.to_thread(cls.disks, paths)

    @classmethod
    def gpus(cls) -> list[GPUMetrics]:
        """The GPUs; none where there is no driver, or without the extra `gpu`."""
        try:
            from tijolo.observability.gpu import shared_reader
        except MissingExtraError:
            return []
        return shared_reader().read()

    @classmethod
    async def gpus_async(cls) -> list[GPUMetrics]:
        """The same; only its caller waits."""
        return await asyncio.to_thread(cls.gpus)

    @classmethod
    def snapshot(
        cls, *, disk_paths: list[str] | None = None, cpu_interval: float = 0.1
    ) -> SystemMetrics:
        """Everything, blocking for `cpu_interval` seconds."""
        return SystemMetrics(
            cpu=cls.cpu(interval=cpu_interval),
            memory=cls.memory(),
            disks=cls.disks(disk_paths),
            gpus=cls.gpus(),
        )

    @classmethod
    async def snapshot_async(
        cls, *, disk_paths: list[str] | None = None, cpu_interval: float = 0.1
    ) -> SystemMetrics:
        """The same; only its caller waits."""
        return await asyncio.to_thread(
            cls.snapshot, disk_paths=disk_paths, cpu_interval=cpu_interval
        )


def read_memory(cgroup: Cgroup) -> MemoryMetrics:
    """The memory that the process may use: the cgroup's, where its limit is below the machine's."""
    machine = _psutil.virtual_memory()
    limited = cgroup.memory()
    if limited is None or limited[0] >= machine.total:
        total, available = machine.total, machine.available
        used = total - available
    else:
        total, used = limited
        available = max(0, min(total - used, machine.available))
    percent = round(100 * used / total, 2) if total else 0.0
    return MemoryMetrics(total, used, available, percent)
