"""Statements for many rows at once, per dialect.

PostgreSQL gets one array per column, unnested by the server: one parse, as many parameters as
there are columns, and no limit on rows. The others get the driver's executemany.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from typing import cast as cast_type

from sqlalchemy import Column, Table, bindparam, cast, func, select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.schema import CallableColumnDefault, ScalarElementColumnDefault
from sqlalchemy.types import ARRAY as GENERIC_ARRAY
from sqlalchemy.types import JSON, Enum, String, Text, TypeDecorator, TypeEngine

from tijolo.db._mapping import column_names, column_of, mapper_of, table_of
from tijolo.db._values import is_instant

_CHUNK = 10_000
_KEPT = ("created_at", "deleted_at")

Columns = Sequence[Column[Any]]
Record = dict[str, Any]


def last_of_each(rows: Sequence[Record], key: Sequence[str]) -> list[Record]:
    """``rows`` without those that a later row with the same key replaces."""
    found: dict[Any, Record] = {}
    for position, row in enumerate(rows):
        values = tuple(row.get(name) for name in key)
        # NULLs are never equal to each other
        found[(position, *values) if None in values else values] = row
    return list(found.values())


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows that name the same columns, and where the values of the other columns come from."""

    columns: Columns
    rows: Sequence[Record]
    given: Sequence[tuple[str, str]]
    """Attribute and column of what the rows name."""
    constants: Record
    makers: Sequence[tuple[str, Callable[[Any], Any]]]

    def records(self, start: int, stop: int) -> list[Record]:
        """One mapping by column name for each of these rows."""
        return [self._record(row) for row in self.rows[start:stop]]

    def _record(self, row: Record) -> Record:
        record = {column: row[name] for name, column in self.given}
        record.update(self.constants)
        for column, make in self.makers:
            record[column] = make(None)  # SQLAlchemy has wrapped it to take a context
        return record

    def arrays(self, start: int, stop: int) -> Record:
        """One list for each column."""
        rows = self.rows[start:stop]
        found: Record = {column: [row[name] for row in rows] for name, column in self.given}
        for column, value in self.constants.items():
            found[column] = [value] * len(rows)
        for column, make in self.makers:
            found[column] = [make(None) for _ in rows]
        return found

    def chunks(self) -> Iterable[tuple[int, int]]:
        """Bounds of the parts that are sent at once."""
        return ((start, start + _CHUNK) for start in range(0, len(self.rows), _CHUNK))


def prepare(model: type[Any], rows: Sequence[Record]) -> list[Batch]:
    """``rows`` grouped by what they name, with the defaults of the rest."""
    groups: dict[frozenset[str], list[Record]] = {}
    for row in rows:
        groups.setdefault(frozenset(row), []).append(row)
    return [_batch(model, names, group) for names, group in groups.items()]


def _batch(model: type[Any], names: frozenset[str], rows: Sequence[Record]) -> Batch:
    given = [(name, column_of(model, name)) for name in column_names(model) if name in names]
    constants: Record = {}
    makers: list[tuple[str, Callable[[Any], Any]]] = []
    columns = [column for _, column in given]
    for name in column_names(model):
        column = column_of(model, name)
        if name in names:
            continue
        default = column.default
        if isinstance(default, CallableColumnDefault):
            make = cast_type("Callable[[Any], Any]", default.arg)
            if is_instant(column.type):  # one statement, one time, as with SQL's now()
                constants[column.name] = make(None)
            else:
                makers.append((column.name, make))
        elif isinstance(default, ScalarElementColumnDefault):
            constants[column.name] = default.arg
        elif column is mapper_of(model).version_id_col:
            constants[column.name] = 1
        else:
            continue
        columns.append(column)
    pairs = [(name, column.name) for name, column in given]
    return Batch(columns=columns, rows=rows, given=pairs, constants=constants, makers=makers)


async def insert(session: AsyncSession, table: Table, batch: Batch) -> None:
    """INSERT the rows of ``batch``."""
    connection = await session.connection()
    dialect = session.get_bind().dialect
    unnests = dialect.name == "postgresql" and _unnestable(batch.columns)
    if unnests:
        columns = list(batch.columns)
        statement: Any = postgresql.insert(table).from_select(columns, _unnest(columns, dialect))
    else:
        statement = table.insert()
    for start, stop in batch.chunks():
        values: Any = batch.arrays(start, stop) if unnests else batch.records(start, stop)
        await connection.execute(statement, values)


