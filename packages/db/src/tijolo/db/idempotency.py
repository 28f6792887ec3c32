"""Idempotency keys in the database: beside the request, or inside its transaction.

:class:`DatabaseIdempotencyStore` satisfies the ``IdempotencyStore`` of tijolo-web, for services
that have a database and no Redis. :func:`run_once` goes further: the key, the work and the
answer are one transaction, so that a process that dies leaves either all of it or nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    and_,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from tijolo.core import ConflictException, ValidationException
from tijolo.db.hooks import savepoint
from tijolo.db.manager import AsyncDatabaseManager

__all__ = [
    "DatabaseIdempotencyStore",
    "IdempotencyKeyReusedException",
    "IdempotencyKeyRunningException",
    "Once",
    "idempotency_digest",
    "make_idempotency_table",
    "run_once",
]

DAY_SECONDS = 86_400
MAX_ANSWER_BYTES = 2**24 - 1
"""Most bytes of an answer: what MariaDB's MEDIUMBLOB holds."""

State = Literal["acquired", "running", "completed", "mismatch"]


class IdempotencyKeyReusedException(ValidationException):
    """The key came with another request before; a new request needs a new key."""

    code = "IDEMPOTENCY_KEY_REUSED"
    message = "This idempotency key was used with another request"


class IdempotencyKeyRunningException(ConflictException):
    """Another request with this key has not ended yet."""

    code = "IDEMPOTENCY_KEY_RUNNING"
    message = "A request with this idempotency key is still running"


class Once(NamedTuple):
    """What :func:`run_once` returns."""

    answer: bytes
    """What the work returned, now or the first time."""
    replayed: bool
    """Whether it was the first time."""


class now_ms(GenericFunction[int]):  # noqa: N801 - it is written like func.now()
    """The database's clock at this statement, in whole milliseconds since 1970."""

    type = BigInteger()
    inherit_cache = True


@compiles(now_ms)
def _now_postgresql(element: now_ms, compiler: SQLCompiler, **kw: Any) -> str:
    # not CURRENT_TIMESTAMP: that is when the transaction began
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


@compiles(now_ms, "sqlite")
def _now_sqlite(element: now_ms, compiler: SQLCompiler, **kw: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@compiles(now_ms, "mysql")
@compiles(now_ms, "mariadb")
def _now_mariadb(element: now_ms, compiler: SQLCompiler, **kw: Any) -> str:
    return "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"


def make_idempotency_table(metadata: MetaData, name: str = "idempotency_key") -> Table:
    """The table of the keys; migrations see it like every other table of ``metadata``.

    A row is *running* while ``answer`` is NULL, then *completed*; after ``expires_at`` (in
    milliseconds since 1970) it counts as absent.
    """
    # MariaDB's usual collations find 'A' equal to 'a': one caller's key would be another's
    exact = String(64).with_variant(
        mysql.VARCHAR(64, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
    )
    answer = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
    return Table(
        name,
        metadata,
        Column("key", exact, primary_key=True),
        Column("fingerprint", String(64), nullable=False),
        Column("owner", String(32), nullable=False),
        Column("answer", answer),
        Column("expires_at", BigInteger, nullable=False),
        Index(f"ix_{name}_expires_at", "expires_at"),
    )


def idempotency_digest(*parts: str | bytes) -> str:
    """64 hexadecimal digits for a key or a fingerprint, made of parts that cannot run together.

    Name who asks and what for beside the key itself, or one user gets another's answer::

        key = idempotency_digest(user.id.hex, "POST /payments", idempotency_key)
        fingerprint = idempotency_digest(await request.body())
    """
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8) + raw)
    return digest.hexdigest()


