"""What may be kept, for how long, and what happens around the end of its time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tijolo.cache.backends import check_entry_time


@dataclass(frozen=True, kw_only=True, slots=True)
class CachePolicy:
    """Options of one cached function; all times are seconds.

    Raises:
        ValueError: a value is out of range, or two of them contradict each other.
    """

    ttl: float
    """How long an entry is fresh."""
    jitter: float = 0.1
    """Each entry lives up to this part of ``ttl`` shorter."""
    stale_while_revalidate: float = 0.0
    """For how long after its time an entry is returned while one caller computes the next."""
    stale_if_error: float = 0.0
    """For how long after its time an entry is returned when the computation fails."""
    negative_ttl: float | None = None
    """How long None (or what ``negative`` names) is kept; None does not keep it."""
    negative: Callable[[Any], bool] | None = None
    """Which results are negative; where it is not given, None is."""
    condition: Callable[[Any], bool] | None = None
    """Which results are kept; all where it is not given."""
    max_value_bytes: int = 1_048_576
    compress_above_bytes: int | None = None
    lease_seconds: float = 10.0
    """How long a crashed process keeps others from computing; a living one renews it."""
    wait_seconds: float = 10.0
    """How long to wait for another process's computation before doing it, unkept, as well."""
    background: bool = True
    """Refreshes run beside the caller; False: one caller waits, the others get the old value."""

    def __post_init__(self) -> None:
        check_entry_time("ttl", self.ttl)
        check_entry_time("lease_seconds", self.lease_seconds)
        if self.negative_ttl is not None:
            check_entry_time("negative_ttl", self.negative_ttl)
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter={self.jitter!r}; use 0 to less than 1")
        for name in ("stale_while_revalidate", "stale_if_error", "wait_seconds"):
            if not 0 <= getattr(self, name) <= 10 * 365 * 86_400:
                raise ValueError(f"{name}={getattr(self, name)!r}; use 0 or more seconds")
        if self.max_value_bytes < 1:
            raise ValueError(f"max_value_bytes={self.max_value_bytes!r}; use 1 or more")
        if self.negative is not None and self.negative_ttl is None:
            raise ValueError("negative= says which results have negative_ttl=; give both")

    @property
    def stale_seconds(self) -> float:
        """For how long after its time an entry can be of use."""
        return max(self.stale_while_revalidate, self.stale_if_error)

    @property
    def keep_seconds(self) -> float:
        """The longest life of an entry, its computation included."""
        return max(self.ttl, self.negative_ttl or 0) + self.stale_seconds + self.lease_seconds

    def ttl_of(self, value: object) -> float | None:
        """How long ``value`` is fresh; None when it is not to be kept."""
        negative = value is None if self.negative is None else self.negative(value)
        ttl = self.negative_ttl if negative else self.ttl
        if self.condition is not None and not self.condition(value):
            return None
        return ttl
