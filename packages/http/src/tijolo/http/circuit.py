"""A circuit breaker whose half-open state is really bounded."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from tijolo.core import BaseStrEnum
from tijolo.http.errors import CircuitOpenError

_BUCKETS = 10


class CircuitState(BaseStrEnum):
    """Closed lets calls through, open refuses them, half-open lets a few probes through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, kw_only=True, slots=True)
class CircuitPolicy:
    """When a circuit opens, for how long, and how it closes again.

    It opens when, within the last ``window_seconds``, there were at least ``minimum_calls`` calls
    and ``failure_threshold`` failures, and failures made up at least ``failure_rate`` of the calls.
    After ``open_seconds`` at most ``half_open_probes`` calls are let through: when all of them
    succeed it closes, when one fails it opens again.

    Raises:
        ValueError: for a value that makes no sense.
    """

    failure_threshold: int = 5
    failure_rate: float = 0.5
    """Share of the calls, above 0 and up to 1."""
    minimum_calls: int = 5
    window_seconds: float = 30.0
    open_seconds: float = 30.0
    half_open_probes: int = 1
    probe_lease_seconds: float = 60.0
    """A probe that has not come back after this time is given up and its place is free again."""
    slow_call_seconds: float | None = None
    """A success that took longer counts as a failure; None: none does."""
    patience_seconds: float = 1.0
    """An attempt that the end of a ``deadline_scope`` cut off counts as a failure if it had lasted
    this long: a shorter rest of a caller's time says nothing about the other side."""

    def __post_init__(self) -> None:
        for name in ("failure_threshold", "minimum_calls", "half_open_probes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in (
            "window_seconds",
            "open_seconds",
            "probe_lease_seconds",
            "patience_seconds",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 < self.failure_rate <= 1:
            raise ValueError(f"failure_rate must be in (0, 1], got {self.failure_rate}")
        if self.slow_call_seconds is not None and self.slow_call_seconds <= 0:
            raise ValueError(f"slow_call_seconds must be positive, got {self.slow_call_seconds}")


@dataclass(frozen=True, kw_only=True, slots=True)
class CircuitSnapshot:
    """How a circuit stands at one moment."""

    name: str
    state: CircuitState
    calls: int
    """Within the window."""
    failures: int
    retry_after_seconds: float
    """Time until probes are let through; 0 unless open."""


class Permit:
    """Leave to make one call; say how it ended, once. What is said later is not heard.

    As a context manager: an ``Exception`` is a failure, a cancellation is neither.
    """

    __slots__ = ("_circuit", "_done", "_started", "epoch")

    def __init__(self, circuit: Circuit, epoch: int, started: float) -> None:
        self._circuit = circuit
        self._started = started
        self._done = False
        self.epoch = epoch

    def success(self) -> None:
        """The other side did what it was asked for."""
        self._end(failed=False)

    def failure(self) -> None:
        """The other side failed."""
        self._end(failed=True)

    def cut_off(self) -> None:
        """The caller's time ended first; a failure if the other side had time enough."""
        circuit = self._circuit
        lasted = circuit._clock() - self._started  # pyright: ignore[reportPrivateUsage]
        self._end(failed=True if lasted >= circuit.policy.patience_seconds else None)

    def release(self) -> None:
        """Neither: cancelled, throttled, never sent."""
        self._end(failed=None)

    def _end(self, *, failed: bool | None) -> None:
        if not self._done:
            self._done = True
            self._circuit._ended(self, self._started, failed)  # pyright: ignore[reportPrivateUsage]

    def __enter__(self) -> Permit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is None:
            self.success()
        elif isinstance(error, Exception):
            self.failure()
        else:
            self.release()


class Circuit:
    """One circuit, for one event loop.

    Args:
        name: What is behind it; an origin or a name.
        policy: When it opens and closes.
        clock: Monotonic seconds.
        on_change: Called with ``(name, before, after)`` at each change of state.
    """

    def __init__(
        self,
        name: str,
        policy: CircuitPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[str, CircuitState, CircuitState], None] | None = None,
    ) -> None:
        self.name = name
        self.policy = policy or CircuitPolicy()
        self._clock = clock
        self._on_change = on_change
        self._state = CircuitState.CLOSED
        self._epoch = 0
        self._opened_at = 0.0
        self._buckets: deque[list[int]] = deque(maxlen=_BUCKETS + 1)  # [number, calls, failures]
        self._probes: dict[Permit, float] = {}  # -> when its lease ends
        self._probes_passed = 0

    def acquire(self) -> Permit:
        """Leave to make a call now.

        Raises:
            CircuitOpenError: while open, or half-open with every probe out.
        """
        if self._state is CircuitState.CLOSED:
            return Permit(self, self._epoch, self._clock())
        now = self._clock()
        if self._state is CircuitState.OPEN:
            wait = self._opened_at + self.policy.open_seconds - now
            if wait > 0:
                raise CircuitOpenError(self.name, wait)
            self._change(CircuitState.HALF_OPEN)
        return self._probe(now)

    def _probe(self, now: float) -> Permit:
        for permit in [p for p, until in self._probes.items() if until <= now]:
            del self._probes[permit]
        if len(self._probes) + self._probes_passed >= self.policy.half_open_probes:
            raise CircuitOpenError(self.name, min(self._probes.values(), default=now) - now)
        permit = Permit(self, self._epoch, now)
        self._probes[permit] = now + self.policy.probe_lease_seconds
        return permit

    def _ended(self, permit: Permit, started: float, failed: bool | None) -> None:
        probing = self._probes.pop(permit, None) is not None
        if permit.epoch != self._epoch or failed is None:
            return  # of a state that is over, or no verdict on the other side
        now, slow = self._clock(), self.policy.slow_call_seconds
        failed = failed or (slow is not None and now - started > slow)
        if self._state is CircuitState.CLOSED:
            self._count(now, failed)
        elif probing and failed:
            self._open(now)
        elif probing:
            self._probes_passed += 1
            if self._probes_passed >= self.policy.half_open_probes:
                self._change(CircuitState.CLOSED)

    def _count(self, now: float, failed: bool) -> None:
        number = int(now * _BUCKETS / self.policy.window_seconds)
        if not self._buckets or self._buckets[-1][0] != number:
            self._buckets.append([number, 0, 0])
        last = self._buckets[-1]
        last[1] += 1
        if not failed:
            return
        last[2] += 1
        calls, failures = self._totals(now)
        policy = self.policy
        if (
            failures >= policy.failure_threshold
            and calls >= policy.minimum_calls
            and failures >= policy.failure_rate * calls
        ):
            self._open(now)

    def _totals(self, now: float) -> tuple[int, int]:
        oldest = int(now * _BUCKETS / self.policy.window_seconds) - _BUCKETS
        fresh = [bucket for bucket in self._buckets if bucket[0] > oldest]
        return sum(b[1] for b in fresh), sum(b[2] for b in fresh)

    def _open(self, now: float) -> None:
        self._opened_at = now
        self._change(CircuitState.OPEN)

    def _change(self, state: CircuitState) -> None:
        before, self._state = self._state, state
        self._epoch += 1  # results of the state before are late from now on
        self._probes.clear()
        self._probes_passed = 0
        self._buckets.clear()
        if self._on_change is not None:
            self._on_change(self.name, before, state)

    @property
    def state(self) -> CircuitState:
        """The state that the next call will meet."""
        waited = self._clock() - self._opened_at >= self.policy.open_seconds
        if self._state is CircuitState.OPEN and waited:
            return CircuitState.HALF_OPEN
        return self._state

    @property
    def idle(self) -> bool:
        """Whether nothing is lost by forgetting it."""
        return self._state is CircuitState.CLOSED and not self._totals(self._clock())[1]

    def snapshot(self) -> CircuitSnapshot:
        """Name, state and numbers, as they are now."""
        now = self._clock()
        calls, failures = self._totals(now)
        state = self.state
        wait = self._opened_at + self.policy.open_seconds - now
        return CircuitSnapshot(
            name=self.name,
            state=state,
            calls=calls,
            failures=failures,
            retry_after_seconds=max(0.0, wait) if state is CircuitState.OPEN else 0.0,
        )
