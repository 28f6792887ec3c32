"""What a handler reads and sets in its caller's session."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from starlette.requests import HTTPConnection

from tijolo.sessions._changes import DataChanges
from tijolo.sessions._request_lookup import SessionLookup
from tijolo.sessions.errors import SessionStoreUnavailableException
from tijolo.sessions.keys import SessionKey

T = TypeVar("T")


class SessionData(SessionLookup):
    """Values by :class:`SessionKey`, and when they are written."""

    @overload
    def get(self, key: SessionKey[T]) -> T | None: ...
    @overload
    def get(self, key: SessionKey[T], default: T) -> T: ...
    def get(self, key: SessionKey[T], default: T | None = None) -> T | None:
        """The value, or ``default`` where there is none.

        Raises:
            TypeError: ``key`` is no :class:`SessionKey`.
        """
        _check_key(key)
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

    def __setitem__(self, key: SessionKey[T], value: T) -> None:
        """Keep a value, from the response on.

        Raises:
            SessionDataTooLargeException: It is too large.
            SessionStoreUnavailableException: The store is down, so whose it would be is unknown.
            RuntimeError: There is no session, and the response that would begin one has started.
            TypeError: ``key`` is no :class:`SessionKey`.
        """
        _check_key(key)
        dumped = key.dump(value)
        self._check_writable()
        self._written.put(self._record, key, dumped)

    def __delitem__(self, key: SessionKey[Any]) -> None:
        """Remove a value, if there is one."""
        _check_key(key)
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

    @property
    def _written(self) -> DataChanges:
        if self._changes is None:
            cached = self.auth.settings.SESSION_LOCAL_CACHE_SECONDS > 0
            self._changes = DataChanges(is_fresh=not cached)
        return self._changes

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


def _check_key(key: object) -> None:
    if not isinstance(key, SessionKey):
        raise TypeError(
            f"session data have a SessionKey, not {type(key).__name__}: make one beside the"
            ' handlers, NOTE = SessionKey[str]("note"), and write session[NOTE]'
        )
