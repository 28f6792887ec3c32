"""The table of identities: who a user is at other services."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

# house: allow library, the extra users brings it, and the package's __init__ asks for that
from sqlalchemy import String, UniqueConstraint, Uuid
from sqlalchemy.dialects import mysql  # house: allow library, the same
from sqlalchemy.orm import Mapped, mapped_column  # house: allow library, the same

from tijolo.auth.users import BaseUserModel
from tijolo.auth.users._owned import owned_model
from tijolo.db import BaseModel, UtcDateTime

__all__ = ["BaseOAuthIdentityModel", "make_oauth_identity_model"]

SUBJECT_CHARACTERS, EMAIL_CHARACTERS = 255, 320

# 'aB' and 'Ab' are two people (OpenID Connect Core, section 2); MariaDB's usual collation has one
_SUBJECT = String(SUBJECT_CHARACTERS).with_variant(
    mysql.VARCHAR(SUBJECT_CHARACTERS, charset="utf8mb4", collation="utf8mb4_bin"),
    "mysql",
    "mariadb",
)


class BaseOAuthIdentityModel(BaseModel):
    """One account at a provider, and whose it is here. No token of the provider is stored.

    Make it with :func:`make_oauth_identity_model`.
    """

    __abstract__ = True

    user_id: Mapped[UUID] = mapped_column(Uuid(), nullable=False, index=True)
    provider: Mapped[str] = mapped_column(String(32), nullable=False)
    """``provider_name`` of the client."""
    subject: Mapped[str] = mapped_column(_SUBJECT, nullable=False)
    """Who it is there; with ``provider`` it is unique."""
    email: Mapped[str | None] = mapped_column(String(EMAIL_CHARACTERS), nullable=True, default=None)
    """As the provider said when it was linked: to be shown, never to be looked up by."""
    last_used_at: Mapped[datetime | None] = mapped_column(
        UtcDateTime(), nullable=True, default=None
    )


def make_oauth_identity_model(
    user_model: type[BaseUserModel],
    *,
    tablename: str = "oauth_identities",
    class_name: str = "OAuthIdentityModel",
) -> type[BaseOAuthIdentityModel]:
    """The model of identities of ``user_model``, in the same metadata.

    Args:
        user_model: Whose.
        tablename: Of the table.
        class_name: Of the model.
    """
    return owned_model(
        BaseOAuthIdentityModel,
        user_model,
        tablename=tablename,
        class_name=class_name,
        table_args=(UniqueConstraint("provider", "subject"),),
    )
