"""What the session routes take and answer."""

from __future__ import annotations

from uuid import UUID

from fastapi import Request
from pydantic import ConfigDict, Field, SecretStr

from tijolo.core import BaseSchema, UTCDatetime
from tijolo.sessions.session import Session
from tijolo.web import DeviceType, get_device_info


class SessionLoginSchema(BaseSchema):
    """Credentials. What is no address at all is answered like a wrong one: 401."""

    model_config = ConfigDict(extra="forbid")

    email: str = Field(min_length=1, max_length=320)
    password: SecretStr = Field(min_length=1, max_length=4096)
    code: SecretStr | None = Field(default=None, min_length=1, max_length=64)
    """Of the second factor, for who has one."""
    remember: bool = False


class SessionResponseSchema(BaseSchema):
    """As little as a page needs to know that somebody is signed in, and until when."""

    user_id: UUID
    expires_at: UTCDatetime


class RevokedSessionsSchema(BaseSchema):
    """How many sessions were ended."""

    revoked: int


class SessionSummarySchema(BaseSchema):
    """One line of a list of devices."""

    id: str
    """Public id: random, and no part of what the browser keeps."""
    created_at: UTCDatetime
    expires_at: UTCDatetime
    last_seen_at: UTCDatetime
    ip: str | None = None
    user_agent: str | None = None
    device_type: DeviceType | None = None
    os: str | None = None
    browser: str | None = None
    remember: bool = False
    is_current: bool

    @classmethod
    def of(cls, session: Session, *, is_current: bool) -> SessionSummarySchema:
        """The line of ``session``, its user agent parsed."""
        agent = (session.user_agent or "").encode("latin-1", "replace")
        device = get_device_info(Request({"type": "http", "headers": [(b"user-agent", agent)]}))
        return cls(
            id=session.public_id,
            created_at=session.created_at,
            expires_at=session.expires_at,
            last_seen_at=session.last_seen_at,
            ip=session.ip,
            user_agent=session.user_agent,
            device_type=device.device_type,
            os=device.os,
            browser=device.browser,
            remember=session.remember,
            is_current=is_current,
        )
