"""What is kept of a second factor, in tables beside the users'."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from tijolo.auth.users import BaseUserModel
from tijolo.auth.users._owned import owned_model
from tijolo.db import BaseModel, UtcDateTime


class BaseTotpModel(BaseModel):
    """The app of a user; derive from it with :func:`make_totp_model`.

    A row that was never confirmed protects nothing, and a new enrolment takes its place.
    """

    __abstract__ = True

    user_id: Mapped[UUID] = mapped_column(Uuid(), nullable=False, unique=True)
    sealed_secret: Mapped[str] = mapped_column(
        String(255), nullable=False, info={"sensitive": True}
    )
    """As ``SecretBox`` sealed it."""
    confirmed_at: Mapped[datetime | None] = mapped_column(
        UtcDateTime(), nullable=True, default=None
    )
    """When a code proved that the app has the secret; None until then."""
    last_step: Mapped[int] = mapped_column(
        BigInteger, nullable=False, default=-1, info={"sensitive": True}
    )
    """The time step that was used last: it counts no more, and neither do those before."""


class BaseRecoveryCodeModel(BaseModel):
    """A recovery code of a user; derive from it with :func:`make_recovery_code_model`."""

    __abstract__ = True

    user_id: Mapped[UUID] = mapped_column(Uuid(), nullable=False, index=True)
    code_hash: Mapped[str] = mapped_column(
        String(64), nullable=False, unique=True, info={"sensitive": True}
    )
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime(), nullable=True, default=None)


def make_totp_model(
    user_model: type[BaseUserModel],
    *,
    tablename: str = "user_totp",
    class_name: str = "UserTotpModel",
) -> type[BaseTotpModel]:
    """The model of the users' apps, in the metadata of ``user_model``."""
    return owned_model(
        BaseTotpModel, user_model, tablename=tablename, class_name=class_name, one_each=True
    )


def make_recovery_code_model(
    user_model: type[BaseUserModel],
    *,
    tablename: str = "user_recovery_codes",
    class_name: str = "UserRecoveryCodeModel",
) -> type[BaseRecoveryCodeModel]:
    """The model of the users' recovery codes, in the metadata of ``user_model``."""
    return owned_model(
        BaseRecoveryCodeModel, user_model, tablename=tablename, class_name=class_name
    )
