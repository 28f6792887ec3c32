"""Sessions around an application."""

from __future__ import annotations

import logging

from starlette.types import ASGIApp, Receive, Scope, Send

from tijolo.sessions.cookie import SessionCookie
from tijolo.sessions.current import SCOPE_KEY, RequestSession
from tijolo.sessions.service import SessionAuth
from tijolo.sessions.settings import SessionSettings
from tijolo.web.csrf import CSRF_SCOPE_KEY

_log = logging.getLogger("tijolo.sessions")


class SessionMiddleware:
    """Give every request and WebSocket its session, which costs nothing until it is used.

    The store is asked once, when a handler or a dependency asks; a health check never asks.
    ``request.state.session_id`` is what ``CSRFMiddleware`` binds its tokens to: the SHA-256 of
    the cookie's value, looked up or not. So this middleware belongs outside that one; add it
    after.

    Args:
        session_auth: Finds and keeps the sessions.
        settings: Those of ``session_auth``, if they are given at all.

    Raises:
        ValueError: for other settings.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        session_auth: SessionAuth,
        settings: SessionSettings | None = None,
    ) -> None:
        if settings is not None and settings != session_auth.settings:
            raise ValueError("settings differ from those of session_auth; leave them out")
        self.app = app
        self.auth = session_auth
        self.cookie = SessionCookie(session_auth.settings)
        self.trusted_origins = frozenset(session_auth.settings.SESSION_TRUSTED_ORIGINS)
        self.load = session_auth.reader.load
        self.renews = session_auth.settings.SESSION_RENEWAL_SECONDS is not None
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application with ``scope["tijolo.session"]``."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if CSRF_SCOPE_KEY in scope and not self._warned:
            self._warned = True
            _log.warning(
                "CSRFMiddleware is outside SessionMiddleware, so its tokens are bound to no"
                " session; add SessionMiddleware after it"
            )
        presented = self.cookie.read(scope["headers"])
        current = scope[SCOPE_KEY] = RequestSession(self, scope, send, presented)
        try:
            await self.app(scope, receive, current.send)
            if current.has_changes:  # a stream or a background task wrote
                await current.save()
        finally:
            # the two hold each other, which would leave both to the collector
            scope.pop(SCOPE_KEY, None)
