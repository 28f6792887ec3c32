"""The condition "after this row" for an order of several columns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, false, literal, or_, tuple_
from sqlalchemy.sql import ClauseElement

from tijolo.db.ordering import OrderKey


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
    if isinstance(value, Mapping):
        return "{" + ",".join(sorted(f"{key!r}={_text(item)}" for key, item in value.items())) + "}"
    if isinstance(value, (set, frozenset)):
        return "{" + ",".join(sorted(_text(item) for item in value)) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_text(item) for item in value) + "]"
    if isinstance(value, ClauseElement):
        compiled = value.compile()
        return f"{compiled} {_text(list((compiled.params or {}).values()))}"
    return f"{type(value).__name__}:{value!r}"
