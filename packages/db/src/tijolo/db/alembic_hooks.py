"""Hooks for Alembic's autogenerate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext

ProcessRevisionDirectives = Callable[["MigrationContext", Any, list[Any]], None]

BASE_COLUMN_ORDER: tuple[str, ...] = ("id", "is_active", "created_at", "updated_at")


def compose_hooks(*hooks: ProcessRevisionDirectives) -> ProcessRevisionDirectives:
    """One ``process_revision_directives`` that calls ``hooks`` in order."""

    def composed(context: MigrationContext, revision: Any, directives: list[Any]) -> None:
        for hook in hooks:
            hook(context, revision, directives)

    return composed


def reorder_base_columns_first(
    context: MigrationContext, revision: Any, directives: list[Any]
) -> None:
    """Put the columns of ``BaseModel`` first in every CREATE TABLE.

    ``BaseModel`` says this itself, by ``sort_order``; the hook serves models with another base.
    """
    from alembic.operations.ops import CreateTableOp  # noqa: PLC0415

    for directive in directives:
        for operation in directive.upgrade_ops.ops:
            if isinstance(operation, CreateTableOp):
                operation.columns = sorted(operation.columns, key=_rank)


def _rank(item: Any) -> int:
    if not isinstance(item, Column):
        return len(BASE_COLUMN_ORDER) + 1
    names = (*BASE_COLUMN_ORDER, item.name)
    return names.index(item.name)
