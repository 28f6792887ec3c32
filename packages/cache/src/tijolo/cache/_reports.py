"""Counters, observers and the log of one cache; nothing is logged for each call."""

from __future__ import annotations

import logging
from typing import Any

from tijolo.cache.stats import CacheEvent, CacheStats, Kind, Observer

MAX_REMEMBERED = 4_096
"""Names of which something was logged."""
_logger = logging.getLogger("tijolo.cache")


class Reports:
    """Where the engine says what it does."""

    def __init__(self, stats: CacheStats, observers: tuple[Observer, ...]) -> None:
        self.stats, self._observers = stats, observers
        self._said: set[tuple[str, str]] = set()
        self._failing: set[str] = set()

    @property
    def observed(self) -> bool:
        """Whether anybody listens."""
        return bool(self._observers)

    def emit(self, kind: Kind, name: str, **more: Any) -> None:
        """Tell the observers; one that raises is logged once and changes nothing."""
        for observer in self._observers:
            try:
                observer(CacheEvent(kind, name, **more))
            except Exception:
                self.once("observer", repr(observer), "an observer of the cache raised", True)

    def works_again(self, name: str) -> None:
        """A computation that failed has worked."""
        self._failing.discard(name)

    def error(self, name: str, detail: str) -> None:
        """An operation of the backend failed, or an entry is damaged."""
        self.stats.errors += 1
        self.emit("error", name, detail=detail)

    def failure(self, name: str, exc: Exception) -> None:
        """A computation failed that an old result stands in for; logged once until it works."""
        self.emit("error", name, detail=f"refresh failed: {type(exc).__name__}")
        if name not in self._failing and len(self._failing) < MAX_REMEMBERED:
            self._failing.add(name)
            _logger.warning(
                "%s failed; its last result is used as long as it may be", name, exc_info=exc
            )

    def once(self, name: str, what: str, text: str, trace: bool = False) -> None:
        """Log a warning the first time."""
        if (name, what) not in self._said and len(self._said) < MAX_REMEMBERED:
            self._said.add((name, what))
            _logger.warning("%s", text, exc_info=trace)
