"""Run each delivery once: what was handled, and what is being handled now."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from tijolo.web._logging import with_request_id

_log = with_request_id(logging.getLogger("tijolo.web.webhooks"))


class DeliveryState(Enum):
    """What a replay store knows about a delivery."""

    NEW = "new"
    """Nobody has it; it is now reserved for the caller."""
    IN_PROGRESS = "in_progress"
    HANDLED = "handled"


class ReplayStore(Protocol):
    """Remembers deliveries by a key that only whoever holds the signing key can choose.

    :meth:`reserve` is atomic: of any number of callers with one key exactly one gets ``NEW``.
    """

    async def reserve(self, key: str, holder: str, *, lease_seconds: float) -> DeliveryState:
        """Reserve ``key`` for ``holder``, ``lease_seconds`` long, unless somebody has it."""
        ...

    async def complete(self, key: str, *, ttl_seconds: float) -> None:
        """Remember for ``ttl_seconds`` that the delivery was handled."""

    async def release(self, key: str, holder: str) -> None:
        """Forget the reservation of ``holder``, whose handler failed; nobody else's."""


class MemoryReplayStore:
    """For one process; several replicas need ``tijolo.web.webhooks_redis.RedisReplayStore``.

    Args:
        max_entries: Most deliveries that are remembered, about 300 bytes each. Beyond it the
            oldest is forgotten, with a warning in the log: its replay would then run again.
        clock: Monotonic seconds.
    """

    def __init__(
        self, *, max_entries: int = 100_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if max_entries < 1:
            raise ValueError(f"max_entries must be 1 or more, got {max_entries}")
        self.max_entries = max_entries
        self._clock = clock
        # key to holder (empty once it is handled) and the end
        self._entries: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._overflowing = False

    def __len__(self) -> int:
        return len(self._entries)

    async def reserve(self, key: str, holder: str, *, lease_seconds: float) -> DeliveryState:
        """Reserve ``key``; no await lies between looking and writing."""
        now = self._clock()
        owner, ends = self._entries.get(key, ("", 0.0))
        if ends > now:
            return DeliveryState.IN_PROGRESS if owner else DeliveryState.HANDLED
        self._put(key, holder, now + lease_seconds)
        return DeliveryState.NEW

    async def complete(self, key: str, *, ttl_seconds: float) -> None:
        """Remember that ``key`` was handled."""
        self._put(key, "", self._clock() + ttl_seconds)

    async def release(self, key: str, holder: str) -> None:
        """Forget ``key`` if ``holder`` still has it."""
        if self._entries.get(key, ("", 0.0))[0] == holder:
            del self._entries[key]

    def _put(self, key: str, holder: str, ends: float) -> None:
        self._entries[key] = (holder, ends)
        self._entries.move_to_end(key)
        self._drop_expired()
        overflowing = len(self._entries) > self.max_entries
        if overflowing:
            self._entries.popitem(last=False)
            if not self._overflowing:
                _log.warning("more than %d deliveries to remember", self.max_entries)
        self._overflowing = overflowing

    def _drop_expired(self) -> None:
        """Drop what has ended at the old end, which is where most of it is."""
        now = self._clock()
        while self._entries:
            key, (_, ends) = next(iter(self._entries.items()))
            if ends > now:
                return
            del self._entries[key]
