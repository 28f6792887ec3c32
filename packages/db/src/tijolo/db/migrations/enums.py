"""PostgreSQL's types for enums: tables that go do not take them along, so revisions drop them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from alembic import op
from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import (
    CreateTableOp,
    DropColumnOp,
    DropTableOp,
    MigrateOperation,
    OpContainer,
)
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Enum, MetaData
from sqlalchemy.dialects import postgresql

from tijolo.db._mapping import is_a

EnumKey = tuple[str | None, str]


def drop_enum(name: str, *, schema: str | None = None) -> None:
    """In a revision: drop a type that no table uses any more. Other databases have none."""
    context = op.get_context()
    if context.dialect.name != "postgresql":
        return
    quoted = context.dialect.identifier_preparer.quote
    parts = [quoted(part) for part in (schema, name) if part is not None]
    op.execute(f"DROP TYPE IF EXISTS {'.'.join(parts)}")


class DropEnumOp(MigrateOperation):
    """What autogenerate writes as :func:`drop_enum`."""

    def __init__(self, name: str, schema: str | None) -> None:
        self.name = name
        self.schema = schema

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """As Alembic's own operations describe themselves."""
        return ("drop_enum", self.schema, self.name)


@renderers.dispatch_for(DropEnumOp)
def _render(context: AutogenContext, operation: DropEnumOp) -> str:
    context.imports.add("import tijolo.db.migrations")
    schema = "" if operation.schema is None else f", schema={operation.schema!r}"
    return f"tijolo.db.migrations.drop_enum({operation.name!r}{schema})"


def drop_enums_with_their_tables(
    context: MigrationContext, revision: Any, directives: list[Any]
) -> None:
    """Drop the types of enums behind the last table or column that uses them. Always in force."""
    for script in directives:
        for name in ("upgrade_ops_list", "downgrade_ops_list"):
            for container in getattr(script, name, ()):
                _drop_enums(container, _metadata(context))


def _drop_enums(container: OpContainer, metadata: Iterable[MetaData]) -> None:
    gone = dict.fromkeys(_dropped(container))
    if not gone:
        return
    tables = {(t.schema, t.table_name) for t in _flat(container) if isinstance(t, DropTableOp)}
    columns = {
        (c.schema, c.table_name, c.column_name)
        for c in _flat(container)
        if isinstance(c, DropColumnOp)
    }
    kept = {
        key
        for one in metadata
        for table in one.tables.values()
        if (table.schema, table.name) not in tables
        for column in table.columns
        if (table.schema, table.name, column.name) not in columns
        for key in _enum(column)
    }
    made = {
        key
        for table in _flat(container)
        if isinstance(table, CreateTableOp)
        for key in _enums(table.columns)
    }
    container.ops += [
        DropEnumOp(name, schema) for schema, name in gone if (schema, name) not in kept | made
    ]


def _dropped(container: OpContainer) -> Iterator[EnumKey]:
    """The enums of what ``container`` drops."""
    for operation in _flat(container):
        if isinstance(operation, DropTableOp):
            yield from _enums(operation.to_table().columns)
        elif isinstance(operation, DropColumnOp):
            reverse: Any = operation._reverse  # pyright: ignore[reportPrivateUsage]
            if reverse is not None:
                yield from _enum(reverse.column)


def _enums(items: Iterable[Any]) -> Iterator[EnumKey]:
    for item in items:
        if is_a(item, Column):  # beside constraints
            yield from _enum(item)


def _enum(column: Column[Any]) -> Iterator[EnumKey]:
    """The type that the column has on PostgreSQL, where it is one of its own."""
    found: Any = column.type.dialect_impl(postgresql.dialect())  # type: ignore[no-untyped-call]
    kind: Any = getattr(found, "impl_instance", found)
    if is_a(kind, Enum) and kind.native_enum and kind.name:
        yield kind.schema or getattr(kind.metadata, "schema", None), kind.name


def _metadata(context: MigrationContext) -> list[MetaData]:
    target: Any = context.opts.get("target_metadata")
    if target is None:
        return []
    return [target] if isinstance(target, MetaData) else list(target)


def _flat(container: OpContainer) -> Iterator[Any]:
    for operation in container.ops:
        yield operation
        if isinstance(operation, OpContainer):
            yield from _flat(operation)
