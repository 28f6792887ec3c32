"""Leaving alone what is down."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tijolo.sessions.errors import SessionStoreUnavailableException

_log = logging.getLogger("tijolo.sessions")
_FAILURES_THAT_OPEN = 3


class Breaker:
    """Keeps what failed a few times in a row from being asked by every request.

    Args:
        name: What it is, for the log.
        retry_seconds: How long it is left alone.
        clock: Monotonic seconds.
    """

    def __init__(self, name: str, retry_seconds: float, clock: Callable[[], float]) -> None:
        self._name, self._retry_seconds, self._clock = name, retry_seconds, clock
        self.failures = 0
        self._next_try = 0.0

    def check(self) -> None:
        """Raise at once while it is down; one caller at a time gets through to try."""
        if self.failures < _FAILURES_THAT_OPEN:
            return
        now = self._clock()
        if now < self._next_try:
            raise SessionStoreUnavailableException
        self._next_try = now + self._retry_seconds

    def failed(self, error: Exception) -> None:
        """It did not answer."""
        self.failures += 1
        self._next_try = self._clock() + self._retry_seconds
        if self.failures == _FAILURES_THAT_OPEN:
            cause = type(error.__cause__ or error).__name__
            _log.error("%s is down (%s)", self._name, cause)

    def answered(self) -> None:
        """It answered."""
        if self.failures >= _FAILURES_THAT_OPEN:
            _log.warning("%s is back, after %d failed calls", self._name, self.failures)
        self.failures = 0
