"""A rate limit store that may be down, and what those who ask it get meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Literal

from tijolo.core import ServiceUnavailableException
from tijolo.web._logging import with_request_id
from tijolo.web._outage import StoreHealth
from tijolo.web.rate_limit_store import Limits, MemoryRateLimitStore, RateLimitStore, Reservation

StoreFailurePolicy = Literal["local", "open", "closed"]

_log = with_request_id(logging.getLogger("tijolo.web.rate_limit"))
_CONSEQUENCES = {
    "local": "each process counts for itself until it is back",
    "open": "requests pass unlimited until it is back",
    "closed": "limited requests are answered 503 until it is back",
}


class GuardedRateLimitStore:
    """Asks ``store``; while it is down, does what ``on_failure`` says.

    A store that failed is left alone for ``retry_seconds``, then one caller tries it; both
    changes are logged once.

    Args:
        store: Default one in memory, for this process alone.
        name: Of what is limited, for the log.
        on_failure: ``local`` counts in this process, ``open`` lets everything pass, ``closed``
            answers 503.
        retry_seconds: How long a store that failed is left alone.

    Raises:
        ValueError: for another policy.
    """

    def __init__(
        self,
        store: RateLimitStore | None = None,
        *,
        name: str = "default",
        on_failure: StoreFailurePolicy = "local",
        retry_seconds: float = 1.0,
    ) -> None:
        if on_failure not in _CONSEQUENCES:
            raise ValueError(f"on_store_failure {on_failure!r}: use 'local', 'open' or 'closed'")
        self.store: RateLimitStore = MemoryRateLimitStore() if store is None else store
        self.on_failure = on_failure
        self._fallback: MemoryRateLimitStore | None = None
        self._health = StoreHealth(
            _log,
            f"the store of rate limit {name!r}",
            _CONSEQUENCES[on_failure],
            retry_seconds=retry_seconds,
        )

    async def reserve(self, key: str, limits: Limits, cost: int = 1) -> Reservation | None:
        """As the store does; None where it is down and everything passes.

        Raises:
            ServiceUnavailableException: It is down, and the policy is ``closed``.
        """
        if self._health.may_ask():
            try:
                reservation = await self.store.reserve(key, limits, cost)
            except Exception as exc:
                self._health.failed(exc)
            else:
                self._health.answered()
                return reservation
        if self.on_failure == "closed":
            raise ServiceUnavailableException(retry_after_seconds=1)
        if self.on_failure == "open":
            return None
        if self._fallback is None:
            self._fallback = MemoryRateLimitStore()
        return self._fallback.reserve_now(key, limits, cost)

    async def refund(self, key: str, limits: Limits, cost: int = 1) -> bool:
        """As the store does; False, and nothing raised, where it is down."""
        if self._fallback is not None:
            await self._fallback.refund(key, limits, cost)
        return await self._tell(lambda: self.store.refund(key, limits, cost))

    async def reset(self, key: str) -> bool:
        """As the store does; False, and nothing raised, where it is down."""
        if self._fallback is not None:
            await self._fallback.reset(key)
        return await self._tell(lambda: self.store.reset(key))

    async def _tell(self, call: Callable[[], Awaitable[None]]) -> bool:
        if not self._health.may_ask():
            return False
        try:
            await call()
        except Exception as exc:
            self._health.failed(exc)
            return False
        self._health.answered()
        return True
