"""Statements for many rows at once, per dialect.

PostgreSQL gets one array per column, unnested by the server: one parse, as many parameters as
there are columns, and no limit on rows. The others get the driver's executemany.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, Table, bindparam, cast, func, select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.schema import CallableColumnDefault, ScalarElementColumnDefault
from sqlalchemy.types import ARRAY as GENERIC_ARRAY
from sqlalchemy.types import JSON

from tijolo.db._mapping import column_names, column_of, mapper_of, table_of

_CHUNK = 10_000
_KEPT = ("created_at", "deleted_at")

Columns = Sequence[Column[Any]]
Record = dict[str, Any]


def named(rows: Iterable[Record]) -> set[str]:
    """The columns that the caller named in any row."""
    return {name for row in rows for name in row}


def last_of_each(rows: Sequence[Record], key: Sequence[str]) -> list[Record]:
    """``rows`` without those that a later row with the same key replaces."""
    found: dict[Any, Record] = {}
    for position, row in enumerate(rows):
        values = tuple(row.get(name) for name in key)
        # NULLs are never equal to each other
        found[(position, *values) if None in values else values] = row
    return list(found.values())


def prepare(
    model: type[Any], rows: Sequence[Record]
) -> list[tuple[list[Column[Any]], list[Record]]]:
    """``rows`` by column name with the defaults filled in, grouped by what they name."""
    groups: dict[frozenset[str], list[Record]] = {}
    for row in rows:
        groups.setdefault(frozenset(row), []).append(row)
    return [_complete(model, names, group) for names, group in groups.items()]


def _complete(
    model: type[Any], names: frozenset[str], rows: Sequence[Record]
) -> tuple[list[Column[Any]], list[Record]]:
    given = [(name, column_of(model, name)) for name in column_names(model) if name in names]
    constants: Record = {}
    makers: list[tuple[str, Any]] = []
    columns = [column for _, column in given]
    for name in column_names(model):
        column = column_of(model, name)
        if name in names or column.table is not table_of(model):
            continue
        default = column.default
        if isinstance(default, CallableColumnDefault):
            makers.append((column.name, default.arg))
        elif isinstance(default, ScalarElementColumnDefault):
            constants[column.name] = default.arg
        elif column is mapper_of(model).version_id_col:
            constants[column.name] = 1
        else:
            continue
        columns.append(column)
    pairs = [(name, column.name) for name, column in given]
    return columns, [_record(row, pairs, constants, makers) for row in rows]


def _record(
    row: Record,
    pairs: Sequence[tuple[str, str]],
    constants: Record,
    makers: Sequence[tuple[str, Any]],
) -> Record:
    record = {column: row[name] for name, column in pairs}
    record.update(constants)
    for column, make in makers:
        record[column] = make(None)  # SQLAlchemy has wrapped it to take a context
    return record


async def insert(
    session: AsyncSession, table: Table, columns: Columns, rows: Sequence[Record]
) -> None:
    """INSERT ``rows``."""
    dialect = session.get_bind().dialect.name
    connection = await session.connection()
    if dialect == "postgresql" and _unnestable(columns):
        for chunk in _chunks(rows):
            await connection.execute(
                postgresql.insert(table).from_select(columns, _unnest(columns)),
                _arrays(columns, chunk),
            )
        return
    for chunk in _chunks(rows):
        await connection.execute(table.insert(), list(chunk))


async def upsert(
    session: AsyncSession,
    model: type[Any],
    columns: Columns,
    rows: Sequence[Record],
    conflict: Sequence[str],
    updated: Sequence[str],
) -> None:
    """INSERT ``rows``, updating ``updated`` where ``conflict`` is already there."""
    dialect = session.get_bind().dialect.name
    table = table_of(model)
    keys = [column_of(model, name) for name in conflict]
    connection = await session.connection()
    if dialect == "postgresql" and _unnestable(columns):
        statement: Any = postgresql.insert(table).from_select(columns, _unnest(columns))
        parameters: Any = _arrays
    else:
        statement = _INSERTS[dialect](table)
        parameters = _as_list
    incoming = statement.inserted if dialect in {"mysql", "mariadb"} else statement.excluded
    assignments = _assignments(model, updated, incoming)
    if dialect in {"mysql", "mariadb"}:
        statement = statement.on_duplicate_key_update(assignments)
    else:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=assignments)
    for chunk in _chunks(rows):
        await connection.execute(statement, parameters(columns, chunk))


_INSERTS: dict[str, Any] = {
    "postgresql": postgresql.insert,
    "sqlite": sqlite.insert,
    "mysql": mysql.insert,
    "mariadb": mysql.insert,
}


def changes(
    model: type[Any],
    given: set[str],
    conflict: Sequence[str],
    wanted: Sequence[str] | None,
) -> list[str]:
    """The attributes that an existing row gets."""
    if wanted is not None:
        return list(wanted)
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


def _unnest(columns: Columns) -> Any:
    arrays = [cast(bindparam(c.name, type_=ARRAY(c.type)), ARRAY(c.type)) for c in columns]
    names = [column.name for column in columns]
    source = func.unnest(*arrays).table_valued(*names).render_derived(name="incoming")
    return select(*(source.c[name] for name in names))


def _arrays(columns: Columns, rows: Sequence[Record]) -> Record:
    return {column.name: [row[column.name] for row in rows] for column in columns}


def _as_list(columns: Columns, rows: Sequence[Record]) -> list[Record]:
    return list(rows)


def _chunks(rows: Sequence[Record]) -> Iterable[Sequence[Record]]:
    for start in range(0, len(rows), _CHUNK):
        yield rows[start : start + _CHUNK]
