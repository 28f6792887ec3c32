"""Leaving alone what is down, and saying so."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tijolo.core.breaker import Breaker
from tijolo.sessions.errors import SessionStoreUnavailableException

_log = logging.getLogger("tijolo.sessions")


class LoggedBreaker(Breaker):
    """A breaker whose openings and closings are logged, and the failure that comes first.

    Args:
        name: What may be down, for the log.
        retry_seconds: How long it is left alone.
        clock: Monotonic seconds.
    """

    def __init__(self, name: str, retry_seconds: float, clock: Callable[[], float]) -> None:
        super().__init__(retry_seconds, clock=clock)
        self._name = name

    def check(self) -> None:
        """Raise at once while it is down; one caller at a time gets through to try."""
        if not self.may_try():
            raise SessionStoreUnavailableException

    def lost(self, error: Exception) -> None:
        """There was no answer."""
        # the error's own text may hold a password, or a statement with its values
        cause = type(error.__cause__ or error).__name__
        opened = self.failed()
        if self.failures == 1:
            _log.warning("%s did not answer (%s)", self._name, cause)
        if opened:
            _log.error("%s is down (%s)", self._name, cause)

    def found(self) -> None:
        """There was one."""
        if failures := self.answered():
            _log.warning("%s is back, after %d failed calls", self._name, failures)
