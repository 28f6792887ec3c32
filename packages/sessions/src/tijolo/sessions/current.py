"""The session of one request: read when it is used, written when it changed."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import HTTPConnection

from tijolo.core import hash_opaque_token
from tijolo.sessions._request_response import SessionResponse
from tijolo.sessions.credentials import SessionUser
from tijolo.sessions.refusals import SessionRequiredException
from tijolo.sessions.session import Session

SCOPE_KEY = "tijolo.session"


class RequestSession(SessionResponse):
    """What a handler does with its caller's session.

    Nothing is asked of the store before :meth:`load`. Data are read and set by
    :class:`SessionKey`; what was set is written once, before the response starts, and not at all
    when the response is a 5xx. A value that is changed in place must be set again.

    Setting data where there is no session begins one of nobody, which a sign-in takes over. With
    ``SESSION_COOKIE_SAMESITE=strict`` a request that came by another site's link begins none: the
    browser may have one whose cookie it kept back.
    """

    async def login(
        self,
        user: SessionUser,
        *,
        remember: bool = False,
        amr: Iterable[str] = ("pwd",),
    ) -> Session:
        """Sign ``user`` in; the session begins, and its cookie goes out, with the response.

        So a transaction of the request is committed first, and an error, of 400 or more, signs
        nobody in. What was set in another user's session and is not saved yet is dropped.

        Args:
            user: Who has proved who they are. ``role_names`` and ``auth_epoch`` are read where
                there are any.
            remember: Whether the longer clocks apply.
            amr: How they proved it (RFC 8176).

        Raises:
            CrossSiteSessionException: Another site's page made the request (login CSRF).
            TypeError: The user's ``id`` is no UUID.
            RuntimeError: The response has started.
        """
        self._used = True
        self._check_cookie_possible()
        self.refuse_cross_site()
        new, value = self.auth.prepare_login(
            user_id=user.id,
            ip=self.ip,
            user_agent=self.user_agent,
            remember=remember,
            roles=getattr(user, "role_names", ()),
            auth_epoch=getattr(user, "auth_epoch", 0),
            amr=amr,
        )
        self._login = (new, self._value if self._login is None else self._login[1])
        before = self._record
        if before is not None and before.user_id not in (None, user.id):
            self._changes = None  # another user's
        elif before is not None and self.auth.settings.SESSION_ROTATE_ON_LOGIN:
            new = new.model_copy(update={"data": before.data})
        self._adopt(new, value)
        if self._scope["type"] != "http":
            await self.save()
        return new

    async def step_up(self, *amr: str) -> Session:
        """Note that the user proved once more who they are; the session gets a new id.

        Args:
            amr: How (RFC 8176), such as ``"otp"``: all that was proved now. What was proved at
                the sign-in is not part of it, for ``auth_time`` is that of this proof.

        Raises:
            SessionRequiredException: Nobody is signed in, or they came by an id that was replaced
                by one that somebody uses.
        """
        return await self._rotate(amr)

    async def rotate(self) -> Session:
        """Give the session a new id, because what it may do changed.

        Raises:
            SessionRequiredException: There is none, or as :meth:`step_up`.
        """
        return await self._rotate(None)

    async def logout(self) -> None:
        """End the session, and make the browser forget it.

        Whether its user may stay is not asked: they are let out while nobody can tell, too.
        """
        await self.save()
        record = self._record
        if not self._read and self._presented_id is not None:
            self.refuse_cross_site()
            record = await self.auth.reader.load(self._presented_id, check_user=False)
        await self.auth.revoke_session(record, through=self._presented_id)
        self._forget()

    async def logout_everywhere(self, *, keep_this: bool = False) -> int:
        """End all of the user's sessions.

        Args:
            keep_this: All but this one.

        Returns:
            How many.

        Raises:
            SessionRequiredException: Nobody is signed in.
        """
        await self.save()
        record = await self.load()
        if record is None or record.user_id is None:
            raise SessionRequiredException
        count = await self.auth.revoke_all(record.user_id, keep=record if keep_this else None)
        if not keep_this:
            self._forget()
        return count

    async def _rotate(self, amr: Iterable[str] | None) -> Session:
        self._check_cookie_possible()
        await self.save()
        record = await self.load()
        rotated = None
        if record is not None and self._value is not None:
            own = hash_opaque_token(self._value)
            # by the id before only while nobody has used the new one: it may be a thief's
            through = None if record.session_id == own else own
            rotated = await self.auth.rotate(record, amr=amr, through=through)
        if rotated is None:
            raise SessionRequiredException
        self._adopt(*rotated)
        return rotated[0]


def request_session(connection: HTTPConnection) -> RequestSession:
    """The session of a request or WebSocket, not loaded yet.

    Raises:
        RuntimeError: ``SessionMiddleware`` is not around the application.
    """
    found: RequestSession | None = connection.scope.get(SCOPE_KEY)
    if found is None:
        raise RuntimeError(
            "no SessionMiddleware is around the application; add it:"
            " app.add_middleware(SessionMiddleware, session_auth=...)"
        )
    return found
