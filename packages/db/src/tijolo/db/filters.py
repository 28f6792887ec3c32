"""Conditions from what a request or a service asks for.

A filter is a mapping (names come from outside: only mapped columns, none that is private or
sensitive), a SQLAlchemy expression (code knows what it does), or a sequence of both.

    {"status": "open"}                    status = 'open'
    {"status": None}                      status IS NULL
    {"status": UNSET}                     no condition
    {"status": ["open", "paid"]}          status IN (...); an empty iterable matches nothing
    {"price__gte": 10, "name__icontains": "tea"}
    {"created_at": date(2026, 1, 31)}     the whole day, in the repository's time zone
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import Enum
from itertools import islice
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, and_, false, not_, or_
from sqlalchemy.exc import ArgumentError
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import ARRAY, JSON, TypeEngine

from tijolo.core import ValidationException
from tijolo.db._mapping import (
    attribute_of,
    column_names,
    column_of,
    is_a,
    mapper_of,
    queryable_names,
    suggestion,
    type_of,
)
from tijolo.db._values import check_text, coerce, is_instant, is_text, without_decorator


class Unset(Enum):
    """The type of :data:`UNSET`."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


MAX_VALUES = 1000
"""Most values of one filter in a mapping; for more, code can give an expression."""

UNSET: Final = Unset.UNSET
"""As a filter's value: this filter was not given. ``None`` means IS NULL."""

Condition = ColumnElement[bool]
Filters = Mapping[str, Any] | Condition | Sequence[Mapping[str, Any] | Condition] | None


class UnknownFilterError(ValidationException, ValueError):
    """A filter names what the model does not have, or what requests must not filter by."""

    code = "UNKNOWN_FILTER"


class InvalidFilterError(ValidationException, ValueError):
    """A filter's value does not fit its column or operator."""

    code = "INVALID_FILTER"


def build_conditions(
    model: type[Any],
    filters: Filters,
    *,
    timezone: tzinfo = UTC,
    filterable: frozenset[str] | None = None,
    core: bool = False,
) -> list[Condition]:
    """The conditions of ``filters``, before any SQL is sent.

    Args:
        timezone: Where a ``date`` begins and ends on a column of instants.
        filterable: The only names a mapping may use; None for every public column.
        core: Use the table's columns instead of the model's attributes.

    Raises:
        UnknownFilterError: A name that is not there (also a ``ValueError``).
        InvalidFilterError: A value that does not fit (also a ``ValueError``).
    """
    if filters is None:
        return []
    if isinstance(filters, Mapping):
        names = queryable_names(model) if filterable is None else filterable
        return [
            _condition(model, key, value, names=names, timezone=timezone, core=core)
            for key, value in filters.items()
            if value is not UNSET
        ]
    if isinstance(filters, ClauseElement):
        return [filters]
    if isinstance(filters, (list, tuple)):
        found: list[Condition] = []
        for item in filters:
            found += build_conditions(
                model, item, timezone=timezone, filterable=filterable, core=core
            )
        return found
    raise TypeError(
        f"filters must be a mapping, a SQLAlchemy expression or a list of them, got {filters!r}"
    )


def _condition(
    model: type[Any],
    key: str,
    value: Any,
    *,
    names: frozenset[str],
    timezone: tzinfo,
    core: bool,
) -> Condition:
    name, operator = _split(model, key, names)
    column: Any = attribute_of(model, name)
    if core and name in column_names(model):
        column = column_of(model, name)
    kind = type_of(model, name)
    try:
        if _is_many(value) and not is_a(without_decorator(kind), ARRAY, JSON):
            value = _many(value)
            operator = "in" if operator == "eq" else operator
        if is_instant(kind) and _has_dates(value):
            return _by_day(column, operator, value, timezone, kind)
        return OPERATORS[operator](column, _checked(kind, operator, value))
    except (ValueError, TypeError, OverflowError, ArgumentError) as exc:
        raise InvalidFilterError(
            f"Filter {key!r} of {model.__name__}: {exc}", details={"field": key}
        ) from None


def _split(model: type[Any], key: str, names: frozenset[str]) -> tuple[str, str]:
    if key in names:
        return key, "eq"
    name, separator, operator = key.rpartition("__")
    if separator and name in names:
        if operator in OPERATORS:
            return name, operator
        raise UnknownFilterError(
            f"Unknown operator {operator!r} in filter {key!r}; use one of {', '.join(OPERATORS)}",
            details={"field": key},
        )
    wanted = name if separator and operator in OPERATORS else key
    raise UnknownFilterError(
        f"Unknown filter {key!r} for {mapper_of(model).class_.__name__}{suggestion(wanted, names)}",
        details={"field": key},
    )


