"""Many values at once, streamed: a file's lines, a query's rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .kind import Kind
from .registry import KINDS
from .strictness import STRICT, Strictness, is_lenient


class Verdict(NamedTuple):
    """What ``validate_many`` says of one value."""

    position: int
    """Where it came, from 0."""
    valid: bool
    canonical: str | None
    """The form to store; None for an invalid value."""


def validate_many(
    kind: str | Kind, values: Iterable[object], *, strictness: Strictness = STRICT
) -> Iterator[Verdict]:
    """Judge each of ``values`` as it comes; nothing is collected.

    ``kind`` is a name in ``KINDS`` or a ``Kind``. What is wrong with a value,
    ``KINDS[kind].explain(value)`` says.

    Raises:
        KeyError: there is no kind of that name.
        TypeError: ``values`` is one text, not several values.
    """
    if isinstance(values, str | bytes):
        raise TypeError(f"values must be several values, not one {type(values).__name__!r}")
    is_lenient(strictness)  # another type is a TypeError now, not at the first value
    one = KINDS[kind] if isinstance(kind, str) else kind
    return _verdicts(one, values, strictness)


def _verdicts(kind: Kind, values: Iterable[object], strictness: Strictness) -> Iterator[Verdict]:
    is_valid, normalize = kind.is_valid, kind.normalize
    for position, value in enumerate(values):
        if is_valid(value, strictness=strictness):
            canonical = normalize(value, strictness=strictness)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            yield Verdict(position, True, canonical)
        else:
            yield Verdict(position, False, None)
