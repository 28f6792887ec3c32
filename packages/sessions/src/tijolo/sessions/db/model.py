"""The table of sessions."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from tijolo.core import MissingExtraError

try:
    from sqlalchemy import Boolean, Float, Integer, MetaData, String, Text, Uuid
    from sqlalchemy.dialects import mysql
    from sqlalchemy.orm import Mapped, mapped_column

    from tijolo.db import BaseModel, UtcDateTime
except ImportError as exc:
    raise MissingExtraError("tijolo-sessions", "db", "tijolo-db") from exc

# MariaDB's usual collations find 'A' equal to 'a': half of an id's alphabet would be another's
_ID = String(64).with_variant(
    mysql.VARCHAR(64, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
_UNICODE = {"charset": "utf8mb4", "collation": "utf8mb4_bin"}
_DATA = Text().with_variant(mysql.MEDIUMTEXT(**_UNICODE), "mysql", "mariadb")
_AGENT = String(256).with_variant(mysql.VARCHAR(256, **_UNICODE), "mysql", "mariadb")


class BaseSessionModel(BaseModel):
    """A session's row. It is rotated in its place, so that what ends a user's rows ends it.

    Rows that have expired are absent to the store; ``DatabaseSessionStore.delete_expired``
    removes them.
    """

    __abstract__ = True

    session_id: Mapped[str] = mapped_column(
        _ID, nullable=False, unique=True, info={"sensitive": True}
    )
    public_id: Mapped[str] = mapped_column(_ID, nullable=False)
    user_id: Mapped[UUID | None] = mapped_column(Uuid(), nullable=True, index=True)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime(), nullable=False)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime(), nullable=False, index=True)
    absolute_expires_at: Mapped[datetime] = mapped_column(UtcDateTime(), nullable=False)
    idle_seconds: Mapped[int | None] = mapped_column(Integer, nullable=True)
    auth_time: Mapped[datetime | None] = mapped_column(UtcDateTime(), nullable=True)
    amr: Mapped[str] = mapped_column(Text, nullable=False)
    """As JSON."""
    auth_epoch: Mapped[int] = mapped_column(Integer, nullable=False)
    remember: Mapped[bool] = mapped_column(Boolean, nullable=False)
    rotated_from: Mapped[str | None] = mapped_column(
        _ID, nullable=True, index=True, info={"sensitive": True}
    )
    renewed_at: Mapped[datetime | None] = mapped_column(UtcDateTime(), nullable=True)
    overlap_until: Mapped[datetime | None] = mapped_column(UtcDateTime(), nullable=True)
    """Until when ``rotated_from`` leads here too."""
    overlap_seconds: Mapped[float | None] = mapped_column(Float, nullable=True)
    """How long it will, from the first use of ``session_id`` on; None once that was used."""
    ip: Mapped[str | None] = mapped_column(String(64), nullable=True)
    user_agent: Mapped[str | None] = mapped_column(_AGENT, nullable=True)
    data: Mapped[str] = mapped_column(_DATA, nullable=False, info={"sensitive": True})
    """JSON texts by name, as JSON."""


def make_session_model(
    *, tablename: str = "user_session", metadata: MetaData | None = None
) -> type[BaseSessionModel]:
    """A model with its table, which migrations see like any other.

    Args:
        tablename: The table's name.
        metadata: Where the table goes; None: with all of ``tijolo.db.BaseModel``.
    """
    where: dict[str, Any] = {} if metadata is None else {"metadata": metadata}
    names = {"__tablename__": tablename, "__module__": __name__, **where}
    # a class's name is unique among those of one base
    name = "".join(word.capitalize() for word in tablename.split("_"))
    return type(f"{name}Model", (BaseSessionModel,), names)
