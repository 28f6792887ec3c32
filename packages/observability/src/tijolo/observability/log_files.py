"""Log files: one for each level and one for failed requests, bounded in size, number and age."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from tijolo.core import HTTP_500_MARKER

HTTP_500_LOG_FILE = "500.log"
"""Records that carry the attribute `HTTP_500_MARKER`, whatever their level."""

LEVEL_LOG_FILES: dict[int, str] = {
    logging.DEBUG: "debug.log",
    logging.INFO: "info.log",
    logging.WARNING: "warning.log",
    logging.ERROR: "error.log",
    logging.CRITICAL: "critical.log",
}
"""The file of each level; a level in between goes to the file below it."""

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class FileLimits:
    """When a log file is rotated and how long the old ones stay."""

    max_bytes: int = 10 * 1024 * 1024
    """A file that would grow beyond this is rotated; 0 never rotates."""
    backup_count: int = 5
    """Rotated files kept beside each current one."""
    retention_days: float | None = None
    """Rotated files older than this are deleted when the log is opened or rotated."""

    def __post_init__(self) -> None:
        for name in ("max_bytes", "backup_count"):
            if getattr(self, name) < 0:
                raise ValueError(f"FileLimits.{name} must be 0 or more, got {getattr(self, name)}")
        if self.max_bytes and not self.backup_count:
            raise ValueError("FileLimits.max_bytes needs a backup_count of 1 or more to rotate to")
        if self.retention_days is not None and not self.retention_days > 0:
            raise ValueError(
                f"FileLimits.retention_days must be more than 0, got {self.retention_days!r}"
            )


def level_file_handlers(directory: Path, limits: FileLimits) -> list[logging.Handler]:
    """A handler for each file of `LEVEL_LOG_FILES` and one for `HTTP_500_LOG_FILE`.

    Raises:
        OSError: the directory cannot be made.
    """
    directory.mkdir(parents=True, exist_ok=True)
    levels = sorted(LEVEL_LOG_FILES)
    handlers: list[logging.Handler] = []
    for lowest, above in zip(levels, [*levels[1:], None], strict=True):
        handler = BoundedFileHandler(directory / LEVEL_LOG_FILES[lowest], limits)
        handler.addFilter(_LevelRange(lowest if lowest != levels[0] else 0, above))
        handlers.append(handler)
    failures = BoundedFileHandler(directory / HTTP_500_LOG_FILE, limits)
    failures.addFilter(_is_http_500)
    return [*handlers, failures]


class BoundedFileHandler(RotatingFileHandler):
    """A file that rotates by size, drops old generations by number and age, and follows renames.

    It is opened with the first record, and after any failure with the next one. When another
    process has rotated the file, it goes on in the new one; two processes that rotate at the same
    instant can still lose a generation, so give each its own directory, or log to stdout.
    """

    def __init__(self, path: Path, limits: FileLimits) -> None:
        super().__init__(
            path,
            maxBytes=limits.max_bytes,
            backupCount=limits.backup_count,
            encoding="utf-8",
            errors="backslashreplace",
            delay=True,
        )
        self._limits = limits
        self._delete_expired()

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record`, beyond `max_bytes` where the file cannot be rotated."""
        try:
            if self.shouldRollover(record):
                self._rotate(record)
            logging.FileHandler.emit(self, record)
        except Exception:
            self.handleError(record)

    def _rotate(self, record: logging.LogRecord) -> None:
        try:
            self.doRollover()
        except OSError:
            self.handleError(record)

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - stdlib's name
        """Whether `record` would exceed `max_bytes`, counted in bytes and not in characters."""
        self._follow_rename()
        if self.stream is None:
            self.stream = self._open()
        if not self.maxBytes:
            return False
        size = os.fstat(self.stream.fileno()).st_size
        return size > 0 and size + len(self.format(record).encode()) + 1 > self.maxBytes

    def doRollover(self) -> None:  # noqa: N802 - stdlib's name
        """Shift the generations, then delete those that are too old."""
        super().doRollover()
        self._delete_expired()

    def _follow_rename(self) -> None:
        if self.stream is None or self.stream.closed:
            self.stream = None
            return
        ours = os.fstat(self.stream.fileno())
        try:
            there = Path(self.baseFilename).stat()
        except FileNotFoundError:
            there = None
        if there is None or (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            # None first: a stream that is closed and still there could never be replaced.
            stream, self.stream = self.stream, None
            stream.close()

    def _delete_expired(self) -> None:
        if self._limits.retention_days is None:
            return
        oldest = time.time() - self._limits.retention_days * _SECONDS_PER_DAY
        current = Path(self.baseFilename)
        for path in current.parent.glob(f"{current.name}.*"):
            if path.suffix[1:].isdecimal():
                with suppress(FileNotFoundError):  # another process may have been faster
                    if path.stat().st_mtime < oldest:
                        path.unlink()


class _LevelRange:
    """A filter: levels from `lowest` up to, not including, `above`."""

    def __init__(self, lowest: int, above: int | None) -> None:
        self._lowest = lowest
        self._above = above

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the level of `record` is in the range."""
        return self._lowest <= record.levelno and (
            self._above is None or record.levelno < self._above
        )


def _is_http_500(record: logging.LogRecord) -> bool:
    return bool(getattr(record, HTTP_500_MARKER, False))
