"""Header fields that are what was meant and nothing else (RFC 5322, RFC 2047)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from email.header import Header
from email.utils import quote

from tijolo.email.errors import InvalidHeaderError

MAX_LINE_BYTES = 998
"""Longest line without its CRLF (RFC 5322, section 2.1.1)."""
MAX_VALUE_CHARACTERS = 10_000

_OWN_NAMES = """
    from to cc bcc reply-to subject date message-id mime-version return-path dkim-signature
    list-unsubscribe list-unsubscribe-post
"""
OWN_HEADERS = frozenset(_OWN_NAMES.split())
"""What ``send`` has an argument for, or what would contradict the message."""
_NAME = re.compile(r"[!-9;-~]{1,76}")
_ATEXT_WORDS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+)*")


def clean_value(name: str, value: str) -> str:
    """``value`` as the text of header ``name``; a tab becomes a space.

    Raises:
        InvalidHeaderError: a line break or another control character, a lone surrogate, or
            more than 10 000 characters.
    """
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"header {name!r} is a str, got {type(value).__name__}")
    if len(value) > MAX_VALUE_CHARACTERS:
        raise InvalidHeaderError(
            f"header {name!r} has {len(value)} characters; at most {MAX_VALUE_CHARACTERS} are sent"
        )
    text = value.replace("\t", " ")
    for char in text:
        if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}:
            raise InvalidHeaderError(
                f"header {name!r} must be one line of text; it contains {char!r}"
            )
    return text


def custom_headers(given: Mapping[str, str]) -> dict[str, str]:
    """Headers of the caller's own, checked.

    Raises:
        InvalidHeaderError: not a field name, one that this package writes, or a bad value.
    """
    checked: dict[str, str] = {}
    for name, value in given.items():
        lowered = name.lower()
        if not _NAME.fullmatch(name):
            raise InvalidHeaderError(f"{name[:80]!r} is not a header name (RFC 5322, 3.6.8)")
        if lowered in OWN_HEADERS or lowered.startswith("content-"):
            raise InvalidHeaderError(f"header {name!r} is written by the library")
        if lowered in map(str.lower, checked):
            raise InvalidHeaderError(f"header {name!r} is given twice")
        checked[name] = clean_value(name, value)
    return checked


def text_field(name: str, value: str) -> str:
    """A folded field of free text; other alphabets as encoded words."""
    text = clean_value(name, value)
    plain = text.isascii() and "=?" not in text and max(map(len, text.split(" "))) < 900
    if plain and len(name) + len(text) < 76:
        return f"{name}: {text}\r\n"
    if plain and "  " not in text and text == text.strip():
        return _folded(name, text.split(" "), " ")
    encoded = Header(text, "utf-8", maxlinelen=76, header_name=name).encode(linesep="\r\n")
    return f"{name}: {encoded}\r\n"


def list_field(name: str, items: Iterable[str]) -> str:
    """A folded field of items that are in their header form already, separated by commas."""
    return _folded(name, list(items), ", ")


def _folded(name: str, items: list[str], separator: str) -> str:
    lines, line = list[str](), f"{name}:"
    for position, item in enumerate(items):
        piece = item + (separator.rstrip() if position < len(items) - 1 else "")
        # never before the first: a line of nothing but the name confuses receivers
        if position and len(line.encode()) + len(piece.encode()) > 76:
            lines.append(line)
            line = ""
        line += f" {piece}"
    lines.append(line)
    if any(len(each.encode()) > MAX_LINE_BYTES for each in lines):
        raise InvalidHeaderError(f"header {name!r} has an item of more than 998 bytes")
    return "\r\n".join(lines) + "\r\n"


def encode_phrase(text: str) -> str:
    """A display name in a header: plain, quoted, or in encoded words (RFC 2047, section 5)."""
    if _ATEXT_WORDS.fullmatch(text) and "=?" not in text:
        return text
    if text.isascii() and "=?" not in text and len(text) < 200:
        return f'"{quote(text)}"'
    return Header(text, "utf-8", maxlinelen=70).encode(linesep="\r\n")
