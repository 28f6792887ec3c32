"""Revisions that run on every database, whichever one autogenerate looked at.

Alembic writes a server default as SQL text of the database at hand (``strftime(...)``, ``1`` for
true), which the next database refuses. What tijolo's models use is written as an expression.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from alembic.autogenerate.api import AutogenContext
from sqlalchemy import DefaultClause
from sqlalchemy.sql import elements, functions

from tijolo.db import types

RenderItem = Callable[[str, Any, AutogenContext], str | Literal[False]]


def portable(first: RenderItem | None) -> RenderItem:
    """A ``render_item`` that asks ``first``, and then writes tijolo's types and defaults."""

    def render(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
        written = first(kind, item, context) if first is not None else False
        if written is not False:
            return written
        if kind == "type" and type(item) is types.UtcDateTime:
            return _ours("UtcDateTime()", context)
        if kind == "server_default" and isinstance(item, DefaultClause):
            return _default(item.arg, context)
        return False

    return render


def _default(expression: Any, context: AutogenContext) -> str | Literal[False]:
    if isinstance(expression, types.utc_now):
        return _ours("utc_now()", context)
    if isinstance(expression, elements.True_):
        return "sa.true()"
    if isinstance(expression, elements.False_):
        return "sa.false()"
    if isinstance(expression, functions.now):
        return "sa.func.now()"
    return False


def _ours(code: str, context: AutogenContext) -> str:
    context.imports.add("import tijolo.db.types")
    return f"tijolo.db.types.{code}"
