"""What a metrics library needs to know of each call, without knowing the metrics library."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tijolo.http.circuit import CircuitState

_log = logging.getLogger("tijolo.http")


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptEvent:
    """One try of a call, over."""

    method: str
    origin: str
    route: str
    """The ``route=`` of the call; empty where it has none. Never the path: it is unbounded."""
    attempt: int
    """The first is 1."""
    status: int | None
    error: str | None
    """Class name of the exception; None where there was an answer."""
    seconds: float
    retry_in_seconds: float | None
    """Wait until the next try; None where this was the last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallEvent:
    """One call with all its attempts, over."""

    method: str
    origin: str
    route: str
    attempts: int
    status: int | None
    error: str | None
    seconds: float


class HTTPObserver(Protocol):
    """Is told what the client does. Inherit from it and override what you count.

    Called on the event loop: count, and return. What an observer raises is swallowed, and logged
    the first time.
    """

    def on_attempt(self, event: AttemptEvent) -> None:
        """A try is over."""

    def on_call(self, event: CallEvent) -> None:
        """A call is over."""

    def on_circuit(self, origin: str, before: CircuitState, after: CircuitState) -> None:
        """A circuit changed its state."""


class Observers:
    """Several observers as one that never raises."""

    def __init__(self, observers: Sequence[HTTPObserver]) -> None:
        self._observers = tuple(observers)
        self._failed: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._observers)

    def tell(self, what: Callable[[HTTPObserver], None]) -> None:
        """Run ``what`` with each observer; the first failure of each is logged."""
        for observer in self._observers:
            try:
                what(observer)
            except Exception:
                if id(observer) not in self._failed:
                    self._failed.add(id(observer))
                    _log.exception("observer %s failed", type(observer).__name__)

    def on_circuit(self, origin: str, before: CircuitState, after: CircuitState) -> None:
        """Log and pass on a change of state."""
        level = logging.WARNING if after is CircuitState.OPEN else logging.INFO
        _log.log(level, "circuit of %s: %s -> %s", origin, before.value, after.value)
        self.tell(lambda observer: observer.on_circuit(origin, before, after))
