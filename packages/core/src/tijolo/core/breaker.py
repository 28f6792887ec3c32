"""A breaker for what nobody should wait for twice: a store, a service, an issuer that is down."""

from __future__ import annotations

import time
from collections.abc import Callable


class Breaker:
    """Keeps what failed a few times in a row from being asked by every request.

    For one event loop. Where a share of failures, several probes or events matter, there is the
    ``Circuit`` of tijolo-http.

    Args:
        retry_seconds: While it is open, one caller in this time may try.
        failures_to_open: How many failures in a row open it.
        clock: Monotonic seconds.

    Raises:
        ValueError: for a negative time, or no failures.
    """

    def __init__(
        self,
        retry_seconds: float,
        *,
        failures_to_open: int = 3,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if retry_seconds < 0 or failures_to_open < 1:
            raise ValueError("needs retry_seconds of 0 or more and failures_to_open of 1 or more")
        self._retry_seconds, self._most, self._clock = retry_seconds, failures_to_open, clock
        self._next_try = 0.0
        self.failures = 0
        """In a row; while it is 0, nobody has to ask :meth:`may_try`."""

    @property
    def is_open(self) -> bool:
        """Whether the other side counts as down."""
        return self.failures >= self._most

    def may_try(self) -> bool:
        """Whether to ask; of several while it is open, one at a time is told so."""
        if not self.is_open:
            return True
        now = self._clock()
        if now < self._next_try:
            return False
        self._next_try = now + self._retry_seconds
        return True

    def failed(self) -> bool:
        """There was no answer; whether that opened it."""
        self.failures += 1
        self._next_try = self._clock() + self._retry_seconds
        return self.failures == self._most

    def answered(self) -> int:
        """There was one; the failures after which it closed, 0 where it was not open."""
        before = self.failures if self.is_open else 0
        self.failures = 0
        return before
