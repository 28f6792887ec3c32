"""Sign-ins, and the sessions that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from tijolo.core import hash_opaque_token, utcnow
from tijolo.sessions._keeper import SessionKeeper
from tijolo.sessions._shapes import check_store, check_verifier
from tijolo.sessions.credentials import (
    CredentialVerifier,
    LoginThrottle,
    SecondFactor,
    SessionUser,
)
from tijolo.sessions.events import (
    OnSessionEvent,
    SessionEventKind,
    SessionMetrics,
    SessionReporter,
)
from tijolo.sessions.session import Session, new_session_id
from tijolo.sessions.settings import SessionSettings
from tijolo.sessions.sign_in import Attempt, SignIn
from tijolo.sessions.store import SessionStore
from tijolo.sessions.user_check import UserCheck


class SessionAuth(SessionKeeper):
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

    Raises:
        TypeError: A store without one of the steps, a verifier without ``async def authenticate``.
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
        check_store(store)
        check_verifier(verifier)
        report = SessionReporter(on_event, metrics, clock)
        super().__init__(
            store=store,
            settings=settings,
            user_check=user_check,
            report=report,
            metrics=metrics,
            clock=clock,
        )
        self._sign_in = SignIn(
            verifier=verifier,
            second_factor=second_factor or getattr(verifier, "second_factor", None),
            throttle=throttle or getattr(verifier, "throttle", None),
            report=report,
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

        Raises:
            TypeError: ``user_id`` is no UUID.
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
        _check_user_id(user_id)
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
        if self.reader.recent is not None and made.user_id is not None:
            self.reader.recent.forget_user(made.user_id)  # one may have been beyond the cap
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

    async def _put_in_place(self, new: Session, previous: str | None) -> Session:
        """Create first, then revoke: a failure in between signs nobody out."""
        most = self.settings.SESSION_MAX_PER_USER
        old = previous_id = None
        if previous is not None and self.settings.SESSION_ROTATE_ON_LOGIN:
            previous_id = hash_opaque_token(previous)
            old = await self.store.get(previous_id)
        if old is not None and old.user_id in (None, new.user_id):
            rotated = new.model_copy(update={"rotated_from": old.session_id})
            if await self.store.rotate(old.session_id, rotated, max_per_user=most):
                self._forget(old.session_id)
                return await self._as_kept(rotated, {**old.data, **new.data})
        made = await self.store.create(new, max_per_user=most)
        if old is not None:
            # another user's: what it held is none of this one's business; or it has a new id
            await self._end(old, previous_id)
        return made


def _check_user_id(user_id: object) -> None:
    if not isinstance(user_id, UUID):
        raise TypeError(
            f"the user's id must be a uuid.UUID, got {type(user_id).__name__}; give users with"
            " other ids a UUID beside it, and the session that"
        )
