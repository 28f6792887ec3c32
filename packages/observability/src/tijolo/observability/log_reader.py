"""The newest records of log files and their rotated generations, page by page, merged by time."""

from __future__ import annotations

import os
import re
import stat
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import FileIO
from pathlib import Path
from typing import Any

from tijolo.core import BadRequestException
from tijolo.observability.log_entries import Entry, LogFilter, entry_of
from tijolo.observability.log_lines import (
    CHUNK_BYTES,
    Line,
    Paused,
    Place,
    first_stamp,
    records,
    sortable,
)
from tijolo.observability.redaction import DEFAULT_REDACTOR, Redactor

MIN_SCAN_BYTES = 8 * 1024 * 1024
"""Enough for the longest line of each file, so that every page gets on."""

MAX_SCAN_BYTES = 16 * 1024 * 1024
MAX_PAGE_BYTES = 1024 * 1024
"""A page that has reached this many bytes of stored records ends."""

_HEAD_BYTES = 1024
_PROBE_BYTES = 8 * 1024
_LISTINGS = 5
_PAST = 1000
"""So many records in a row before `start` and nothing older is looked at."""
_REJECTED_COST = 8
"""A line that had to be parsed to be left out counts as so many times its length."""
_DISORDER = timedelta(minutes=1)
"""How far a record may lie from its place in time: several processes may write one file."""
_NEWEST = "~"  # sorts after every timestamp
_Identity = tuple[int, int]
_Position = tuple[int, int, bool]


@dataclass
class Meter:
    """What one page has cost."""

    limit: int
    bytes_read: int = 0
    charged: int = 0

    @property
    def exhausted(self) -> bool:
        """Whether no more may be read."""
        return self.bytes_read + self.charged >= self.limit


@dataclass
class LogPage:
    """Records, newest first; `position` is where the next page begins, None at the end."""

    entries: list[Entry] = field(default_factory=list[Entry])
    position: dict[str, Any] | None = None
    bytes_read: int = 0


class LogReader:
    """Reads log files backwards from their end, in memory that does not grow with them.

    Only files of the directory that are called as it was told, and their rotated generations
    (`info.log.1`), are opened; links, pipes and devices never are.

    Args:
        directory: where the files are; one that does not exist has no records.
        files: file names, each with the level of a line that does not name one.
        redactor: what is hidden, once more.
        max_scan_bytes: what one page may read; a page that ends there can be empty and still
            have a `position`.
    """

    def __init__(
        self,
        directory: Path,
        files: Mapping[str, str],
        *,
        redactor: Redactor = DEFAULT_REDACTOR,
        max_scan_bytes: int = MAX_SCAN_BYTES,
    ) -> None:
        if max_scan_bytes < MIN_SCAN_BYTES:
            raise ValueError(
                f"max_scan_bytes must be {MIN_SCAN_BYTES} or more, got {max_scan_bytes}"
            )
        self._directory = directory
        self._files = dict(files)
        self._redactor = redactor
        self._limit = max_scan_bytes

    def page(
        self,
        wanted: LogFilter,
        *,
        limit: int,
        files: Iterable[str] | None = None,
        position: Mapping[str, Any] | None = None,
    ) -> LogPage:
        """The newest `limit` records that match, of `files` or of all of them.

        Args:
            position: of the page before.

        Raises:
            BadRequestException: `position` is not one of a page.
            OSError: a file cannot be read; one that is gone is no error.
        """
        meter = Meter(self._limit)
        chosen = [name for name in self._files if files is None or name in set(files)]
        with ExitStack() as stack:
            streams = [
                stack.enter_context(closing(_Stream(self._directory, name, wanted, meter)))
                for name in chosen
                if position is None or name in position
            ]
            for stream in streams:
                stream.begin(None if position is None else _checked(position[stream.name]))
            return self._collect(streams, wanted, limit, meter)

    def _collect(
        self, streams: list[_Stream], wanted: LogFilter, limit: int, meter: Meter
    ) -> LogPage:
        page = LogPage()
        size = 0
        merge = _Merge(streams)
        while len(page.entries) < limit and size < MAX_PAGE_BYTES:
            found = merge.next()
            if found is None:
                break
            stream, line = found
            entry = self._wanted(stream, line, wanted, meter)
            if entry is not None:
                page.entries.append(entry)
                size += len(line.content or b"")
        positions = {stream.name: stream.position() for stream in streams}
        page.position = {name: place for name, place in positions.items() if place} or None
        page.bytes_read = meter.bytes_read
        return page

    def _wanted(self, stream: _Stream, line: Line, wanted: LogFilter, meter: Meter) -> Entry | None:
        if not wanted.within(line.stamp) or not wanted.may_match(line.content):
            return None
        entry = entry_of(line, self._redactor, level=self._files[stream.name])
        if wanted.matches(entry):
            return entry
        meter.charged += _REJECTED_COST * len(line.content or b"")
        return None


