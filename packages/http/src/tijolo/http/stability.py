"""Stability patterns as decorators, for any coroutine function: ``from tijolo.http import stability
as sp``.

From the outside in, each where it is wanted::

    @sp.Fallback(from_cache)        # what the caller gets when all below has failed
    @sp.Timeout(10)                 # for all attempts together
    @sp.RetryPattern()              # each attempt passes everything below
    @sp.CircuitBreaker("prices")    # counts attempts; refuses before anything is used up
    @sp.Throttling(50)              # each attempt is a call to the other side
    @sp.Bulkhead(10)                # places are held only while the call runs
    @sp.Timeout(2)                  # for one attempt, the wait for a place not included
    async def prices() -> ...

A pattern judges by exceptions: what returns is a success, whatever status it holds. Each instance
keeps its own state; one instance on several functions shares it. The state is this process's.
"""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, ClassVar, ParamSpec, TypeVar

import httpx

from tijolo.core import AppException
from tijolo.http.circuit import Circuit, CircuitPolicy, CircuitSnapshot
from tijolo.http.errors import CircuitOpenError, UpstreamError
from tijolo.http.retry import RetryBudget, RetryPolicy

__all__ = [
    "DEPENDENCY_FAILURES",
    "TRANSIENT",
    "Bulkhead",
    "BulkheadFullError",
    "CircuitBreaker",
    "CircuitOpenError",
    "Fallback",
    "RetryPattern",
    "StabilityError",
    "StabilityPattern",
    "StabilityTimeoutError",
    "Throttling",
    "ThrottlingError",
    "Timeout",
    "patterns_of",
]

P = ParamSpec("P")
R = TypeVar("R")

TRANSIENT: tuple[type[Exception], ...] = (OSError, httpx.TransportError)
"""What may be different the next time; ``TimeoutError`` is an ``OSError``."""

DEPENDENCY_FAILURES: tuple[type[Exception], ...] = (*TRANSIENT, httpx.HTTPError, UpstreamError)
"""What says that a dependency failed, and not that this code has a mistake."""


