"""Soft deletion that every read honours.

A mapped class with :class:`SoftDeleteMixin` has one notion of "deleted": ``deleted_at`` is set.
Sessions of a database manager, and every session that a repository was built on, leave such
rows out of each ORM SELECT, UPDATE and DELETE, also through relationships and joins.
``execution_options(include_deleted=True)`` is the way around.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, column, event
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column, with_loader_criteria

from tijolo.core import utcnow
from tijolo.db._mapping import attribute_of
from tijolo.db.types import UtcDateTime

INCLUDE_DELETED = "include_deleted"
_INSTALLED = "tijolo_soft_delete"
_in_use = False


class SoftDeleteMixin:
    """Adds ``deleted_at``: None while the row is alive.

    Independent of ``is_active``, which stays a switch of the application's own.
    """

    deleted_at: Mapped[datetime | None] = mapped_column(
        UtcDateTime(), nullable=True, default=None, sort_order=900
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        global _in_use
        super().__init_subclass__(**kwargs)
        _in_use = True

    def mark_deleted(self) -> None:
        """Set ``deleted_at`` to now; the unit of work writes it."""
        self.deleted_at = utcnow()

    def mark_restored(self) -> None:
        """Clear ``deleted_at``."""
        self.deleted_at = None

    @property
    def is_deleted(self) -> bool:
        """Whether the row is deleted."""
        return self.deleted_at is not None


_ALIVE = with_loader_criteria(
    SoftDeleteMixin, lambda cls: cls.deleted_at.is_(None), include_aliases=True
)


class SoftDeleteSession(Session):
    """The session of the database managers: its reads leave deleted rows out."""


def honour_soft_delete(session: Session) -> None:
    """Make the reads of a ``session`` from elsewhere leave deleted rows out; once per session."""
    if not isinstance(session, SoftDeleteSession) and not session.info.get(_INSTALLED):
        session.info[_INSTALLED] = True
        event.listen(session, "do_orm_execute", _leave_deleted_out)


def _leave_deleted_out(state: ORMExecuteState) -> None:
    if (
        _in_use
        and not state.is_column_load
        and not state.is_insert
        and not state.execution_options.get(INCLUDE_DELETED, False)
    ):
        state.statement = state.statement.options(_ALIVE)


event.listen(SoftDeleteSession, "do_orm_execute", _leave_deleted_out)


def unique_when_alive(name: str, *columns: Any) -> Index:
    """A unique index over the rows that are not deleted, so that a value can be used again.

    For ``__table_args__``: ``unique_when_alive("uq_user_email", "email")`` takes column names.
    SQLite and PostgreSQL have partial indexes. MariaDB and MySQL have none and get no index:
    there, lock and look before the insert.
    """
    rows = column("deleted_at").is_(None)
    index = Index(name, *columns, unique=True, postgresql_where=rows, sqlite_where=rows)
    return index.ddl_if(callable_=_has_partial_indexes)


def _has_partial_indexes(
    ddl: Any, target: Any, bind: Any, tables: Any = None, state: Any = None, **kw: Any
) -> bool:
    dialect = kw.get("dialect") or (bind.dialect if bind is not None else None)
    return dialect is None or dialect.name in {"sqlite", "postgresql"}


def is_soft_deleted(model: type[Any]) -> bool:
    """Whether ``model`` has soft deletion."""
    return issubclass(model, SoftDeleteMixin)


def alive(model: type[Any]) -> Any:
    """The condition that a row of a soft-deletable ``model`` is alive."""
    return attribute_of(model, "deleted_at").is_(None)
