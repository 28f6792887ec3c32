"""Values from outside in the type that a column takes, refused before they reach a driver."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import (
    JSON,
    BigInteger,
    DateTime,
    Enum,
    Float,
    Integer,
    NullType,
    SmallInteger,
    String,
    TypeDecorator,
    TypeEngine,
)

from tijolo.db._mapping import column_names, column_of, is_a, remember
from tijolo.db.types import UtcDateTime

_MAX_DIGITS = 20
"""What 64 bits can need."""


def without_decorator(column_type: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type that a ``TypeDecorator`` is made of; any other as it is."""
    inner = column_type
    while isinstance(inner, TypeDecorator):
        inner = inner.impl_instance
    return inner


def is_instant(column_type: TypeEngine[Any]) -> bool:
    """Whether values of the column have both a day and a time."""
    return isinstance(without_decorator(column_type), DateTime)


def is_text(column_type: TypeEngine[Any]) -> bool:
    """Whether LIKE can be asked of the column; of an unknown type it may be."""
    inner = without_decorator(column_type)
    return isinstance(inner, (String, NullType)) and not isinstance(inner, Enum)


def coerce(column_type: TypeEngine[Any], value: Any) -> Any:
    """``value`` as the column takes it.

    Raises:
        ValueError: It is not a value of that type. The message does not repeat it.
    """
    if isinstance(value, ClauseElement) or hasattr(value, "__clause_element__"):
        return value
    inner = without_decorator(column_type)
    if isinstance(inner, JSON):
        raise ValueError("is JSON, which can only be compared with null")
    if isinstance(inner, Enum):
        return _member(inner, value)
    try:
        kind = column_type.python_type
    except NotImplementedError:
        return _storable(value)
    if kind is int:
        return _integer(column_type, value)
    check = _CHECKS.get(kind)
    return _storable(value) if check is None else check(column_type, value)


def check_moments(model: type[Any], values: Mapping[str, Any]) -> None:
    """Refuse datetimes without a time zone where the column holds instants.

    Raises:
        ValueError: The message names the column, not the value.
    """
    for name in instants_of(model):
        value = values.get(name)
        if isinstance(value, datetime) and value.utcoffset() is None:
            raise ValueError(
                f"{model.__name__}.{name} needs a datetime with a time zone, such as"
                " datetime.now(UTC)"
            )


@remember
def instants_of(model: type[Any]) -> tuple[str, ...]:
    """The attributes whose values are instants."""
    found = ((name, column_of(model, name).type) for name in column_names(model))
    return tuple(name for name, kind in found if isinstance(kind, UtcDateTime))


def key_value(column_type: TypeEngine[Any], value: Any, *, wide: bool) -> Any:
    """A key from a path in the column's type; ``wide`` where every integer has 64 bits."""
    if not isinstance(without_decorator(column_type), Integer):
        return coerce(column_type, value)
    digits = value.removeprefix("-") if isinstance(value, str) else ""
    if digits.isascii() and digits.isdigit() and len(digits) < _MAX_DIGITS:
        value = int(value)
    return coerce(BigInteger() if wide else column_type, value)


def check_text(value: Any) -> str:
    """``value``, or ValueError when it is no text that every database can hold."""
    if not isinstance(value, str):
        raise ValueError("needs text")
    if "\0" in value:
        raise ValueError("must not have a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("is not valid Unicode text") from None
    return value


def _storable(given: Any) -> Any:
    """A value of a column whose type is not known: what no driver takes is refused."""
    if is_a(given, list, tuple):
        return [_storable(item) for item in given]
    value: object = given
    if isinstance(value, str):
        return check_text(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _within(value, 64)
    if isinstance(value, (float, Decimal)):
        return _finite(value)
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return value.astimezone(UTC)
    if isinstance(value, Mapping):
        raise ValueError("needs a single value")
    return value


def _member(column_type: Enum, value: Any) -> Any:
    """A member for a member or its value; text for an Enum of strings."""
    enum_class: Any = column_type.enum_class
    if enum_class is None:
        if value not in column_type.enums:
            raise ValueError("is not one of the column's values")
        return value
    try:
        return enum_class(value)
    except (ValueError, TypeError):
        raise ValueError("is not one of the column's values") from None


def _integer(column_type: TypeEngine[Any], value: Any) -> int:
    if not isinstance(value, int):
        raise ValueError("needs an integer")
    return _within(value, _bits(column_type))


def _within(value: int, bits: int) -> int:
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise ValueError("is out of the column's range")
    return value


def _bits(column_type: TypeEngine[Any]) -> int:
    inner = without_decorator(column_type)
    if isinstance(inner, SmallInteger):
        return 16
    if isinstance(inner, Integer) and not isinstance(inner, BigInteger):
        return 32
    return 64


def _number(column_type: TypeEngine[Any], value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise ValueError("needs a number")
    value = _finite(value)
    if isinstance(value, int) and value.bit_length() > 63:
        # no driver's integer holds it, but these columns compare with more than integers
        return float(value) if isinstance(column_type, Float) else Decimal(value)
    return value


def _finite(value: float | Decimal) -> Any:
    try:
        finite = math.isfinite(value)
    except (OverflowError, ValueError):  # too large for a float; a signalling NaN
        finite = False
    if not finite:
        raise ValueError("needs a finite number within the range of a float")
    return value


def _boolean(column_type: TypeEngine[Any], value: Any) -> bool:
    if not isinstance(value, int) or value not in (0, 1):
        raise ValueError("needs true or false")
    return bool(value)


def _uuid(column_type: TypeEngine[Any], value: Any) -> UUID:
    if isinstance(value, UUID):
        return value
    try:
        return UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise ValueError("needs a UUID") from None


def _datetime(column_type: TypeEngine[Any], value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise ValueError("needs a date or a datetime")
    aware = isinstance(column_type, UtcDateTime) or getattr(column_type, "timezone", False)
    if aware and value.utcoffset() is None:
        raise ValueError("needs a datetime with a time zone")
    # OverflowError at either end of the calendar, here and not in the driver
    return value.astimezone(UTC) if aware else value


def _date(column_type: TypeEngine[Any], value: Any) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError("needs a date")
    return value


def _interval(column_type: TypeEngine[Any], value: Any) -> timedelta:
    if not isinstance(value, timedelta):
        raise ValueError("needs a duration")
    _ = datetime(1970, 1, 1, tzinfo=UTC) + value  # where there is no type for it, it is kept so
    return value


def _instance(*kinds: type, name: str) -> Callable[[TypeEngine[Any], Any], Any]:
    def check(column_type: TypeEngine[Any], value: Any) -> Any:
        if not isinstance(value, kinds):
            raise ValueError(f"needs {name}")
        return value

    return check


_CHECKS: dict[type, Callable[[TypeEngine[Any], Any], Any]] = {
    UUID: _uuid,
    datetime: _datetime,
    date: _date,
    str: lambda _, value: check_text(value),
    bool: _boolean,
    float: _number,
    Decimal: _number,
    time: _instance(time, name="a time"),
    timedelta: _interval,
    bytes: _instance(bytes, bytearray, memoryview, name="bytes"),
}