class DatabaseIdempotencyStore:
    """The ``IdempotencyStore`` of tijolo-web, in a table of the service's own database.

    Each method is a short transaction of its own, on a connection of its own: the pool needs one
    more than the handlers use. Call :meth:`delete_expired` now and then.

    Args:
        db: The manager; its PostgreSQL, MariaDB or SQLite keeps the keys and the clock.
        table: From :func:`make_idempotency_table`.
    """

    def __init__(self, db: AsyncDatabaseManager, table: Table) -> None:
        self._db = db
        self._table = table

    async def reserve(
        self, key: str, fingerprint: str, owner: str, lease_seconds: float
    ) -> tuple[State, bytes | None]:
        """Take ``key`` if it is free, otherwise say why not."""

        async def work(session: AsyncSession) -> tuple[State, bytes | None]:
            return await _reserve(session, self._table, key, fingerprint, owner, lease_seconds)

        return await self._db.run_in_transaction(work)

    async def renew(self, key: str, owner: str, lease_seconds: float) -> bool:
        """Let the lease end ``lease_seconds`` from now, if ``owner`` still runs ``key``."""
        table = self._table
        alive = and_(_running_by(table, key, owner), table.c.expires_at > now_ms())
        statement = update(table).where(alive).values(expires_at=_after(lease_seconds))
        return await self._changed(statement)

    async def complete(
        self, key: str, fingerprint: str, owner: str, answer: bytes, ttl_seconds: float
    ) -> bool:
        """Keep ``answer``, if ``owner`` runs ``key`` or the record is absent.

        One over :data:`MAX_ANSWER_BYTES` leaves the key used, with the empty answer.
        """
        if len(answer) > MAX_ANSWER_BYTES:
            answer = b""  # an error would free the key when its lease ends, and the work is done
        table = self._table

        async def work(session: AsyncSession) -> bool:
            await session.execute(
                _write(session, table, key, fingerprint, owner, answer, ttl_seconds)
            )
            kept = and_(table.c.key == key, table.c.owner == owner, table.c.answer.is_not(None))
            return await session.scalar(select(func.count()).where(kept)) == 1

        return await self._db.run_in_transaction(work)

    async def release(self, key: str, owner: str) -> bool:
        """Make the record absent, if ``owner`` runs ``key``."""
        return await self._changed(delete(self._table).where(_running_by(self._table, key, owner)))

    async def delete_expired(self, limit: int = 10_000) -> int:
        """Remove up to ``limit`` records that count as absent; how many there were."""
        table = self._table

        async def work(session: AsyncSession) -> int:
            over = select(table.c.key).where(table.c.expires_at <= now_ms()).limit(limit)
            keys = list(await session.scalars(over))
            still = and_(table.c.key.in_(keys), table.c.expires_at <= now_ms())
            done: Any = await session.execute(delete(table).where(still))
            return int(done.rowcount)

        return await self._db.run_in_transaction(work)

    async def _changed(self, statement: Any) -> bool:
        async def work(session: AsyncSession) -> bool:
            done: Any = await session.execute(statement)
            return bool(done.rowcount)

        return await self._db.run_in_transaction(work)


async def run_once(
    session: AsyncSession,
    table: Table,
    key: str,
    work: Callable[[], Awaitable[bytes]],
    *,
    fingerprint: str,
    ttl_seconds: float = DAY_SECONDS,
) -> Once:
    """Do ``work`` if ``key`` is new, in the transaction of ``session``; else return its answer.

    The key, what ``work`` writes through ``session``, and its answer are committed together or
    not at all. A duplicate that comes meanwhile waits for the end of the first transaction, at
    most as long as the database lets a statement wait for a lock: then it gets the same answer,
    or, after a rollback, does the work itself. It all happens in a savepoint: a caller may catch
    what ``work`` raises and commit the rest.

    Args:
        session: The unit of work; what commits it is its boundary, as always.
        table: From :func:`make_idempotency_table`.
        key: At most 64 characters, who asks included: :func:`idempotency_digest` makes one.
        work: Returns the answer to keep, such as a response's JSON.
        fingerprint: Of the request, at most 64 characters.
        ttl_seconds: How long the answer is kept.

    Raises:
        IdempotencyKeyReusedException: The key came with another fingerprint.
        IdempotencyKeyRunningException: A store of tijolo-web holds the key.
        ValueError: A key that ends in a space, which MariaDB does not see.
    """
    if key.endswith(" "):
        raise ValueError("an idempotency key must not end in a space; idempotency_digest makes one")
    owner = secrets.token_hex(16)
    # whoever catches what work raises, and commits, must not commit half of it, or a key that
    # runs for ever
    async with savepoint(session):
        state, answer = await _reserve(session, table, key, fingerprint, owner, ttl_seconds)
        if state == "mismatch":
            raise IdempotencyKeyReusedException
        if state == "running":
            raise IdempotencyKeyRunningException
        if answer is not None:
            return Once(answer, replayed=True)
        answer = await work()
        _check_answer(answer)
        kept = update(table).where(table.c.key == key).values(answer=answer)
        await session.execute(kept.values(expires_at=_after(ttl_seconds)))
        return Once(answer, replayed=False)


