"""The session of one request: read when it is used, written when it changed."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, overload

from starlette.requests import HTTPConnection
from starlette.types import Message, Scope, Send

from tijolo.core import AppException, hash_opaque_token
from tijolo.sessions._changes import DataChanges
from tijolo.sessions._response import made_private, refuse_instead
from tijolo.sessions.cookie import Header
from tijolo.sessions.credentials import SessionUser
from tijolo.sessions.errors import SessionStoreUnavailableException
from tijolo.sessions.keys import SessionKey
from tijolo.sessions.reading import OutagePolicy
from tijolo.sessions.refusals import SessionRequiredException
from tijolo.sessions.same_origin import refuse_cross_site
from tijolo.sessions.session import MAX_USER_AGENT_CHARACTERS, Session
from tijolo.web import get_client_ip_from_scope

if TYPE_CHECKING:
    from tijolo.sessions.middleware import SessionMiddleware
    from tijolo.sessions.service import SessionAuth

T = TypeVar("T")
SCOPE_KEY = "tijolo.session"
_STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
# a slower answer might put an id back that another answer has replaced meanwhile
_RENEW_COOKIE_WITHIN_SECONDS = 5.0


class RequestSession:
    """What a handler does with its caller's session.

    Nothing is asked of the store before :meth:`load`. Data are read and set by
    :class:`SessionKey`; what was set is written once, before the response starts, and not at all
    when the response is a 5xx. A value that is changed in place must be set again.

    Setting data where there is no session begins one of nobody, which a sign-in takes over. With
    ``SESSION_COOKIE_SAMESITE=strict`` a request that came by another site's link begins none: the
    browser may have one whose cookie it kept back.
    """

    # of the class until they change: most requests use no session
    _used = False
    _read = False
    _unknown = False
    _started = False
    _refused = False
    _record: Session | None = None
    _cookie: Header | None = None
    _changes: DataChanges | None = None
    _login: tuple[Session, str | None] | None = None
    _touched_at = 0.0

    def __init__(
        self, layer: SessionMiddleware, scope: Scope, send: Send, presented: str | None
    ) -> None:
        self._layer, self._scope, self._send = layer, scope, send
        self._value = presented
        self._presented_id = None
        if presented is not None:
            self._presented_id = session_id = hash_opaque_token(presented)
            # what CSRFMiddleware binds its tokens to
            scope.setdefault("state", {})["session_id"] = session_id

    @property
    def auth(self) -> SessionAuth:
        """Who keeps the sessions."""
        return self._layer.auth

    def __repr__(self) -> str:
        return f"RequestSession(user_id={self.user_id!r})"

    # --- reading

    async def load(self, *, policy: OutagePolicy = OutagePolicy.UNAVAILABLE) -> Session | None:
        """The session, signed in or not; None when there is none. Asks the store once.

        Args:
            policy: What to do when nobody can tell.

        Raises:
            SessionStoreUnavailableException: Nobody can tell, and ``policy`` knows no other way.
            CrossSiteSessionException: Another site's page may have sent the cookie.
        """
        if self._read:
            return self._record
        self._used = True
        if self._presented_id is not None:
            self.refuse_cross_site()
            try:
                record = await self._layer.load(self._presented_id, policy=policy)
            except SessionStoreUnavailableException:
                if policy is not OutagePolicy.ANONYMOUS:
                    raise
                self._unknown = True
                return None
            self._take(record)
        self._read = True
        self._unknown = False
        return self._record

    async def reload(self) -> Session | None:
        """Ask again: for WebSockets, which outlive a revocation unless somebody looks.

        A sign-in that begins with the response is not in the store yet, and is what there is.
        """
        if self._login is not None:
            return self._record
        self._read = False
        self._record = None
        if self._value is not None:
            self._presented_id = hash_opaque_token(self._value)
        return await self.load()

    @property
    def record(self) -> Session | None:
        """What :meth:`load` found, and what happened to it since."""
        return self._record

    @property
    def user_id(self) -> Any:
        """Whose session it is; None when it is nobody's."""
        return None if self._record is None else self._record.user_id

    @overload
    def get(self, key: SessionKey[T]) -> T | None: ...
    @overload
    def get(self, key: SessionKey[T], default: T) -> T: ...
    def get(self, key: SessionKey[T], default: T | None = None) -> T | None:
        """The value, or ``default`` where there is none."""
        self._check_read()
        value = self._written.get(self._record, key)
        return default if value is None else value

    def __getitem__(self, key: SessionKey[T]) -> T:
        """The value.

        Raises:
            KeyError: There is none.
        """
        value = self.get(key)
        if value is None:
            raise KeyError(key.name)
        return value

    def __contains__(self, key: SessionKey[Any]) -> bool:
        return self.get(key) is not None

    # --- writing

    def __setitem__(self, key: SessionKey[T], value: T) -> None:
        """Keep a value, from the response on.

        Raises:
            SessionDataTooLargeException: It is too large.
            SessionStoreUnavailableException: The store is down, so whose it would be is unknown.
            RuntimeError: There is no session, and the response that would begin one has started.
        """
        dumped = key.dump(value)
        self._check_writable()
        self._written.put(self._record, key, dumped)

    def __delitem__(self, key: SessionKey[Any]) -> None:
        """Remove a value, if there is one."""
        self._check_writable()
        self._written.remove(self._record, key)

    @property
    def has_changes(self) -> bool:
        """Whether there is something to write."""
        return bool(self._changes)

    async def save(self) -> None:
        """Write what was set, now instead of with the response.

        What was set in a session that ended meanwhile is dropped: it must not come back to life.
        """
        changed, removed = self._written.take()
        self._changes = None
        if self._login is not None:
            (new, previous), self._login = self._login, None
            # in one step: what the session cannot hold must not cost the one before
            new = new.model_copy(update={"data": changed})
            self._record = await self.auth.begin(new, previous_session_id=previous)
            changed = {}
        record = self._record
        if record is not None and (changed or removed):
            through = self._presented_id
            self._record = await self.auth.save(record, changed, removed, through=through)
        elif changed and not self._is_withheld():
            made = await self.auth.start_anonymous(
                ip=self.ip, user_agent=self.user_agent, data=changed
            )
            self._adopt(*made)

    # --- signing in and out

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
            amr: How (RFC 8176), such as ``"otp"``.

        Raises:
            SessionRequiredException: Nobody is signed in.
        """
        return await self._rotate(amr)

    async def rotate(self) -> Session:
        """Give the session a new id, because what it may do changed.

        Raises:
            SessionRequiredException: There is none.
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
        await self.auth.revoke_session(record)
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

    def refuse_cross_site(self) -> None:
        """Raise ``CrossSiteSessionException`` where another site's page may have asked."""
        self._used = True
        refuse_cross_site(self._scope, self._layer.trusted_origins)

    def forget(self) -> None:
        """Make the browser forget a session that was ended otherwise."""
        self._used = True
        self._forget()

    @property
    def ip(self) -> str | None:
        """The client's address, past the trusted proxies."""
        return get_client_ip_from_scope(self._scope)

    @property
    def user_agent(self) -> str | None:
        """What the browser calls itself, cut to what is kept."""
        agent = HTTPConnection(self._scope).headers.get("user-agent")
        return agent[:MAX_USER_AGENT_CHARACTERS] if agent else None

    # --- the response

    def send(self, message: Message) -> Awaitable[None]:
        """The application's messages, on their way out."""
        if not self._used or message["type"] not in _STARTS:
            return _nothing() if self._refused else self._send(message)
        if self._changes is None and self._login is None and not self._may_renew():
            return self._begin(message)
        return self._finish(message)

    async def _finish(self, message: Message) -> None:
        """Write what changed, then let the response begin; or answer why it cannot be."""
        status = message.get("status", 200)
        if status >= 500:
            self._changes = None
        if status >= 400 and self._login is not None:
            # the request failed, perhaps after its handler: its transaction was rolled back
            self._login = self._cookie = self._changes = None
        try:
            await self.save()
        except AppException as error:
            if message["type"] != "http.response.start":
                raise
            self._refused = True
            await refuse_instead(error, self._scope, self._send)
            return
        await self._renew_if_due()
        await self._begin(message)

    def _begin(self, message: Message) -> Awaitable[None]:
        headers = [*message.get("headers", ())]
        cookie = self._cookie
        if message["type"] == "http.response.start":
            headers = made_private(headers, sets_cookie=cookie is not None)
        if cookie is not None:
            headers.append(cookie)
        message["headers"] = headers
        self._started = True
        return self._send(message)

    def _may_renew(self) -> bool:
        """Whether the cookie, or the id in it, may be due for another one."""
        record = self._record
        if record is None or not (record.touched or self._layer.renews):
            return False
        if self._cookie is not None or self._presented_id is None:
            return False
        is_own = record.session_id == self._presented_id
        return is_own or (self._layer.renews and record.rotated_from == self._presented_id)

    async def _renew_if_due(self) -> None:
        record, seconds = self._record, self.auth.settings.SESSION_RENEWAL_SECONDS
        if record is None or not self._may_renew():
            return
        age = self.auth.now() - (record.renewed_at or record.created_at)
        slides = record.touched and record.idle_seconds is not None
        recently = time.monotonic() - self._touched_at < _RENEW_COOKIE_WITHIN_SECONDS
        is_own = record.session_id == self._presented_id
        if seconds is not None and age >= timedelta(seconds=seconds):
            await self._renew(record, self.auth.settings.SESSION_RENEWAL_OVERLAP_SECONDS)
        elif slides and recently and is_own and self._value and await self._is_still(record):
            self._set_cookie(record, self._value)

    async def _is_still(self, record: Session) -> bool:
        """Whether no other request has given the browser another id since ``record`` was loaded.

        Asked as often as a session is touched, which is seldom.
        """
        try:
            now = await self.auth.store.get(record.session_id)
        except SessionStoreUnavailableException:
            return False
        return now is not None and now.session_id == record.session_id

    async def _renew(self, record: Session, overlap_seconds: int) -> None:
        # the answer with the id that replaced this one may be lost: then it gets another
        through = None if record.session_id == self._presented_id else self._presented_id
        try:
            renewed = await self.auth.rotate(
                record, overlap_seconds=overlap_seconds, through=through
            )
        except SessionStoreUnavailableException:
            return  # at the next request, then
        if renewed is not None:
            self._adopt(*renewed)

    # --- inside

    async def _rotate(self, amr: Iterable[str] | None) -> Session:
        self._check_cookie_possible()
        await self.save()
        record = await self.load()
        rotated = None if record is None else await self.auth.rotate(record, amr=amr)
        if rotated is None:
            raise SessionRequiredException
        self._adopt(*rotated)
        return rotated[0]

    @property
    def _written(self) -> DataChanges:
        if self._changes is None:
            cached = self.auth.settings.SESSION_LOCAL_CACHE_SECONDS > 0
            self._changes = DataChanges(is_fresh=not cached)
        return self._changes

    def _take(self, record: Session | None) -> None:
        self._record = record
        if record is None:
            return
        if record.touched:
            self._touched_at = time.monotonic()

    def _adopt(self, record: Session, value: str) -> None:
        self._used = self._read = True
        self._unknown = False
        self._take(record)
        self._value = value
        self._name_session(record.session_id)
        self._set_cookie(record, value)

    def _forget(self) -> None:
        self._read, self._record, self._value = True, None, None
        self._changes = None
        self._name_session(None)
        self._cookie = self._layer.cookie.cleared_header()

    def _set_cookie(self, record: Session, value: str) -> None:
        left = (record.expires_at - self.auth.now()).total_seconds()
        self._cookie = self._layer.cookie.set_header(value, max(1, math.ceil(left)))

    def _name_session(self, session_id: str | None) -> None:
        self._scope.setdefault("state", {})["session_id"] = session_id

    def _check_read(self) -> None:
        if not self._read and not self._unknown:
            raise RuntimeError("the session was not read; `await session.load()` first")

    def _check_writable(self) -> None:
        self._check_read()
        if self._unknown:
            # a new session would take the place of one that may well be there
            raise SessionStoreUnavailableException
        if self._record is None:
            self._check_cookie_possible()
            # SameSite keeps the cookie back: a new one would take the place of the user's own
            self.refuse_cross_site()

    def _is_withheld(self) -> bool:
        """Whether the browser may have a session whose cookie it did not send with a link."""
        if self.auth.settings.SESSION_COOKIE_SAMESITE != "strict" or self._value is not None:
            return False
        return HTTPConnection(self._scope).headers.get("sec-fetch-site") == "cross-site"

    def _check_cookie_possible(self) -> None:
        if self._started:
            raise RuntimeError("the response has started; its cookie cannot be set any more")


async def _nothing() -> None:
    """Instead of a message whose response was refused."""


def request_session(connection: HTTPConnection) -> RequestSession:
    """The session of a request or WebSocket, not loaded yet.

    Raises:
        RuntimeError: ``SessionMiddleware`` is not around the application.
    """
    found: RequestSession | None = connection.scope.get(SCOPE_KEY)
    if found is None:
        raise RuntimeError("no SessionMiddleware is around the application; add it to use sessions")
    return found
