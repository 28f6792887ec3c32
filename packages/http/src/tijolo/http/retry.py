"""When a call is made again, how long to wait before it, and how many times in all."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"})
"""Methods that may be sent twice without doing twice as much (RFC 9110, section 9.2.2)."""

_MAX_DIGITS = 12


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often an idempotent call is tried, and the waits in between.

    The wait is drawn evenly between nothing and a bound that doubles with each attempt ("full
    jitter"), so that clients that failed together do not come back together. ``Retry-After`` of a
    429 or 503 is obeyed instead; one beyond ``max_retry_after_seconds`` is an error, at once.

    Raises:
        ValueError: for a value that makes no sense.
    """

    max_attempts: int = 3
    """In all, the first included."""
    backoff_initial_seconds: float = 0.5
    backoff_max_seconds: float = 8.0
    retry_statuses: frozenset[int] = field(
        default_factory=lambda: frozenset({429, 500, 502, 503, 504})
    )
    max_retry_after_seconds: float = 60.0
    budget_ratio: float = 0.2
    """Retries that every call to an origin earns it: 0.2 lets retries add a fifth to its load."""
    budget_burst: int = 10
    """Retries that an origin may have saved up, and starts with."""

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or self.budget_burst < 0:
            raise ValueError("max_attempts must be at least 1 and budget_burst at least 0")
        for name in (
            "backoff_initial_seconds",
            "backoff_max_seconds",
            "max_retry_after_seconds",
            "budget_ratio",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")

    def backoff_bound(self, attempt: int) -> float:
        """Longest wait in seconds between attempt ``attempt``, the first is 1, and the next."""
        doubled = self.backoff_initial_seconds * 2.0 ** min(max(attempt, 1) - 1, 64)
        return min(doubled, self.backoff_max_seconds)

    def sleep_for(
        self, attempt: int, *, uniform: Callable[[float, float], float] = random.uniform
    ) -> float:
        """Seconds to wait between attempt ``attempt``, the first is 1, and the next."""
        return uniform(0.0, self.backoff_bound(attempt))


class RetryBudget:
    """A token bucket: each call puts a share of a token in, each retry takes one out.

    When a dependency is down every call fails, and retries would multiply the load on it by the
    number of attempts; with a budget they add at most ``ratio``, once ``burst`` is spent.

    Args:
        ratio: Tokens per call.
        burst: Size of the bucket, which begins full.
    """

    __slots__ = ("_burst", "_ratio", "tokens")

    def __init__(self, ratio: float = 0.2, burst: int = 10) -> None:
        self._ratio = ratio
        self._burst = float(burst)
        self.tokens = self._burst

    def deposit(self) -> None:
        """One call, not counting its retries."""
        self.tokens = min(self._burst, self.tokens + self._ratio)

    def withdraw(self) -> bool:
        """Take a token for one retry; False when there is none."""
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True


def parse_retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for (RFC 9110, section 10.2.3).

    None without one and for what is neither a number of seconds nor an HTTP date; 0 for a date
    that is past.

    Args:
        value: The header.
        now: Aware; the current moment by default.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:_MAX_DIGITS])
    if not text or len(text) > 64:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
