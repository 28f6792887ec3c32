"""Log records as lines: JSON for machines, text for people. One record can never look like two."""

from __future__ import annotations

import json
import logging
import re
import time
from functools import lru_cache
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any

from tijolo.observability.records import content_of
from tijolo.observability.redaction import DEFAULT_REDACTOR, Redactor

RESERVED_KEYS: frozenset[str] = frozenset(
    (
        "exception",
        "function",
        "level",
        "line",
        "logger",
        "message",
        "module",
        "request_id",
        "span_id",
        "stack",
        "timestamp",
        "trace_id",
        "user_id",
    )
)
"""Keys that only the formatter writes; a field of such a name becomes `extra_<name>`."""

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_encode_ascii = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode

# What some reader takes for the end of a line (str.splitlines, ECMAScript before 2019), and the
# C1 controls, which terminals obey; and lone surrogates, which no output can encode. JSON itself
# escapes only what is below U+0020.
_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# The same for text, with all controls (ECMA-48) and what reorders the line (Unicode TR 36).
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_COLORS = {
    logging.DEBUG: "\x1b[36m",
    logging.INFO: "\x1b[32m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[1;31m",
}
_RESET = "\x1b[0m"


class JSONFormatter(logging.Formatter):
    """One JSON object on one line for each record, whatever it holds; usable on any handler.

    `timestamp` (UTC, RFC 3339), `level`, `logger`, `module`, `function`, `line` and `message`
    are always there; `request_id`, `user_id`, `trace_id`, `span_id`, `exception` and `stack`
    where there are any. All other keys are the fields of the caller.

    Args:
        redactor: what is hidden.
        ascii_only: escape everything else, for an output that is not UTF-8.
    """

    def __init__(self, *, redactor: Redactor = DEFAULT_REDACTOR, ascii_only: bool = False) -> None:
        super().__init__()
        self._redactor = redactor
        self._encode = _encode_ascii if ascii_only else _encode
        self._quote = encode_basestring_ascii if ascii_only else encode_basestring

    def format(self, record: logging.LogRecord) -> str:
        """`record` as a JSON object without a line break."""
        content = content_of(record, self._redactor)
        message, request_id, user_id, trace_id, span_id, fields, exception, stack = content
        quote = self._quote
        site = _site(record.name, record.levelname, record.module, record.funcName, record.lineno)
        line = f'{{"timestamp":"{_timestamp(record.created)}",{site}{quote(message)}'
        if request_id is not None:
            line += f',"request_id":{quote(request_id)}'
        if user_id is not None:
            line += f',"user_id":{quote(user_id)}'
        if trace_id is not None:
            line += f',"trace_id":"{trace_id}","span_id":"{span_id}"'
        if fields:
            line += self._members(_renamed(fields))
        if exception is not None:
            line += f',"exception":{quote(exception)}'
        if stack is not None:
            line += f',"stack":{quote(stack)}'
        line += "}"
        return line if line.isascii() else _BREAKS.sub(_escaped, line)

    def _members(self, fields: dict[str, Any]) -> str:
        """`,"name":value` for each field; the encoder is slow to start, so scalars go around it."""
        quote = self._quote
        parts: list[str] = []
        for name, value in fields.items():
            kind = type(value)  # pyright: ignore[reportUnknownVariableType]
            if kind is str:
                parts.append(f",{quote(name)}:{quote(value)}")
            elif kind is int or kind is float:
                parts.append(f",{quote(name)}:{value!r}")
            else:
                parts.append(f",{quote(name)}:{self._encode(value)}")
        return "".join(parts)


class TextFormatter(logging.Formatter):
    """A line for people: time, level, logger, message, fields; tracebacks indented below it.

    Control characters and escape sequences of the message are shown escaped, and every line
    below the first begins with spaces, so that no input can forge a record.

    Args:
        redactor: what is hidden.
        color: colour the level, for a terminal.
        encoding: of the output; what it cannot hold is shown escaped.
    """

    def __init__(
        self,
        *,
        redactor: Redactor = DEFAULT_REDACTOR,
        color: bool = False,
        encoding: str = "utf-8",
    ) -> None:
        super().__init__()
        self._encoding = encoding
        self._redactor = redactor
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        """`record` as one line, and an indented block where there is an exception."""
        message, *ids, fields, exception, stack = content_of(record, self._redactor)
        level = f"{_plain(record.levelname):<8}"
        if self._color:
            level = f"{_COLORS.get(record.levelno, '')}{level}{_RESET}"
        pairs = [
            f" {name}={_plain(str(value))}"
            for name, value in zip(_IDS, ids, strict=True)
            if value is not None
        ]
        pairs += [f" {_plain(k)}={_plain(_encode(v))}" for k, v in _renamed(fields).items()]
        blocks = [_indented(text) for text in (exception, stack) if text]
        head = f"{_timestamp(record.created)} {level} {_plain(record.name)}: {_plain(message)}"
        text = "".join((head, *pairs, *blocks))
        if text.isascii():
            return text
        return text.encode(self._encoding, "backslashreplace").decode(self._encoding)


_IDS = ("request_id", "user_id", "trace_id", "span_id")


@lru_cache(maxsize=4096)
def _site(logger: str, level: str, module: str, function: str | None, line: int) -> str:
    """What never changes for one logging call; encoded to ASCII to fit every output."""
    where = {
        "level": level,
        "logger": logger,
        "module": module,
        "function": function,
        "line": line,
    }
    return f'{_encode_ascii(where)[1:-1]},"message":'


_MILLISECONDS = [f"{number:03d}Z" for number in range(1000)]


@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(seconds))


def _timestamp(created: float) -> str:
    seconds, milliseconds = divmod(int(created * 1000), 1000)
    return _second(seconds) + _MILLISECONDS[milliseconds]


def _renamed(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields under keys of their own: never a reserved one, never one twice."""
    if RESERVED_KEYS.isdisjoint(fields):
        return fields
    result = {name: value for name, value in fields.items() if name not in RESERVED_KEYS}
    for name in RESERVED_KEYS & fields.keys():
        key = f"extra_{name}"
        while key in result:
            key = f"extra_{key}"
        result[key] = fields[name]
    return result


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _plain(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return _CONTROLS.sub(_escaped, text)


def _indented(text: str) -> str:
    return "".join(f"\n    {_plain(line)}" for line in text.split("\n"))
