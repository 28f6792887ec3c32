"""The limits that a container lives under: Linux control groups, version 2 and 1.

What the machine has is not what the service may use. The tightest limit counts, that of its own
group or of any group around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
# Version 1 writes "no limit" as the largest multiple of a page below 2**63.
_UNLIMITED_BYTES = 1 << 60


class Cgroup:
    """Reads the process's control group; where there is none, it has no limits.

    Args:
        root: where the hierarchies are mounted.
        membership: the file that says in which groups the process is.
    """

    def __init__(self, root: Path = _ROOT, membership: Path = _MEMBERSHIP) -> None:
        self._root = root
        self._groups = dict(_groups(membership))
        self._unified = (root / "cgroup.controllers").exists()

    def memory(self) -> tuple[int, int] | None:
        """The limit and what is used of it, in bytes; None without a limit.

        Page cache that the kernel can drop at once is not used memory.
        """
        found: tuple[int, int] | None = None
        names = (
            ("memory.max", "memory.current", "inactive_file")
            if self._unified
            else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        )
        for group in self._around("memory"):
            limit, usage = _number(group / names[0]), _number(group / names[1])
            if limit is None or usage is None or limit >= _UNLIMITED_BYTES:
                continue
            if found is None or limit < found[0]:
                cache = _fields(group / "memory.stat").get(names[2], 0)
                found = limit, max(0, usage - cache)
        return found

    def cpu_limit(self) -> float | None:
        """How many cores' time the group may use; None without a limit."""
        limits = [
            limit
            for group in self._around("cpu")
            if (limit := _quota_v2(group) if self._unified else _quota_v1(group)) is not None
        ]
        return min(limits, default=None)

    def cpu_seconds(self) -> float | None:
        """Processor time that the group has used; None where it is not counted."""
        for group in self._around("cpu" if self._unified else "cpuacct"):
            if self._unified:
                used = _fields(group / "cpu.stat").get("usage_usec")
                return None if used is None else used / 1e6
            used = _number(group / "cpuacct.usage")
            return None if used is None else used / 1e9
        return None

    def _around(self, controller: str) -> Iterator[Path]:
        """The process's group, and those around it, as far as they can be seen."""
        if self._unified:
            top, path = self._root, self._groups.get("", "/")
        else:
            top, path = self._mounted(controller), self._groups.get(controller, "/")
        # A path from outside of the container's own view is not there; then its root is the group.
        group = top / path.lstrip("/")
        if ".." in group.parts or not group.is_dir():
            group = top
        while group.is_dir():
            yield group
            if group == top:
                return
            group = group.parent

    def _mounted(self, controller: str) -> Path:
        if (self._root / controller).is_dir():
            return self._root / controller
        together = [path for path in self._root.glob("*,*") if controller in path.name.split(",")]
        return together[0] if together else self._root / controller


def _groups(membership: Path) -> Iterator[tuple[str, str]]:
    """The path of the group for each controller; under "" that of version 2."""
    for line in _text(membership).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            yield controller, path


def _quota_v2(group: Path) -> float | None:
    quota, _, period = _text(group / "cpu.max").strip().partition(" ")
    return _ratio(_whole(quota), _whole(period))


def _quota_v1(group: Path) -> float | None:
    return _ratio(_number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us"))


def _ratio(quota: int | None, period: int | None) -> float | None:
    return quota / period if quota and period and quota > 0 and period > 0 else None


def _fields(path: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in _text(path).splitlines():
        name, _, value = line.partition(" ")
        if (number := _whole(value)) is not None:
            found[name] = number
    return found


def _number(path: Path) -> int | None:
    return _whole(_text(path))


def _whole(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:  # "max", or nothing at all
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
