"""Idempotency keys in the database, on every database."""

from __future__ import annotations

import asyncio
import json

import pytest
from sqlalchemy import MetaData, String, func, select
from sqlalchemy.orm import Mapped, mapped_column

from tijolo.db import NAMING_CONVENTION, AsyncDatabaseManager, BaseModel
from tijolo.db.idempotency import (
    DatabaseIdempotencyStore,
    IdempotencyKeyReusedException,
    IdempotencyKeyRunningException,
    idempotency_digest,
    make_idempotency_table,
    run_once,
)


class Base(BaseModel):
    __abstract__ = True
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Payment(Base):
    __tablename__ = "once_payment"
    note: Mapped[str] = mapped_column(String(40))


KEYS = make_idempotency_table(Base.metadata, "once_key")
KEY, OTHER = idempotency_digest("key"), idempotency_digest("other")
PRINT, CHANGED = idempotency_digest("body"), idempotency_digest("another body")
ANA, BIA = "a" * 32, "b" * 32


@pytest.fixture
async def pay_db(db_url):
    manager = AsyncDatabaseManager(db_url, environment="test", metadata=Base.metadata)
    await manager.connect()
    await manager.create_tables()
    async with manager.engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            await connection.execute(table.delete())
    yield manager
    await manager.disconnect()


@pytest.fixture
def store(pay_db):
    return DatabaseIdempotencyStore(pay_db, KEYS)


async def later(seconds=0.05):
    await asyncio.sleep(seconds)


async def test_a_key_is_reserved_completed_and_answered(store):
    assert await store.reserve(KEY, PRINT, ANA, 30) == ("acquired", None)
    assert await store.reserve(KEY, PRINT, BIA, 30) == ("running", None)
    assert await store.reserve(KEY, CHANGED, BIA, 30) == ("mismatch", None)
    assert await store.complete(KEY, PRINT, ANA, b"\x00answer\xff", 30)
    assert await store.reserve(KEY, PRINT, BIA, 30) == ("completed", b"\x00answer\xff")
    assert await store.reserve(KEY, CHANGED, BIA, 30) == ("mismatch", None)
    assert await store.reserve(OTHER, PRINT, BIA, 30) == ("acquired", None)


async def test_who_asks_again_for_its_own_lease_gets_it_again(store):
    for _ in range(2):
        assert await store.reserve(KEY, PRINT, ANA, 30) == ("acquired", None)
    for _ in range(2):
        assert await store.complete(KEY, PRINT, ANA, b"", 30)
    assert await store.reserve(KEY, PRINT, ANA, 30) == ("completed", b"")


async def test_an_empty_answer_is_an_answer(store):
    await store.reserve(KEY, PRINT, ANA, 30)
    assert await store.complete(KEY, PRINT, ANA, b"", 30)
    assert await store.reserve(KEY, PRINT, BIA, 30) == ("completed", b"")


async def test_a_lease_that_is_over_is_absent(store):
    await store.reserve(KEY, PRINT, ANA, 0.01)
    await later()
    assert not await store.renew(KEY, ANA, 30)
    assert await store.reserve(KEY, CHANGED, BIA, 30) == ("acquired", None)
    assert not await store.complete(KEY, PRINT, ANA, b"late", 30)
    assert not await store.release(KEY, ANA)
    assert await store.complete(KEY, CHANGED, BIA, b"first", 30)


async def test_an_answer_whose_time_is_over_is_absent(store):
    await store.reserve(KEY, PRINT, ANA, 30)
    assert await store.complete(KEY, PRINT, ANA, b"old", 0.01)
    await later()
    assert await store.reserve(KEY, CHANGED, BIA, 30) == ("acquired", None)
    assert await store.reserve(KEY, CHANGED, ANA, 30) == ("running", None)


async def test_completing_gives_the_answer_its_own_time(store):
    await store.reserve(KEY, PRINT, ANA, 0.05)
    assert await store.complete(KEY, PRINT, ANA, b"kept", 30)
    await later(0.1)
    assert await store.reserve(KEY, PRINT, BIA, 30) == ("completed", b"kept")


async def test_work_that_was_done_is_kept_although_its_lease_ended(store):
    await store.reserve(KEY, PRINT, ANA, 0.01)
    await later()
    assert await store.complete(KEY, PRINT, ANA, b"done", 30)
    assert await store.reserve(KEY, PRINT, BIA, 30) == ("completed", b"done")
    assert await store.complete(OTHER, PRINT, ANA, b"restarted empty", 30)


