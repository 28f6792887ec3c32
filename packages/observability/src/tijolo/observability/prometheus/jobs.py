"""What background jobs do: how often, how long, how well."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from time import perf_counter, time
from typing import Any, Literal, ParamSpec, TypeVar, cast

from tijolo.observability.prometheus.hub import Metrics

P = ParamSpec("P")
R = TypeVar("R")
JobOutcome = Literal["success", "failure", "cancelled"]

DEFAULT_JOB_BUCKETS: tuple[float, ...] = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600)
"""Upper bounds of the buckets of jobs' durations, in seconds."""


class JobMetrics:
    """Counts the runs of background jobs, each under its name.

    A run that raises is a failure. One that is cancelled is neither a failure nor a success: it
    is counted in ``background_job_cancellations_total``.

    Args:
        metrics: where they are registered.
        buckets: upper bounds of durations in seconds.
        clock: Unix time in seconds, for the time of the last success.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        buckets: Sequence[float] = DEFAULT_JOB_BUCKETS,
        clock: Callable[[], float] = time,
    ) -> None:
        labels = ["job_name"]  # `job` is the scrape target's own
        self.runs_total = metrics.counter(
            "background_job_runs_total", "Runs that ended, however.", labels
        )
        self.failures_total = metrics.counter(
            "background_job_failures_total", "Runs that raised.", labels
        )
        self.cancellations_total = metrics.counter(
            "background_job_cancellations_total", "Runs that were cancelled.", labels
        )
        self.duration = metrics.histogram(
            "background_job_duration_seconds", "Time that runs took.", labels, buckets=buckets
        )
        self.in_progress = metrics.gauge(
            "background_jobs_in_progress", "Runs that have not ended yet.", labels
        )
        self.last_success = metrics.gauge(
            "background_job_last_success_timestamp_seconds",
            "Unix time at which a run last succeeded; 0 before the first.",
            labels,
            multiprocess_mode="max",
        )
        self._clock = clock

    def observe_job(self, name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorate a job, sync or async; what it returns and raises stays as it is.

        The series of `name` begin at 0 at once, so that a job that never ran can be seen.

        Raises:
            TypeError: for a generator, which has done nothing yet when it returns.
        """
        self.declare(name)

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
                raise TypeError(
                    f"{function.__qualname__} is a generator: its run is over when it was read;"
                    f" use `with running({name!r})` where it is"
                )
            if inspect.iscoroutinefunction(function):

                @functools.wraps(function)
                async def run(*args: P.args, **kwargs: P.kwargs) -> Any:
                    with self.running(name):
                        return await function(*args, **kwargs)

                return cast("Callable[P, R]", run)

            @functools.wraps(function)
            def run_now(*args: P.args, **kwargs: P.kwargs) -> R:
                with self.running(name):
                    return function(*args, **kwargs)

            return run_now

        return decorate

    @contextmanager
    def running(self, name: str) -> Generator[None]:
        """Count the block as one run of the job `name`."""
        waiting = self.in_progress.labels(name)
        waiting.inc()
        started = perf_counter()
        outcome: JobOutcome = "success"
        try:
            yield
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except BaseException:
            outcome = "failure"
            raise
        finally:
            waiting.dec()
            self.observe(name, perf_counter() - started, outcome)

    def observe(self, name: str, seconds: float, outcome: JobOutcome) -> None:
        """Count a run that somebody else watched, such as a task queue's hook."""
        self.runs_total.labels(name).inc()
        self.duration.labels(name).observe(seconds)
        if outcome == "success":
            self.last_success.labels(name).set(self._clock())
        elif outcome == "failure":
            self.failures_total.labels(name).inc()
        else:
            self.cancellations_total.labels(name).inc()

    def declare(self, name: str) -> None:
        """Let the series of the job `name` exist, at 0."""
        for family in (
            self.runs_total,
            self.failures_total,
            self.cancellations_total,
            self.duration,
            self.in_progress,
            self.last_success,
        ):
            family.labels(name)
