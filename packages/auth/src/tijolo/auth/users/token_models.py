"""Tables of what is mailed, and of refresh tokens. Only hashes of tokens are stored.

A token has 256 random bits, so its SHA-256 is enough: there is nothing to guess.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Integer, String, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from tijolo.auth.users._owned import owned_model
from tijolo.auth.users.models import BaseUserModel
from tijolo.core import BaseStrEnum
from tijolo.db import BaseModel, UtcDateTime

_HASH_CHARACTERS = 64


class UserTokenPurpose(BaseStrEnum):
    """What a one-time token is good for; a token of one is refused as another."""

    ACTIVATION = "activation"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a name
    EMAIL_VERIFICATION = "email_verification"
    """A new address is its user's."""
    MFA_CHALLENGE = "mfa_challenge"
    """The password was right; the second factor is still to come."""
    SIGNUP_NOTICE = "signup_notice"
    """Never good for anything: somebody signed up with an address that has an account."""


class BaseUserTokenModel(BaseModel):
    """A token that works once; derive from it with :func:`make_user_token_model`."""

    __abstract__ = True

    user_id: Mapped[UUID] = mapped_column(Uuid(), nullable=False, index=True)
    token_hash: Mapped[str] = mapped_column(
        String(_HASH_CHARACTERS), nullable=False, unique=True, info={"sensitive": True}
    )
    purpose: Mapped[str] = mapped_column(String(32), nullable=False)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime(), nullable=False, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime(), nullable=True, default=None)
    attempts: Mapped[int] = mapped_column(
        Integer, nullable=False, default=0, server_default=text("0")
    )
    """Codes that were tried with it."""
    data: Mapped[dict[str, Any]] = mapped_column(
        JSON(),
        nullable=False,
        default=dict,
        server_default=text("('{}')"),
        info={"sensitive": True},
    )
    """What it is about, such as the new address."""


class BaseRefreshTokenModel(BaseModel):
    """A refresh token; derive from it with :func:`make_refresh_token_model`.

    A login is a family: its first token's ``id`` is the ``family_id`` of all of them, and only
    that row says whether the family was revoked, so that one write ends them all, also those
    that are being made at that moment.
    """

    __abstract__ = True

    user_id: Mapped[UUID] = mapped_column(Uuid(), nullable=False, index=True)
    family_id: Mapped[UUID] = mapped_column(Uuid(), nullable=False, index=True)
    token_hash: Mapped[str] = mapped_column(
        String(_HASH_CHARACTERS), nullable=False, unique=True, info={"sensitive": True}
    )
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime(), nullable=False)
    family_expires_at: Mapped[datetime] = mapped_column(UtcDateTime(), nullable=False, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime(), nullable=True, default=None)
    successor_salt: Mapped[str | None] = mapped_column(
        String(_HASH_CHARACTERS), nullable=True, default=None, info={"sensitive": True}
    )
    """Makes the successor, together with the token itself, which is not stored."""
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime(), nullable=True, default=None)
    revoked_reason: Mapped[str | None] = mapped_column(String(32), nullable=True, default=None)
    auth_epoch: Mapped[int] = mapped_column(Integer, nullable=False, default=0)
    """The user's, when they logged in."""
    auth_time: Mapped[datetime] = mapped_column(UtcDateTime(), nullable=False)
    amr: Mapped[list[str]] = mapped_column(JSON(), nullable=False, default=list)


def make_user_token_model(
    user_model: type[BaseUserModel] | None = None,
    *,
    user_table: str = "",
    tablename: str = "user_tokens",
    class_name: str = "UserTokenModel",
) -> type[BaseUserTokenModel]:
    """The model of one-time tokens of ``user_model``, in the same metadata.

    Args:
        user_table: The contract's way to say whose: the name of a table of ``BaseModel.metadata``.

    Raises:
        TypeError: Neither a model nor a table was given.
    """
    return owned_model(
        BaseUserTokenModel,
        user_model,
        user_table=user_table,
        tablename=tablename,
        class_name=class_name,
    )


def make_refresh_token_model(
    user_model: type[BaseUserModel] | None = None,
    *,
    user_table: str = "",
    tablename: str = "refresh_tokens",
    class_name: str = "RefreshTokenModel",
) -> type[BaseRefreshTokenModel]:
    """The model of refresh tokens of ``user_model``, as :func:`make_user_token_model`."""
    return owned_model(
        BaseRefreshTokenModel,
        user_model,
        user_table=user_table,
        tablename=tablename,
        class_name=class_name,
    )
