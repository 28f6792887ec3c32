"""What a caller may read about input that was refused: where and why, never what was sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

MAX_ERRORS = 100
MAX_LOC_ITEMS = 32
MAX_LOC_CHARACTERS = 128
_MAX_FRAGMENTS = 200
_WRITTEN_BY_VALIDATORS = {"value_error", "assertion_error"}


def public_errors(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The first errors without ``input``, ``ctx`` and ``url``, and with messages that echo nothing.

    At most ``MAX_ERRORS``: a body of a million unknown keys is not worth a document that long.
    """
    return [_public_error(error) for error in errors[:MAX_ERRORS]]


def _public_error(error: Mapping[str, Any]) -> dict[str, Any]:
    loc = [_bounded(item) for item in tuple(error.get("loc", ()))[:MAX_LOC_ITEMS]]
    public: dict[str, Any] = {"loc": loc, "message": _message(error), "type": error.get("type", "")}
    if loc and loc[0] == "body":
        public["pointer"] = "#" + "".join(f"/{_escape(item)}" for item in loc[1:])
    return public


def _bounded(item: object) -> str | int:
    if isinstance(item, int):
        return item
    return str(item)[:MAX_LOC_CHARACTERS]


def _escape(item: str | int) -> str:
    return str(item).replace("~", "~0").replace("/", "~1")


def _message(error: Mapping[str, Any]) -> str:
    kind, text = str(error.get("type", "")), str(error.get("msg", "Invalid value"))
    if kind == "union_tag_invalid":  # Pydantic quotes the tag that was sent
        context: Mapping[str, Any] = error.get("ctx") or {}
        expected = context.get("expected_tags", "")
        return f"Input tag is none of the expected ones: {expected}"
    shortest = 1 if kind in _WRITTEN_BY_VALIDATORS else 4
    if any(
        _contains(text, sent) for sent in _fragments(error.get("input")) if len(sent) >= shortest
    ):
        return "Invalid value"
    return text


def _contains(text: str, sent: str) -> bool:
    if len(sent) >= 4:
        return sent in text
    return re.search(rf"(?<!\w){re.escape(sent)}(?!\w)", text) is not None


def _fragments(value: object) -> Iterator[str]:
    """Scalars of what was sent, as text; enough of them to catch what a validator may quote."""
    todo: list[object] = [value]
    seen = 0
    while todo and seen < _MAX_FRAGMENTS:
        item = todo.pop()
        seen += 1
        if isinstance(item, Mapping):
            values = cast("Mapping[object, object]", item).values()
            todo.extend(islice(values, _MAX_FRAGMENTS))
        elif isinstance(item, (list, tuple, set, frozenset)):
            todo.extend(islice(cast("Iterable[object]", item), _MAX_FRAGMENTS))
        else:
            yield from _as_text(item)


def _as_text(item: object) -> Iterator[str]:
    if item is None or isinstance(item, bool):
        return
    if isinstance(item, bytes):
        item = item.decode("utf-8", "replace")
    try:
        text = str(item)
    except Exception:
        return
    if text.strip():
        yield text
        if text.strip() != text:
            yield text.strip()
