"""The stress test finds what it is there to find."""

from __future__ import annotations

import asyncio

from tijolo.core import utcnow
from tijolo.sessions import MemorySessionStore
from tijolo.sessions.testing import revocation_rounds


class UpsertingStore(MemorySessionStore):
    """Reads, then writes back what it read: how sessions come back to life elsewhere."""

    async def get(self, session_id_hash, *, touch_seconds=None):
        found = await super().get(session_id_hash)
        if found is not None and touch_seconds is not None:
            await asyncio.sleep(0)
            await self.create(found)
        return found


class CreatingBeforeLooking(MemorySessionStore):
    """Rotates without asking whether the old one still lives."""

    async def rotate(self, session_id_hash, new, **options):
        await self.delete(session_id_hash)
        await self.create(new)
        return True


async def test_a_store_that_writes_back_what_it_read_is_found_out():
    """S1."""
    assert await revocation_rounds(UpsertingStore(), utcnow, rounds=500) > 0


async def test_a_store_that_rotates_the_dead_is_found_out():
    assert await revocation_rounds(CreatingBeforeLooking(), utcnow, rounds=500) > 0
