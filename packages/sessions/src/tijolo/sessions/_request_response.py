"""What a session does as the response of its request begins."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from datetime import timedelta

from starlette.types import Message

from tijolo.core import AppException
from tijolo.sessions._request_data import SessionData
from tijolo.sessions._response import made_private, refuse_instead
from tijolo.sessions.errors import SessionStoreUnavailableException
from tijolo.sessions.session import Session

_STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
# a slower answer might put an id back that another answer has replaced meanwhile
_RENEW_COOKIE_WITHIN_SECONDS = 5.0


class SessionResponse(SessionData):
    """Writes what changed, renews what is due, and adds the headers."""

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


async def _nothing() -> None:
    """Instead of a message whose response was refused."""
