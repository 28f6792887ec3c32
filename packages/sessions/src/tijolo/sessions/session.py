"""One login on one device, as it is kept on the server."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from tijolo.core import BaseSchema, generate_opaque_token, to_utc

MAX_USER_AGENT_CHARACTERS = 256
MAX_IP_CHARACTERS = 64


def _in_whole_milliseconds(value: datetime) -> datetime:
    value = to_utc(value)
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def _cut(limit: int) -> BeforeValidator:
    # the client chooses how long these are; they are shown, never compared
    return BeforeValidator(lambda value: value[:limit] if isinstance(value, str) else value)


Moment = Annotated[AwareDatetime, AfterValidator(_in_whole_milliseconds)]
"""Aware, in UTC, in whole milliseconds: what every store gives back as it was given."""


def _public_id() -> str:
    return secrets.token_urlsafe(16)


class Session(BaseSchema):
    """The record of a session; a copy, and frozen: changes go through the store.

    A naive datetime is refused: it would mean another moment in each time zone.
    """

    model_config = ConfigDict(frozen=True)

    session_id: str = Field(min_length=1, max_length=64, repr=False)
    """SHA-256 of the cookie's value: the key at rest, never the value itself."""
    public_id: str = Field(default_factory=_public_id, min_length=1, max_length=64)
    """Random and independent of the cookie: names the session in a list of devices."""
    user_id: UUID | None = None
    """None before a login: the session holds data, and nobody's."""
    created_at: Moment
    last_seen_at: Moment
    """When it was last used, as exactly as the store's touches are frequent."""
    expires_at: Moment
    """When it ends unless it is used before; never after ``absolute_expires_at``."""
    absolute_expires_at: Moment
    """When it ends however much it is used (ASVS 5.0, 7.3.2)."""
    idle_seconds: int | None = Field(default=None, ge=1)
    """How long it may go unused (7.3.1); None: ``expires_at`` does not move."""
    auth_time: Moment | None = None
    """When the user last proved who they are (OpenID Connect Core, section 2)."""
    amr: tuple[str, ...] = ()
    """How, at that time (RFC 8176)."""
    auth_epoch: int = 0
    """The user's epoch at the login, kept as it is given."""
    epoch: str | None = None
    """The store's own: which logins of the user this one ends with."""
    remember: bool = False
    rotated_from: str | None = Field(default=None, max_length=64, repr=False)
    """The ``session_id`` before this one."""
    renewed_at: Moment | None = None
    """When the id was last replaced; ``created_at`` stays the sign-in's."""
    ip: Annotated[str | None, _cut(MAX_IP_CHARACTERS)] = None
    user_agent: Annotated[str | None, _cut(MAX_USER_AGENT_CHARACTERS)] = None
    data: dict[str, Any] = Field(default_factory=dict[str, Any], repr=False)
    """What the service keeps in it: JSON values by name."""
    touched: bool = Field(default=False, exclude=True)
    """Whether this reading moved ``last_seen_at``; not kept."""

    @model_validator(mode="after")
    def _ends_in_order(self) -> Session:
        if self.expires_at > self.absolute_expires_at:
            raise ValueError("expires_at is after absolute_expires_at, which is the latest end")
        return self

    @classmethod
    def start(
        cls,
        session_id: str,
        *,
        now: datetime,
        absolute_seconds: int,
        idle_seconds: int | None = None,
        **fields: Any,
    ) -> Session:
        """A session that begins ``now``.

        Args:
            session_id: The second of what :func:`new_session_id` returns.
            now: Aware.
            absolute_seconds: Its life at most.
            idle_seconds: How long it may go unused; None: ``absolute_seconds``, used or not.
            fields: The others, such as ``user_id``.
        """
        ends = now + timedelta(seconds=absolute_seconds)
        idle = ends if idle_seconds is None else now + timedelta(seconds=idle_seconds)
        return cls(
            session_id=session_id,
            created_at=now,
            last_seen_at=now,
            expires_at=min(idle, ends),
            absolute_expires_at=ends,
            idle_seconds=idle_seconds,
            **fields,
        )


def new_session_id() -> tuple[str, str]:
    """The value of a new cookie, of 256 random bits, and the ``session_id`` to keep."""
    return generate_opaque_token(32)


def restored(fields: dict[str, Any]) -> Session:
    """The session of all its ``fields``, which a store has validated before: a request's time.

    ``model_construct`` takes longer than everything else in a reading.
    """
    session = _new(Session)
    _set_attribute(session, "__dict__", fields)
    _set_fields_set(session, _ALL_FIELDS)
    _set_extra(session, None)
    _set_private(session, None)
    return session


_ALL_FIELDS = set(Session.model_fields)
_new, _set_attribute = object.__new__, object.__setattr__
# the slots of a model that is frozen; by name each takes twice as long
_set_fields_set, _set_extra, _set_private = (
    vars(BaseModel)[f"__pydantic_{name}__"].__set__ for name in ("fields_set", "extra", "private")
)
