"""Entries in this process: bounded by number and by bytes, the least recently used go first."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tijolo.cache.backends import Snapshot

ENTRY_OVERHEAD_BYTES = 200
"""What one entry costs beside its key and data, roughly."""


class _Kept(NamedTuple):
    data: bytes
    until: float


class _Held(NamedTuple):
    token: str
    until: float


class MemoryBackend:
    """For one process, and for tests; replicas do not see each other's entries.

    When a limit is reached, the least recently used entry goes. Losing the version of a tag makes
    its entries invalid, never valid again. Not for use from several threads at once.

    Args:
        max_entries: Entries, and as many tags and leases.
        max_bytes: Keys and data together, with some 200 bytes for each entry. What is larger by
            itself is not kept.
        clock: Seconds that never go back.

    Raises:
        ValueError: a limit is below 1.
    """

    in_process = True

    def __init__(
        self,
        *,
        max_entries: int = 10_000,
        max_bytes: int = 64 * 1024 * 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_entries < 1 or max_bytes < 1:
            raise ValueError("max_entries and max_bytes must be 1 or more")
        self._max_entries, self._max_bytes, self._clock = max_entries, max_bytes, clock
        self._entries: OrderedDict[str, _Kept] = OrderedDict()
        self._leases: OrderedDict[str, _Held] = OrderedDict()
        self._tags: OrderedDict[str, str] = OrderedDict()
        self._bytes = 0
        self.evictions = 0
        """Entries that went because of a limit."""

    def __repr__(self) -> str:
        return f"MemoryBackend(entries={len(self._entries)}, bytes={self._bytes})"

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        """What the entries take, as ``max_bytes`` counts."""
        return self._bytes

    async def connect(self) -> None:
        """Nothing to open."""

    async def disconnect(self) -> None:
        """Nothing to close; the entries stay."""

    async def health_check(self) -> bool:
        """Always there."""
        return True

    async def read(self, key: str, tags: Sequence[str]) -> Snapshot:
        """The entry and the versions; counts as a use."""
        kept = self._entries.get(key)
        if kept is not None:
            if kept.until <= self._clock():
                self._drop(key)
                kept = None
            else:
                self._entries.move_to_end(key)
        versions = [self._tags.get(tag) for tag in tags]
        for tag in tags:
            if tag in self._tags:
                self._tags.move_to_end(tag)
        return Snapshot(None if kept is None else kept.data, versions)

    async def acquire(
        self, key: str, tags: Sequence[str], token: str, lease_seconds: float, keep_seconds: float
    ) -> Snapshot | None:
        """Take the lease, if it is free or has ended."""
        now = self._clock()
        held = self._leases.get(key)
        if held is not None and held.until > now:
            return None
        self._leases[key] = _Held(token, now + lease_seconds)
        self._leases.move_to_end(key)
        for tag in tags:
            self._tags.setdefault(tag, token)
            self._tags.move_to_end(tag)
        self._bound(self._leases)
        # an entry may have all of its tags at once, whatever max_entries is
        while len(self._tags) > self._max_entries + len(tags):
            self._tags.popitem(last=False)
        return await self.read(key, tags)

    async def renew(self, key: str, token: str, lease_seconds: float) -> bool:
        """Let the lease last from now."""
        if not self._holds(key, token):
            return False
        self._leases[key] = _Held(token, self._clock() + lease_seconds)
        return True

    async def store(
        self,
        key: str,
        token: str,
        data: bytes,
        ttl_seconds: float,
        tags: Sequence[str],
        versions: Sequence[str | None],
    ) -> bool:
        """Keep the data, if nothing was invalidated meanwhile."""
        if not self._holds(key, token):
            return False
        del self._leases[key]
        if [self._tags.get(tag) for tag in tags] != list(versions):
            return False
        self._drop(key)
        size = self._size(key, data)
        if size > self._max_bytes:
            return True
        self._entries[key] = _Kept(data, self._clock() + ttl_seconds)
        self._bytes += size
        self._evict()
        return True

    async def release(self, key: str, token: str) -> None:
        """End the lease."""
        if self._holds(key, token):
            del self._leases[key]

    async def invalidate(self, keys: Sequence[str], tags: Sequence[str]) -> None:
        """Forget at once."""
        for key in keys:
            self._drop(key)
            self._leases.pop(key, None)
        for tag in tags:
            self._tags.pop(tag, None)

    def _holds(self, key: str, token: str) -> bool:
        held = self._leases.get(key)
        return held is not None and held.token == token and held.until > self._clock()

    def _size(self, key: str, data: bytes) -> int:
        return len(key) + len(data) + ENTRY_OVERHEAD_BYTES

    def _drop(self, key: str) -> None:
        kept = self._entries.pop(key, None)
        if kept is not None:
            self._bytes -= self._size(key, kept.data)

    def _evict(self) -> None:
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))
            self.evictions += 1

    def _bound(self, table: OrderedDict[str, _Held]) -> None:
        while len(table) > self._max_entries:
            table.popitem(last=False)
