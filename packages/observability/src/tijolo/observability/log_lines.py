"""The lines of a log file from its end, in bounded memory, whatever the file holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

CHUNK_BYTES = 64 * 1024
MAX_LINE_BYTES = 512 * 1024
"""A longer line is not kept; a stand-in says that it was there."""

_STAMP = re.compile(
    rb'\A(?:\{"timestamp":")?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)(?=["\s])', re.ASCII
)
_OTHER_STAMP = re.compile(
    rb'\A\s*(?:\{\s*"timestamp"\s*:\s*")?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\w:.,+-]{0,20})'
)
_CONTINUATION = b"    "
"""What `TextFormatter` begins each line below the first with."""


class Source(Protocol):
    """Bytes that can be read at any place, and are counted."""

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`, fewer at the end; b"" when no more may be read."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where to go on reading, backwards: everything from `offset` on has been seen."""

    offset: int
    skipping: bool = False
    """The bytes before `offset` belong to a line that is left out."""


@dataclass(frozen=True, slots=True)
class Line:
    """A record as it is stored, and where the next older one ends."""

    content: bytes | None
    """None stands for a line that is too long to be kept."""
    before: Place
    stamp: str


class Paused(Exception):  # noqa: N818 - it is no error
    """The reader has read as much as it may; `place` is where to go on."""

    def __init__(self, place: Place) -> None:
        self.place = place


def stamp_of(line: bytes) -> str | None:
    """When a record was logged, in a form that sorts; None where the line does not say."""
    match = _STAMP.match(line)
    if match is not None:
        return match[1].decode("ascii")
    match = _OTHER_STAMP.match(line)
    if match is None:
        return None
    try:
        return sortable(datetime.fromisoformat(match[1].decode("ascii").replace(",", ".")))
    except (ValueError, OverflowError):
        return None


def sortable(moment: datetime) -> str:
    """`moment` as our records write it; a naive one is taken to be UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return f"{aware.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def records(source: Source, place: Place) -> Iterator[Line]:
    """The records before `place`, newest first: a line of JSON, or a line with its traceback.

    Raises:
        Paused: the source may not be read any further.
    """
    block: list[bytes] = []
    size = 0
    given = place
    try:
        for content, before in _lines(source, place):
            if content is None:
                yield from _whole(block, place)
                yield Line(None, before, "")
            else:
                block.append(content)
                size += len(content)
                if content.startswith(_CONTINUATION) and size <= MAX_LINE_BYTES:
                    place = before
                    continue
                yield from _whole(block, before)
            block, size = [], 0
            given = place = before
    except Paused:
        if block:
            raise Paused(given) from None
        raise
    yield from _whole(block, place)


def _whole(block: list[bytes], before: Place) -> Iterator[Line]:
    """The lines of `block`, which are in reverse, as one record."""
    if block:
        yield Line(b"\n".join(reversed(block)), before, stamp_of(block[-1]) or "")


def _lines(source: Source, place: Place) -> Iterator[tuple[bytes | None, Place]]:
    """Each line that is not empty, last first, and where it begins."""
    position, skipping = place.offset, place.skipping
    tail = b""  # begins at `position` and holds no line break
    while position > 0:
        size = min(CHUNK_BYTES, position)
        chunk = source.read(position - size, size)
        if len(chunk) < size:
            raise Paused(Place(position + len(tail), skipping))
        position -= size
        first, *rest = (chunk + tail).split(b"\n")
        end = position + size + len(tail)
        for content in reversed(rest):
            start = end - len(content)
            if not skipping and content.strip(b"\0 \t\r"):
                yield content.strip(b"\0\r"), Place(start)
            skipping = False
            end = start - 1
        tail = b"" if skipping else first
        if len(tail) > MAX_LINE_BYTES:
            tail, skipping = b"", True
            yield None, Place(position, skipping)
    if tail.strip(b"\0 \t\r"):
        yield tail.strip(b"\0\r"), Place(0)


def first_stamp(chunk: bytes) -> str | None:
    """The first timestamp in `chunk` after its first line break."""
    for line in chunk.split(b"\n")[1:]:
        stamp = stamp_of(line.strip(b"\0\r"))
        if stamp is not None:
            return stamp
    return None
