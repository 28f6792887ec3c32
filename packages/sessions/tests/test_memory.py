from __future__ import annotations

from uuid import uuid4

from tijolo.core import utcnow
from tijolo.sessions import MemorySessionStore, Session, SessionStore, new_session_id


async def test_what_is_created_is_found_until_it_is_deleted():
    store = MemorySessionStore()
    assert isinstance(store, SessionStore)
    _, session_id = new_session_id()
    made = await store.create(
        Session.start(session_id, now=utcnow(), absolute_seconds=60, user_id=uuid4())
    )
    assert await store.get(session_id) == made
    assert await store.delete(session_id)
    assert await store.get(session_id) is None