async def upsert(
    session: AsyncSession,
    model: type[Any],
    batch: Batch,
    conflict: Sequence[str],
    updated: Sequence[str],
) -> None:
    """INSERT the rows, updating ``updated`` where ``conflict`` is already there."""
    dialect = session.get_bind().dialect
    statement: Any = _INSERTS[dialect.name](table_of(model))
    unnests = dialect.name == "postgresql" and _unnestable(batch.columns)
    if unnests:
        columns = list(batch.columns)
        statement = statement.from_select(columns, _unnest(columns, dialect))
    if dialect.name in {"mysql", "mariadb"}:
        assignments = _assignments(model, updated, statement.inserted)
        statement = statement.on_duplicate_key_update(assignments)
    else:
        assignments = _assignments(model, updated, statement.excluded)
        keys = [column_of(model, name) for name in conflict]
        statement = statement.on_conflict_do_update(index_elements=keys, set_=assignments)
    connection = await session.connection()
    for start, stop in batch.chunks():
        values: Any = batch.arrays(start, stop) if unnests else batch.records(start, stop)
        await connection.execute(statement, values)


_INSERTS: dict[str, Any] = {
    "postgresql": postgresql.insert,
    "sqlite": sqlite.insert,
    "mysql": mysql.insert,
    "mariadb": mysql.insert,
}


def changes(
    model: type[Any],
    batch: Batch,
    conflict: Sequence[str],
    wanted: Sequence[str] | None,
) -> list[str]:
    """The attributes that an existing row gets, none that the rows of ``batch`` do not name."""
    given = {name for name, _ in batch.given}
    if wanted is not None:
        return [name for name in wanted if name in given]
    keys = {mapper_of(model).get_property_by_column(c).key for c in mapper_of(model).primary_key}
    kept = {*keys, *conflict, *_KEPT}
    return [name for name in column_names(model) if name in given and name not in kept]


def _assignments(model: type[Any], updated: Sequence[str], incoming: Any) -> dict[str, Any]:
    table = table_of(model)
    found = {column_of(model, name).name: incoming[column_of(model, name).name] for name in updated}
    version = mapper_of(model).version_id_col
    if version is not None:
        found[version.name] = table.c[version.name] + 1
    for name in column_names(model):
        column = column_of(model, name)
        moves = column.onupdate is not None and column.default is not None
        if moves and column.name not in found:
            found[column.name] = incoming[column.name]  # the row's default, made now
    # an UPDATE must set something; a key to itself changes nothing
    return found or {c.name: table.c[c.name] for c in mapper_of(model).primary_key}


def _unnestable(columns: Columns) -> bool:
    """unnest() flattens arrays, and JSON has no array type of its own on every driver."""
    return not any(isinstance(column.type, (GENERIC_ARRAY, JSON)) for column in columns)


def _unnest(columns: Columns, dialect: Dialect) -> Any:
    arrays: list[Any] = []
    for column in columns:
        item = _unlimited(column.type, dialect)
        array = ARRAY(item, dimensions=1)
        arrays.append(cast(bindparam(column.name, type_=array), ARRAY(item)))
    names = [column.name for column in columns]
    source = func.unnest(*arrays).table_valued(*names).render_derived(name="incoming")
    return select(*(source.c[name] for name in names))


class _AnyLength(TypeDecorator[Any]):
    """Text with the values of ``inner``, and not its length."""

    impl = Text
    cache_ok = True

    def __init__(self, inner: TypeEngine[Any]) -> None:
        super().__init__()
        self.inner = inner

    def bind_processor(self, dialect: Dialect) -> Any:
        """What ``inner`` does to a value."""
        return self.inner.dialect_impl(dialect).bind_processor(dialect)


def _unlimited(column_type: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    """A cast to VARCHAR(n) cuts the text off; INSERT of a TEXT refuses what is too long."""
    stored = column_type
    while isinstance(stored, TypeDecorator):
        stored = stored.load_dialect_impl(dialect)
    native = isinstance(stored, Enum) and stored.native_enum
    return _AnyLength(column_type) if isinstance(stored, String) and not native else column_type
