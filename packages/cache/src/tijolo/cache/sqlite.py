"""Entries in a SQLite file: shared by the processes of one machine, and there after a restart.

Needs nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tijolo.cache.backends import Snapshot
from tijolo.cache.errors import NotConnectedError
from tijolo.cache.keys import MAX_TAGS

T = TypeVar("T")
SWEEP_EVERY = 100
"""Computations between two looks at the limits, whether their results are stored or not."""
ENTRY_OVERHEAD_BYTES = 200

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    key TEXT PRIMARY KEY, data BLOB NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entry_until ON entry (until);
CREATE TABLE IF NOT EXISTS lease (
    key TEXT PRIMARY KEY, token TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tag (
    key TEXT PRIMARY KEY, version TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tag_until ON tag (until);
"""
_SIZE = "length(key) + length(data) + ?"
SWEPT_AT_ONCE = 200


class SQLiteBackend:
    """For several processes on one machine that share no Redis.

    A thread of its own does the work, so that the event loop never waits for the disk; each
    operation is one transaction. Every 100 computations, what has expired goes, and then what
    expires first until the limits hold. The file is readable by its owner alone.

    Args:
        path: The file; its directory must exist. ``":memory:"`` for tests.
        max_entries: Entries kept, and about twice as many tags.
        max_bytes: Keys and data together, with some 200 bytes for each entry.
        busy_seconds: How long to wait while another process writes.
        clock: Seconds since the epoch, the same for all processes.

    Raises:
        ValueError: a limit is below 1.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        max_entries: int = 100_000,
        max_bytes: int = 256 * 1024 * 1024,
        busy_seconds: float = 0.2,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if max_entries < 1 or max_bytes < 1:
            raise ValueError("max_entries and max_bytes must be 1 or more")
        self._path, self._busy_seconds, self._clock = str(path), busy_seconds, clock
        self._max_entries, self._max_bytes = max_entries, max_bytes
        self._worker: ThreadPoolExecutor | None = None
        self._db: sqlite3.Connection | None = None
        self._computations = 0

    def __repr__(self) -> str:
        return f"SQLiteBackend({self._path!r})"

    async def connect(self) -> None:
        """Open the file, made where it is missing."""
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="tijolo-cache")
            try:
                self._db = await self._run(self._open)
            except BaseException:
                self._worker.shutdown(wait=False)
                self._worker = None
                raise

    async def disconnect(self) -> None:
        """Close the file; the entries stay in it."""
        worker, db = self._worker, self._db
        if worker is not None and db is not None:
            self._worker = self._db = None
            await asyncio.get_running_loop().run_in_executor(worker, db.close)
            worker.shutdown(wait=False)

    async def health_check(self) -> bool:
        """Whether the file can be read."""
        try:
            await self._run(lambda: self._rows("SELECT 1"))
        except (sqlite3.Error, NotConnectedError):
            return False
        return True

    async def read(self, key: str, tags: Sequence[str]) -> Snapshot:
        """The entry and the versions, of one moment."""

        def work() -> Snapshot:
            with self._transaction("DEFERRED"):
                return self._snapshot(key, tags, self._clock())

        return await self._run(work)

    async def acquire(
        self, key: str, tags: Sequence[str], token: str, lease_seconds: float, keep_seconds: float
    ) -> Snapshot | None:
        """Take the lease, if it is free or has ended."""

        def work() -> Snapshot | None:
            with self._transaction():
                now = self._clock()
                taken = self._rows(
                    "INSERT INTO lease VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
                    " token = excluded.token, until = excluded.until WHERE lease.until <= ?"
                    " RETURNING 1",
                    (key, token, now + lease_seconds, now),
                )
                if not taken:
                    return None
                for tag in tags:
                    self._rows(
                        "INSERT INTO tag VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
                        " version = CASE WHEN tag.until <= ? THEN excluded.version"
                        " ELSE tag.version END, until = max(tag.until, excluded.until)",
                        (tag, token, now + keep_seconds, now),
                    )
                return self._snapshot(key, tags, now)

        return await self._run(work)

    async def renew(self, key: str, token: str, lease_seconds: float) -> bool:
        """Let the lease last from now."""

        def work() -> bool:
            with self._transaction():
                now = self._clock()
                return bool(
                    self._rows(
                        "UPDATE lease SET until = ? WHERE key = ? AND token = ? AND until > ?"
                        " RETURNING 1",
                        (now + lease_seconds, key, token, now),
                    )
                )

        return await self._run(work)

    async def store(
        self,
        key: str,
        token: str,
        data: bytes,
        ttl_seconds: float,
        tags: Sequence[str],
        versions: Sequence[str | None],
    ) -> bool:
        """Keep the data, if nothing was invalidated meanwhile."""

        def work() -> bool:
            with self._transaction():
                now = self._clock()
                held = self._rows(
                    "DELETE FROM lease WHERE key = ? AND token = ? AND until > ? RETURNING 1",
                    (key, token, now),
                )
                if not held or self._snapshot(key, tags, now).versions != list(versions):
                    return False
                until = now + ttl_seconds
                self._rows("REPLACE INTO entry VALUES (?, ?, ?)", (key, data, until))
                for tag in tags:
                    self._rows("UPDATE tag SET until = max(until, ?) WHERE key = ?", (until, tag))
                self._sweep(now)
                return True

        return await self._run(work)

    async def release(self, key: str, token: str) -> None:
        """End the lease."""

        def work() -> None:
            with self._transaction():
                self._rows("DELETE FROM lease WHERE key = ? AND token = ?", (key, token))
                self._sweep(self._clock())

        await self._run(work)

    async def invalidate(self, keys: Sequence[str], tags: Sequence[str]) -> None:
        """Forget, all of them or none."""

        def work() -> None:
            with self._transaction():
                for key in keys:
                    self._rows("DELETE FROM entry WHERE key = ?", (key,))
                    self._rows("DELETE FROM lease WHERE key = ?", (key,))
                for tag in tags:
                    self._rows("DELETE FROM tag WHERE key = ?", (tag,))

        await self._run(work)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._worker is None:
            raise NotConnectedError("SQLiteBackend is not connected; call connect() at start-up")
        # a cancelled caller leaves the transaction to end by itself
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    def _open(self) -> sqlite3.Connection:
        if self._path != ":memory:":
            Path(self._path).touch(mode=0o600)
        db = sqlite3.connect(
            self._path,
            timeout=self._busy_seconds,
            isolation_level=None,
            check_same_thread=False,  # the closing call may run when the thread is gone
        )
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")  # a cache may lose what a power cut takes
        db.executescript(_SCHEMA)
        return db

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Generator[None]:
        self._rows(f"BEGIN {kind}")
        try:
            yield
        except BaseException:
            self._rows("ROLLBACK")
            raise
        self._rows("COMMIT")

    def _rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        if self._db is None:
            raise NotConnectedError("SQLiteBackend is not connected; call connect() at start-up")
        return self._db.execute(sql, parameters).fetchall()

    def _snapshot(self, key: str, tags: Sequence[str], now: float) -> Snapshot:
        rows = self._rows("SELECT data FROM entry WHERE key = ? AND until > ?", (key, now))
        data = bytes(rows[0][0]) if rows else None  # type: ignore[call-overload]  # a BLOB
        versions: list[str | None] = []
        for tag in tags:
            found = self._rows("SELECT version FROM tag WHERE key = ? AND until > ?", (tag, now))
            versions.append(str(found[0][0]) if found else None)
        return Snapshot(data, versions)

    def _sweep(self, now: float) -> None:
        self._computations += 1
        # the first one looks as well: a process may end before its hundredth
        if self._computations % SWEEP_EVERY and self._computations > 1:
            return
        for table in ("entry", "lease", "tag"):
            self._rows(f"DELETE FROM {table} WHERE until <= ?", (now,))  # noqa: S608
        self._sweep_entries()
        tags = self._numbers("SELECT count(*) FROM tag")[0] - 2 * self._max_entries - MAX_TAGS
        if tags > 0:
            self._rows(
                "DELETE FROM tag WHERE key IN (SELECT key FROM tag ORDER BY until LIMIT ?)", (tags,)
            )

    def _sweep_entries(self) -> None:
        # along the index, and not over the whole table: other processes wait for this
        count, size = self._numbers(
            f"SELECT count(*), ifnull(sum({_SIZE}), 0) FROM entry",  # noqa: S608
            (ENTRY_OVERHEAD_BYTES,),
        )
        while count > self._max_entries or size > self._max_bytes:
            first = self._rows(
                f"SELECT key, {_SIZE} FROM entry ORDER BY until, key LIMIT ?",  # noqa: S608
                (ENTRY_OVERHEAD_BYTES, SWEPT_AT_ONCE),
            )
            for key, taken in first:
                if count <= self._max_entries and size <= self._max_bytes:
                    break
                self._rows("DELETE FROM entry WHERE key = ?", (key,))
                count, size = count - 1, size - int(str(taken))

    def _numbers(self, sql: str, parameters: Sequence[object] = ()) -> list[int]:
        return [int(str(number)) for number in self._rows(sql, parameters)[0]]
