"""NVIDIA GPUs: the extra `gpu`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any, cast

from tijolo.core import MissingExtraError
from tijolo.observability.readings import GPUMetrics

try:
    import pynvml  # type: ignore[import-untyped]
except ImportError as exc:
    raise MissingExtraError("tijolo-observability", "gpu", "nvidia-ml-py") from exc

__all__ = ["GPUMetrics", "GPUReader", "shared_reader"]

logger = logging.getLogger(__name__)
_nvml: Any = cast("Any", pynvml)


class GPUReader:
    """Reads all devices over one connection to the driver, which it keeps.

    A machine without GPU or driver has no devices: that is no error, and `problem` says why. It
    is tried again after `retry_seconds`. A device that fails is left out and named in `failed`;
    a value that a device does not tell (MIG) is None.

    Args:
        retry_seconds: how long a driver that is not there is not asked again.
        clock: monotonic seconds.
    """

    def __init__(
        self, *, retry_seconds: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.problem: str | None = None
        """Why no device can be read; None when they can."""
        self.failed: dict[int, str] = {}
        """The devices that could not be read the last time, and why."""
        self._retry = retry_seconds
        self._clock = clock
        self._open = False
        self._tried_at: float | None = None
        self._lock = threading.Lock()

    def read(self) -> list[GPUMetrics]:
        """The devices that answer; it blocks for milliseconds, so call it in a thread."""
        with self._lock:
            if not self._open and not self._connect():
                return []
            try:
                count = int(_nvml.nvmlDeviceGetCount())
            except _nvml.NVMLError as exc:
                # the driver was reloaded, or the library is not initialized any longer
                self._disconnect()
                self._report(str(exc))
                return []
            return self._read_devices(count)

    def close(self) -> None:
        """Let go of the driver; a later `read` connects again."""
        with self._lock:
            self._disconnect()
            self._tried_at = None

    def _connect(self) -> bool:
        now = self._clock()
        if self._tried_at is not None and now - self._tried_at < self._retry:
            return False
        self._tried_at = now
        try:
            _nvml.nvmlInit()
        except _nvml.NVMLError as exc:
            self._report(str(exc))
            return False
        self._open = True
        self.problem = None
        return True

    def _disconnect(self) -> None:
        if self._open:
            self._open = False
            try:
                _nvml.nvmlShutdown()
            except _nvml.NVMLError as exc:
                logger.debug("NVML did not shut down: %s", exc)

    def _report(self, problem: str) -> None:
        self.failed = {}
        if problem != self.problem:
            self.problem = problem
            logger.info("No GPU is monitored: %s", problem)

    def _read_devices(self, count: int) -> list[GPUMetrics]:
        found: list[GPUMetrics] = []
        failed: dict[int, str] = {}
        for index in range(count):
            try:
                found.append(_read_device(index))
            except _nvml.NVMLError as exc:
                failed[index] = str(exc)
        for index in failed.keys() - self.failed.keys():
            logger.warning("GPU %d cannot be read: %s", index, failed[index])
        self.failed = failed
        return found


@cache
def shared_reader() -> GPUReader:
    """The reader that everybody in the process shares."""
    return GPUReader()


def _read_device(index: int) -> GPUMetrics:
    handle = _nvml.nvmlDeviceGetHandleByIndex(index)
    name = _nvml.nvmlDeviceGetName(handle)
    memory = _nvml.nvmlDeviceGetMemoryInfo(handle)
    utilization = _optional(_nvml.nvmlDeviceGetUtilizationRates, handle)
    temperature = _optional(_nvml.nvmlDeviceGetTemperature, handle, _nvml.NVML_TEMPERATURE_GPU)
    return GPUMetrics(
        index=index,
        name=name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name),
        memory_total_bytes=int(memory.total),
        memory_used_bytes=int(memory.used),
        memory_free_bytes=int(memory.free),
        utilization_percent=None if utilization is None else float(utilization.gpu),
        temperature_celsius=None if temperature is None else float(temperature),
    )


def _optional(read: Callable[..., Any], *args: object) -> Any:
    try:
        return read(*args)
    except _nvml.NVMLError:
        return None