class _Merge:
    """The records of all streams, newest first."""

    def __init__(self, streams: list[_Stream]) -> None:
        self._paused = False
        self._heads: list[tuple[_Stream, Line]] = []
        for stream in streams:
            self._take(stream)

    def _take(self, stream: _Stream) -> None:
        try:
            line = stream.next()
        except Paused:
            self._paused = True  # its next record may be newer than those of the others
        else:
            if line is not None:
                self._heads.append((stream, line))

    def next(self) -> tuple[_Stream, Line] | None:
        """The newest record, which its stream counts as seen; None where the page has to end."""
        if self._paused or not self._heads:
            return None
        head = max(self._heads, key=lambda head: head[1].stamp)
        self._heads.remove(head)
        stream, line = head
        stream.seen(line)
        self._take(stream)
        return stream, line


class _Stream:
    """One log file with its generations, from its end."""

    def __init__(self, directory: Path, name: str, wanted: LogFilter, meter: Meter) -> None:
        self.name = name
        self._directory = directory
        self._meter = meter
        self._generations: list[tuple[Path, _Identity]] = []  # newest first
        self._current: _File | None = None
        self._place = Place(0)
        self._lines: Iterator[Line] = iter(())
        self._stamp = _NEWEST
        self._older = 0  # records in a row that lie before `_oldest`
        self._oldest = _shifted(wanted.start, -_DISORDER)
        self._newest = _shifted(wanted.end, _DISORDER)

    def begin(self, position: _Position | None) -> None:
        """Go to `position`, or to the newest record that the filter's `end` lets in."""
        self._generations = _generations(self._directory, self.name)
        if position is not None:
            self._resume(position)
            return
        while self._advance():
            if self._newest is not None:
                self._skip_newer(self._newest)
            if self._place.offset:
                return

    def next(self) -> Line | None:
        """The next older record; None where there is none, or none that can be wanted.

        Raises:
            Paused: the page has read as much as it may.
        """
        while self._current is not None:
            try:
                line = next(self._lines, None)
            except Paused as pause:
                self._place = pause.place
                raise
            if line is not None:
                self._stamp = line.stamp or self._stamp
                if self._is_past():
                    self.close()
                    return None
                return Line(line.content, line.before, self._stamp)
            self._advance()
        return None

    def close(self) -> None:
        """Nothing older is wanted."""
        if self._current is not None:
            self._current.close()
            self._current = None

    def _is_past(self) -> bool:
        """Whether enough records were too old; a few may have had a clock that was wrong."""
        if self._oldest is None or self._stamp >= self._oldest:
            self._older = 0
        else:
            self._older += 1
        return self._older > _PAST

    def seen(self, line: Line) -> None:
        """Go on before `line` on the next page."""
        self._place = line.before

    def position(self) -> list[Any] | None:
        """Where the next page has to go on; None where there is nothing left."""
        while self._current is not None and self._place.offset == 0:
            self._advance()
        if self._current is None:
            return None
        place = self._place
        return [self._current.fingerprint(place.offset), place.offset, place.skipping]

    def _advance(self) -> bool:
        """Go to the end of the next older generation, if there is one."""
        self.close()
        while self._generations and self._current is None:
            self._current = self._open(*self._generations.pop(0))
        if self._current is None:
            return False
        self._go_to(Place(self._current.size))
        return True

    def _go_to(self, place: Place) -> None:
        assert self._current is not None  # noqa: S101 - called where there is one
        self._place = place
        self._lines = records(self._current, place)

    def _resume(self, position: _Position) -> None:
        fingerprint, offset, skipping = position
        while self._advance():
            file = self._current
            if file and file.size >= offset and file.fingerprint(offset) == fingerprint:
                self._go_to(Place(offset, skipping))
                return
        # Rotated out and deleted since, and with it all that was older.

    def _skip_newer(self, newest: str) -> None:
        """Halve the file until what is left out is newer than `newest`."""
        assert self._current is not None  # noqa: S101 - called where there is one
        first = first_stamp(b"\n" + self._current.read(0, _PROBE_BYTES))
        low, high = 0, self._current.size
        if first is not None and first > newest:
            high = 0
        while high - low > CHUNK_BYTES:
            middle = (low + high) // 2
            stamp = first_stamp(self._current.read(middle, _PROBE_BYTES))
            if stamp is not None and stamp > newest:
                high = middle
            else:
                low = middle
        if 0 < high < self._current.size:
            # from the end of the line that lies across `high`
            beyond = self._current.read(high, CHUNK_BYTES).find(b"\n")
            high = high + beyond + 1 if beyond >= 0 else self._current.size
        self._go_to(Place(high))

    def _open(self, path: Path, identity: _Identity) -> _File | None:
        """The file of that identity, under whatever name it goes by now."""
        file = _opened(path, identity)
        if file is None:
            renamed = (_opened(other, identity) for other in _paths(self._directory, self.name))
            file = next(filter(None, renamed), None)
        return None if file is None else _File(file, self._meter)


