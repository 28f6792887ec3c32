"""The idempotency store of one process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from tijolo.web.idempotency_store import ReservationState


class _Record:
    __slots__ = ("answer", "ends", "fingerprint", "owner")

    def __init__(self, fingerprint: str, owner: str, ends: float) -> None:
        self.fingerprint, self.owner, self.ends = fingerprint, owner, ends
        self.answer: bytes | None = None


class IdempotencyStoreFullError(RuntimeError):
    """There is no room for another reservation: every record is a running request's."""


class MemoryIdempotencyStore:
    """Reservations and answers in the memory of this process; gone when it ends.

    Both bounds hold together. Beyond them the oldest answers go; a reservation never does: where
    nothing else is left, :meth:`reserve` raises.

    Args:
        max_entries: Most keys held at once.
        max_bytes: Most bytes of answers held at once.
        clock: Seconds; must never go back.
    """

    def __init__(
        self,
        *,
        max_entries: int = 10_000,
        max_bytes: int = 64 * 1024 * 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_entries < 1 or max_bytes < 1:
            raise ValueError(
                f"max_entries and max_bytes must be 1 or more, got {max_entries}, {max_bytes}"
            )
        self.max_entries, self.max_bytes = max_entries, max_bytes
        self._clock = clock
        self._running: dict[str, _Record] = {}
        self._completed: OrderedDict[str, _Record] = OrderedDict()  # the oldest first
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._running) + len(self._completed)

    async def reserve(
        self, key: str, fingerprint: str, owner: str, lease_seconds: float
    ) -> tuple[ReservationState, bytes | None]:
        """See :class:`~tijolo.web.IdempotencyStore`.

        Raises:
            IdempotencyStoreFullError: when every record is a running request's.
        """
        now = self._clock()
        record = self._find(key, now)
        if record is None:
            self._make_room_for_one(now)
            self._running[key] = _Record(fingerprint, owner, now + lease_seconds)
            return "acquired", None
        if record.fingerprint != fingerprint:
            return "mismatch", None
        if record.answer is not None:
            return "completed", record.answer
        return ("acquired" if record.owner == owner else "running"), None

    async def renew(self, key: str, owner: str, lease_seconds: float) -> bool:
        """See :class:`~tijolo.web.IdempotencyStore`."""
        now = self._clock()
        record = self._find(key, now)
        if record is None or record.owner != owner or record.answer is not None:
            return False
        record.ends = now + lease_seconds
        return True

    async def complete(
        self, key: str, fingerprint: str, owner: str, answer: bytes, ttl_seconds: float
    ) -> bool:
        """See :class:`~tijolo.web.IdempotencyStore`."""
        now = self._clock()
        record = self._find(key, now)
        if record is not None and record.owner != owner:
            return False
        if record is not None and record.answer is not None:
            return True
        self._running.pop(key, None)
        record = _Record(fingerprint, owner, now + ttl_seconds)
        # more than everything: the key is kept, with the answer that none was kept
        record.answer = answer if len(answer) <= self.max_bytes else b""
        self._completed[key] = record
        self._bytes += len(record.answer)
        while self._bytes > self.max_bytes or len(self) > self.max_entries:
            self._drop(next(iter(self._completed)))
        return True

    async def release(self, key: str, owner: str) -> bool:
        """See :class:`~tijolo.web.IdempotencyStore`."""
        record = self._find(key, self._clock())
        if record is None or record.owner != owner or record.answer is not None:
            return False
        del self._running[key]
        return True

    def _find(self, key: str, now: float) -> _Record | None:
        record = self._running.get(key)
        if record is not None:
            if record.ends > now:
                return record
            del self._running[key]
            return None
        record = self._completed.get(key)
        if record is not None and record.ends <= now:
            self._drop(key)
            return None
        return record

    def _make_room_for_one(self, now: float) -> None:
        while self._completed and self._completed[next(iter(self._completed))].ends <= now:
            self._drop(next(iter(self._completed)))
        if len(self) < self.max_entries:
            return
        if self._completed:
            self._drop(next(iter(self._completed)))
            return
        for key in [key for key, record in self._running.items() if record.ends <= now]:
            del self._running[key]
        if len(self) >= self.max_entries:
            raise IdempotencyStoreFullError(f"{self.max_entries} requests with a key are running")

    def _drop(self, key: str) -> None:
        answer = self._completed.pop(key).answer
        self._bytes -= len(answer or b"")
