"""The order of a result, from names that a request may use or from expressions of the code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from sqlalchemy import ColumnElement, UnaryExpression
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm.exc import UnmappedColumnError
from sqlalchemy.sql import operators

from tijolo.core import ValidationException
from tijolo.db._mapping import (
    attribute_of,
    column_names,
    column_of,
    is_a,
    mapper_of,
    primary_key_names,
    queryable_names,
    remember,
    suggestion,
)

OrderBy = Any
"""A name (``"-price"`` descends), an attribute, ``attribute.desc()``, or a sequence of these."""

_ALWAYS = ("created_at", "updated_at")


class UnknownOrderError(ValidationException, ValueError):
    """A request asks for an order by something that is not on the allow-list."""

    code = "UNKNOWN_ORDER"


@dataclass(frozen=True)
class OrderKey:
    """One column of an order. NULLs are the greatest values unless ``nulls_first`` says."""

    expression: ColumnElement[Any] | InstrumentedAttribute[Any]
    name: str | None
    descending: bool
    nulls_first: bool
    nullable: bool
    # building a term costs more than the rest of a page's Python; named keys are shared
    _terms: dict[str, list[ColumnElement[Any]]] = field(
        default_factory=dict[str, "list[ColumnElement[Any]]"], compare=False, repr=False
    )

    def reversed(self) -> OrderKey:
        """The same key the other way round."""
        return replace(
            self, descending=not self.descending, nulls_first=not self.nulls_first, _terms={}
        )

    def clauses(self, dialect: str) -> list[ColumnElement[Any]]:
        """ORDER BY terms, with the place of NULLs said wherever there can be any."""
        if dialect not in self._terms:
            self._terms[dialect] = self._make_clauses(dialect)
        return self._terms[dialect]

    def _make_clauses(self, dialect: str) -> list[ColumnElement[Any]]:
        term = self.expression.desc() if self.descending else self.expression.asc()
        if not self.nullable:
            return [term]
        if dialect == "postgresql" and self.nulls_first is self.descending:
            return [term]  # its default, which an index serves
        if dialect in {"mysql", "mariadb"}:
            missing = self.expression.is_(None)
            return [missing.desc() if self.nulls_first else missing.asc(), term]
        return [term.nulls_first() if self.nulls_first else term.nulls_last()]


def default_orderable(model: type[Any]) -> frozenset[str]:
    """What a request may order by when nothing else is said: the key and the stamps."""
    return frozenset(primary_key_names(model)) | (frozenset(_ALWAYS) & queryable_names(model))


def parse_order(
    model: type[Any], order_by: OrderBy, *, ascending: bool, orderable: Iterable[str]
) -> list[OrderKey]:
    """The keys of ``order_by``.

    Args:
        ascending: The direction of names and plain attributes; ``.asc()`` and ``.desc()`` win.
        orderable: The names that a string may use.

    Raises:
        UnknownOrderError: A name that is not in ``orderable`` (also a ``ValueError``).
    """
    items: Sequence[Any] = order_by if is_a(order_by, list, tuple) else [order_by]
    return [_key(model, item, ascending=ascending, orderable=orderable) for item in items]


def with_tie_break(model: type[Any], keys: list[OrderKey]) -> list[OrderKey]:
    """``keys`` and what of the primary key is missing, so that no two rows are equal."""
    present = {key.name for key in keys}
    descending = keys[-1].descending if keys else False
    return keys + [
        _of_name(model, name, descending=descending)
        for name in primary_key_names(model)
        if name not in present
    ]


def _key(model: type[Any], item: Any, *, ascending: bool, orderable: Iterable[str]) -> OrderKey:
    if isinstance(item, str):
        name = item.removeprefix("-")
        _check(model, name, orderable)
        return _of_name(model, name, descending=(not ascending) ^ item.startswith("-"))
    expression, descending, nulls_first = _unwrap(item, not ascending)
    mapped, nullable = _mapped(model, expression)
    nulls = descending if nulls_first is None else nulls_first
    return OrderKey(expression, mapped, descending, nulls, nullable)


def _check(model: type[Any], name: str, orderable: Iterable[str]) -> None:
    allowed = frozenset(orderable) & queryable_names(model)
    if name not in allowed:
        raise UnknownOrderError(
            f"Cannot order {model.__name__} by {name[:100]!r}{suggestion(name[:100], allowed)}",
            details={"field": "order_by", "allowed": sorted(allowed)},
        )


@remember
def _of_name(model: type[Any], name: str, *, descending: bool) -> OrderKey:
    nullable = name not in column_names(model) or bool(column_of(model, name).nullable)
    return OrderKey(attribute_of(model, name), name, descending, descending, nullable)


def _unwrap(given: Any, descending: bool) -> tuple[Any, bool, bool | None]:
    """Take ``.desc()`` and ``.nulls_last()`` off an expression."""
    item: Any = given
    nulls_first: bool | None = None
    while is_a(item, UnaryExpression):
        if item.modifier is operators.desc_op:
            descending = True
        elif item.modifier is operators.asc_op:
            descending = False
        elif item.modifier is operators.nulls_first_op:
            nulls_first = True
        elif item.modifier is operators.nulls_last_op:
            nulls_first = False
        else:
            break
        item = item.element
    if not is_a(item, ColumnElement, InstrumentedAttribute):
        raise TypeError(f"order_by takes names and SQLAlchemy expressions, got {item!r}")
    return item, descending, nulls_first


def _mapped(model: type[Any], expression: Any) -> tuple[str | None, bool]:
    """The attribute name of a column of ``model`` and whether it can be NULL."""
    if isinstance(expression, InstrumentedAttribute):
        own = issubclass(
            model, cast("type[Any]", expression.class_)
        ) and expression.key in column_names(model)
        if not own:
            return None, True
        return expression.key, bool(column_of(model, expression.key).nullable)
    try:
        found = mapper_of(model).get_property_by_column(cast("ColumnElement[Any]", expression))
    except (UnmappedColumnError, AttributeError, TypeError):
        return None, True
    return found.key, bool(column_of(model, found.key).nullable)
