"""What a machine, or the part of it that a container may use, says of itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


class _Reading:
    """Shared by the dataclasses."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields, readings within them included, as dictionaries and lists."""
        return asdict(self)  # type: ignore[call-overload,no-any-return]  # every subclass is one


@dataclass(slots=True)
class CPUMetrics(_Reading):
    """Processors."""

    percent: float
    """0 to 100: of `limit_cores` where a cgroup limits them, else of the machine."""
    cores_logical: int
    cores_physical: int
    load_average: tuple[float, float, float] | None = None
    """Of the machine, over 1, 5 and 15 minutes; None where the system has none."""
    limit_cores: float = 0.0
    """What the process may use: the least of the cgroup's quota, its affinity and the machine."""


@dataclass(slots=True)
class MemoryMetrics(_Reading):
    """Memory: of the cgroup where it limits it, else of the machine."""

    total_bytes: int
    used_bytes: int
    """Without caches that the kernel can take back."""
    available_bytes: int
    percent: float


@dataclass(slots=True)
class DiskMetrics(_Reading):
    """The file system that holds `path`."""

    path: str
    total_bytes: int
    used_bytes: int
    free_bytes: int
    """What an unprivileged process may still write."""
    percent: float


@dataclass(slots=True)
class GPUMetrics(_Reading):
    """One device."""

    index: int
    name: str
    memory_total_bytes: int
    memory_used_bytes: int
    memory_free_bytes: int
    utilization_percent: float | None = None
    """0 to 100; None where the device does not tell, as in MIG mode."""
    temperature_celsius: float | None = None


@dataclass(slots=True)
class SystemMetrics(_Reading):
    """All of it at one moment."""

    cpu: CPUMetrics
    memory: MemoryMetrics
    disks: list[DiskMetrics] = field(default_factory=list[DiskMetrics])
    gpus: list[GPUMetrics] = field(default_factory=list[GPUMetrics])