class _File:
    """Bytes of a file, counted."""

    def __init__(self, file: FileIO, meter: Meter) -> None:
        self._file = file
        self._meter = meter
        self.size = os.fstat(file.fileno()).st_size
        """When it was opened; what is appended later belongs to another reading."""

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`; b"" when the page has read as much as it may."""
        if self._meter.exhausted:
            return b""
        self._file.seek(offset)
        found = self._file.read(size)
        self._meter.bytes_read += len(found)
        return found

    def fingerprint(self, offset: int) -> int:
        """Tells this file from others by how it begins: rotation and copies keep that."""
        self._file.seek(0)
        return zlib.crc32(self._file.read(min(offset, _HEAD_BYTES)))

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


def _opened(path: Path, identity: _Identity) -> FileIO | None:
    """The file at `path` if it is the one that was listed there."""
    try:
        if _identity(path.lstat()) != identity:
            return None
        file = _open_regular(path)
    except FileNotFoundError:
        return None
    if file is not None and _identity(os.fstat(file.fileno())) != identity:
        file.close()
        return None
    return file


def _open_regular(path: Path) -> FileIO | None:
    # A pipe would block without O_NONBLOCK, and a link can lead anywhere.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    file = FileIO(os.open(path, flags), closefd=True)
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    return None


def _paths(directory: Path, name: str) -> list[Path]:
    """The file and its generations, newest first."""
    pattern = re.compile(rf"{re.escape(name)}(?:\.(\d{{1,9}}))?", re.ASCII)
    found: list[tuple[int, Path]] = []
    with suppress(FileNotFoundError):
        for path in directory.iterdir():
            match = pattern.fullmatch(path.name)
            if match is not None:
                found.append((int(match[1] or 0), path))
    return [path for _, path in sorted(found)]


def _generations(directory: Path, name: str) -> list[tuple[Path, _Identity]]:
    """The generations as they stood at one moment: a rotation in between would hide one."""
    listed = _listed(directory, name)
    for _ in range(_LISTINGS):
        again = _listed(directory, name)
        if again == listed:
            break
        listed = again
    return listed


def _listed(directory: Path, name: str) -> list[tuple[Path, _Identity]]:
    found: dict[_Identity, Path] = {}
    for path in _paths(directory, name):
        with suppress(FileNotFoundError):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                found.setdefault(_identity(status), path)
    return [(path, identity) for identity, path in found.items()]


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino


def _shifted(moment: datetime | None, by: timedelta) -> str | None:
    if moment is None:
        return None
    try:
        return sortable(moment + by)
    except OverflowError:
        return sortable(moment)


def _checked(given: Any) -> _Position:
    match given:
        case [int(fingerprint), int(offset), bool(skipping)] if 0 <= offset < 2**63:
            return fingerprint, offset, skipping
        case _:
            raise invalid_position()


def invalid_position() -> BadRequestException:
    """The 400 of a cursor that nobody here made."""
    return BadRequestException(
        "The cursor is not one of this page; start again without it",
        code="INVALID_CURSOR",
        details={"field": "cursor"},
    )
