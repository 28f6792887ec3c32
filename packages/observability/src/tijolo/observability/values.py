"""Any Python value as one that JSON can hold: bounded, without cycles and without secrets."""

from __future__ import annotations

import dataclasses
import datetime
import math
import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, cast

from tijolo.observability.redaction import DEFAULT_REDACTOR, REDACTED, Redactor

MAX_CHARACTERS = 65_536
"""What the values of one record may take; what comes after that is cut."""

_MAX_DEPTH = 16
_MAX_KEY_LENGTH = 256
"""A longer name is cut, and its value hidden, for its end is not looked at."""
_NODE_COST = 8
_OVERLAP = 2_048
"""Characters read beyond a cut, so that a secret on the edge is still recognized."""
_TRUNCATED = "[truncated]"
_INT_RANGE = range(-(2**63), 2**64)
_SURROGATE = re.compile("[\ud800-\udfff]")


def scrubbed(
    value: Any, redactor: Redactor = DEFAULT_REDACTOR, *, max_characters: int = MAX_CHARACTERS
) -> Any:
    """`value` as None, bool, int, finite float, str, list or dict with str keys; never raises."""
    return _Walk(redactor, max_characters).visit(value, 0)


def scrubbed_fields(
    fields: dict[str, Any], redactor: Redactor, *, max_characters: int = MAX_CHARACTERS
) -> dict[str, Any]:
    """`scrubbed` of a dict, which stays one."""
    return _Walk(redactor, max_characters).mapping(fields.items(), 0)


def scrubbed_text(
    text: str, redactor: Redactor = DEFAULT_REDACTOR, *, max_characters: int = MAX_CHARACTERS
) -> str:
    """`text` without secrets and lone surrogates, cut at `max_characters`."""
    if len(text) > max_characters:
        cut = redactor.text(text[: max_characters + _OVERLAP])[:max_characters]
        text = f"{cut}{_TRUNCATED}"
    else:
        text = redactor.text(text)
    return text if text.isascii() else _SURROGATE.sub(_escape_surrogate, text)


def plain_text(value: object) -> str:
    """`str(value)` without what a subclass of str overrides."""
    return str.__str__(value if isinstance(value, str) else str(value))


def printable(value: object) -> str:
    """`str(value)`, or a stand-in where that raises."""
    try:
        return plain_text(value)
    except Exception:
        return f"<unprintable {type(value).__name__} object>"


