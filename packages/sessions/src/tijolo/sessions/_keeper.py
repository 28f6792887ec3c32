"""Sessions that there are: written to, renewed, shown, ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from tijolo.core import hash_opaque_token
from tijolo.sessions.errors import SessionStoreUnavailableException
from tijolo.sessions.events import SessionEventKind, SessionMetrics, SessionReporter
from tijolo.sessions.reading import OutagePolicy, SessionReader
from tijolo.sessions.refusals import SessionNotFoundException
from tijolo.sessions.schemas import SessionSummarySchema
from tijolo.sessions.session import Session, new_session_id
from tijolo.sessions.settings import SessionSettings
from tijolo.sessions.store import SessionStore
from tijolo.sessions.user_check import CachedUserCheck, UserCheck

_log = logging.getLogger("tijolo.sessions")


class SessionKeeper:
    """What :class:`SessionAuth` does with a session after the sign-in.

    Args:
        store: Where sessions are kept.
        settings: Their clocks and limits.
        user_check: Asked whether a session's user may stay; None asks nobody.
        report: Told of what happened.
        metrics: Told of the searches for sessions.
        clock: The time of day, aware.
    """

    def __init__(
        self,
        *,
        store: SessionStore,
        settings: SessionSettings,
        user_check: UserCheck | None,
        report: SessionReporter,
        metrics: SessionMetrics | None,
        clock: Callable[[], datetime],
    ) -> None:
        self.store = store
        self.settings = settings
        self.report = report
        self.now = clock
        self._users: CachedUserCheck | None = None
        if user_check is not None:
            self._users = CachedUserCheck(
                user_check,
                cache_seconds=settings.SESSION_USER_CHECK_SECONDS,
                stale_seconds=settings.SESSION_LAST_KNOWN_GOOD_SECONDS,
                retry_seconds=settings.SESSION_STORE_RETRY_SECONDS,
            )
        self.reader = SessionReader(
            store, settings, users=self._users, metrics=metrics, report=report, now=clock
        )

    async def resolve(
        self,
        session_id_plaintext: str,
        *,
        policy: OutagePolicy = OutagePolicy.UNAVAILABLE,
    ) -> Session | None:
        """The session with that cookie's value, if it lives and its user may stay.

        Raises:
            SessionStoreUnavailableException: The store is down and ``policy`` knows no other way.
        """
        return await self.reader.load(hash_opaque_token(session_id_plaintext), policy=policy)

    async def save(
        self,
        session: Session,
        changed: Mapping[str, Any],
        removed: Collection[str] = (),
        *,
        through: str | None = None,
    ) -> Session | None:
        """Set and remove data by name; other names are left alone.

        Args:
            session: As it was loaded.
            changed: JSON values by name.
            removed: Names.
            through: The id that it was loaded by: another request may have replaced it since.

        Returns:
            It with the data; None when it has ended, and then nothing was written.
        """
        self._forget(session.session_id)
        saved = await self.store.save(session.session_id, changed, removed)
        if not saved and through is not None:
            moved = await self.store.get(through)
            if moved is not None and moved.public_id == session.public_id:
                session = moved
                saved = await self.store.save(session.session_id, changed, removed)
        self._forget(session.session_id)
        if not saved:
            _log.info("a session ended while something was written to it; dropped")
            return None
        kept = {name: value for name, value in session.data.items() if name not in removed}
        return session.model_copy(update={"data": {**kept, **changed}})

    async def rotate(
        self,
        session: Session,
        *,
        amr: Iterable[str] | None = None,
        overlap_seconds: float = 0,
        through: str | None = None,
    ) -> tuple[Session, str] | None:
        """Give a session a new id; the old one ends.

        Call it when what the session may do changes (OWASP Session Management, "Renew the
        Session ID After Any Privilege Level Change").

        Args:
            session: As it was loaded.
            amr: How its user proved once more who they are; None: they did not. It takes the place
                of what was proved before: ``amr`` and ``auth_time`` tell of one authentication.
            overlap_seconds: How long the old id still works once the new one was used.
            through: The older ``session_id`` by which it was loaded, where nobody has used its own.

        Returns:
            The session and the value for the cookie; None when it has ended, or somebody else
            rotated it first.
        """
        value, session_id = new_session_id()
        now = self.now()
        fields: dict[str, Any] = {
            **session.model_dump(),
            "session_id": session_id,
            "rotated_from": through or session.session_id,
            "renewed_at": now,
            "data": {},
        }
        if amr is not None:
            fields |= {"auth_time": now, "amr": tuple(dict.fromkeys(amr))}
        new = Session.model_validate(fields)
        rotated = await self.store.rotate(
            session.session_id, new, overlap_seconds=overlap_seconds, through=through
        )
        self._forget(session.session_id)
        if not rotated:
            return None
        if through is not None and self.reader.replaced is not None:
            await self.reader.replaced.note(session, now)
        kind = SessionEventKind.ROTATED if amr is None else SessionEventKind.STEPPED_UP
        await self.report(kind, new)
        return await self._as_kept(new, session.data), value

    async def revoke(self, session_id_plaintext: str) -> None:
        """End the session with that cookie's value, if there is one."""
        session_id = hash_opaque_token(session_id_plaintext)
        await self.revoke_session(await self.store.get(session_id), through=session_id)

    async def revoke_session(self, session: Session | None, *, through: str | None = None) -> None:
        """End a session that was loaded, whatever id another request gave it since.

        Args:
            session: As it was loaded; None does nothing.
            through: The id that it was loaded by, where it is not its own.
        """
        if session is not None and await self._end(session, through):
            await self.report(SessionEventKind.LOGOUT, session)

    async def revoke_all(self, user_id: UUID, *, keep: Session | None = None) -> int:
        """End all sessions of a user, those that are just being made included.

        Args:
            user_id: Whose.
            keep: The one that stays: the user's own, from which they do this.

        Returns:
            How many.
        """
        count = await self.store.delete_by_user(
            user_id, keep=None if keep is None else keep.session_id
        )
        if self.reader.recent is not None:
            self.reader.recent.forget_user(user_id)
        if self._users is not None:
            self._users.forget(user_id)
        await self.report(SessionEventKind.REVOKED_ALL, user_id=user_id, details={"count": count})
        return count

    async def list_sessions(
        self,
        user_id: UUID,
        *,
        current_session_id_plaintext: str | None = None,
        current: Session | None = None,
    ) -> list[SessionSummarySchema]:
        """The user's sessions for a list of devices, the last used first.

        Args:
            user_id: Whose.
            current_session_id_plaintext: The cookie's value of who asks.
            current: The same, as it was loaded.
        """
        here = current and current.session_id
        if current_session_id_plaintext is not None:
            here = hash_opaque_token(current_session_id_plaintext)
        return [
            SessionSummarySchema.of(session, is_current=session.session_id == here)
            for session in await self.store.list_by_user(user_id)
        ]

    async def revoke_by_public_id(self, user_id: UUID, public_id: str) -> None:
        """End the user's session of exactly that public id.

        Raises:
            SessionNotFoundException: They have none of it.
        """
        ended = await self.store.delete_by_public_id(user_id, public_id)
        if self.reader.recent is not None:
            self.reader.recent.forget_user(user_id)
        if not ended:
            raise SessionNotFoundException
        await self.report(SessionEventKind.REVOKED, user_id=user_id, public_id=public_id)

    async def _end(self, session: Session, through: str | None) -> bool:
        self._forget(session.session_id)
        ended = await self.store.delete(session.session_id)
        if not ended and session.user_id is not None:
            # it stays the same through every new id
            ended = await self.store.delete_by_public_id(session.user_id, session.public_id)
            if self.reader.recent is not None:
                self.reader.recent.forget_user(session.user_id)
        elif not ended and through is not None:
            ended = await self.store.delete(through)
        self._forget(session.session_id)
        return ended

    async def _as_kept(self, rotated: Session, data: Mapping[str, Any]) -> Session:
        """A session that has just been rotated, with what the store carried over.

        The old id is dead already: whoever does not get the new one now is signed out. So a store
        that fails here is believed to have carried over ``data``.
        """
        try:
            kept = await self.store.get(rotated.session_id)
        except SessionStoreUnavailableException:
            kept = None
        return kept or rotated.model_copy(update={"data": dict(data)})

    def _forget(self, session_id: str) -> None:
        if self.reader.recent is not None:
            self.reader.recent.forget(session_id)
