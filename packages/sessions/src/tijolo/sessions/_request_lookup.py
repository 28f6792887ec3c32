"""What a request came with, and which session that is."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection
from starlette.types import Scope, Send

from tijolo.core import hash_opaque_token
from tijolo.sessions._changes import DataChanges
from tijolo.sessions.cookie import Header
from tijolo.sessions.errors import SessionStoreUnavailableException
from tijolo.sessions.reading import OutagePolicy
from tijolo.sessions.same_origin import refuse_cross_site
from tijolo.sessions.session import MAX_USER_AGENT_CHARACTERS, Session
from tijolo.web import get_client_ip_from_scope

if TYPE_CHECKING:
    from tijolo.sessions.middleware import SessionMiddleware
    from tijolo.sessions.service import SessionAuth


class SessionLookup:
    """Asks the store once, when somebody asks, and keeps what came of it."""

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

    def refuse_cross_site(self, *, excluded_too: bool = False) -> None:
        """Raise ``CrossSiteSessionException`` where another site's page may have asked.

        Args:
            excluded_too: Also on a path that ``CSRFMiddleware`` excludes.
        """
        self._used = True
        refuse_cross_site(self._scope, self._layer.trusted_origins, excluded_too=excluded_too)

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

    def _check_cookie_possible(self) -> None:
        if self._started:
            raise RuntimeError("the response has started; its cookie cannot be set any more")
