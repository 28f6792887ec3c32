"""What happened to accounts, for audit logs, alarms and metrics."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.core import BaseStrEnum, utcnow
from tijolo.db import on_commit, on_rollback

_log = logging.getLogger("tijolo.auth.users")


class AuthEventKind(BaseStrEnum):
    """The kinds of :class:`AuthEvent` that this package tells of."""

    SIGNUP = "signup"
    SIGNUP_TAKEN = "signup_taken"
    """Somebody signed up with an address that has an account already."""
    USER_CREATED = "user_created"
    ACTIVATED = "activated"
    LOGIN = "login"
    LOGIN_FAILED = "login_failed"
    MFA_REQUIRED = "mfa_required"
    MFA_FAILED = "mfa_failed"
    LOGOUT = "logout"
    ENDED_EVERYWHERE = "ended_everywhere"
    REFRESH_REUSED = "refresh_reused"
    """An alarm: a refresh token came back after its grace. Somebody has a copy."""
    PASSWORD_RESET_REQUESTED = "password_reset_requested"  # noqa: S105 - a name
    PASSWORD_RESET = "password_reset"  # noqa: S105
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    EMAIL_CHANGE_REQUESTED = "email_change_requested"
    EMAIL_CHANGED = "email_changed"
    STATUS_CHANGED = "status_changed"
    ROLES_CHANGED = "roles_changed"


@dataclass(frozen=True, kw_only=True)
class AuthEvent:
    """Something that has happened: its transaction is committed, unless it is a refusal."""

    kind: str
    """One of :class:`AuthEventKind`, or an extension's own."""
    user_id: UUID | None
    """None where no account is concerned."""
    at: datetime
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Never a secret, a token or a password."""


OnEvent = Callable[[AuthEvent], Awaitable[object] | object]


class Events:
    """Tells ``on_event`` what happened, once it is certain; what that raises is logged."""

    def __init__(self, on_event: OnEvent | None, *, clock: Callable[[], datetime] = utcnow) -> None:
        self._on_event = on_event
        self._clock = clock

    def after_commit(
        self, session: AsyncSession, kind: str, user_id: UUID | None, **details: Any
    ) -> None:
        """Tell it when the transaction of ``session`` is committed."""
        event = self._event(kind, user_id, details)
        on_commit(session, lambda: self._tell(event))

    def of_refusal(
        self, session: AsyncSession, kind: str, user_id: UUID | None, **details: Any
    ) -> None:
        """Tell it however the transaction ends: a refusal usually rolls it back."""
        event = self._event(kind, user_id, details)
        on_commit(session, lambda: self._tell(event))
        on_rollback(session, lambda: self._tell(event))

    async def now(self, kind: str, user_id: UUID | None, **details: Any) -> None:
        """Tell it at once: what it is about has been committed."""
        await self._tell(self._event(kind, user_id, details))

    def _event(self, kind: str, user_id: UUID | None, details: dict[str, Any]) -> AuthEvent:
        return AuthEvent(kind=str(kind), user_id=user_id, at=self._clock(), details=details)

    async def _tell(self, event: AuthEvent) -> None:
        if self._on_event is None:
            return
        try:
            outcome = self._on_event(event)
            if inspect.isawaitable(outcome):
                await outcome
        except Exception:
            _log.exception("on_event failed for %s", event.kind)
