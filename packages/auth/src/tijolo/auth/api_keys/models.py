"""What is kept of API keys, in a table beside the users'."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

# house: allow library, the extra is called users: keys belong to them
from sqlalchemy import JSON, Integer, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column  # house: allow library, as above

from tijolo.auth.users import BaseUserModel
from tijolo.auth.users._owned import owned_model
from tijolo.core import BaseStrEnum
from tijolo.db import BaseModel, UtcDateTime


class RevokedReason(BaseStrEnum):
    """Why a key was revoked."""

    OWNER = "owner"
    LEAKED = "leaked"
    """Somebody found it and reported it."""
    OPERATOR = "operator"


class BaseApiKeyModel(BaseModel):
    """An API key; derive from it with :func:`make_api_key_model`. The key itself is not kept."""

    __abstract__ = True

    user_id: Mapped[UUID] = mapped_column(Uuid(), nullable=False, index=True)
    name: Mapped[str] = mapped_column(String(120), nullable=False)
    """What its owner calls it."""
    hint: Mapped[str] = mapped_column(String(64), nullable=False)
    """Its begin, by which its owner knows it again."""
    key_hash: Mapped[str] = mapped_column(
        String(64), nullable=False, unique=True, info={"sensitive": True}
    )
    scopes: Mapped[list[str]] = mapped_column(JSON(), nullable=False)
    networks: Mapped[list[str]] = mapped_column(JSON(), nullable=False)
    """From where it may be used, in CIDR notation; empty means from everywhere."""
    auth_epoch: Mapped[int] = mapped_column(Integer, nullable=False)
    """The user's, when the key was made; an older one than today's ends it."""
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime(), nullable=False)
    last_used_at: Mapped[datetime | None] = mapped_column(
        UtcDateTime(), nullable=True, default=None
    )
    successor_id: Mapped[UUID | None] = mapped_column(Uuid(), nullable=True, default=None)
    """The key that takes its place."""
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime(), nullable=True, default=None)
    revoked_reason: Mapped[str | None] = mapped_column(String(16), nullable=True, default=None)


def make_api_key_model(
    user_model: type[BaseUserModel],
    *,
    tablename: str = "api_keys",
    class_name: str = "ApiKeyModel",
) -> type[BaseApiKeyModel]:
    """The model of the users' API keys, in the metadata of ``user_model``."""
    return owned_model(BaseApiKeyModel, user_model, tablename=tablename, class_name=class_name)
