"""What a stored log line says: parsed, redacted once more, and held against a filter."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, cast

from tijolo.observability.log_lines import MAX_LINE_BYTES, Line, sortable
from tijolo.observability.redaction import DEFAULT_REDACTOR, Redactor
from tijolo.observability.values import scrubbed_fields

Entry = dict[str, Any]

_TEXT = re.compile(r"\A(\d{4}-\S{10,40})\s+(\S{1,64})\s+(\S{1,256}): (.*)\Z", re.DOTALL)
_ALWAYS: tuple[str, ...] = ("timestamp", "level", "logger", "message")
_OPTIONAL = ("request_id", "exception")
_TOO_LONG = "[a line of more than 512 KiB is left out]"
_DISTURBING = re.compile(rb"[\\\x80-\xff]")
"""Where one of these is, the text may be spelled in more ways than one."""


@dataclass(frozen=True, kw_only=True)
class LogFilter:
    """Which records are wanted; what is None does not matter."""

    level: int | None = None
    """This level or a higher one."""
    text: str | None = None
    """In the message, the exception, the logger's name or a field; case does not matter."""
    request_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    """Both included, to the millisecond."""

    @cached_property
    def _folded(self) -> str:
        return (self.text or "").casefold()

    @cached_property
    def _needles(self) -> tuple[bytes, ...]:
        """What the bytes of a wanted line must hold, where they are not spelled otherwise."""
        plain = [self._folded, (self.request_id or "").casefold()]
        return tuple(
            text.encode()
            for text in plain
            if text and text.isascii() and text.isprintable() and '"' not in text
        )

    def within(self, stamp: str) -> bool:
        """Whether a record of that moment is wanted."""
        start, end = self._span
        return (start is None or stamp >= start) and (end is None or stamp <= end)

    @cached_property
    def _span(self) -> tuple[str | None, str | None]:
        return (
            None if self.start is None else sortable(self.start),
            None if self.end is None else sortable(self.end),
        )

    def may_match(self, content: bytes | None) -> bool:
        """False where the bytes alone show that the record is not wanted."""
        if not self._needles:
            return True
        if content is None:
            return False
        lower = content.lower()
        return all(needle in lower for needle in self._needles) or bool(_DISTURBING.search(content))

    def matches(self, entry: Entry) -> bool:
        """Whether the record is wanted, its moment aside."""
        if self.level is not None and _number(entry["level"]) < self.level:
            return False
        if self.request_id is not None and not _is_of(entry, self.request_id):
            return False
        return not self._folded or self._folded in _searchable(entry)


def entry_of(line: Line, redactor: Redactor = DEFAULT_REDACTOR, *, level: str) -> Entry:
    """The record of `line`, redacted, with the keys that every record has.

    A line that is none of ours is its own message.

    Args:
        level: of the file, for a line that does not name one.
    """
    if line.content is None:
        return {"timestamp": "", "level": level, "logger": "", "message": _TOO_LONG}
    text = line.content.decode("utf-8", "backslashreplace")
    found = _from_json(text) or _from_text(text) or {"message": text, "level": level}
    # The line is bounded, and its parts were, each by itself: a long message must not cost the
    # record its request id and its exception.
    entry = scrubbed_fields(found, redactor, max_characters=MAX_LINE_BYTES)
    for name in _ALWAYS:
        entry[name] = _as_text(entry.get(name))
    for name in _OPTIONAL:
        if entry.get(name) is not None:
            entry[name] = _as_text(entry[name])
    return entry


def _from_json(text: str) -> dict[str, Any] | None:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) and found else None


def _from_text(text: str) -> dict[str, Any] | None:
    head, *below = text.split("\n    ")
    match = _TEXT.match(head)
    if match is None:
        return None
    names: dict[str, Any] = dict(zip(_ALWAYS, match.groups(), strict=True))
    return {**names, "exception": "\n".join(below)} if below else names


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)


_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""As the page shows it."""


def _number(level: str) -> int:
    return logging.getLevelNamesMapping().get(level.upper(), logging.CRITICAL)


def _is_of(entry: Entry, request_id: str) -> bool:
    if "request_id" in entry:
        return bool(entry["request_id"] == request_id)
    # a line of text is not taken apart: fields and message would be mistaken for each other
    return f" request_id={request_id} " in f"{entry['message']} "


def _searchable(entry: Entry) -> str:
    parts = [
        value if isinstance(value, str) else _compact(value)
        for name, value in entry.items()
        if name not in {"timestamp", "level", "module", "function", "line"}
    ]
    return "\n".join(parts).casefold()
