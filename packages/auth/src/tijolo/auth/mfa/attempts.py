"""How often a code may be guessed."""

from __future__ import annotations

import hashlib

from tijolo.core import TooManyRequestsException
from tijolo.web import GuardedRateLimitStore, RateLimitStore
from tijolo.web.rate_limits import RateLimits, rate_limits


class CodeAttempts:
    """So many wrong codes for each key; while the store is down nobody can try (503).

    An attempt is taken before the code is looked at, in one atomic step: of fifty guesses at once
    against five, five are looked at.

    Args:
        store: Counts: in memory for one process, in Redis for several.
        limits: Such as ``5/15minutes,50/30days``: they all hold at once.
        namespace: Keeps what else is counted in the store apart.

    Raises:
        ValueError: for limits that are none.
    """

    def __init__(
        self, store: RateLimitStore, limits: RateLimits, *, namespace: str = "mfa"
    ) -> None:
        self.limits = rate_limits(limits)
        self._store = GuardedRateLimitStore(store, name=namespace, on_failure="closed")
        self._namespace = namespace

    async def take(self, key: str) -> None:
        """Take one attempt, or refuse it.

        Raises:
            TooManyRequestsException: There is none left; says when there will be.
            ServiceUnavailableException: The store is down.
        """
        taken = await self._store.reserve(self._key(key), self.limits)
        if taken is not None and not taken.allowed:
            wait_us = max(state.wait_us for state in taken.states)
            raise TooManyRequestsException(
                "Too many wrong codes; try again later",
                retry_after_seconds=-(-wait_us // 1_000_000),
            )

    async def give_back(self, key: str) -> None:
        """Give back the attempt of a code that was right."""
        await self._store.refund(self._key(key), self.limits)

    def _key(self, key: str) -> str:
        digest = hashlib.sha256(key.encode("utf-8")).hexdigest()[:40]
        return f"{self._namespace}:{digest}"