async def _reserve(
    session: AsyncSession,
    table: Table,
    key: str,
    fingerprint: str,
    owner: str,
    lease_seconds: float,
) -> tuple[State, bytes | None]:
    await session.execute(_write(session, table, key, fingerprint, owner, None, lease_seconds))
    found = select(table.c.fingerprint, table.c.owner, table.c.answer).where(table.c.key == key)
    # a locking read: MariaDB shows a plain one the rows as they were when the transaction began
    row = (await session.execute(found.with_for_update())).one()
    if row.fingerprint != fingerprint:
        return "mismatch", None
    if row.answer is not None:
        return "completed", bytes(row.answer)
    return ("acquired" if row.owner == owner else "running"), None


def _write(
    session: AsyncSession,
    table: Table,
    key: str,
    fingerprint: str,
    owner: str,
    answer: bytes | None,
    seconds: float,
) -> Any:
    """Insert the record, or take over one that is expired or runs for the same owner.

    One statement decides, on the database's clock; any other record stays as it is.
    """
    values: dict[str, Any] = {
        "key": key,
        "fingerprint": fingerprint,
        "answer": answer,
        "owner": owner,
        "expires_at": _after(seconds),
    }
    ours = and_(table.c.owner == owner, table.c.answer.is_(None))
    free = or_(table.c.expires_at <= now_ms(), ours)
    if session.get_bind().dialect.name in ("mysql", "mariadb"):
        return _write_mariadb(table, values, free)
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    standard = dialect.insert(table).values(values)
    taken = {name: standard.excluded[name] for name in values if name != "key"}
    return standard.on_conflict_do_update(index_elements=["key"], set_=taken, where=free)


def _write_mariadb(table: Table, values: dict[str, Any], free: ColumnElement[bool]) -> Any:
    """The same where assignments have no WHERE, and each sees what those before it assigned."""
    insert = mysql.insert(table).values(values)
    new, old = insert.inserted, table.c
    # an owner is new for each attempt: where it is ours now, the record was free, or was ours
    mine = old.owner == new.owner
    open_ = and_(mine, or_(old.answer.is_(None), old.expires_at <= now_ms()))
    written = and_(mine, old.answer.is_not_distinct_from(new.answer))
    conditions = {"owner": free, "fingerprint": open_, "answer": open_, "expires_at": written}
    change = [(name, func.if_(when, new[name], old[name])) for name, when in conditions.items()]
    return insert.on_duplicate_key_update(change)


def _after(seconds: float) -> ColumnElement[int]:
    return now_ms() + max(1, round(seconds * 1000))


def _running_by(table: Table, key: str, owner: str) -> ColumnElement[bool]:
    return and_(table.c.key == key, table.c.owner == owner, table.c.answer.is_(None))


def _check_answer(answer: bytes) -> None:
    if len(answer) > MAX_ANSWER_BYTES:
        raise ValueError(f"an answer of {len(answer)} bytes; at most {MAX_ANSWER_BYTES} are kept")
