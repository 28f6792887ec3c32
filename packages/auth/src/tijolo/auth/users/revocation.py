"""Revocations that all replicas share, in the service's own database."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, Column, Index, MetaData, String, Table, delete, func, select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.principal import Principal
from tijolo.auth.revocation import check_revocation
from tijolo.db import AsyncDatabaseManager

_KEY_CHARACTERS = 44


def make_revocation_table(metadata: MetaData, name: str = "auth_revocation") -> Table:
    """The table of revocations; migrations see it like every other table of ``metadata``.

    After ``expires_at`` (milliseconds since 1970) a row counts as absent.
    """
    return Table(
        name,
        metadata,
        Column("key", String(_KEY_CHARACTERS), primary_key=True),
        Column("epoch", BigInteger, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        Index(f"ix_{name}_expires_at", "expires_at"),
    )


class DatabaseRevocationStore:
    """A ``RevocationStore`` for services that have a database and no Redis.

    A check is one query by primary key. Each method is a short transaction of its own. Ids are
    stored as hashes of a fixed size. Call :meth:`delete_expired` now and then.

    Args:
        db: The manager.
        table: From :func:`make_revocation_table`.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, db: AsyncDatabaseManager, table: Table, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._db = db
        self._table = table
        self._clock = clock

    async def is_revoked(self, principal: Principal, token: str = "") -> bool:
        """Whether the token, its session or its epoch has been revoked."""
        user, ended = _key("sub", principal.subject), list[str]()
        if principal.token_id:
            ended.append(_key("jti", principal.token_id))
        if principal.session_id is not None:
            ended.append(_key("sid", principal.session_id))
        row, now = self._table.c, math.floor(self._clock() * 1000)
        query = select(row.key, row.epoch).where(row.key.in_([user, *ended]), row.expires_at > now)
        async with self._db.read_only() as session:
            found = (await session.execute(query)).all()
        return any(key != user or epoch > principal.epoch for key, epoch in found)

    async def revoke_token(self, token_id: str, *, expires_at: float) -> None:
        """End the token of that ``jti``."""
        await self._put("jti", token_id, 1, expires_at)

    async def revoke_session(self, session_id: str, *, expires_at: float) -> None:
        """End all tokens of the login of that ``sid``."""
        await self._put("sid", session_id, 1, expires_at)

    async def revoke_before_epoch(self, subject: str, epoch: int, *, expires_at: float) -> None:
        """End all tokens of ``subject`` of an older epoch."""
        await self._put("sub", subject, epoch, expires_at)

    async def delete_expired(self, limit: int = 10_000) -> int:
        """Remove up to ``limit`` rows that count as absent; how many there were."""
        row, now = self._table.c, math.floor(self._clock() * 1000)

        async def work(session: AsyncSession) -> int:
            over = select(row.key).where(row.expires_at <= now).limit(limit)
            keys = list(await session.scalars(over))
            still = delete(self._table).where(row.key.in_(keys), row.expires_at <= now)
            done: Any = await session.execute(still)
            return int(done.rowcount)

        return await self._db.run_in_transaction(work)

    async def _put(self, kind: str, name: str, epoch: int, expires_at: float) -> None:
        check_revocation(name, epoch, expires_at)
        if expires_at <= self._clock():
            return
        values = {
            "key": _key(kind, name),
            "epoch": epoch,
            "expires_at": math.ceil(expires_at * 1000),
        }

        async def work(session: AsyncSession) -> None:
            await session.execute(_upsert(session, self._table, values))

        await self._db.run_in_transaction(work)


def _upsert(session: AsyncSession, table: Table, values: dict[str, Any]) -> Any:
    """Raises what is stored and lowers nothing: a call that comes late or twice does no harm."""
    names, dialect = ("epoch", "expires_at"), session.get_bind().dialect.name
    if dialect in ("mysql", "mariadb"):
        insert = mysql.insert(table).values(values)
        new = {name: func.greatest(table.c[name], insert.inserted[name]) for name in names}
        return insert.on_duplicate_key_update(new)
    kind, larger = (postgresql, func.greatest) if dialect == "postgresql" else (sqlite, func.max)
    standard = kind.insert(table).values(values)
    new = {name: larger(table.c[name], standard.excluded[name]) for name in names}
    return standard.on_conflict_do_update(index_elements=["key"], set_=new)


def _key(kind: str, name: str) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{kind}:{digest[:40]}"
