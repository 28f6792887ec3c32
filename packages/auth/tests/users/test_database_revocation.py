"""Revocations in the database: the suite of memory and Redis (2a row 24), and its own."""

import asyncio

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("email_validator")

from sqlalchemy import MetaData, func, select

from tijolo.auth import Principal
from tijolo.auth.testing import RevocationStoreContract
from tijolo.auth.users import DatabaseRevocationStore, make_revocation_table

METADATA = MetaData()
TABLE = make_revocation_table(METADATA)


@pytest.fixture
def clock():
    class Clock:
        now = 1_800_000_000.25

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
async def store(db, clock):
    async with db.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
        await connection.execute(TABLE.delete())
    return DatabaseRevocationStore(db, TABLE, clock=clock)


class TestDatabase(RevocationStoreContract):
    async def test_it_ends_when_the_token_would_have(self, store, clock):
        await store.revoke_token("t1", expires_at=clock() + 60)
        await store.revoke_token("t1", expires_at=clock() + 10)  # comes late; shortens nothing
        clock.now += 59
        assert await store.is_revoked(Principal(subject="7", token_id="t1"))
        clock.now += 1
        assert not await store.is_revoked(Principal(subject="7", token_id="t1"))

    async def test_what_is_over_is_removed_and_nothing_else(self, store, clock, db):
        for n in range(5):
            await store.revoke_token(f"t{n}", expires_at=clock() + 10 * (n + 1))
        clock.now += 30
        assert await store.delete_expired(limit=2) == 2
        assert await store.delete_expired() == 1
        assert await store.delete_expired() == 0
        async with db.read_only() as session:
            assert await session.scalar(select(func.count()).select_from(TABLE)) == 2
        assert await store.is_revoked(Principal(subject="7", token_id="t4"))

    async def test_no_id_is_stored_as_it_is(self, store, clock, db):
        await asyncio.gather(
            store.revoke_token("um-jti", expires_at=clock() + 60),
            store.revoke_session("um-sid", expires_at=clock() + 60),
        )
        async with db.read_only() as session:
            keys = list(await session.scalars(select(TABLE.c.key)))
        assert len(keys) == 2
        assert not any("um-" in key for key in keys)
