"""What the service hands out: tokens for people, and links. Each is shown once and kept nowhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from pydantic import Field

from tijolo.core import BaseSchema


class OneTimeLink(BaseSchema):
    """A token that works once, and the link with it."""

    user_id: UUID
    token: str = Field(repr=False)
    url: str = Field(repr=False)
    expires_at: datetime


class ActivationToken(OneTimeLink):
    """Proves that the address is its user's."""


class PasswordResetToken(OneTimeLink):
    """Lets its owner choose a new password."""


@dataclass(frozen=True, kw_only=True)
class TokenPair:
    """A login: an access token, and the refresh token that continues it."""

    user_id: UUID
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    """None where the service has no model of refresh tokens."""
    session_id: str
    """``sid``: the family of the refresh token, and what "log out here" ends."""
    expires_at: datetime
    """Of the access token."""
    expires_in_seconds: int
    refresh_expires_at: datetime | None
    token_type: str = "Bearer"  # noqa: S105 - a scheme


@dataclass(frozen=True, kw_only=True)
class MfaChallenge:
    """The password was right and the second factor is still to come: ``complete_login``."""

    token: str = field(repr=False)
    expires_at: datetime
