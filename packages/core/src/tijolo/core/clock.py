"""Time is UTC and aware, everywhere."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo


def utcnow() -> datetime:
    """The current moment, aware, in UTC."""
    return datetime.now(UTC)


def to_utc(value: datetime) -> datetime:
    """The same moment in UTC; a naive ``value`` is taken to be UTC already.

    Raises:
        OverflowError: on the first or last day of the calendar, when UTC is beyond it.
    """
    if value.tzinfo is None or value.utcoffset() is None:
        return value.replace(tzinfo=UTC)
    return value.astimezone(UTC)


def now_in(zone: str | tzinfo) -> datetime:
    """The current moment in ``zone``, an IANA name such as ``"America/Sao_Paulo"`` or a tzinfo.

    Raises:
        zoneinfo.ZoneInfoNotFoundError: when there is no zone of that name.
    """
    return datetime.now(ZoneInfo(zone) if isinstance(zone, str) else zone)
