"""A session's data at rest: JSON text by name, and how much of it there may be."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from tijolo.sessions.errors import SessionDataTooLargeException

MAX_NAME_CHARACTERS = 64


def encode(data: Mapping[str, Any]) -> dict[str, str]:
    """Each value as JSON.

    Raises:
        TypeError: A value that JSON has no word for, or a name that is no text.
        ValueError: An infinite number, a circle, a name that is empty or too long.
    """
    return {_checked(name): _to_json(name, value) for name, value in data.items()}


def decode(data: Mapping[str, str]) -> dict[str, Any]:
    """The values, new at each call."""
    return {name: json.loads(text) for name, text in data.items()} if data else {}


def merge(
    old: Mapping[str, str],
    changed: Mapping[str, str],
    removed: Collection[str],
    *,
    limit: int,
) -> dict[str, str]:
    """``old`` after the write.

    Raises:
        SessionDataTooLargeException: It grew, and is over ``limit`` bytes.
    """
    merged = {name: text for name, text in old.items() if name not in removed}
    merged.update(changed)
    size = size_of(merged)
    # what a larger limit of yesterday let in can still be made smaller
    if size > limit and size > size_of(old):
        raise SessionDataTooLargeException
    return merged


def size_of(data: Mapping[str, str]) -> int:
    """Bytes of names and values as JSON, without the quotes of the names."""
    return sum(len(json.dumps(name)) - 2 + len(text) for name, text in data.items())


def check_limit(limit: int) -> int:
    """``limit``, if it is one.

    Raises:
        ValueError: It is negative.
    """
    if limit < 0:
        raise ValueError(f"max_data_bytes must be 0 or more, got {limit}")
    return limit


def _checked(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a name of session data is text, got {type(name).__name__}")
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS:
        raise ValueError(
            f"a name of session data has 1 to {MAX_NAME_CHARACTERS} characters, got {len(name)}"
        )
    name.encode()  # a lone surrogate is no text
    return name


def _to_json(name: str, value: Any) -> str:
    try:
        # ASCII: a lone surrogate has no UTF-8
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        # not the value: it may be a secret
        raise kind(f"session data {name!r} cannot be kept as JSON") from None
