"""What a cache needs of the place that keeps its entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable


class Snapshot(NamedTuple):
    """What a backend holds for a key and its tags at one moment."""

    data: bytes | None
    """The entry, None when there is none or it has expired."""
    versions: list[str | None]
    """The version of each tag that was asked for, None for a tag without one."""


@runtime_checkable
class Backend(Protocol):
    """A place for entries, shared by all replicas or not; write your own against this.

    Three things live in it: entries (bytes with a time to live), leases (who computes a key right
    now) and versions of tags. Every method is atomic. Keys and tags are texts of at most 300
    ASCII characters, data is opaque. ``tijolo.cache.testing.BackendContract`` is the test suite.

    Any exception but :class:`~tijolo.cache.BackendRefusedError` counts as an outage.
    """

    async def connect(self) -> None:
        """Open what has to be open; a second call does nothing."""

    async def disconnect(self) -> None:
        """Close what this object opened itself."""

    async def health_check(self) -> bool:
        """Whether it answers now; never raises."""
        ...

    async def read(self, key: str, tags: Sequence[str]) -> Snapshot:
        """The entry and the versions of the tags."""
        ...

    async def acquire(
        self, key: str, tags: Sequence[str], token: str, lease_seconds: float, keep_seconds: float
    ) -> Snapshot | None:
        """Take the lease of ``key`` for ``token``; None when another token holds it.

        Tags without a version get ``token`` as theirs, and every tag lives for ``keep_seconds`` at
        least from now. The snapshot is what holds after that. A lease ends by itself.
        """
        ...

    async def renew(self, key: str, token: str, lease_seconds: float) -> bool:
        """Let the lease last from now; False when ``token`` does not hold it any more."""
        ...

    async def store(
        self,
        key: str,
        token: str,
        data: bytes,
        ttl_seconds: float,
        tags: Sequence[str],
        versions: Sequence[str | None],
    ) -> bool:
        """Keep ``data`` and end the lease, if ``token`` holds it and no tag's version changed.

        The tags live for as long as the entry at least. False means that something was invalidated
        meanwhile and nothing was kept; True does not promise that there was room.
        """
        ...

    async def release(self, key: str, token: str) -> None:
        """End the lease if ``token`` holds it."""

    async def invalidate(self, keys: Sequence[str], tags: Sequence[str]) -> None:
        """Forget the entries and leases of ``keys``, and the versions of ``tags``."""


def check_entry_time(what: str, seconds: float) -> None:
    """Refuse times that no backend can keep."""
    if not 0 < seconds <= 10 * 365 * 86_400:
        raise ValueError(f"{what}={seconds!r}; use more than 0 and at most ten years of seconds")
