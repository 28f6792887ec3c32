"""The newest records in memory, for a service that logs to standard output alone."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tijolo.core import HTTP_500_MARKER
from tijolo.observability.formatters import JSONFormatter
from tijolo.observability.log_entries import LogFilter, entry_of
from tijolo.observability.log_files import HTTP_500_LOG_FILE, LEVEL_LOG_FILES
from tijolo.observability.log_lines import Line, Place, stamp_of
from tijolo.observability.log_reader import MAX_PAGE_BYTES, LogPage, invalid_position
from tijolo.observability.redaction import DEFAULT_REDACTOR, Redactor

_POSITION = "memory"


@dataclass(frozen=True, slots=True)
class _Kept:
    number: int
    files: tuple[str, ...]
    level: str
    content: bytes


class LogBuffer(logging.Handler):
    """A sink that keeps the newest records of this process; the oldest make room.

    Give it to `configure_logging(sinks=[...])` and to `make_logs_router(buffer=...)`.

    Args:
        capacity: records kept.
        max_bytes: what they may take, as JSON; one that alone takes more is not kept.
        redactor: what is hidden, once more.
    """

    def __init__(
        self,
        capacity: int = 2000,
        *,
        max_bytes: int = 4 * 1024 * 1024,
        redactor: Redactor = DEFAULT_REDACTOR,
    ) -> None:
        if capacity < 1 or max_bytes < 1:
            raise ValueError(
                f"LogBuffer needs a capacity and max_bytes of 1 or more, got {capacity} and"
                f" {max_bytes}"
            )
        super().__init__()
        self.setFormatter(JSONFormatter(redactor=redactor))
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._redactor = redactor
        self._kept: deque[_Kept] = deque()
        self._size = 0
        self._count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep `record`; called with the handler's lock held."""
        try:
            content = self.format(record).encode("utf-8", "backslashreplace")
        except Exception:
            self.handleError(record)
            return
        self._count += 1
        self._kept.append(_Kept(self._count, _files(record), record.levelname, content))
        self._size += len(content)
        while self._kept and (len(self._kept) > self._capacity or self._size > self._max_bytes):
            self._size -= len(self._kept.popleft().content)

    def page(
        self,
        wanted: LogFilter,
        *,
        limit: int,
        files: Iterable[str] | None = None,
        position: Mapping[str, Any] | None = None,
    ) -> LogPage:
        """The newest `limit` records that match; see `LogReader.page`."""
        before = None if position is None else position.get(_POSITION)
        if position is not None and not isinstance(before, int):
            raise invalid_position()
        chosen = None if files is None else set(files)
        page = LogPage()
        size = 0
        for kept in self._before(before):
            if len(page.entries) == limit or size >= MAX_PAGE_BYTES:
                page.position = {_POSITION: kept.number + 1}
                break
            if chosen is not None and chosen.isdisjoint(kept.files):
                continue
            entry = self._wanted(kept, wanted)
            if entry is not None:
                page.entries.append(entry)
                size += len(kept.content)
        return page

    def _before(self, number: int | None) -> list[_Kept]:
        self.acquire()
        try:
            kept = list(self._kept)
        finally:
            self.release()
        return [one for one in reversed(kept) if number is None or one.number < number]

    def _wanted(self, kept: _Kept, wanted: LogFilter) -> dict[str, Any] | None:
        stamp = stamp_of(kept.content) or ""
        if not wanted.within(stamp) or not wanted.may_match(kept.content):
            return None
        entry = entry_of(Line(kept.content, Place(0), stamp), self._redactor, level=kept.level)
        return entry if wanted.matches(entry) else None


def _files(record: logging.LogRecord) -> tuple[str, ...]:
    """The files that `configure_logging(log_dir=...)` would write the record to."""
    level = max((one for one in LEVEL_LOG_FILES if one <= record.levelno), default=logging.DEBUG)
    failed = bool(getattr(record, HTTP_500_MARKER, False))
    return (LEVEL_LOG_FILES[level], *((HTTP_500_LOG_FILE,) if failed else ()))
