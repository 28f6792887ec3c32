"""Typed names of what a service keeps in a session."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar, cast, get_args

from pydantic import TypeAdapter, ValidationError

from tijolo.sessions.errors import SessionDataTooLargeException

T = TypeVar("T")
MAX_VALUE_BYTES = 4096
MAX_DEPTH = 100
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
_log = logging.getLogger("tijolo.sessions")


class SessionKey(Generic[T]):
    """A value in the session's data, by name and type: ``CART = SessionKey[list[int]]("cart")``.

    Each key is stored by itself: two requests that write different keys keep both, and the last
    to write one key wins. What must not be lost when two write it belongs in a database.

    Args:
        name: Letters, digits and ``_.:-``, 64 at most.
        max_bytes: Size of one value as JSON; more raises ``SessionDataTooLargeException``.

    Raises:
        ValueError: for another name or size.
        TypeError: when it is used and was made without its type.
    """

    def __init__(self, name: str, *, max_bytes: int = MAX_VALUE_BYTES) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"session key {name!r} must be letters, digits and _.:- and 64 characters at most"
            )
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be 1 or more, got {max_bytes}")
        self.name = name
        self.max_bytes = max_bytes

    def __repr__(self) -> str:
        return f"SessionKey({self.name!r})"

    def dump(self, value: T) -> Any:
        """``value`` as JSON would have it.

        Raises:
            SessionDataTooLargeException: It is larger than ``max_bytes``.
            ValueError: It is not of the key's type, or JSON has no word for it: NaN, infinity,
                half a surrogate pair, a circle, lists in lists by the hundred.
        """
        try:
            checked = self._adapter.validate_python(value)
        except ValidationError as error:
            reason = error.errors(include_input=False, include_url=False)[0]["msg"]
            # not from error, which shows the value
            raise ValueError(f"the value is not of the type of {self!r}: {reason}") from None
        try:
            dumped = self._adapter.dump_python(checked, mode="json")
            size = len(json.dumps(dumped, ensure_ascii=False, allow_nan=False).encode())
            _check_words(self._adapter.dump_python(checked), MAX_DEPTH)  # for JSON, NaN is null
        except (ValueError, RecursionError):
            # not from the error, which may show the value
            raise ValueError(f"the value of {self!r} cannot be kept as JSON") from None
        if size > self.max_bytes:
            raise SessionDataTooLargeException(f"The session cannot hold that much in {self.name}")
        return dumped

    def load(self, stored: Any) -> T | None:
        """What was dumped; None when it does not fit the type any more, which is logged."""
        try:
            return self._adapter.validate_python(stored)
        except ValidationError:
            # an older release may have stored it: that must not lock its owner out
            _log.warning("the session's %r is not of the key's type; ignored", self.name)
            return None

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        made_as = getattr(self, "__orig_class__", None)
        if made_as is None:
            raise TypeError(f"{self!r} has no type; write SessionKey[int]({self.name!r})")
        return TypeAdapter(get_args(made_as)[0])


def _check_words(value: object, depth: int) -> None:
    """Raise ValueError for what pydantic would keep as something else, or not read again.

    Args:
        value: Plain values.
        depth: How deep lists and objects may lie in each other: how much of the stack is left is
            another matter where they are read.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    members: Iterable[object]
    if isinstance(value, Mapping):
        members = cast("Mapping[object, object]", value).values()
    elif isinstance(value, list | tuple | set | frozenset):
        members = cast("Iterable[object]", value)
    else:
        return
    if depth == 0:
        raise ValueError
    for member in members:
        _check_words(member, depth - 1)
