"""Columns that models add by choice."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Uuid
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from tijolo.core import utcnow
from tijolo.db.types import UtcDateTime, utc_now


class TimestampMixin:
    """``created_at`` and ``updated_at`` for models that do not derive from ``BaseModel``."""

    created_at: Mapped[datetime] = mapped_column(
        UtcDateTime(), nullable=False, default=utcnow, server_default=utc_now(), sort_order=-20
    )
    updated_at: Mapped[datetime] = mapped_column(
        UtcDateTime(),
        nullable=False,
        default=utcnow,
        onupdate=utcnow,
        server_default=utc_now(),
        sort_order=-10,
    )


class AuditMixin:
    """Who created a row and who wrote it last: UUIDs of users, None for the system itself."""

    created_by: Mapped[UUID | None] = mapped_column(
        Uuid(), nullable=True, default=None, sort_order=910
    )
    updated_by: Mapped[UUID | None] = mapped_column(
        Uuid(), nullable=True, default=None, sort_order=911
    )

    def stamp_created_by(self, user_id: UUID) -> None:
        """Set both columns, before the first write."""
        self.created_by = user_id
        self.updated_by = user_id

    def stamp_updated_by(self, user_id: UUID) -> None:
        """Set ``updated_by``, before a later write."""
        self.updated_by = user_id


class VersionMixin:
    """Optimistic locking: an UPDATE or DELETE of a row that somebody else changed is a 409.

    ``version`` starts at 1 and grows by one with each write. Hand it out (RFC 9110, section
    8.8.3, as an ETag) and give it back through ``BaseRepository.update(expected_version=...)``.
    """

    version: Mapped[int] = mapped_column(Integer, nullable=False, default=1, sort_order=920)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.version}