def _is_many(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(
        value, (str, bytes, bytearray, memoryview, Mapping, ClauseElement)
    )


def _many(value: Any) -> list[Any]:
    if not _is_many(value):
        raise ValueError("needs a list of values")
    found: list[Any] = list(islice(cast("Iterable[Any]", value), MAX_VALUES + 1))
    if len(found) > MAX_VALUES:
        raise ValueError(f"takes at most {MAX_VALUES} values")
    return found


def _checked(kind: TypeEngine[Any], operator: str, value: Any) -> Any:
    """``value``, or each of its items, in the type of the column."""
    if operator in {"in", "not_in", "between"}:
        return [None if item is None else coerce(kind, item) for item in _many(value)]
    if operator == "is_null":
        if not isinstance(value, bool):
            raise ValueError("needs true or false")
        return value
    if operator in _TEXT_OPERATORS:
        if not is_text(kind):
            raise ValueError(f"{operator!r} is for text columns")
        return check_text(value)
    if value is None:
        if operator not in {"eq", "ne"}:
            raise ValueError("cannot compare with null; use eq, ne or is_null")
        return None
    return coerce(kind, value)


def _in(column: Any, values: Any) -> Condition:
    listed = [value for value in values if value is not None]
    condition: Condition = column.in_(listed) if listed else false()
    return or_(condition, column.is_(None)) if len(listed) < len(values) else condition


def _not_in(column: Any, values: Any) -> Condition:
    listed = [value for value in values if value is not None]
    if len(listed) == len(values):
        return column.not_in(listed) if listed else not_(false())
    present: Condition = column.is_not(None)
    return and_(present, column.not_in(listed)) if listed else present


def _pair(bounds: Sequence[Any]) -> Sequence[Any]:
    if len(bounds) != 2 or any(bound is None for bound in bounds):
        raise ValueError("needs two values, the lower first")
    return bounds


def _between(column: Any, bounds: Any) -> Condition:
    found: Condition = column.between(*_pair(bounds))
    return found


OPERATORS: Mapping[str, Callable[[Any, Any], Condition]] = {
    "eq": lambda column, value: column.is_(None) if value is None else column == value,
    "ne": lambda column, value: column.is_not(None) if value is None else column != value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "in": _in,
    "not_in": _not_in,
    "is_null": lambda column, value: column.is_(None) if value else column.is_not(None),
    "between": _between,
    "contains": lambda column, value: column.contains(value, autoescape=True),
    "icontains": lambda column, value: column.icontains(value, autoescape=True),
    "startswith": lambda column, value: column.startswith(value, autoescape=True),
    "istartswith": lambda column, value: column.istartswith(value, autoescape=True),
    "endswith": lambda column, value: column.endswith(value, autoescape=True),
    "iendswith": lambda column, value: column.iendswith(value, autoescape=True),
}
"""What may follow ``__`` in a filter's name. LIKE wildcards in values are escaped."""

_TEXT_OPERATORS = frozenset(
    name for name in OPERATORS if name.endswith(("contains", "startswith", "endswith"))
)


def _is_day(value: Any) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


def _has_dates(value: Any) -> bool:
    return _is_day(value) or (is_a(value, list, tuple) and any(map(_is_day, value)))


def _by_day(column: Any, operator: str, value: Any, timezone: tzinfo, kind: Any) -> Condition:
    """Half-open ranges: an index on the column serves them, whatever zone the session has."""
    aware = getattr(kind, "timezone", True)

    def start(day: date) -> datetime:
        moment = datetime.combine(day, time.min, timezone)
        return moment.astimezone(UTC) if aware else moment.replace(tzinfo=None)

    def end(day: date) -> datetime:
        return start(day + timedelta(days=1))

    def whole(day: Any) -> Condition:
        if not _is_day(day):
            return OPERATORS["eq"](column, _checked(kind, "eq", day))
        return and_(column >= start(day), column < end(day))

    if operator in {"in", "not_in"}:
        found = or_(false(), *(whole(day) for day in _many(value)))
        return found if operator == "in" else not_(found)
    if operator == "between":
        first, last = _pair(value)
        if not (_is_day(first) and _is_day(last)):
            raise ValueError("needs two dates or two datetimes")
        return and_(column >= start(first), column < end(last))
    ranges: dict[str, Callable[[], Condition]] = {
        "eq": lambda: whole(value),
        "ne": lambda: not_(whole(value)),
        "gt": lambda: column >= end(value),
        "gte": lambda: column >= start(value),
        "lt": lambda: column < start(value),
        "lte": lambda: column < end(value),
    }
    if operator not in ranges:
        raise ValueError(f"{operator!r} does not take a date")
    return ranges[operator]()
