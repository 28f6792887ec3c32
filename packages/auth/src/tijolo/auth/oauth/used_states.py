"""Which logins have come back already: each ``state`` is good for one return."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from tijolo.core import ServiceUnavailableException

__all__ = ["MemoryUsedStates", "UsedStates", "UsedStatesFullException"]


class UsedStatesFullException(ServiceUnavailableException):
    """More logins came back within their lifetime than are remembered."""

    code = "OAUTH_BUSY"
    message = "Too many logins at once; try again"


class UsedStates(Protocol):
    """Remembers states that were used, until nobody could use them again anyway."""

    async def claim(self, state_id: str, *, ttl_seconds: float) -> bool:
        """Take ``state_id`` for oneself; False when somebody was first.

        One step: of several at the same time, one gets True.

        Args:
            state_id: The digest of a state; at most 64 characters.
            ttl_seconds: How long to remember it.
        """
        ...


class MemoryUsedStates:
    """Used states in the memory of one process; several replicas share Redis instead.

    Args:
        max_entries: Logins that are remembered. When they are that many, a new one is refused:
            nothing used becomes fresh to make room.
        clock: Monotonic seconds.

    Raises:
        ValueError: for no room at all.
    """

    def __init__(
        self, *, max_entries: int = 100_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if max_entries < 1:
            raise ValueError(f"max_entries must be 1 or more, got {max_entries}")
        self._max = max_entries
        self._clock = clock
        self._ends: dict[str, float] = {}

    async def claim(self, state_id: str, *, ttl_seconds: float) -> bool:
        """Take it, if nobody has.

        Raises:
            UsedStatesFullException: There is no room.
        """
        now = self._clock()
        if self._ends.get(state_id, now) > now:
            return False
        if len(self._ends) >= self._max:
            self._ends = {key: end for key, end in self._ends.items() if end > now}
            if len(self._ends) >= self._max:
                raise UsedStatesFullException(retry_after_seconds=1)
        self._ends[state_id] = now + ttl_seconds
        return True
