"""Runs health checks: in parallel, within a bound, once for all who ask at the same time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from tijolo.observability.health import (
    HealthAggregatePolicy,
    HealthCheck,
    HealthCheckResult,
    HealthConfig,
    HealthReport,
    HealthStatus,
    Phase,
    Readiness,
)
from tijolo.observability.values import printable, scrubbed, scrubbed_text

logger = logging.getLogger(__name__)

_MAX_ERROR_LENGTH = 300
_MAX_META_LENGTH = 4_000
_SEVERITY = {status: rank for rank, status in enumerate(HealthStatus)}


class HealthMonitor:
    """Answers for the readiness of one service.

    Args:
        config: checks and options.
        ready: whether the service takes traffic; without it, it always does. A plain callable
            that turns false again after it was seen true is reported as draining.
        clock: monotonic seconds, for the age of the cached report.

    Raises:
        ValueError: `config.optional` names a check that does not exist.
    """

    def __init__(
        self,
        config: HealthConfig,
        ready: Callable[[], bool] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self._checks = config.named_checks()
        unknown = sorted(config.optional - self._checks.keys())
        if unknown:
            names = ", ".join(self._checks) or "none"
            raise ValueError(f"Unknown optional check {unknown[0]!r}; there are: {names}")
        self._ready = ready
        self._was_ready = False
        self._clock = clock
        self._report: HealthReport | None = None
        self._reported_at = 0.0
        self._run: asyncio.Task[HealthReport] | None = None
        self._unfinished: dict[str, asyncio.Task[HealthCheckResult]] = {}

    @property
    def phase(self) -> Phase:
        """`initializing`, `ready` or `draining`."""
        if self._ready is None:
            return "ready"
        if isinstance(self._ready, Readiness):
            return self._ready.phase
        if self._ready():
            self._was_ready = True
            return "ready"
        return "draining" if self._was_ready else "initializing"

    async def check(self) -> HealthReport:
        """The cached report while it is fresh, else that of the run that everybody waits for."""
        fresh = self._clock() - self._reported_at < self.config.cache_ttl
        if self._report is not None and fresh:
            return self._report
        loop = asyncio.get_running_loop()
        if self._run is None or self._run.done() or self._run.get_loop() is not loop:
            self._run = loop.create_task(self._run_checks())
        # A probe that hangs up must not cancel the run for the others.
        return await asyncio.shield(self._run)

    async def _run_checks(self) -> HealthReport:
        tasks = {name: self._start(name, check) for name, check in self._checks.items()}
        if tasks:
            await asyncio.wait(tasks.values(), timeout=self.config.timeout)
        results = {name: self._collect(name, task) for name, task in tasks.items()}
        status = self._aggregate(results)
        self._report = HealthReport(status=status, checks=tuple(results.values()))
        self._reported_at = self._clock()
        return self._report

    def _start(self, name: str, check: HealthCheck) -> asyncio.Task[HealthCheckResult]:
        """A new task, or the last one while it refuses to end: a hung check never piles up."""
        loop = asyncio.get_running_loop()
        task = self._unfinished.pop(name, None)
        if task is not None and not task.done() and task.get_loop() is loop:
            return task
        return loop.create_task(_attempt(name, check))

    def _collect(self, name: str, task: asyncio.Task[HealthCheckResult]) -> HealthCheckResult:
        if task.done() and not task.cancelled():
            return task.result()
        task.cancel()
        self._unfinished[name] = task
        return _failure(name, f"no answer within {self.config.timeout:g} s", self.config.timeout)

    def _aggregate(self, results: Mapping[str, HealthCheckResult]) -> HealthStatus:
        strict = self.config.policy is HealthAggregatePolicy.STRICT
        worst = HealthStatus.OK
        for name, result in results.items():
            status = result.status
            if name in self.config.optional and status is not HealthStatus.OK:
                status = HealthStatus.DEGRADED
            elif strict and status is HealthStatus.UNKNOWN:
                status = HealthStatus.FAIL
            worst = max(worst, status, key=_SEVERITY.__getitem__)
        return worst


async def _attempt(name: str, check: HealthCheck) -> HealthCheckResult:
    started = time.perf_counter()
    try:
        outcome = await check()
        result = _as_result(name, outcome)
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # SystemExit would end the server, CancelledError the probe
        result = _failure(name, _describe(exc))
        logger.warning("Health check %r failed: %s", name, result.error)
    if result.latency_ms is not None:
        return result
    elapsed = round((time.perf_counter() - started) * 1000, 3)
    return result.model_copy(update={"latency_ms": elapsed})


def _as_result(name: str, outcome: object) -> HealthCheckResult:
    """`outcome` with nothing secret in it."""
    if isinstance(outcome, bool):
        return HealthCheckResult.from_bool(name, outcome)
    if not isinstance(outcome, HealthCheckResult):
        raise TypeError(
            f"a health check returns bool or HealthCheckResult, not {type(outcome).__name__}"
        )
    error = None if outcome.error is None else _scrubbed_error(outcome.error)
    meta = None if outcome.meta is None else scrubbed(outcome.meta, max_characters=_MAX_META_LENGTH)
    return outcome.model_copy(update={"error": error, "meta": meta})


def _failure(name: str, error: str, seconds: float | None = None) -> HealthCheckResult:
    latency = None if seconds is None else round(seconds * 1000, 3)
    return HealthCheckResult(name=name, status=HealthStatus.FAIL, latency_ms=latency, error=error)


def _describe(exc: BaseException) -> str:
    return _scrubbed_error(f"{type(exc).__name__}: {printable(exc)}")


def _scrubbed_error(text: str) -> str:
    return scrubbed_text(text, max_characters=_MAX_ERROR_LENGTH)
