"""What an idempotency key needs from its store: four conditional writes.

The types are those of the standard library alone, so that a store can satisfy the protocol
without importing this package.
"""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

ReservationState = Literal["acquired", "running", "completed", "mismatch"]
"""What :meth:`IdempotencyStore.reserve` found."""


@runtime_checkable
class IdempotencyStore(Protocol):
    """Keys, each reserved by one owner, then holding one answer for a while.

    A record is *absent*, *running* (a fingerprint, an owner, the end of its lease) or *completed*
    (a fingerprint, an answer, the end of its time). A lease or a time that is over means absent,
    whether or not the row is still there. Each method is one atomic step (one conditional
    statement, one script), decided on the store's own clock, and ends in bounded time: whatever
    it raises counts as an outage.

    ``key`` is a hexadecimal digest of 64 characters, ``fingerprint`` another, ``owner`` is 32
    hexadecimal digits, new for each attempt. ``answer`` is opaque; empty bytes are an answer too
    (the request was carried out and its answer was not kept). ``lease_seconds`` and
    ``ttl_seconds`` are positive.
    """

    async def reserve(
        self, key: str, fingerprint: str, owner: str, lease_seconds: float
    ) -> tuple[ReservationState, bytes | None]:
        """Take ``key`` if it is free, otherwise say why not.

        Returns:
            ``("acquired", None)``: the record was absent; it is now running, owned by ``owner``,
            with a lease of ``lease_seconds``. Of any number of owners exactly one gets this; it
            gets it again if it asks again, as after a reply that was lost.

            ``("mismatch", None)``: it is running or completed with another fingerprint.

            ``("running", None)``: it is running with this fingerprint, whoever owns it.

            ``("completed", answer)``: it is completed with this fingerprint.
        """
        ...

    async def renew(self, key: str, owner: str, lease_seconds: float) -> bool:
        """Let the lease end ``lease_seconds`` from now, if ``owner`` still runs ``key``.

        Returns:
            False if not: the lease was over, and somebody else may have taken the key.
        """
        ...

    async def complete(
        self, key: str, fingerprint: str, owner: str, answer: bytes, ttl_seconds: float
    ) -> bool:
        """Keep ``answer`` for ``ttl_seconds``, if ``owner`` runs ``key`` or the record is absent.

        An absent record (lease over, store restarted empty) is written: nobody else has carried
        the request out, and this caller has.

        Returns:
            False, and nothing changed, if the key is another owner's. True if this owner had
            completed it already.
        """
        ...

    async def release(self, key: str, owner: str) -> bool:
        """Make the record absent, if ``owner`` runs ``key``.

        Returns:
            False, and nothing changed, if not.
        """
        ...
