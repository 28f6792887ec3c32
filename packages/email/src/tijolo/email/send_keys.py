"""Idempotency keys: which e-mails were sent already."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class SendKeyStore(Protocol):
    """Remembers keys. Each method is one atomic step: that is what makes a key single-use.

    A store that replicas share (``SET NX`` in Redis, a unique column in a database) makes it
    single-use among them.
    """

    async def claim(self, key: str) -> bool:
        """Take ``key``; False when somebody has it already."""
        ...

    async def release(self, key: str) -> None:
        """Give ``key`` back: what it stood for certainly did not happen."""
        ...


class MemorySendKeys:
    """The keys of this process.

    Args:
        max_keys: How many are remembered; then the oldest is forgotten.
        ttl_seconds: How long one is remembered.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        max_keys: int = 10_000,
        *,
        ttl_seconds: float = 86_400.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_keys < 1 or ttl_seconds <= 0:
            raise ValueError(f"both must be positive: {max_keys=}, {ttl_seconds=}")
        self._max = max_keys
        self._ttl = ttl_seconds
        self._clock = clock
        self._expiry: dict[str, float] = {}

    async def claim(self, key: str) -> bool:
        """Take ``key``; False when it is taken and has not expired."""
        now = self._clock()
        if self._expiry.get(key, now) > now:
            return False
        self._expiry.pop(key, None)
        while len(self._expiry) >= self._max:
            del self._expiry[next(iter(self._expiry))]
        self._expiry[key] = now + self._ttl
        return True

    async def release(self, key: str) -> None:
        """Forget ``key``."""
        self._expiry.pop(key, None)
