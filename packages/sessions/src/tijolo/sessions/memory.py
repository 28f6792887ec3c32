"""Sessions of one process."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tijolo.core import utcnow
from tijolo.sessions import _data
from tijolo.sessions.session import Session, restored
from tijolo.sessions.store import MAX_DATA_BYTES, another_users, check_new_id, touched_expiry

_SWEEP_AT_ONCE = 64  # no caller pays for more of what others left behind


class _Kept:
    __slots__ = ("alias", "data", "overlap_seconds", "session")

    def __init__(self, session: Session, data: dict[str, str]) -> None:
        self.session = session.model_copy(update={"data": {}, "touched": False})
        self.data = data
        self.alias: str | None = None  # the session_id before, while it still leads here
        self.overlap_seconds: float | None = None  # while the own id was never used


class MemorySessionStore:
    """Sessions in the memory of this process, for one process and for tests; gone when it ends.

    What has expired is swept out as new sessions come. Beyond ``max_sessions`` the least recently
    used one goes, those without a user first: a flood of visitors logs nobody out.

    Args:
        max_sessions: Sessions that are kept at once.
        max_data_bytes: How much data one session holds.
        clock: The current moment, aware.

    Raises:
        ValueError: A limit that is none.
    """

    def __init__(
        self,
        *,
        max_sessions: int = 100_000,
        max_data_bytes: int = MAX_DATA_BYTES,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        if max_sessions < 1:
            raise ValueError(f"max_sessions must be 1 or more, got {max_sessions}")
        self.max_sessions = max_sessions
        self.max_data_bytes = _data.check_limit(max_data_bytes)
        self._clock = clock
        # the least recently used first
        self._anonymous: OrderedDict[str, _Kept] = OrderedDict()
        self._logged_in: OrderedDict[str, _Kept] = OrderedDict()
        self._by_user: dict[UUID, set[str]] = {}
        self._aliases: dict[str, tuple[str, datetime | None]] = {}
        self._ends: list[tuple[datetime, str]] = []  # a heap; an entry may be out of date

    def __len__(self) -> int:
        return len(self._anonymous) + len(self._logged_in)

    async def create(self, session: Session, *, max_per_user: int | None = None) -> Session:
        """See :class:`~tijolo.sessions.SessionStore`."""
        data = _data.merge({}, _data.encode(session.data), (), limit=self.max_data_bytes)
        return _copy(self._put(session, data, max_per_user))

    async def get(
        self, session_id_hash: str, *, touch_seconds: float | None = None
    ) -> Session | None:
        """See :class:`~tijolo.sessions.SessionStore`."""
        now = self._clock()
        kept = self._find(session_id_hash, now)
        if kept is None:
            kept = self._find_by_alias(session_id_hash, now)
        elif kept.overlap_seconds is not None and touch_seconds is not None:
            self._end_overlap(kept, now)
        if kept is None:
            return None
        session = kept.session
        due = (
            touch_seconds is not None
            and (now - session.last_seen_at).total_seconds() >= touch_seconds
        )
        if due:
            kept.session = session.model_copy(
                update={"last_seen_at": now, "expires_at": touched_expiry(session, now)}
            )
        place = self._anonymous if session.user_id is None else self._logged_in
        place.move_to_end(session.session_id)
        return _copy(kept, touched=due)

    async def save(
        self, session_id_hash: str, changed: Mapping[str, Any], removed: Collection[str] = ()
    ) -> bool:
        """See :class:`~tijolo.sessions.SessionStore`."""
        encoded = _data.encode(changed)
        kept = self._find(session_id_hash, self._clock())
        if kept is None:
            return False
        kept.data = _data.merge(kept.data, encoded, removed, limit=self.max_data_bytes)
        return True

    async def rotate(
        self,
        session_id_hash: str,
        new: Session,
        *,
        overlap_seconds: float = 0,
        through: str | None = None,
        max_per_user: int | None = None,
    ) -> bool:
        """See :class:`~tijolo.sessions.SessionStore`."""
        check_new_id(session_id_hash, new)
        encoded = _data.encode(new.data)
        now = self._clock()
        old = self._find(session_id_hash, now)
        if old is None:
            return False
        if through is not None and (old.alias != through or old.overlap_seconds is None):
            return False
        if old.session.user_id is not None and new.user_id != old.session.user_id:
            raise another_users()
        data = _data.merge(old.data, encoded, (), limit=self.max_data_bytes)
        self._drop(session_id_hash)
        before = through or session_id_hash
        kept = self._put(new.model_copy(update={"rotated_from": before}), data, max_per_user)
        if overlap_seconds > 0:
            kept.alias, kept.overlap_seconds = before, overlap_seconds
            self._aliases[before] = (new.session_id, None)
        return True

    async def delete(self, session_id_hash: str) -> bool:
        """See :class:`~tijolo.sessions.SessionStore`."""
        now = self._clock()
        kept = self._find(session_id_hash, now) or self._find_by_alias(session_id_hash, now)
        self._drop(session_id_hash if kept is None else kept.session.session_id)
        return kept is not None

    async def delete_by_public_id(self, user_id: UUID, public_id: str) -> bool:
        """See :class:`~tijolo.sessions.SessionStore`."""
        for kept in self._living(user_id):
            if kept.session.public_id == public_id:
                self._drop(kept.session.session_id)
                return True
        return False

    async def delete_by_user(self, user_id: UUID, *, keep: str | None = None) -> int:
        """See :class:`~tijolo.sessions.SessionStore`."""
        ending = [k.session.session_id for k in self._living(user_id)]
        ending = [session_id for session_id in ending if session_id != keep]
        for session_id in ending:
            self._drop(session_id)
        return len(ending)

    async def list_by_user(self, user_id: UUID) -> list[Session]:
        """See :class:`~tijolo.sessions.SessionStore`."""
        found = [_copy(kept) for kept in self._living(user_id)]
        return sorted(found, key=lambda session: session.last_seen_at, reverse=True)

    def _find(self, session_id: str, now: datetime) -> _Kept | None:
        kept = self._logged_in.get(session_id) or self._anonymous.get(session_id)
        return kept if kept is not None and kept.session.expires_at > now else None

    def _find_by_alias(self, session_id: str, now: datetime) -> _Kept | None:
        new_id, until = self._aliases.get(session_id, (None, None))
        if new_id is None or (until is not None and until <= now):
            return None
        return self._find(new_id, now)

    def _end_overlap(self, kept: _Kept, now: datetime) -> None:
        """The browser has the new id: the old one leads there for a little longer."""
        if kept.alias is not None and kept.overlap_seconds is not None:
            until = now + timedelta(seconds=kept.overlap_seconds)
            self._aliases[kept.alias] = (kept.session.session_id, until)
        kept.overlap_seconds = None

    def _living(self, user_id: UUID) -> list[_Kept]:
        now = self._clock()
        found = [self._find(session_id, now) for session_id in self._by_user.get(user_id, ())]
        return [kept for kept in found if kept is not None]

    def _place_of(self, session: Session) -> OrderedDict[str, _Kept]:
        return self._anonymous if session.user_id is None else self._logged_in

    def _put(self, session: Session, data: dict[str, str], max_per_user: int | None) -> _Kept:
        self._sweep()
        self._drop(session.session_id)
        kept = self._place_of(session)[session.session_id] = _Kept(session, data)
        if session.user_id is not None:
            self._by_user.setdefault(session.user_id, set()).add(session.session_id)
            if max_per_user is not None:
                self._cap(session.user_id, session.session_id, max_per_user)
        heapq.heappush(self._ends, (session.expires_at, session.session_id))
        while len(self) > self.max_sessions:
            self._drop(next(iter(self._anonymous or self._logged_in)))
        return kept

    def _cap(self, user_id: UUID, new_id: str, max_per_user: int) -> None:
        """End the user's least recently used sessions beyond the cap, never the new one."""
        if len(self._by_user[user_id]) <= max_per_user:
            return
        others = [kept.session for kept in self._living(user_id)]
        others = [session for session in others if session.session_id != new_id]
        others.sort(key=lambda session: session.last_seen_at, reverse=True)
        for session in others[max_per_user - 1 :]:
            self._drop(session.session_id)

    def _drop(self, session_id: str) -> None:
        kept = self._logged_in.pop(session_id, None) or self._anonymous.pop(session_id, None)
        if kept is None:
            return
        if kept.alias is not None:
            self._aliases.pop(kept.alias, None)
        user_id = kept.session.user_id
        if user_id is not None:
            ids = self._by_user[user_id]
            ids.discard(session_id)
            if not ids:
                del self._by_user[user_id]

    def _sweep(self) -> None:
        """Forget some of what has expired: more than a new session adds."""
        now = self._clock()
        for _ in range(_SWEEP_AT_ONCE):
            if not self._ends or self._ends[0][0] > now:
                break
            _, session_id = heapq.heappop(self._ends)
            kept = self._logged_in.get(session_id) or self._anonymous.get(session_id)
            if kept is None:
                continue
            if kept.session.expires_at > now:  # it was used since
                heapq.heappush(self._ends, (kept.session.expires_at, session_id))
            else:
                self._drop(session_id)
        if len(self._ends) > 2 * len(self) + 1000:  # of sessions that were ended
            places = (self._anonymous, self._logged_in)
            self._ends = [(k.session.expires_at, i) for p in places for i, k in p.items()]
            heapq.heapify(self._ends)


def _copy(kept: _Kept, *, touched: bool = False) -> Session:
    fields = kept.session.__dict__.copy()
    fields["data"] = _data.decode(kept.data)
    fields["touched"] = touched
    return restored(fields)
