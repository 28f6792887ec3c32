"""What a place for sessions must be able to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

from tijolo.sessions.session import Session

MAX_DATA_BYTES = 16_384
"""How much one session holds by default: names and JSON values together."""


@runtime_checkable
class SessionStore(Protocol):
    """Sessions by ``session_id``, and those of a user.

    Every method is one atomic step, and a revocation is final: a request that is under way while
    a session ends (by ``delete``, ``delete_by_user``, a rotation, the cap, its time) can neither
    touch it, save into it nor rotate it back to life. A session that has ended is absent, whether
    or not its row is still there. What is returned is the caller's own copy.

    Any method raises :class:`~tijolo.sessions.SessionStoreUnavailableException` when the store
    does not answer, or not in time. Data are JSON values by name; TypeError or ValueError for
    others, :class:`~tijolo.sessions.SessionDataTooLargeException` for more than the store's limit.

    Where a store has ``address: str``, without credentials, the log names it by that.
    """

    async def create(self, session: Session, *, max_per_user: int | None = None) -> Session:
        """Keep a new session, and end the user's least recently used ones beyond ``max_per_user``.

        Never the new one, though another replica's clock be ahead.

        Returns:
            It as it was kept, with the store's ``epoch``.
        """
        ...

    async def get(
        self, session_id_hash: str, *, touch_seconds: float | None = None
    ) -> Session | None:
        """The session, or None when there is none that lives. One round trip.

        Args:
            session_id_hash: SHA-256 of the cookie's value, in hexadecimal. That of a session that
                was rotated with an overlap gives the new one, under its own ``session_id``.
            touch_seconds: Count this reading as use, if the last one that was counted is at least
                so long ago: ``last_seen_at`` is now, ``expires_at`` moves by ``idle_seconds``
                but not past ``absolute_expires_at``, and ``touched`` is True. None: never.
        """
        ...

    async def save(
        self, session_id_hash: str, changed: Mapping[str, Any], removed: Collection[str] = ()
    ) -> bool:
        """Set and remove data by name, leaving other names alone.

        Returns:
            False, and nothing written, when the session has ended.
        """
        ...

    async def rotate(
        self,
        session_id_hash: str,
        new: Session,
        *,
        overlap_seconds: float = 0,
        through: str | None = None,
        max_per_user: int | None = None,
    ) -> bool:
        """Put ``new`` in the place of a session that lives, which ends.

        The data go along as they are at that moment, those of ``new`` on top: leave them empty
        unless they change. A session without a user may get one, as at a login; then
        ``max_per_user`` counts as in ``create``.

        Args:
            session_id_hash: The session to replace.
            new: All other fields; a new ``session_id``.
            overlap_seconds: For so long after the new id was first used, and until it is, ``get``
                of the old id gives the new session: other requests of the same page are under way
                with the old cookie, and the answer with the new one may be lost. Use is a ``get``
                with ``touch_seconds``.
            through: The old id that led here, instead of ``session_id_hash``, from which it goes
                on leading; only while nobody has used ``session_id_hash``.
            max_per_user: As in ``create``.

        Returns:
            False, and nothing kept, when the session has ended or was rotated already: of two
            racers one gets True.

        Raises:
            ValueError: ``new`` is another user's, or of nobody where the session is somebody's.
        """
        ...

    async def delete(self, session_id_hash: str) -> bool:
        """End one session; whether there was one.

        The id of a session that was rotated with an overlap ends the new one: who logs out with
        an old cookie is logged out.
        """
        ...

    async def delete_by_public_id(self, user_id: UUID, public_id: str) -> bool:
        """End the user's session of exactly that ``public_id``; whether there was one."""
        ...

    async def delete_by_user(self, user_id: UUID, *, keep: str | None = None) -> int:
        """End all of a user's sessions, by one write and without a list of them.

        Whatever is made of them meanwhile ends too. A login that began before, and is kept after,
        is a new session: who changes a password compares ``auth_epoch`` as well.

        Args:
            user_id: Whose.
            keep: The ``session_id`` of the one that stays, if it is the user's and lives.

        Returns:
            How many were seen to end.
        """
        ...

    async def list_by_user(self, user_id: UUID) -> list[Session]:
        """The user's sessions that live, the last used first."""
        ...


def touched_expiry(session: Session, now: datetime) -> datetime:
    """When a session that is used ``now`` ends: later than before or as before, never past its
    absolute end."""
    if session.idle_seconds is None:
        return session.expires_at
    idle = now + timedelta(seconds=session.idle_seconds)
    return max(session.expires_at, min(idle, session.absolute_expires_at))


def check_new_id(session_id_hash: str, new: Session) -> None:
    """Refuse a rotation that keeps the id.

    Raises:
        ValueError: It is the same.
    """
    if new.session_id == session_id_hash:
        raise ValueError("a rotated session needs a new session_id; new_session_id() makes one")


def another_users() -> ValueError:
    """What a rotation raises that would hand a user's session to another user, or to nobody."""
    return ValueError("a session cannot be rotated to another user; create one instead")
