"""Values from outside in the type that a column takes, refused before they reach a driver."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import BigInteger, DateTime, Integer, SmallInteger, TypeDecorator, TypeEngine

from tijolo.db.types import UtcDateTime


def without_decorator(column_type: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type that a ``TypeDecorator`` is made of; any other as it is."""
    inner = column_type
    while isinstance(inner, TypeDecorator):
        inner = cast("TypeEngine[Any]", inner.impl_instance)
    return inner


def is_instant(column_type: TypeEngine[Any]) -> bool:
    """Whether values of the column have both a day and a time."""
    return isinstance(without_decorator(column_type), DateTime)


def coerce(column_type: TypeEngine[Any], value: Any) -> Any:
    """``value`` as the column takes it.

    Raises:
        ValueError: It is not a value of that type. The message does not repeat it.
    """
    if isinstance(value, ClauseElement) or hasattr(value, "__clause_element__"):
        return value
    try:
        kind = column_type.python_type
    except NotImplementedError:
        return value
    if kind is int:
        return _integer(column_type, value)
    check = _CHECKS.get(kind)
    return value if check is None else check(column_type, value)


def _integer(column_type: TypeEngine[Any], value: Any) -> int:
    if not isinstance(value, int):
        raise ValueError("needs an integer")
    bits = _bits(column_type)
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise ValueError("is out of the column's range")
    return value


def _bits(column_type: TypeEngine[Any]) -> int:
    if isinstance(column_type, SmallInteger):
        return 16
    if isinstance(column_type, Integer) and not isinstance(column_type, BigInteger):
        return 32
    return 64


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
    return value


def _date(column_type: TypeEngine[Any], value: Any) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError("needs a date")
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
    str: _instance(str, name="text"),
    bool: _instance(bool, int, name="true or false"),
    float: _instance(int, float, Decimal, name="a number"),
    Decimal: _instance(int, float, Decimal, name="a number"),
    time: _instance(time, name="a time"),
}
