"""What a cache did, in numbers and event by event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

Kind = Literal[
    "hit", "miss", "stale", "shared", "bypass", "stored", "not_stored", "outdated", "error",
    "down", "up", "invalidated",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class CacheEvent:
    """One thing that happened, for an observer.

    ``name`` is the function's module and name or the route's template, never a key, so that it can
    be a metric's label. ``detail`` says why, for ``not_stored``, ``error`` and ``down``.
    """

    kind: Kind
    name: str
    detail: str = ""
    seconds: float = 0.0
    """How long the computation took, for ``miss``."""
    size_bytes: int = 0
    """Of the stored value, for ``stored``."""


Observer = Callable[[CacheEvent], None]
"""Called on the event loop for each event; must not block, and what it raises is logged once."""


@dataclass(slots=True)
class CacheStats:
    """Counters since the cache was made."""

    hits: int = 0
    """Fresh entries that were returned."""
    misses: int = 0
    """Computations, those of refreshes too."""
    stale: int = 0
    """Entries that were returned after their time, as the policy allows."""
    shared: int = 0
    """Callers who were given the result of somebody else's computation."""
    bypassed: int = 0
    """Calls that were to leave the cache alone."""
    stored: int = 0
    not_stored: int = 0
    """Results that were not to be kept: None, a condition, their size, no faithful encoding."""
    outdated: int = 0
    """Results that were not kept because something was invalidated while they were computed."""
    errors: int = 0
    """Operations of the backend that failed or were not tried, and entries that were damaged."""
    outages: int = 0
    """How often the backend went down."""
    invalidations: int = 0
    invalidations_pending: int = 0
    """Keys and tags that the backend, when it is back, still has to forget."""

    @property
    def hit_ratio(self) -> float:
        """Hits, stale and shared ones too, of all calls that asked; 0 before the first."""
        served = self.hits + self.stale + self.shared
        return served / (served + self.misses) if served + self.misses else 0.0

    def as_dict(self) -> dict[str, int]:
        """The counters by name."""
        return asdict(self)
