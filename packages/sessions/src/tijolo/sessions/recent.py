"""What this process loaded lately, for those who would rather not ask the store again."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from copy import deepcopy
from datetime import datetime
from uuid import UUID

from tijolo.core import utcnow
from tijolo.sessions._under_way import UnderWay
from tijolo.sessions.session import Session, restored


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
        self._under_way = UnderWay[str]()

    def get(self, session_id_hash: str, *, max_age_seconds: float) -> Session | None:
        """The session, if it was loaded no longer ago than that and lives by its clocks."""
        entry = self._entries.get(session_id_hash)
        if entry is None:
            return None
        session, loaded_at = entry
        if self._clock() - loaded_at > max_age_seconds or session.expires_at <= self._now():
            return None
        return _copy(session)

    async def load(
        self, session_id_hash: str, load: Callable[[str], Awaitable[Session | None]]
    ) -> Session | None:
        """What ``load`` finds, kept unless it ended meanwhile.

        What came through the overlapping id of a rotation is not kept: forgetting it would need
        both ids.
        """
        asked, is_current = self._under_way.begin(session_id_hash), False
        try:
            session = await load(session_id_hash)
        finally:
            is_current = self._under_way.end(session_id_hash, asked)
        if session is None:
            self.forget(session_id_hash)
        elif (
            is_current
            and session.session_id == session_id_hash
            and session.user_id not in asked.ended_users
        ):
            self._keep(session)
        return session

    def forget(self, session_id_hash: str) -> None:
        """Forget a session."""
        self._under_way.outdate(session_id_hash)
        self._entries.pop(session_id_hash, None)

    def forget_user(self, user_id: UUID) -> None:
        """Forget all sessions of a user."""
        self._under_way.end_user(user_id)
        of_user = [key for key, (session, _) in self._entries.items() if session.user_id == user_id]
        for key in of_user:
            del self._entries[key]

    def _keep(self, session: Session) -> None:
        session_id_hash = session.session_id
        self._entries[session_id_hash] = (_copy(session), self._clock())
        self._entries.move_to_end(session_id_hash)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)


def _copy(session: Session) -> Session:
    """Another one: what a handler changes in its data is its own affair."""
    data = deepcopy(session.data) if session.data else {}
    return restored({**session.__dict__, "data": data, "touched": False})
