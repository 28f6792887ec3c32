"""What happens to sessions, for whoever writes it down, counts it or sends a mail about it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from tijolo.core import BaseStrEnum
from tijolo.sessions.session import Session

_log = logging.getLogger("tijolo.sessions")


class SessionEventKind(BaseStrEnum):
    """What happened (OWASP Session Management, "Logging Sessions Life Cycle")."""

    LOGIN = "login"
    LOGIN_FAILED = "login_failed"
    LOGOUT = "logout"
    REVOKED = "revoked"
    """One session was ended from another one, or because its user may not stay."""
    REVOKED_ALL = "revoked_all"
    ROTATED = "rotated"
    STEPPED_UP = "stepped_up"


@dataclass(frozen=True, kw_only=True)
class SessionEvent:
    """One of them. It names no id that is worth anything to who reads it."""

    kind: SessionEventKind
    at: datetime
    user_id: UUID | None = None
    public_id: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    details: dict[str, object] = field(default_factory=dict[str, object])


OnSessionEvent = Callable[[SessionEvent], Awaitable[None] | None]
"""Called after it happened; what it raises is logged and changes nothing."""


class LoadOutcome(BaseStrEnum):
    """How the search for a request's session ended."""

    FOUND = "found"
    ABSENT = "absent"
    CACHED = "cached"
    """Known locally; the store was not asked."""
    LAST_KNOWN_GOOD = "last_known_good"
    """The store is down, and the route believes what was loaded before."""
    USER_ENDED = "user_ended"
    """The session was there, and its user may not stay."""
    UNAVAILABLE = "unavailable"


class SessionMetrics(Protocol):
    """Counts, in whatever system the service has; must not block or raise."""

    def loaded(self, outcome: LoadOutcome, seconds: float) -> None:
        """A request's session was looked for."""
        ...

    def happened(self, kind: SessionEventKind) -> None:
        """An event was reported."""
        ...


class SessionReporter:
    """Tells both listeners; a sign-in never fails because one of them does.

    Args:
        on_event: Gets the events.
        metrics: Counts them.
        clock: The time of day, aware.
    """

    def __init__(
        self,
        on_event: OnSessionEvent | None,
        metrics: SessionMetrics | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._on_event, self._metrics, self._clock = on_event, metrics, clock

    async def __call__(
        self, kind: SessionEventKind, session: Session | None = None, **fields: Any
    ) -> None:
        """Report what happened to ``session``, or to who ``fields`` say."""
        if session is not None:
            names = ("user_id", "public_id", "ip", "user_agent")
            fields = {name: getattr(session, name) for name in names} | fields
        try:
            if self._metrics is not None:
                self._metrics.happened(kind)
            if self._on_event is not None:
                told = self._on_event(SessionEvent(kind=kind, at=self._clock(), **fields))
                if inspect.isawaitable(told):
                    await told
        except Exception:
            _log.exception("a listener of session events failed at %s", kind)