async def test_a_lease_is_renewed_by_its_owner_alone(store):
    await store.reserve(KEY, PRINT, ANA, 0.1)
    assert await store.renew(KEY, ANA, 30)
    assert not await store.renew(KEY, BIA, 30)
    await later(0.15)
    assert await store.reserve(KEY, PRINT, BIA, 30) == ("running", None)
    await store.complete(KEY, PRINT, ANA, b"x", 30)
    assert not await store.renew(KEY, ANA, 30)


async def test_a_released_key_is_free_and_an_answer_is_not_released(store):
    await store.reserve(KEY, PRINT, ANA, 30)
    assert not await store.release(KEY, BIA)
    assert await store.release(KEY, ANA)
    assert await store.reserve(KEY, CHANGED, BIA, 30) == ("acquired", None)
    await store.complete(KEY, CHANGED, BIA, b"x", 30)
    assert not await store.release(KEY, BIA)


async def test_of_many_owners_one_gets_the_key(store):
    owners = [f"{n:032x}" for n in range(20)]
    found = await asyncio.gather(*(store.reserve(KEY, PRINT, owner, 30) for owner in owners))
    assert sorted(state for state, _ in found) == ["acquired"] + ["running"] * 19
    # and again, when the lease of the first is over
    winner = next(o for o, (state, _) in zip(owners, found, strict=True) if state == "acquired")
    await store.renew(KEY, winner, 0.01)
    await later()
    others = [owner for owner in owners if owner != winner]
    found = await asyncio.gather(*(store.reserve(KEY, PRINT, owner, 30) for owner in others))
    assert sorted(state for state, _ in found) == ["acquired"] + ["running"] * 18


async def test_what_is_over_is_removed_and_nothing_else(store, pay_db):
    for n in range(5):
        await store.reserve(idempotency_digest(str(n)), PRINT, ANA, 0.01)
    await store.reserve(KEY, PRINT, ANA, 30)
    await later()
    assert await store.delete_expired(limit=3) == 3
    assert await store.delete_expired() == 2
    assert await store.delete_expired() == 0
    assert await store.reserve(KEY, PRINT, BIA, 30) == ("running", None)


async def pay(db, note, *, key=KEY, fingerprint=PRINT, error=None):
    async with db.transaction() as session:

        async def work():
            session.add(Payment(note=note))
            await session.flush()
            if error:
                raise error
            return json.dumps({"note": note}).encode()

        return await run_once(session, KEYS, key, work, fingerprint=fingerprint)


async def payments(db):
    async with db.transaction() as session:
        return await session.scalar(select(func.count()).select_from(Payment))


async def test_work_is_done_once_and_its_answer_given_again(pay_db):
    first = await pay(pay_db, "first")
    again = await pay(pay_db, "again")
    assert (first.replayed, again.replayed) == (False, True)
    assert again.answer == first.answer == b'{"note": "first"}'
    assert await payments(pay_db) == 1
    with pytest.raises(IdempotencyKeyReusedException) as refused:
        await pay(pay_db, "other", fingerprint=CHANGED)
    assert (refused.value.status_code, refused.value.code) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_work_that_fails_leaves_neither_key_nor_row(pay_db):
    with pytest.raises(ZeroDivisionError):
        await pay(pay_db, "broken", error=ZeroDivisionError())
    assert await payments(pay_db) == 0
    assert (await pay(pay_db, "second try")).replayed is False


async def test_many_at_once_do_the_work_once_and_all_get_its_answer(pay_db):
    found = await asyncio.gather(*(pay(pay_db, f"racer {n}") for n in range(20)))
    assert await payments(pay_db) == 1
    assert len({once.answer for once in found}) == 1
    assert [once.replayed for once in found].count(False) == 1


async def test_a_duplicate_waits_for_the_first_and_takes_over_after_its_rollback(pay_db):
    begun = asyncio.Event()

    async def first():
        async with pay_db.transaction() as session:

            async def work():
                begun.set()
                await later(0.1)
                raise ZeroDivisionError

            await run_once(session, KEYS, KEY, work, fingerprint=PRINT)

    running = asyncio.create_task(first())
    await begun.wait()
    second = await pay(pay_db, "second")
    assert second.replayed is False
    with pytest.raises(ZeroDivisionError):
        await running
    assert await payments(pay_db) == 1


