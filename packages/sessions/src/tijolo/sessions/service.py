"""Sign-ins, and the sessions that follow from them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from tijolo.core import hash_opaque_token, utcnow
from tijolo.sessions.credentials import (
    CredentialVerifier,
    LoginThrottle,
    SecondFactor,
    SessionUser,
)
from tijolo.sessions.errors import SessionStoreUnavailableException
from tijolo.sessions.events import (
    OnSessionEvent,
    SessionEventKind,
    SessionMetrics,
    SessionReporter,
)
from tijolo.sessions.reading import OutagePolicy, SessionReader
from tijolo.sessions.refusals import SessionNotFoundException
from tijolo.sessions.schemas import SessionSummarySchema
from tijolo.sessions.session import Session, new_session_id
from tijolo.sessions.settings import SessionSettings
from tijolo.sessions.sign_in import Attempt, SignIn
from tijolo.sessions.store import SessionStore
from tijolo.sessions.user_check import CachedUserCheck, UserCheck

_log = logging.getLogger("tijolo.sessions")


class SessionAuth:
    """Signs users in and out, and finds their sessions again.

    Ids are given and taken as the browser has them; the store sees their SHA-256 only.

    Args:
        store: Where sessions are kept.
        settings: Their clocks and limits.
        verifier: Who verifies credentials; without one there is no ``authenticate``.
        user_check: Asked, every ``SESSION_USER_CHECK_SECONDS``, whether a session's user may
            stay; without it a user who is disabled keeps their sessions until ``revoke_all``.
            While it cannot tell, the route's ``OutagePolicy`` decides, as where the store is down.
        second_factor: Asked for a code after the password was good. Default: the verifier's own
            ``second_factor``, if it has one.
        throttle: Limits guesses. Default: the verifier's own ``throttle``, if it has one.
        on_event: Told of sign-ins, sign-outs and the rest, after they happened.
        metrics: Counts the same, and the searches for sessions.
        clock: The time of day, aware.
    """

    def __init__(
        self,
        *,
        store: SessionStore,
        settings: SessionSettings,
        verifier: CredentialVerifier | None = None,
        user_check: UserCheck | None = None,
        second_factor: SecondFactor | None = None,
        throttle: LoginThrottle | None = None,
        on_event: OnSessionEvent | None = None,
        metrics: SessionMetrics | None = None,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        self.store = store
        self.settings = settings
        self.report = SessionReporter(on_event, metrics, clock)
        self._sign_in = SignIn(
            verifier=verifier,
            second_factor=second_factor or getattr(verifier, "second_factor", None),
            throttle=throttle or getattr(verifier, "throttle", None),
            report=self.report,
        )
        self._users: CachedUserCheck | None = None
        if user_check is not None:
            self._users = CachedUserCheck(
                user_check,
                cache_seconds=settings.SESSION_USER_CHECK_SECONDS,
                stale_seconds=settings.SESSION_LAST_KNOWN_GOOD_SECONDS,
            )
        self.now = clock
        self.reader = SessionReader(
            store, settings, users=self._users, metrics=metrics, report=self.report, now=clock
        )

    async def authenticate(self, session: Any, *, email: str, password: str) -> SessionUser:
        """The user with these credentials; ``verifier`` says who that is.

        Args:
            session: What the verifier works with: a database session, or None.
            email: As it was typed.
            password: As it was typed.

        Raises:
            UnauthorizedException: They are not good; who and what is not said.
            RuntimeError: There is no verifier.
        """
        return await self._sign_in.authenticate(session, email=email, password=password)

    async def authenticate_attempt(
        self, session: Any, attempt: Attempt
    ) -> tuple[SessionUser, tuple[str, ...]]:
        """The same with throttle, second factor and events, as the login route does it.

        Returns:
            The user, and how they proved it (``amr``, RFC 8176).

        Raises:
            UnauthorizedException: The credentials are not good, or the code is missing.
            TooManyRequestsException: There were too many attempts.
        """
        return await self._sign_in.run(session, attempt)

    async def login(
        self,
        *,
        user_id: UUID,
        ip: str | None = None,
        user_agent: str | None = None,
        previous_session_id: str | None = None,
        remember: bool = False,
        roles: Iterable[str] = (),
        auth_epoch: int = 0,
        amr: Iterable[str] = ("pwd",),
    ) -> tuple[Session, str]:
        """Begin a session of a user who has proved who they are.

        The id is always new. The browser's previous session is ended only after the new one
        exists; what it held is carried over, unless it was another user's.

        Args:
            user_id: Whose.
            ip: The client's address.
            user_agent: What the browser calls itself.
            previous_session_id: The cookie's value so far.
            remember: Whether the longer clocks apply.
            roles: The user's; some have shorter clocks.
            auth_epoch: The user's, for the ``user_check``.
            amr: How they proved it (RFC 8176).

        Returns:
            The session, and the value for the cookie.
        """
        new, value = self.prepare_login(
            user_id=user_id,
            ip=ip,
            user_agent=user_agent,
            remember=remember,
            roles=roles,
            auth_epoch=auth_epoch,
            amr=amr,
        )
        return await self.begin(new, previous_session_id=previous_session_id), value

    def prepare_login(
        self,
        *,
        user_id: UUID,
        ip: str | None = None,
        user_agent: str | None = None,
        remember: bool = False,
        roles: Iterable[str] = (),
        auth_epoch: int = 0,
        amr: Iterable[str] = ("pwd",),
    ) -> tuple[Session, str]:
        """What :meth:`login` returns, before :meth:`begin` makes it true."""
        value, session_id = new_session_id()
        now = self.now()
        lifetime = self.settings.session_lifetime(remember=remember, roles=roles)
        new = Session.start(
            session_id,
            now=now,
            absolute_seconds=lifetime.absolute_seconds,
            idle_seconds=lifetime.idle_seconds,
            user_id=user_id,
            auth_time=now,
            amr=tuple(amr),
            auth_epoch=auth_epoch,
            remember=remember,
            ip=ip,
            user_agent=user_agent,
        )
        return new, value

    async def begin(self, new: Session, *, previous_session_id: str | None = None) -> Session:
        """Keep a session that :meth:`prepare_login` made; see :meth:`login`."""
        made = await self._put_in_place(new, previous_session_id)
        if self._users is not None and made.user_id is not None:
            self._users.forget(made.user_id)
        await self.report(SessionEventKind.LOGIN, made)
        return made

    async def start_anonymous(
        self,
        *,
        ip: str | None = None,
        user_agent: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> tuple[Session, str]:
        """Begin a session of nobody, to hold data until somebody signs in."""
        value, session_id = new_session_id()
        lifetime = self.settings.session_lifetime()
        new = Session.start(
            session_id,
            now=self.now(),
            absolute_seconds=lifetime.absolute_seconds,
            idle_seconds=lifetime.idle_seconds,
            ip=ip,
            user_agent=user_agent,
            data=dict(data or {}),
        )
        return await self.store.create(new), value

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
            amr: How its user proved once more who they are; None: they did not.
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
            fields |= {"auth_time": now, "amr": tuple(dict.fromkeys((*session.amr, *amr)))}
        new = Session.model_validate(fields)
        rotated = await self.store.rotate(
            session.session_id, new, overlap_seconds=overlap_seconds, through=through
        )
        self._forget(session.session_id)
        if not rotated:
            return None
        kind = SessionEventKind.ROTATED if amr is None else SessionEventKind.STEPPED_UP
        await self.report(kind, new)
        return await self._as_kept(new, session.data), value

    async def revoke(self, session_id_plaintext: str) -> None:
        """End the session with that cookie's value, if there is one."""
        await self.revoke_session(await self.store.get(hash_opaque_token(session_id_plaintext)))

    async def revoke_session(self, session: Session | None) -> None:
        """End a session that was loaded."""
        if session is None:
            return
        self._forget(session.session_id)
        if await self.store.delete(session.session_id):
            await self.report(SessionEventKind.LOGOUT, session)
        self._forget(session.session_id)

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

    async def _put_in_place(self, new: Session, previous: str | None) -> Session:
        """Create first, then revoke: a failure in between signs nobody out."""
        most = self.settings.SESSION_MAX_PER_USER
        old = None
        if previous is not None and self.settings.SESSION_ROTATE_ON_LOGIN:
            old = await self.store.get(hash_opaque_token(previous))
        if old is not None and old.user_id in (None, new.user_id):
            rotated = new.model_copy(update={"rotated_from": old.session_id})
            if await self.store.rotate(old.session_id, rotated, max_per_user=most):
                self._forget(old.session_id)
                return await self._as_kept(rotated, {**old.data, **new.data})
        made = await self.store.create(new, max_per_user=most)
        if old is not None:
            # another user's: what it held is none of this one's business
            await self.store.delete(old.session_id)
            self._forget(old.session_id)
        return made

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
