"""What the store in memory does beyond the contract: it stays small."""

from __future__ import annotations

import gc
import os
import sys
from uuid import uuid4

import pytest

from tijolo.sessions import MemorySessionStore, Session, new_session_id

LOGINS = 1_000_000 if os.environ.get("TIJOLO_LONG_TESTS") == "1" else 20_000


def login(clock, *, user_id=None, seconds=3_600, **fields):
    _, session_id = new_session_id()
    return Session.start(
        session_id, now=clock(), absolute_seconds=seconds, user_id=user_id, **fields
    )


async def test_sessions_that_ended_unread_are_swept_out(clock):
    """S20."""
    store = MemorySessionStore(clock=clock)
    for _ in range(1_000):
        await store.create(login(clock, seconds=60, user_id=uuid4()))
    kept = await store.create(login(clock, seconds=3_600))
    assert len(store) == 1_001
    clock.advance(61)
    for _ in range(16):
        await store.create(login(clock))
    assert len(store) == 17
    assert await store.get(kept.session_id) == kept


async def test_a_session_that_is_used_is_not_swept_out(clock):
    store = MemorySessionStore(clock=clock)
    session = await store.create(login(clock, idle_seconds=60))
    for _ in range(30):
        clock.advance(50)
        assert await store.get(session.session_id, touch_seconds=10) is not None
        await store.create(login(clock, seconds=1))
    assert len(store) == 2


async def test_beyond_the_limit_the_least_recently_used_goes(clock):
    store = MemorySessionStore(clock=clock, max_sessions=3)
    made = [await store.create(login(clock, user_id=uuid4())) for _ in range(3)]
    await store.get(made[0].session_id)
    fourth = await store.create(login(clock, user_id=uuid4()))
    assert len(store) == 3
    assert await store.get(made[1].session_id) is None
    for session in (made[0], made[2], fourth):
        assert await store.get(session.session_id) is not None


async def test_a_flood_of_visitors_logs_nobody_out(clock):
    store = MemorySessionStore(clock=clock, max_sessions=100)
    users = [await store.create(login(clock, user_id=uuid4())) for _ in range(50)]
    for _ in range(1_000):
        await store.create(login(clock))
    assert len(store) == 100
    for session in users:
        assert await store.get(session.session_id) == session


async def test_logins_without_end_take_no_memory_without_end(clock):
    """S20: by default fewer; TIJOLO_LONG_TESTS=1 makes a million."""
    store = MemorySessionStore(clock=clock, max_sessions=1_000)
    ids = [uuid4() for _ in range(2_000)]

    async def logins(count):
        for n in range(count):
            user_id = ids[n % 2_000] if n % 3 else uuid4()
            made = await store.create(
                login(clock, user_id=user_id, seconds=1 + n % 600, data={"n": n}), max_per_user=3
            )
            if n % 5 == 0:
                new = login(clock, user_id=user_id)
                assert await store.rotate(made.session_id, new, overlap_seconds=30)
            if n % 7 == 0:
                await store.delete_by_user(user_id)
            clock.advance(0.01)

    await logins(5_000)
    gc.collect()
    before = sys.getallocatedblocks()
    await logins(LOGINS)
    gc.collect()
    assert len(store) <= 1_000
    # what was there before is gone; the room of 1,000 sessions with all around them is some 60,000
    assert sys.getallocatedblocks() - before < 30_000


@pytest.mark.parametrize("bad", [{"max_sessions": 0}, {"max_data_bytes": -1}])
def test_a_limit_that_is_none_is_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        MemorySessionStore(**bad)
