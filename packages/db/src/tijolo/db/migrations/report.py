"""How models, revisions and a database compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, ForeignKeyConstraint, Table
from sqlalchemy.schema import Constraint, Index

from tijolo.core import BaseStrEnum


class SchemaStatus(BaseStrEnum):
    """The outcome of a comparison; a database that cannot be asked is an exception instead."""

    IN_SYNC = "in_sync"
    BEHIND = "behind"
    DRIFT = "drift"


@dataclass(frozen=True, kw_only=True)
class SchemaReport:
    """A comparison. ``differences`` stays empty while revisions are ``pending``."""

    status: SchemaStatus
    current: tuple[str, ...]
    heads: tuple[str, ...]
    pending: tuple[str, ...] = ()
    """Revisions to apply, oldest first."""
    differences: tuple[str, ...] = ()
    """What autogenerate would do to the database, a sentence each."""

    def __str__(self) -> str:
        if self.status is SchemaStatus.IN_SYNC:
            return "in sync: the database is what the models say"
        if self.status is SchemaStatus.BEHIND:
            return f"behind: not applied yet: {', '.join(self.pending)}"
        return "drift: the models and the database differ:" + "".join(
            f"\n  {difference}" for difference in self.differences
        )


def compare(context: MigrationContext) -> SchemaReport:
    """The report of the database that ``context`` is connected to."""
    scripts = context.script
    assert scripts is not None  # noqa: S101 - there is one in every command
    current, heads = context.get_current_heads(), tuple(scripts.get_heads())
    pending = _pending(scripts, current)
    differences: tuple[str, ...] = ()
    if pending:
        status = SchemaStatus.BEHIND
    else:
        differences = describe(compare_metadata(context, context.opts["target_metadata"]))
        status = SchemaStatus.DRIFT if differences else SchemaStatus.IN_SYNC
    return SchemaReport(
        status=status, current=current, heads=heads, pending=pending, differences=differences
    )


def _pending(scripts: ScriptDirectory, current: tuple[str, ...]) -> tuple[str, ...]:
    applied: set[str] = set()
    if current:
        applied = {script.revision for script in scripts.iterate_revisions(current, "base")}
    newest_first = [script.revision for script in scripts.walk_revisions()]
    return tuple(name for name in reversed(newest_first) if name not in applied)


def describe(diffs: Sequence[Any]) -> tuple[str, ...]:
    """Alembic's differences in words."""
    return tuple(sentence for diff in diffs for sentence in _sentences(diff))


def _sentences(diff: Any) -> Iterator[str]:
    if isinstance(diff, list):  # the changes of one column
        change: Any
        for change in diff:  # pyright: ignore[reportUnknownVariableType]
            yield from _sentences(change)
        return
    kind, *rest = diff
    if kind.startswith("modify_"):
        schema, table, column, _existing, old, new = rest
        yield f"{kind} {_dotted(schema, table, column)!r}: {old!s} -> {new!s}"
    elif kind.endswith("_column"):
        schema, table, column = rest
        yield f"{kind} {_dotted(schema, table, column.name)!r}"
    else:
        yield f"{kind} {_name(rest[0])!r}"


def _name(item: Any) -> str:
    if isinstance(item, Table):
        return _dotted(item.schema, item.name)
    if isinstance(item, (Constraint, Index)):
        table = item.table
        label = item.name or ", ".join(_columns(item))
        return _dotted(table.schema if table is not None else None, table, label)
    return str(item)


def _columns(item: Constraint | Index) -> list[str]:
    if isinstance(item, ForeignKeyConstraint):
        return list(item.column_keys)
    columns: Sequence[Column[Any]] = list(getattr(item, "columns", ()))
    return [column.name for column in columns]


def _dotted(*parts: object) -> str:
    return ".".join(str(part) for part in parts if part is not None)
