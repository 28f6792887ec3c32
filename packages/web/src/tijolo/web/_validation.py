"""What a caller may read about input that was refused: where and why, never what was sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast, get_args

from pydantic_core.core_schema import ErrorType

MAX_ERRORS = 100
MAX_LOC_ITEMS = 32
MAX_LOC_CHARACTERS = 128
MAX_MESSAGE_CHARACTERS = 1000
_MAX_FRAGMENTS = 200
_ESCAPED = frozenset("\\\"'")
_WRITTEN_BY_PYDANTIC = frozenset(get_args(ErrorType)) - {"value_error", "assertion_error"}


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
    if _may_echo(text, error.get("input"), by_validator=kind not in _WRITTEN_BY_PYDANTIC):
        return "Invalid value"
    return text


def _may_echo(text: str, value: object, *, by_validator: bool) -> bool:
    """Whether ``text`` quotes ``value``, or cannot be searched for all that a validator saw."""
    if not by_validator:
        return any(_quotes(text, sent) for sent in _fragments(value)[0] if len(sent) >= 4)
    if len(text) > MAX_MESSAGE_CHARACTERS:
        return True
    fragments, complete = _fragments(value)
    return not complete or any(_quotes(text, sent) for sent in fragments)


def _quotes(text: str, sent: str) -> bool:
    # no way to write it is shorter than it is
    return len(sent) <= len(text) and any(_contains(text, form) for form in _written_forms(sent))


def _written_forms(sent: str) -> set[str]:
    """``sent`` as it is and as ``repr``, ``ascii`` and JSON write it."""
    if sent.isascii() and sent.isprintable() and _ESCAPED.isdisjoint(sent):
        return {sent}
    quoted = [repr(sent), ascii(sent), json.dumps(sent), json.dumps(sent, ensure_ascii=False)]
    as_bytes = repr(sent.encode("utf-8", "surrogatepass"))
    # a quote mark that stands beside the other one is escaped where the text is part of more
    return {sent, as_bytes[2:-1], *(form[1:-1] for form in quoted), repr(sent + "'\"")[1:-4]}


def _contains(text: str, sent: str) -> bool:
    """Whether ``sent`` stands in ``text``; what is short must stand there as a word."""
    if len(sent) >= 4:
        return sent in text
    start = text.find(sent)
    while start >= 0:
        end = start + len(sent)
        if not (_is_of_a_word(text[start - 1 : start]) or _is_of_a_word(text[end : end + 1])):
            return True
        start = text.find(sent, start + 1)
    return False


def _is_of_a_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _fragments(value: object) -> tuple[list[str], bool]:
    """Scalars of what was sent, as text, and whether these are all of them."""
    todo: list[object] = [value]
    found: list[str] = []
    for _ in range(_MAX_FRAGMENTS):
        if not todo:
            break
        item = todo.pop()
        members = _members(item)
        if members is None:
            found += _as_text(item)
        else:
            # one more than can be looked at: what is left over shows that there was more
            todo.extend(islice(members, _MAX_FRAGMENTS + 1))
    return found, not todo


def _members(item: object) -> Iterable[object] | None:
    if isinstance(item, Mapping):
        return cast("Mapping[object, object]", item).values()
    if isinstance(item, (list, tuple, set, frozenset)):
        return cast("Iterable[object]", item)
    return None


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