def _escape_surrogate(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


class _Walk:
    """One conversion: what is left of its budget and which containers it is inside of."""

    __slots__ = ("inside", "left", "redactor")

    def __init__(self, redactor: Redactor, budget: int) -> None:
        self.redactor = redactor
        self.left = budget
        self.inside: set[int] = set()

    def visit(self, value: Any, depth: int) -> Any:
        self.left -= _NODE_COST
        kind = type(value)  # pyright: ignore[reportUnknownVariableType]
        if value is None or kind is bool:
            return value
        if kind is str:
            return self.text(value)
        if kind is int:
            return value if value in _INT_RANGE else self.text(f"{value:#x}")
        if kind is float:
            return value if math.isfinite(value) else repr(value)
        return self.guarded(value, depth)

    def text(self, text: str) -> str:
        if self.left <= 0:
            return _TRUNCATED
        clean = scrubbed_text(text, self.redactor, max_characters=self.left)
        self.left -= len(clean)
        return clean

    def other(self, value: Any, depth: int) -> Any:
        if isinstance(value, Enum):
            return self.visit(value.value, depth + 1) if depth < _MAX_DEPTH else _TRUNCATED
        for kind, convert in _SCALARS:
            if isinstance(value, kind):
                return self.visit(convert(value), depth) if depth < _MAX_DEPTH else _TRUNCATED
        return self.container(value, depth)

    def guarded(self, value: Any, depth: int) -> Any:
        try:
            known = type(value) in _CONTAINERS  # pyright: ignore[reportUnknownArgumentType]
            return self.container(value, depth) if known else self.other(value, depth)
        except Exception:
            return self.text(f"<unprintable {type(value).__name__} object>")

    def container(self, value: Any, depth: int) -> Any:
        pairs = _pairs(value)
        items = None if pairs is not None else _items(value)
        if pairs is None and items is None:
            return self.text(printable(value))
        if id(value) in self.inside:
            return "[circular]"
        if depth >= _MAX_DEPTH:
            return _TRUNCATED
        self.inside.add(id(value))
        try:
            if pairs is not None:
                return self.mapping(pairs, depth)
            return self.sequence(items or [], depth)
        finally:
            self.inside.discard(id(value))

    def sequence(self, items: list[Any], depth: int) -> list[Any]:
        if len(items) == 2 and _is_name(items[0]):
            # Headers, form fields and the like come as pairs.
            name = _key_text(items[0])
            return [self.visit(items[0], depth + 1), self.named(name, items[1], depth)]
        result: list[Any] = []
        for item in items:
            if self.left <= 0:
                result.append(_TRUNCATED)
                break
            result.append(self.visit(item, depth + 1))
        return result

    def mapping(self, pairs: Iterable[tuple[Any, Any]], depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        numbers: dict[str, int] = {}
        for raw_key, value in pairs:
            if self.left <= 0:
                result[_TRUNCATED] = True
                break
            # Before the value is looked at: what is hidden or null takes room too.
            self.left -= _NODE_COST
            name = raw_key if type(raw_key) is str else _key_text(raw_key)
            key = self.key(name)
            if key in result:
                key = _numbered(key, result, numbers)
            result[key] = self.named(name, value, depth)
        return result

    def named(self, name: str, value: Any, depth: int) -> Any:
        """A value that is hidden if its name says so; flags and absences are no secrets."""
        if value is None or type(value) is bool:
            return value
        if len(name) > _MAX_KEY_LENGTH or self.redactor.is_sensitive(name):
            return REDACTED
        return self.visit(value, depth + 1)

    def key(self, text: str) -> str:
        if len(text) > _MAX_KEY_LENGTH or not text.isidentifier():
            return self.text(text[:_MAX_KEY_LENGTH])
        self.left -= len(text)
        return text


def _numbered(text: str, taken: Mapping[str, Any], numbers: dict[str, int]) -> str:
    """`text` with the next free number; `numbers` holds the last one of each text."""
    number = numbers.get(text, 1) + 1
    while (key := f"{text}_{number}") in taken:
        number += 1
    numbers[text] = number
    return key


def _is_name(value: Any) -> bool:
    return isinstance(value, str | bytes) and len(value) <= _MAX_KEY_LENGTH


def _key_text(raw: Any) -> str:
    if isinstance(raw, str):
        return str.__str__(raw)
    if isinstance(raw, bytes):
        return raw[: _MAX_KEY_LENGTH + 1].decode("utf-8", "backslashreplace")
    return printable(raw)


def _pairs(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """Names and values of what has named parts, without those that its repr leaves out."""
    if isinstance(value, dict):
        # A copy: another thread may be writing to it.
        return list(value.items())  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, Mapping):
        return value.items()  # pyright: ignore[reportUnknownVariableType]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value) if f.repr]
    kind = cast("Any", type(value))
    if hasattr(kind, "model_fields"):  # pydantic, which core brings
        hidden = {name for name, field in kind.model_fields.items() if not field.repr}
        return [(name, part) for name, part in vars(value).items() if name not in hidden]
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return list(zip(kind._fields, cast("Iterable[Any]", value), strict=True))
    return None


def _items(value: Any) -> list[Any] | None:
    if isinstance(value, list | tuple | set | frozenset):
        return list(cast("Iterable[Any]", value))
    return None


_CONTAINERS = frozenset((dict, list, tuple))

_SCALARS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (bool, bool),
    (int, int),
    (float, float),
    (bytes, lambda b: bytes(b[:MAX_CHARACTERS]).decode("utf-8", "backslashreplace")),
    (bytearray, lambda b: bytes(b[:MAX_CHARACTERS]).decode("utf-8", "backslashreplace")),
    (datetime.datetime, datetime.datetime.isoformat),
    (datetime.date, datetime.date.isoformat),
    (datetime.time, datetime.time.isoformat),
)
"""Subclasses of what JSON knows, as the exact type; what they override is not trusted."""
