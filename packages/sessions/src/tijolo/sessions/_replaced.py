"""Ids that were replaced before they were used, for a browser that may have missed them.

If one turns up all the same, its answer was not lost: two parties hold the session, one by the
id before. Which of them is the thief nobody can tell, so it ends for both (as RFC 9700, section
4.14.2, does where a refresh token is used twice).
"""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime
from uuid import UUID

from tijolo.sessions.errors import SessionDataTooLargeException, SessionStoreUnavailableException
from tijolo.sessions.events import SessionEventKind, SessionReporter
from tijolo.sessions.session import Session
from tijolo.sessions.store import SessionStore

_log = logging.getLogger("tijolo.sessions")


class ReplacedIds:
    """Remembers them in the store, until the session would end anyway.

    Args:
        store: Where each is a session of nobody, by a hash of the id that opens nothing.
        report: Told of the sessions that end.
    """

    def __init__(self, store: SessionStore, report: SessionReporter | None) -> None:
        self._store, self._report = store, report

    async def note(self, session: Session, now: datetime) -> None:
        """Remember the id of a user's session that has another one now.

        What cannot be remembered is left: the new id exists, and must reach its browser.
        """
        ends = session.absolute_expires_at
        if session.user_id is None or ends <= now:
            return
        noted = Session(
            session_id=_place_of(session.session_id),
            created_at=now,
            last_seen_at=now,
            expires_at=ends,
            absolute_expires_at=ends,
            data={"user_id": session.user_id.hex, "public_id": session.public_id},
        )
        try:
            await self._store.create(noted)
        except (SessionStoreUnavailableException, SessionDataTooLargeException):
            _log.warning("the replaced id of a session could not be remembered")

    async def heed(self, session_id_hash: str) -> UUID | None:
        """End the session that an id led to before it was replaced; whose it was, or None."""
        place = _place_of(session_id_hash)
        noted = await self._store.get(place)
        if noted is None:
            return None
        user_id, public_id = UUID(hex=noted.data["user_id"]), noted.data["public_id"]
        ended = await self._store.delete_by_public_id(user_id, public_id)
        await self._store.delete(place)
        if not ended:
            return None
        _log.warning("a session was used by two ids of which one replaced the other; ended")
        if self._report is not None:
            await self._report(
                SessionEventKind.REVOKED,
                user_id=user_id,
                public_id=public_id,
                details={"reason": "replaced_id_used"},
            )
        return user_id


def _place_of(session_id_hash: str) -> str:
    # what is hashed is no cookie's value, which has 43 characters and no colon
    return hashlib.sha256(b"replaced:" + session_id_hash.encode()).hexdigest()