async def test_a_key_that_the_store_holds_is_not_done_twice(pay_db, store):
    await store.reserve(KEY, PRINT, ANA, 30)
    with pytest.raises(IdempotencyKeyRunningException):
        await pay(pay_db, "meanwhile")
    assert await payments(pay_db) == 0


async def test_a_long_transaction_reads_the_clock_of_now_and_not_of_its_start(pay_db, store):
    await store.reserve(KEY, PRINT, ANA, 0.1)
    async with pay_db.transaction() as session:
        await session.execute(select(1))
        await later(0.15)

        async def work():
            return b"done"

        assert (await run_once(session, KEYS, KEY, work, fingerprint=PRINT)).answer == b"done"


async def test_work_whose_error_is_caught_leaves_neither_key_nor_row(pay_db):
    async with pay_db.transaction() as session:

        async def work():
            session.add(Payment(note="half"))
            await session.flush()
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await run_once(session, KEYS, KEY, work, fingerprint=PRINT)
    assert await payments(pay_db) == 0
    assert (await pay(pay_db, "second try")).replayed is False


@pytest.mark.parametrize("before", [None, "an expired answer"])
async def test_what_the_transaction_read_before_does_not_hide_the_first_answer(
    pay_db, store, before
):
    if before:
        await store.complete(KEY, PRINT, ANA, before.encode(), 0.01)
        await later()
    begun, ran = asyncio.Event(), []

    async def work():
        begun.set()
        ran.append(1)
        await later(0.1)
        return b"first"

    async def first():
        async with pay_db.transaction() as session:
            return await run_once(session, KEYS, KEY, work, fingerprint=PRINT)

    async def duplicate():
        async with pay_db.transaction() as session:
            await session.scalar(select(func.count()).select_from(Payment))  # a snapshot
            return await run_once(session, KEYS, KEY, work, fingerprint=PRINT)

    running = asyncio.create_task(first())
    await begun.wait()
    found = await asyncio.gather(*(duplicate() for _ in range(5)), running)
    assert {once.answer for once in found} == {b"first"}
    assert ran == [1]


@pytest.mark.parametrize(("one", "other"), [("Ana:1", "ana:1"), ("e", "é"), ("ß", "ss")])
async def test_keys_that_only_look_alike_are_two(pay_db, one, other):
    for key in (one, other):
        async with pay_db.transaction() as session:

            async def work(key=key):
                return key.encode()

            once = await run_once(session, KEYS, key, work, fingerprint=PRINT)
            assert once == (key.encode(), False)
    async with pay_db.transaction() as session:
        with pytest.raises(ValueError, match="end in a space"):
            await run_once(session, KEYS, f"{one} ", work, fingerprint=PRINT)


async def test_an_answer_too_long_for_the_store_leaves_the_key_used(store, monkeypatch):
    monkeypatch.setattr("tijolo.db.idempotency.MAX_ANSWER_BYTES", 10)
    await store.reserve(KEY, PRINT, ANA, 30)
    assert await store.complete(KEY, PRINT, ANA, b"x" * 11, 30)
    assert await store.reserve(KEY, PRINT, BIA, 30) == ("completed", b"")


async def test_an_answer_too_long_to_keep_is_refused_and_nothing_is_written(pay_db, monkeypatch):
    monkeypatch.setattr("tijolo.db.idempotency.MAX_ANSWER_BYTES", 10)
    with pytest.raises(ValueError, match="18 bytes; at most 10"):
        await pay(pay_db, "a note")
    assert await payments(pay_db) == 0


def test_parts_of_a_digest_cannot_run_together():
    assert idempotency_digest("ab", "c") != idempotency_digest("a", "bc")
    assert idempotency_digest("ab") != idempotency_digest("ab", "")
    assert idempotency_digest("é") == idempotency_digest("é".encode())
    assert len(idempotency_digest("\ud800")) == 64


async def test_the_tables_of_alembic_and_of_the_store_are_the_same(pay_db):
    async with pay_db.engine.connect() as connection:
        names = await connection.run_sync(
            lambda c: {column["name"] for column in _inspect(c).get_columns("once_key")}
        )
    assert names == {"key", "fingerprint", "owner", "answer", "expires_at"}


def _inspect(connection):
    from sqlalchemy import inspect

    return inspect(connection)
