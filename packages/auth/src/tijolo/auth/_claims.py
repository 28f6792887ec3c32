"""Claims of a token, held to their types and to the clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard, cast

from tijolo.core import ExpiredTokenException, InvalidTokenException

ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - a media type, RFC 9068 section 2.1
REQUIRED_CLAIMS = frozenset({"iss", "exp", "aud", "sub", "client_id", "iat", "jti"})
"""What an access token must have (RFC 9068, section 2.2)."""

NOTHING: frozenset[str] = frozenset()
MAX_EPOCH = 2**53 - 1
"""RFC 8259, section 6: beyond it, readers of JSON round."""
_MAX_LEEWAY_SECONDS = 300
_LAST_MOMENT = 253_402_300_800  # the end of the year 9999: what a datetime can hold
_FIRST_MOMENT = -_LAST_MOMENT


def check_leeway(seconds: float) -> float:
    """``seconds`` if clocks may differ by them.

    Raises:
        ValueError: beyond 0 to 300.
    """
    if not 0 <= seconds <= _MAX_LEEWAY_SECONDS:
        raise ValueError(f"leeway_seconds must be 0 to {_MAX_LEEWAY_SECONDS}, got {seconds}")
    return seconds


def check_times(claims: Mapping[str, Any], now: float, leeway: float) -> None:
    """Hold ``exp``, ``nbf`` and ``iat`` against the clock (RFC 7519, section 4.1).

    Raises:
        ExpiredTokenException: ``exp`` is over.
        InvalidTokenException: One is missing, no number, or in the future.
    """
    expires, issued, not_before = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
    if not (is_moment(expires) and is_moment(issued) and is_moment(not_before)):
        raise InvalidTokenException
    if not_before > now + leeway or issued > now + leeway:
        raise InvalidTokenException
    if int(expires) <= now - leeway:
        raise ExpiredTokenException


def is_moment(value: object) -> TypeGuard[int | float]:
    """Whether ``value`` is a moment as a JSON number, seconds since the epoch.

    Python reads NaN, Infinity and booleans as numbers too, and whole ones of any size.
    """
    kind = type(value)
    number: Any = value
    return (kind is int or kind is float) and _FIRST_MOMENT < number < _LAST_MOMENT


def is_epoch(value: object) -> TypeGuard[int]:
    """Whether ``value`` is a whole number that every JSON reader and store keeps exactly."""
    return type(value) is int and 0 <= value <= MAX_EPOCH


def text_list(value: Any) -> tuple[str, ...]:
    """A claim that is one text or a list of them, as a tuple.

    Raises:
        InvalidTokenException: for anything else.
    """
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list):
        raise InvalidTokenException
    items = cast("list[object]", value)
    for item in items:
        if not isinstance(item, str):
            raise InvalidTokenException
    return tuple(cast("list[str]", items))


def text_set(value: Any) -> frozenset[str]:
    """A claim that is a list of texts, or not there.

    Raises:
        InvalidTokenException: for anything else.
    """
    if value is None:
        return NOTHING
    if not isinstance(value, list):
        raise InvalidTokenException
    return frozenset(text_list(value))


def audience_of(audience: str | Iterable[str]) -> tuple[str, ...]:
    """Whom tokens are for, as a constructor is given it: one name, or several.

    Raises:
        ValueError: for none, or an empty one.
    """
    names = (audience,) if isinstance(audience, str) else tuple(audience)
    if not names or not all(names):
        raise ValueError("audience must name at least one, and none may be empty")
    return names
