"""The condition "after this row" for an order of several columns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum as PythonEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, false, literal, literal_column, or_, tuple_, type_coerce
from sqlalchemy.dialects import mysql
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import Double, Enum, Float, Integer, Numeric

from tijolo.db._mapping import attribute_of, is_a, remember, type_of
from tijolo.db._values import without_decorator
from tijolo.db.cursors import InvalidCursorException
from tijolo.db.ordering import OrderKey

_DOUBLE: Double[float] = Double()


@remember
def exact(model: type[Any], name: str, dialect: str) -> ColumnElement[Any] | None:
    """The column as the database compares it, where what Python reads is something else.

    SQLite keeps a NUMERIC as a float that is read rounded; MariaDB shows a FLOAT with six
    digits, and sorts an ENUM by its number but compares it as text.
    """
    column_type = type_of(model, name)
    inner, attribute = without_decorator(column_type), attribute_of(model, name)
    if dialect in {"mysql", "mariadb"}:
        written = column_type.compile(dialect=mysql.dialect()).upper()
        if written.startswith("ENUM"):
            return type_coerce(attribute, Integer()) + literal_column("0", Integer())
        if written.startswith("FLOAT"):
            return type_coerce(attribute, _DOUBLE) + literal_column("0e0", _DOUBLE)
    rounded = isinstance(inner, Float) and inner.asdecimal
    if rounded or (dialect == "sqlite" and isinstance(inner, Numeric)):
        return type_coerce(attribute, _DOUBLE)
    return None


def comparable(model: type[Any], keys: Sequence[OrderKey], dialect: str) -> list[OrderKey]:
    """``keys`` with the expressions that cursors are compared by."""
    found: list[OrderKey] = []
    for key in keys:
        expression = exact(model, key.name, dialect) if key.name is not None else None
        found.append(key if expression is None else replace(key, expression=expression, _terms={}))
    return found


def restored(keys: Sequence[OrderKey], values: Sequence[Any]) -> tuple[Any, ...]:
    """The values of a cursor as the keys take them: members for the names of members."""
    return tuple(_member(key, value) for key, value in zip(keys, values, strict=True))


def check_storable(key: OrderKey, value: Any) -> Any:
    """``value``, or TypeError when a cursor could not bring it back."""
    if isinstance(value, PythonEnum) and _enum_class(key) is None:
        raise TypeError(
            f"column {key.name!r} gives enum members but is no Enum column; it cannot be paged by"
            " cursor"
        )
    return value


def _enum_class(key: OrderKey) -> Any:
    inner = without_decorator(key.expression.type)
    return inner.enum_class if isinstance(inner, Enum) else None


def _member(key: OrderKey, value: Any) -> Any:
    enum_class = _enum_class(key)
    if value is None or enum_class is None:
        return value
    try:
        return enum_class[value]
    except KeyError:
        raise InvalidCursorException from None


def after(keys: Sequence[OrderKey], values: Sequence[Any], dialect: str) -> ColumnElement[bool]:
    """Rows that come after ``values`` in the order of ``keys``.

    Where every key is NOT NULL and goes the same way it is a row-value comparison, which an
    index on the keys answers by a seek. Otherwise it is the expanded form, with a bound on the
    first key for the index to use. MariaDB and MySQL do not seek by row values, so they always
    get the expanded form.
    """
    one_way = len({key.descending for key in keys}) == 1
    complete = not any(key.nullable for key in keys)
    if len(keys) > 1 and one_way and complete and dialect not in {"mysql", "mariadb"}:
        row = tuple_(*(key.expression for key in keys))
        bound = tuple_(*_bound(keys, values))
        return row < bound if keys[0].descending else row > bound
    return _expanded(keys, values)


def _bound(keys: Sequence[OrderKey], values: Sequence[Any]) -> list[Any]:
    return [literal(value, key.expression.type) for key, value in zip(keys, values, strict=True)]


def _expanded(keys: Sequence[OrderKey], values: Sequence[Any]) -> ColumnElement[bool]:
    alternatives: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for key, value in zip(keys, values, strict=True):
        alternatives.append(and_(*equal, _greater(key, value)))
        equal.append(key.expression.is_(None) if value is None else key.expression == value)
    condition = or_(*alternatives)
    first, value = keys[0], values[0]
    if len(keys) > 1 and not first.nullable:
        bound = first.expression <= value if first.descending else first.expression >= value
        condition = and_(bound, condition)
    return condition


def _greater(key: OrderKey, value: Any) -> ColumnElement[bool]:
    """The key alone comes after ``value``, with NULL in the place that the order gives it."""
    if value is None:
        return key.expression.is_not(None) if key.nulls_first else false()
    beyond: ColumnElement[bool] = (
        key.expression < value if key.descending else key.expression > value
    )
    if key.nullable and not key.nulls_first:
        return or_(beyond, key.expression.is_(None))
    return beyond


def shape(model: type[Any], keys: Sequence[OrderKey], filters: Any, extra: str = "") -> bytes:
    """A digest of the query that a cursor belongs to: model, order and filters."""
    parts = [model.__module__, model.__qualname__, extra]
    parts += [f"{key.name}:{key.descending}:{key.nulls_first}" for key in keys]
    parts.append(_text(filters))
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()


def _text(value: Any) -> str:
    """``value`` written so that equal filters read equal, in every process."""
    if is_a(value, Mapping):
        return "{" + ",".join(sorted(f"{key!r}={_text(item)}" for key, item in value.items())) + "}"
    if is_a(value, set, frozenset):
        return "{" + ",".join(sorted(_text(item) for item in value)) + "}"
    if is_a(value, list, tuple):
        return "[" + ",".join(_text(item) for item in value) + "]"
    if is_a(value, ClauseElement):
        compiled = value.compile()
        return f"{compiled} {_text([*(compiled.params or {}).values()])}"
    return f"{type(value).__name__}:{value!r}"
