"""The declarative base of tijolo's models; repositories work with any other base too."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, MetaData, Uuid, inspect, true
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

from tijolo.core import utcnow
from tijolo.db._mapping import column_names, is_sensitive, suggestion, version_name
from tijolo.db.identifiers import uuid7
from tijolo.db.types import UtcDateTime, utc_now

NAMING_CONVENTION: dict[str, str] = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Names for every constraint, so that migrations can drop what they created."""


def _table_name(class_name: str) -> str:
    """``OrderItemModel`` -> ``order_item``."""
    stem = class_name.removesuffix("Model") or class_name
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", stem)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words).lower()


class BaseModel(AsyncAttrs, DeclarativeBase):
    """Identifier, activity flag and stamps; equality and hash are identity, as SQLAlchemy needs.

    The table's name comes from the class's (``OrderItemModel`` -> ``order_item``). A column
    declared with ``info={"sensitive": True}`` never appears in ``to_dict``, ``repr``, filters
    or orderings that come from a request.
    """

    __abstract__ = True
    metadata = MetaData(naming_convention=NAMING_CONVENTION)

    id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True, default=uuid7, sort_order=-40)
    is_active: Mapped[bool] = mapped_column(
        Boolean, nullable=False, default=True, server_default=true(), sort_order=-30
    )
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

    @declared_attr.directive
    @classmethod
    def __tablename__(cls) -> str:
        """The class's name in snake case, without ``Model``."""
        return _table_name(cls.__name__)

    def __repr__(self) -> str:
        # class and key only: attributes may be secret, and reading an expired one is a query
        key = inspect(self).identity
        return f"<{type(self).__name__} {'transient' if key is None else ', '.join(map(str, key))}>"

    def to_dict(
        self,
        exclude: list[str] | None = None,
        include: dict[str, Any] | None = None,
        remove_none: bool = False,
    ) -> dict[str, Any]:
        """The loaded columns by attribute name, without sensitive ones; never runs a query.

        Args:
            exclude: Names to leave out.
            include: Entries to add to the result.
            remove_none: Leave out what is None.
        """
        unwanted = {*(exclude or ()), *inspect(self).unloaded}
        data = {
            name: getattr(self, name)
            for name in column_names(type(self))
            if name not in unwanted and not is_sensitive(type(self), name)
        }
        data.update(include or {})
        return {key: value for key, value in data.items() if not (remove_none and value is None)}

    def update_from_dict(
        self, data: dict[str, Any], allowed_fields: Iterable[str] | None = None
    ) -> None:
        """Assign the columns that ``data`` names; what it does not name stays as it is.

        A version is never assigned: it counts the writes, and optimistic locking trusts it.

        Args:
            allowed_fields: The names that may be written; any other key in ``data`` is left
                alone, so that a request body cannot reach ``id`` or ``is_active``.

        Raises:
            ValueError: ``data`` (within ``allowed_fields``) names no column of the model.
        """
        known = set(column_names(type(self)))
        wanted: set[str] = (
            set(data) if allowed_fields is None else data.keys() & set(allowed_fields)
        )
        for name in wanted:
            if name not in known:
                raise ValueError(
                    f"{type(self).__name__} has no column {name!r}{suggestion(name, known)}"
                )
        for name in wanted - {version_name(type(self))}:
            setattr(self, name, data[name])
