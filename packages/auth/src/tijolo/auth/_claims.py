"""Claims of a token, held to their types and to the clock."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard, cast

from tijolo.core import ExpiredTokenException, InvalidTokenException

ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - a media type, RFC 9068 section 2.1
REQUIRED_CLAIMS = frozenset({"iss", "exp", "aud", "sub", "client_id", "iat", "jti"})
"""What an access token must have (RFC 9068, section 2.2)."""

NOTHING: frozenset[str] = frozenset()
_MAX_LEEWAY_SECONDS = 300


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
    if not (is_number(expires) and is_number(issued) and is_number(not_before)):
        raise InvalidTokenException
    if not_before > now + leeway or issued > now + leeway:
        raise InvalidTokenException
    if int(expires) <= now - leeway:
        raise ExpiredTokenException


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether ``value`` is a JSON number; Python reads NaN, Infinity and booleans as such too."""
    kind = type(value)
    return kind is int or (kind is float and math.isfinite(cast("float", value)))


def text_list(value: object) -> tuple[str, ...]:
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


def text_set(value: object) -> frozenset[str]:
    """A claim that is a list of texts, or not there.

    Raises:
        InvalidTokenException: for anything else.
    """
    if value is None:
        return NOTHING
    if not isinstance(value, list):
        raise InvalidTokenException
    return frozenset(text_list(cast("object", value)))


def audience_of(audience: str | Iterable[str]) -> tuple[str, ...]:
    names = (audience,) if isinstance(audience, str) else tuple(audience)
    if not names or not all(names):
        raise ValueError("audience must name at least one, and none may be empty")
    return names
