"""The store: each change is one conditional statement about one row."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.core import ServiceUnavailableException, utcnow
from tijolo.db import AsyncDatabaseManager, uuid7
from tijolo.sessions import _data
from tijolo.sessions._within import within
from tijolo.sessions.db.model import BaseSessionModel
from tijolo.sessions.errors import SessionStoreUnavailableException
from tijolo.sessions.session import Session, restored
from tijolo.sessions.store import MAX_DATA_BYTES, another_users, check_new_id, touched_expiry

R = TypeVar("R")
_log = logging.getLogger("tijolo.sessions")

_ATTEMPTS = 8
_BACKOFF_SECONDS = 0.02
_TEXTS = {"amr", "data"}  # kept as JSON
_FIELDS = set(Session.model_fields) - {"touched", "epoch"} - _TEXTS


class DatabaseSessionStore:
    """Sessions in a table of SQLite, PostgreSQL or MariaDB.

    A reading is one SELECT, and one UPDATE more when it is due to be touched. Each method is a
    short transaction of its own, on a connection of its own: the pool needs one more than the
    handlers use. Call :meth:`delete_expired` now and then.

    What takes longer than ``timeout_seconds`` is an outage, and is given up in the background: a
    server that has gone silent would keep every request.

    Args:
        db: The manager; stays the caller's to connect and disconnect.
        model: From :func:`make_session_model`.
        max_data_bytes: How much data one session holds.
        timeout_seconds: Longest wait for an answer, connecting and trying again included.
        clock: The current moment, aware.

    Raises:
        ValueError: A limit or a timeout that is none.
    """

    def __init__(
        self,
        db: AsyncDatabaseManager,
        model: type[BaseSessionModel],
        *,
        max_data_bytes: int = MAX_DATA_BYTES,
        timeout_seconds: float = 5.0,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        self._db = db
        self._table = cast("Table", model.__table__)
        self.max_data_bytes = _data.check_limit(max_data_bytes)
        if timeout_seconds <= 0:
            raise ValueError(f"timeout_seconds must be more than 0, got {timeout_seconds}")
        self._timeout = timeout_seconds
        self._clock = clock

    @property
    def address(self) -> str:
        """Where the database is, for the log: without the password."""
        return self._db.db_url_safe

    async def create(self, session: Session, *, max_per_user: int | None = None) -> Session:
        """See :class:`~tijolo.sessions.SessionStore`."""
        data = _data.merge({}, _data.encode(session.data), (), limit=self.max_data_bytes)
        values = {"id": uuid7(), **_values(session, data)}

        async def work(db: AsyncSession) -> None:
            await db.execute(insert(self._table).values(values))

        await self._write(work)
        await self._prune_if_possible(session, max_per_user)
        return session.model_copy(update={"data": _data.decode(data), "epoch": None})

    async def get(
        self, session_id_hash: str, *, touch_seconds: float | None = None
    ) -> Session | None:
        """See :class:`~tijolo.sessions.SessionStore`."""
        now = self._clock()
        row = await self._read(session_id_hash, now)
        if row is None or touch_seconds is None:
            return None if row is None else _session(row)
        table, seen, values = self._table, row.last_seen_at, dict[str, Any]()
        session = _session(row)
        due = now - seen >= timedelta(seconds=touch_seconds)
        if due:
            values = {"last_seen_at": now, "expires_at": touched_expiry(session, now)}
        overlap = {}
        if row.overlap_seconds is not None and session.session_id == session_id_hash:
            until = now + timedelta(seconds=row.overlap_seconds)
            overlap = {"overlap_until": until, "overlap_seconds": None}
        if not (due or overlap):
            return session
        this = and_(self._living(session.session_id, now), table.c.last_seen_at == seen)
        if await self._changed(update(table).where(this).values({**values, **overlap})):
            return session.model_copy(update={**values, "touched": due})
        # it has ended meanwhile, or another request touched it, or gave it another id
        row = await self._read(session_id_hash, now)
        return None if row is None else _session(row)

    async def save(
        self, session_id_hash: str, changed: Mapping[str, Any], removed: Collection[str] = ()
    ) -> bool:
        """See :class:`~tijolo.sessions.SessionStore`."""
        encoded = _data.encode(changed)

        async def work(db: AsyncSession) -> bool:
            row = await self._lock(db, session_id_hash)
            if row is None:
                return False
            data = self._merged(row, encoded, removed)
            values = {"data": json.dumps(data)}
            await db.execute(update(self._table).where(self._table.c.id == row.id).values(values))
            return True

        return await self._write(work)

    async def rotate(
        self,
        session_id_hash: str,
        new: Session,
        *,
        overlap_seconds: float = 0,
        through: str | None = None,
        max_per_user: int | None = None,
    ) -> bool:
        """See :class:`~tijolo.sessions.SessionStore`."""
        check_new_id(session_id_hash, new)
        encoded = _data.encode(new.data)
        overlap = {
            "rotated_from": through or session_id_hash,
            "overlap_until": None,  # not now: to a slower clock the old id would still lead here
            "overlap_seconds": overlap_seconds if overlap_seconds > 0 else None,
        }

        async def work(db: AsyncSession) -> bool:
            row = await self._lock(db, session_id_hash)
            if row is None:
                return False
            if through is not None and (row.overlap_seconds is None or row.rotated_from != through):
                return False
            if row.user_id is not None and row.user_id != new.user_id:
                raise another_users()
            values = _values(new, self._merged(row, encoded, ())) | overlap
            await db.execute(update(self._table).where(self._table.c.id == row.id).values(values))
            return True

        rotated = await self._write(work)
        if rotated:
            await self._prune_if_possible(new, max_per_user)
        return rotated

    async def delete(self, session_id_hash: str) -> bool:
        """See :class:`~tijolo.sessions.SessionStore`."""
        now = self._clock()
        by_id = delete(self._table).where(self._living(session_id_hash, now))
        if await self._changed(by_id):
            return True
        return bool(await self._changed(delete(self._table).where(self._led(session_id_hash, now))))

    async def delete_by_public_id(self, user_id: UUID, public_id: str) -> bool:
        """See :class:`~tijolo.sessions.SessionStore`."""
        table = self._table
        mine = and_(table.c.user_id == user_id, table.c.expires_at > self._clock())
        # compared here: MariaDB finds 'abc ' equal to 'abc'
        rows = await self._select(and_(mine, table.c.public_id == public_id))
        ids = [row.id for row in rows if row.public_id == public_id]
        return bool(await self._changed(delete(table).where(table.c.id.in_(ids), mine)))

    async def delete_by_user(self, user_id: UUID, *, keep: str | None = None) -> int:
        """See :class:`~tijolo.sessions.SessionStore`."""
        table = self._table
        ending = table.c.user_id == user_id
        if keep is not None:
            ending = and_(ending, table.c.session_id != keep)
        expired = table.c.expires_at <= self._clock()

        async def work(db: AsyncSession) -> int:
            # what has expired is not counted
            await db.execute(delete(table).where(ending, expired))
            return _rows(await db.execute(delete(table).where(ending)))

        return await self._write(work)

    async def list_by_user(self, user_id: UUID) -> list[Session]:
        """See :class:`~tijolo.sessions.SessionStore`."""
        table = self._table
        mine = and_(table.c.user_id == user_id, table.c.expires_at > self._clock())
        rows = await self._select(mine)
        rows.sort(key=lambda row: (row.last_seen_at, row.id), reverse=True)
        return [_session(row) for row in rows]

    async def delete_expired(self, limit: int = 10_000) -> int:
        """Remove up to ``limit`` rows that have expired; how many there were."""
        table = self._table
        over = table.c.expires_at <= self._clock()

        async def work(db: AsyncSession) -> int:
            ids = list(await db.scalars(select(table.c.id).where(over).limit(limit)))
            return _rows(await db.execute(delete(table).where(table.c.id.in_(ids), over)))

        return await self._write(work)

    def _living(self, session_id: str, now: datetime) -> ColumnElement[bool]:
        return and_(self._table.c.session_id == session_id, self._table.c.expires_at > now)

    def _led(self, old_id: str, now: datetime) -> ColumnElement[bool]:
        """The living session that an old id leads to."""
        table = self._table
        leads = or_(table.c.overlap_until > now, table.c.overlap_seconds.is_not(None))
        return and_(table.c.rotated_from == old_id, leads, table.c.expires_at > now)

    async def _read(self, session_id: str, now: datetime) -> Any | None:
        rows = await self._select(or_(self._living(session_id, now), self._led(session_id, now)))
        return rows[0] if rows else None

    async def _select(self, condition: ColumnElement[bool]) -> list[Any]:
        async def read() -> list[Any]:
            async with self._db.read_only() as db:
                return list(await db.execute(select(self._table).where(condition)))

        return await self._answered(read())

    async def _lock(self, db: AsyncSession, session_id: str) -> Any | None:
        """The row of a session that lives, for this transaction alone to change.

        By its key: one that locked by ``session_id`` first would meet one that locked by
        ``user_id`` first in a deadlock.
        """
        table, now = self._table, self._clock()
        living = self._living(session_id, now)
        key = await db.scalar(select(table.c.id).where(living))
        this = and_(table.c.id == key, living)
        if key is None or not _rows(
            await db.execute(update(table).where(this).values(updated_at=now))
        ):
            return None
        return (await db.execute(select(table).where(table.c.id == key))).one()

    def _merged(
        self, row: Any, changed: Mapping[str, str], removed: Collection[str]
    ) -> dict[str, str]:
        return _data.merge(json.loads(row.data), changed, removed, limit=self.max_data_bytes)

    async def _prune_if_possible(self, session: Session, max_per_user: int | None) -> None:
        """The session is there by now: a failure here must not keep its id from its browser."""
        try:
            await self._prune(session, max_per_user)
        except SessionStoreUnavailableException as error:
            cause = type(error.__cause__).__name__
            _log.warning("a user's surplus sessions stay until the next login (%s)", cause)

    async def _prune(self, session: Session, max_per_user: int | None) -> None:
        """After the commit: the last of several logins at once sees them all."""
        if session.user_id is None:
            return
        table = self._table
        mine = table.c.user_id == session.user_id
        if not self._surplus(await self._select(mine), session, max_per_user):
            return

        async def work(db: AsyncSession) -> None:
            # one after the other: of two logins at once each would end the other
            rows = list(await db.execute(select(table).where(mine).with_for_update()))
            ended = self._surplus(rows, session, max_per_user)
            await db.execute(delete(table).where(table.c.id.in_(ended)))

        await self._write(work)

    def _surplus(self, rows: list[Any], new: Session, max_per_user: int | None) -> set[Any]:
        """The user's rows that have expired or are beyond the cap: never the new one, whatever
        another replica's clock says of the others."""
        now = self._clock()
        rows.sort(
            key=lambda row: (row.session_id == new.session_id, row.last_seen_at, row.id),
            reverse=True,
        )
        living = [row.id for row in rows if row.expires_at > now]
        return {row.id for row in rows}.difference(living[:max_per_user])

    async def _changed(self, statement: Any) -> int:
        async def work(db: AsyncSession) -> int:
            return _rows(await db.execute(statement))

        return await self._write(work)

    async def _write(self, work: Callable[[AsyncSession], Awaitable[R]]) -> R:
        return await self._answered(
            self._db.run_in_transaction(work, attempts=_ATTEMPTS, backoff=_BACKOFF_SECONDS)
        )

    async def _answered(self, call: Coroutine[Any, Any, R]) -> R:
        try:
            return await within(self._timeout, call)
        except (ServiceUnavailableException, TimeoutError) as error:
            raise SessionStoreUnavailableException from error


def _rows(result: Any) -> int:
    return int(result.rowcount)


def _values(session: Session, data: Mapping[str, str]) -> dict[str, Any]:
    fields = {name: getattr(session, name) for name in _FIELDS}
    return {**fields, "amr": json.dumps(session.amr), "data": json.dumps(data)}


def _session(row: Any) -> Session:
    fields: dict[str, Any] = {name: getattr(row, name) for name in _FIELDS}
    fields["amr"] = tuple(json.loads(row.amr))
    fields["data"] = _data.decode(json.loads(row.data))
    return restored({**fields, "epoch": None, "touched": False})
