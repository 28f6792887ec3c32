"""What this process loaded lately, for those who would rather not ask the store again."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from tijolo.core import utcnow
from tijolo.sessions.session import Session


class RecentSessions:
    """A bounded memory of sessions; the one that was loaded first gives way.

    What this process ends is forgotten here at once, and a load that was under way meanwhile is
    not remembered: it may have seen the session before it ended.

    Args:
        max_entries: Sessions that are remembered.
        clock: Monotonic seconds.
        now: The time of day, aware.
    """

    def __init__(
        self,
        *,
        max_entries: int,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utcnow,
    ) -> None:
        self._max_entries = max_entries
        self._clock, self._now = clock, now
        self._entries: OrderedDict[str, tuple[Session, float]] = OrderedDict()
        self.generation = 0

    def get(self, session_id_hash: str, *, max_age_seconds: float) -> Session | None:
        """The session, if it was loaded no longer ago than that and lives by its clocks."""
        entry = self._entries.get(session_id_hash)
        if entry is None:
            return None
        session, loaded_at = entry
        if self._clock() - loaded_at > max_age_seconds or session.expires_at <= self._now():
            return None
        return session

    def remember(self, session_id_hash: str, session: Session, *, generation: int) -> None:
        """Keep what was loaded, unless something ended since ``generation`` was read.

        What came through the overlapping id of a rotation is not kept: forgetting it would need
        both ids.
        """
        if generation != self.generation or session.session_id != session_id_hash:
            return
        if session.touched:
            session = session.model_copy(update={"touched": False})
        self._entries[session_id_hash] = (session, self._clock())
        self._entries.move_to_end(session_id_hash)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def forget(self, session_id_hash: str) -> None:
        """Forget a session."""
        self.generation += 1
        self._entries.pop(session_id_hash, None)

    def forget_user(self, user_id: UUID) -> None:
        """Forget all sessions of a user."""
        self.generation += 1
        of_user = [key for key, (session, _) in self._entries.items() if session.user_id == user_id]
        for key in of_user:
            del self._entries[key]
