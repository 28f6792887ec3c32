"""The table of users."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from tijolo.auth.passwords import PasswordUtils
from tijolo.auth.users.addresses import normalize_email
from tijolo.core import BaseStrEnum, MissingExtraError

try:
    from sqlalchemy import JSON, Boolean, Enum, Integer, String, false, text
    from sqlalchemy.dialects import mysql
    from sqlalchemy.ext.mutable import MutableList
    from sqlalchemy.orm import Mapped, mapped_column, validates

    from tijolo.db import BaseModel, UtcDateTime
except ImportError as exc:
    raise MissingExtraError("tijolo-auth", "users", "sqlalchemy") from exc

USER_ROLE, ADMIN_ROLE = "user", "admin"
EMAIL_CHARACTERS, NAME_CHARACTERS = 320, 120

# MariaDB's usual collations find 'josé' equal to 'jose': one person's address would be another's
_EMAIL = String(EMAIL_CHARACTERS).with_variant(
    mysql.VARCHAR(EMAIL_CHARACTERS, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


class UserStatus(BaseStrEnum):
    """What an account may do; only an ACTIVE one logs in."""

    PENDING = "pending"
    """Signed up; nobody has proved yet that the address is theirs."""
    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Shut out by an operator; no link that was mailed before opens it again."""
    DELETED = "deleted"
    """Gone for its owner; the row stays for what refers to it."""


def _values(members: Iterable[UserStatus]) -> list[str]:
    return [member.value for member in members]


_STATUS = Enum(
    UserStatus,
    native_enum=False,
    length=16,
    validate_strings=True,
    values_callable=_values,
)


class BaseUserModel(BaseModel):
    """A user; derive ``class UserModel(BaseUserModel)`` and add what the service needs.

    ``status`` says whether the account may be used, and ``is_active`` follows it. Raising
    ``auth_epoch`` ends every token and session that was made before; ``UserAuthService`` does so
    whenever what they prove has changed.
    """

    __abstract__ = True

    email: Mapped[str] = mapped_column(_EMAIL, nullable=False, unique=True)
    """As :meth:`normalize_email` makes it; nothing else is ever mailed to."""
    hashed_password: Mapped[str | None] = mapped_column(
        String(255), nullable=True, default=None, info={"sensitive": True}
    )
    """None: there is no password, and none that fits."""
    name: Mapped[str | None] = mapped_column(String(NAME_CHARACTERS), nullable=True, default=None)
    status: Mapped[UserStatus] = mapped_column(
        _STATUS, nullable=False, default=UserStatus.PENDING, server_default="pending"
    )
    auth_epoch: Mapped[int] = mapped_column(
        Integer, nullable=False, default=0, server_default=text("0")
    )
    is_admin: Mapped[bool] = mapped_column(
        Boolean, nullable=False, default=False, server_default=false()
    )
    roles: Mapped[list[str]] = mapped_column(
        MutableList.as_mutable(JSON()), nullable=False, default=list, server_default=text("('[]')")
    )
    last_login_at: Mapped[datetime | None] = mapped_column(
        UtcDateTime(), nullable=True, default=None
    )
    activated_at: Mapped[datetime | None] = mapped_column(
        UtcDateTime(), nullable=True, default=None
    )
    email_verified_at: Mapped[datetime | None] = mapped_column(
        UtcDateTime(), nullable=True, default=None
    )
    """When it was proved that the address is the user's, by a link, an operator or a provider.
    None where ``AUTH_AUTO_ACTIVATE`` opened the account: whoever has the address may be another.
    """

    def __init__(self, **values: Any) -> None:
        """Columns by name; PENDING unless ``status`` says otherwise."""
        super().__init__(**{"status": UserStatus.PENDING, "roles": []} | values)

    @validates("status")
    def _follow(self, key: str, value: UserStatus) -> UserStatus:
        status = UserStatus(value)
        self.is_active = status is UserStatus.ACTIVE
        return status

    @property
    def may_log_in(self) -> bool:
        """Whether the account may be used now."""
        return self.status is UserStatus.ACTIVE and self.is_active

    @property
    def role_names(self) -> frozenset[str]:
        """What a token of this user says about roles: ``user``, ``roles``, ``admin``."""
        return frozenset({USER_ROLE, *self.roles, *([ADMIN_ROLE] if self.is_admin else [])})

    def set_password(self, plain: SecretStr | str, *, rounds: int = 12) -> None:
        """Hash ``plain`` and keep it. Blocking, and without a policy: for tests and scripts.

        Raises:
            ValueError: The password is empty or too long.
        """
        self.hashed_password = PasswordUtils(rounds=rounds).hash(plain)

    def check_password(self, plain: SecretStr | str) -> bool:
        """Whether ``plain`` is the password. Blocking; ``UserAuthService.authenticate`` is not."""
        hashed = self.hashed_password
        return hashed is not None and PasswordUtils().verify(plain, hashed)

    @staticmethod
    def normalize_email(value: str) -> str:
        """As :func:`tijolo.auth.users.normalize_email`."""
        return normalize_email(value)
