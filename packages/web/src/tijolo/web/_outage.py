"""A store that may be down: asked no more than now and then, and logged once per change."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable


class StoreHealth:
    """Whether a store answers, as its callers found out.

    After a failure it is left alone for ``retry_seconds``; then one caller tries. So a server
    that hangs costs one of its timeouts each time, not one for every request.

    Args:
        log: Where both changes are logged.
        what: The store, for the log.
        consequence: What happens to requests meanwhile, for the log.
        retry_seconds: How long it is left alone.
        clock: Seconds; must never go back.
    """

    def __init__(
        self,
        log: logging.Logger,
        what: str,
        consequence: str,
        *,
        retry_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._what, self._consequence = log, what, consequence
        self._retry_seconds, self._clock = retry_seconds, clock
        self.is_down = False
        self._down_since = 0.0
        self._next_try = 0.0
        self._failures = 0

    def may_ask(self) -> bool:
        """Whether to ask the store now; True for one caller at a time while it is down."""
        if not self.is_down:
            return True
        now = self._clock()
        if now < self._next_try:
            return False
        self._next_try = now + self._retry_seconds
        return True

    def failed(self, exc: Exception) -> None:
        """Take note that it did not answer."""
        now = self._clock()
        self._next_try = now + self._retry_seconds
        self._failures += 1
        if not self.is_down:
            self.is_down, self._down_since = True, now
            # the error's own text may hold the address with its password
            name = type(exc).__name__
            self._log.error("%s is down (%s): %s", self._what, name, self._consequence)

    def answered(self) -> None:
        """Take note that it answered."""
        if self.is_down:
            self.is_down = False
            seconds = self._clock() - self._down_since
            failures, self._failures = self._failures, 0
            self._log.warning(
                "%s is back after %.1f s and %d failed calls", self._what, seconds, failures
            )