class StabilityError(UpstreamError):
    """A pattern refused a call, or cut it off."""

    status_code = 503
    code = "UPSTREAM_UNAVAILABLE"
    message = "A service that this one depends on is not available"

    def __init__(self, log_text: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__()
        self.log_text = log_text
        self.retry_after_seconds = retry_after_seconds


class StabilityTimeoutError(StabilityError, TimeoutError):
    """``Timeout`` cut a call off."""

    status_code = 504
    code = "UPSTREAM_TIMEOUT"
    message = "A service that this one depends on did not answer in time"


class ThrottlingError(StabilityError):
    """``Throttling`` refused a call: too many in this moment."""

    code = "UPSTREAM_THROTTLED"


class BulkheadFullError(StabilityError):
    """``Bulkhead`` refused a call: every place is taken."""

    code = "UPSTREAM_BUSY"


class StabilityPattern:
    """Base of the decorators: implement ``run``."""

    name: ClassVar[str] = ""

    async def run(self, func: Callable[[], Awaitable[R]], name: str) -> R:
        """Call ``func``, under the pattern; ``name`` is that of the decorated function."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """Name and parameters, for the page of integrations: no secrets, JSON only."""
        return {"pattern": self.name}

    def __call__(self, func: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        """Decorate a coroutine function."""
        name = getattr(func, "__qualname__", repr(func))

        @functools.wraps(func)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            return await self.run(lambda: func(*args, **kwargs), name)

        guarded.__tijolo_patterns__ = (self, *patterns_of(func))  # type: ignore[attr-defined]
        return guarded


def patterns_of(func: Callable[..., Any]) -> tuple[StabilityPattern, ...]:
    """The patterns on ``func``, from the outside in."""
    return getattr(func, "__tijolo_patterns__", ())


class Fallback(StabilityPattern):
    """Another way to an answer when the first one failed.

    Args:
        alternative_func: Called without arguments, awaited if it is a coroutine function.
        on: Errors that it stands in for. By default failures of a dependency: a ``KeyError`` of
            this code would otherwise never be seen again.
    """

    name = "fallback"

    def __init__(
        self,
        alternative_func: Callable[[], Any],
        *,
        on: tuple[type[Exception], ...] = DEPENDENCY_FAILURES,
    ) -> None:
        self._alternative = alternative_func
        self._on = on

    async def run(self, func: Callable[[], Awaitable[R]], name: str) -> R:
        """Call ``func``, and the alternative when it raises one of ``on``."""
        try:
            return await func()
        except self._on:
            answer = self._alternative()
            return await answer if isinstance(answer, Awaitable) else answer  # type: ignore[no-any-return]  # pyright: ignore[reportUnknownVariableType]

    def describe(self) -> dict[str, Any]:
        """Name, and that of the alternative."""
        alternative = getattr(self._alternative, "__qualname__", type(self._alternative).__name__)
        return {"pattern": self.name, "alternative": alternative}


class Timeout(StabilityPattern):
    """An end to waiting.

    Args:
        seconds: For each call.
    """

    name = "timeout"

    def __init__(self, seconds: float = 10) -> None:
        _positive(seconds=seconds)
        self._seconds = seconds

    async def run(self, func: Callable[[], Awaitable[R]], name: str) -> R:
        """Call ``func``; a ``TimeoutError`` of its own stays one.

        Raises:
            StabilityTimeoutError: after ``seconds``.
        """
        timer = asyncio.timeout(self._seconds)
        try:
            async with timer:
                return await func()
        except TimeoutError:
            if not timer.expired():
                raise
            raise StabilityTimeoutError(f"{name} took over {self._seconds:g} seconds") from None

    def describe(self) -> dict[str, Any]:
        """Name and seconds."""
        return {"pattern": self.name, "seconds": self._seconds}


class CircuitBreaker(StabilityPattern):
    """Refuse calls for a while after too many have failed; ``tijolo.http.Circuit`` is behind it.

    Args:
        name: Of the circuit; that of the function by default.
        fail_threshold: ``CircuitPolicy.failure_threshold`` and ``minimum_calls``.
        reset_timeout: ``CircuitPolicy.open_seconds``.
        policy: Instead of the two.
        counts: Whether an error is a failure of the other side. By default every error but an
            ``AppException`` below 500, such as a 404.
        clock: Monotonic seconds.

    Raises:
        ValueError: for ``policy`` together with one of the two.
    """

    name = "circuit breaker"

    def __init__(
        self,
        name: str | None = None,
        *,
        fail_threshold: int = 3,
        reset_timeout: float = 10.0,
        policy: CircuitPolicy | None = None,
        counts: Callable[[Exception], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if policy is not None and (fail_threshold, reset_timeout) != (3, 10.0):
            raise ValueError("fail_threshold or reset_timeout and policy contradict each other")
        self.policy = policy or CircuitPolicy(
            failure_threshold=fail_threshold,
            minimum_calls=fail_threshold,
            open_seconds=reset_timeout,
        )
        self._circuit = Circuit(name or "", self.policy, clock=clock)
        self._counts = counts or _is_failure

    def __call__(self, func: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        """Decorate a coroutine function, whose name the circuit takes if it has none."""
        self._circuit.name = self._circuit.name or getattr(func, "__qualname__", "circuit")
        return super().__call__(func)

    async def run(self, func: Callable[[], Awaitable[R]], name: str) -> R:
        """Call ``func`` unless the circuit is open.

        Raises:
            CircuitOpenError: while it is.
        """
        permit = self._circuit.acquire()
        try:
            result = await func()
        except Exception as error:
            if self._counts(error):
                permit.failure()
            elif isinstance(error, StabilityError | CircuitOpenError):
                permit.release()  # refused below: the other side was not asked
            else:
                permit.success()
            raise
        except BaseException:
            permit.release()
            raise
        permit.success()
        return result

    def snapshot(self) -> CircuitSnapshot:
        """How the circuit stands."""
        return self._circuit.snapshot()

    def describe(self) -> dict[str, Any]:
        """Name, limits, and how the circuit stands now."""
        return {
            "pattern": self.name,
            "failure_threshold": self.policy.failure_threshold,
            "failure_rate": self.policy.failure_rate,
            "open_seconds": self.policy.open_seconds,
            "state": self.snapshot().state.value,
        }


class RetryPattern(StabilityPattern):
    """Try again, for what does no harm when it is done twice.

    The last error is raised as it is. tenacity and stamina do this too; they bring more than the
    ten lines, and know neither the budget nor what a circuit says.

    Args:
        max_attempts: In all, the first included.
        delay: Bound of the first wait; it doubles with each attempt, up to ``max_delay``, and the
            wait is drawn evenly below it.
        max_delay: Bound of every wait.
        on: Errors after which to try again.
        budget_ratio: Retries that every call earns, and
        budget_burst: how many may be saved up.
        sleep: Waits, in seconds.
    """

    name = "retry"

    def __init__(
        self,
        max_attempts: int = 3,
        delay: timedelta = timedelta(seconds=1),
        *,
        max_delay: timedelta = timedelta(seconds=8),
        on: tuple[type[Exception], ...] = TRANSIENT,
        budget_ratio: float = 0.2,
        budget_burst: int = 10,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._policy = RetryPolicy(max_attempts, delay.total_seconds(), max_delay.total_seconds())
        self._on = on
        self._budget = RetryBudget(budget_ratio, budget_burst)
        self._sleep = sleep
        self._uniform = uniform

    async def run(self, func: Callable[[], Awaitable[R]], name: str) -> R:
        """Call ``func`` until it succeeds, and no more than allowed."""
        self._budget.deposit()
        attempt = 0
        while True:
            attempt += 1
            try:
                return await func()
            except self._on as error:
                tired = attempt >= self._policy.max_attempts or isinstance(error, CircuitOpenError)
                if tired or not self._budget.withdraw():
                    raise
            await self._sleep(self._policy.sleep_for(attempt, uniform=self._uniform))

    def describe(self) -> dict[str, Any]:
        """Name and limits."""
        return {
            "pattern": self.name,
            "max_attempts": self._policy.max_attempts,
            "delay_seconds": self._policy.backoff_initial_seconds,
            "max_delay_seconds": self._policy.backoff_max_seconds,
        }


class Throttling(StabilityPattern):
    """At most so many calls a second, by the generic cell rate algorithm (ITU-T I.371).

    Args:
        calls_per_second: On average.
        burst: Calls that may come at once; ``calls_per_second`` by default.
        max_wait_seconds: How long a call may wait for its turn; 0 refuses it at once.
        clock: Monotonic seconds.
        sleep: Waits, in seconds.
    """

    name = "throttling"

    def __init__(
        self,
        calls_per_second: float = 1000,
        *,
        burst: int | None = None,
        max_wait_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        _positive(calls_per_second=calls_per_second)
        self._rate = calls_per_second
        self._burst = max(1, int(calls_per_second)) if burst is None else burst
        _positive(burst=self._burst)
        if max_wait_seconds < 0:
            raise ValueError(f"max_wait_seconds must not be negative, got {max_wait_seconds}")
        self._max_wait = max_wait_seconds
        self._clock = clock
        self._sleep = sleep
        self._next_at = 0.0  # when the calls so far are paid for

    async def run(self, func: Callable[[], Awaitable[R]], name: str) -> R:
        """Call ``func`` when its turn comes.

        Raises:
            ThrottlingError: when that is later than ``max_wait_seconds``.
        """
        now = self._clock()
        paid = max(self._next_at, now)
        wait = paid - now - (self._burst - 1) / self._rate
        # a hair of tolerance: the sum of a thousand floats is not quite a second
        if wait > self._max_wait + 1e-9:
            raise ThrottlingError(
                f"{name} is over {self._rate:g} calls a second", retry_after_seconds=wait
            )
        self._next_at = paid + 1.0 / self._rate
        if wait > 1e-9:
            await self._sleep(wait)
        return await func()

    def describe(self) -> dict[str, Any]:
        """Name and limits."""
        return {
            "pattern": self.name,
            "calls_per_second": self._rate,
            "burst": self._burst,
            "max_wait_seconds": self._max_wait,
        }


class Bulkhead(StabilityPattern):
    """At most so many calls at once, so that one slow dependency cannot take every task.

    Args:
        max_concurrent: Calls that run.
        max_waiting: Calls that may wait for a place; more are refused.
        max_wait_seconds: For how long.
    """

    name = "bulkhead"

    def __init__(
        self, max_concurrent: int = 10, *, max_waiting: int = 0, max_wait_seconds: float = 1.0
    ) -> None:
        _positive(max_concurrent=max_concurrent, max_wait_seconds=max_wait_seconds)
        if max_waiting < 0:
            raise ValueError(f"max_waiting must not be negative, got {max_waiting}")
        self._max_concurrent = max_concurrent
        self._max_waiting = max_waiting
        self._max_wait = max_wait_seconds
        self._places = asyncio.Semaphore(max_concurrent)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting = 0

    async def run(self, func: Callable[[], Awaitable[R]], name: str) -> R:
        """Call ``func`` in one of the places.

        Raises:
            BulkheadFullError: when there is none, or none in time.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # decorators outlive event loops, in tests above all
            self._loop, self._waiting = loop, 0
            self._places = asyncio.Semaphore(self._max_concurrent)
        places = self._places
        if places.locked():
            await self._wait(name)
        else:
            await places.acquire()  # does not wait
        try:
            return await func()
        finally:
            places.release()

    async def _wait(self, name: str) -> None:
        full = BulkheadFullError(f"{name} already runs {self._max_concurrent} times")
        if self._waiting >= self._max_waiting:
            raise full
        self._waiting += 1
        try:
            async with asyncio.timeout(self._max_wait):
                await self._places.acquire()
        except TimeoutError:
            raise full from None
        finally:
            self._waiting -= 1

    def describe(self) -> dict[str, Any]:
        """Name and limits."""
        return {
            "pattern": self.name,
            "max_concurrent": self._max_concurrent,
            "max_waiting": self._max_waiting,
        }


def _is_failure(error: Exception) -> bool:
    if isinstance(error, StabilityTimeoutError):
        return True
    if isinstance(error, StabilityError | CircuitOpenError):
        return False
    return not (isinstance(error, AppException) and error.status_code < 500)


def _positive(**values: float) -> None:
    for name, value in values.items():
        if value <= 0:
            raise ValueError(f"{name} must be positive, got {value}")
