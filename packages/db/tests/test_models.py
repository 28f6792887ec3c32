from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import StatementError

from tijolo.core import ConflictException, NotFoundException, PreconditionFailedException
from tijolo.db import BaseRepository, StaleVersionException, uuid7
from tijolo.db.testing import count_queries


def test_uuid7_is_version_7_and_carries_the_time():
    before = time.time_ns() // 1_000_000
    value = uuid7()
    assert (value.version, value.variant) == (7, "specified in RFC 4122")
    assert before <= value.int >> 80 <= before + 5_000


def test_uuid7_increases_strictly_also_between_threads():
    alone = [uuid7() for _ in range(5_000)]
    assert alone == sorted(alone)
    with ThreadPoolExecutor(8) as pool:
        values = [
            v
            for batch in pool.map(lambda _: [uuid7() for _ in range(500)], range(16))
            for v in batch
        ]
    assert len(set(values)) == len(values)


def test_uuid7_survives_a_clock_that_steps_back(monkeypatch):
    first = uuid7()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert uuid7() > first


def test_d21_repr_and_to_dict_show_no_sensitive_column(shop):
    product = shop.Product(id=uuid7(), name="tea", cost_secret="hush")
    assert "hush" not in repr(product)
    assert "tea" not in repr(product)
    data = product.to_dict(exclude=["id"], include={"extra": 1}, remove_none=True)
    assert "cost_secret" not in data
    assert (data["name"], data["extra"]) == ("tea", 1)
    assert "id" not in data
    assert "price" not in data


async def test_d21_repr_of_an_expired_row_runs_no_query(db, shop):
    async with db.transaction() as session:
        product = await BaseRepository(session, model=shop.Product).add(shop.Product(name="x"))
        session.expire(product)
        assert repr(product).startswith("<Product ")
        assert product.to_dict() == {}


async def test_d22_an_object_in_a_set_is_found_after_the_flush(db, shop):
    async with db.transaction() as session:
        product = shop.Product(name="x")
        held = {product}
        await BaseRepository(session, model=shop.Product).add(product)
        assert product in held


def test_update_from_dict_writes_what_is_named_and_refuses_typos(shop):
    product = shop.Product(name="tea", stock=1)
    product.update_from_dict({"stock": None, "id": uuid4()}, allowed_fields={"stock"})
    assert (product.name, product.stock, product.id) == ("tea", None, None)
    with pytest.raises(ValueError, match="did you mean 'stock'"):
        product.update_from_dict({"name": "x", "stok": 2})
    assert product.name == "tea"


def test_table_names_follow_class_names(shop):
    assert shop.Product.__tablename__ == "product"
    assert [column.name for column in shop.Product.__table__.columns][:4] == [
        "id",
        "is_active",
        "created_at",
        "updated_at",
    ]


async def test_instants_come_back_aware_to_the_microsecond(db, shop):
    there = datetime(2026, 7, 1, 9, 30, 15, 123456, tzinfo=timezone(timedelta(hours=-3)))
    async with db.transaction() as session:
        product = await BaseRepository(session, model=shop.Product).add(
            shop.Product(name="x", released_at=there)
        )
        await session.refresh(product)
        assert product.released_at == there
        assert product.released_at.tzinfo is UTC
    async with db.transaction() as session:
        session.add(shop.Product(name="y", released_at=datetime(2026, 1, 1)))  # noqa: DTZ001
        with pytest.raises(StatementError, match="naive"):
            await session.flush()
        await session.rollback()


async def test_rows_of_others_get_the_servers_defaults(db, shop, backend):
    identifier = uuid7()
    # MariaDB: a UUID column since SQLAlchemy 2.1, CHAR(32) before; both take the digits alone
    shown = str(identifier) if backend == "postgres" else identifier.hex
    async with db.transaction() as session:
        await session.execute(
            text("INSERT INTO product (id, name, stock) VALUES (:id, 'raw', 0)"), {"id": shown}
        )
        row = await BaseRepository(session, model=shop.Product).get({"name": "raw"})
    assert row.is_active is True
    assert abs(datetime.now(UTC) - row.created_at) < timedelta(seconds=30)


async def test_d31_reads_leave_the_deleted_out(db, shop):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Customer)
        gone = await repo.add(shop.Customer(email="gone@x"))
        here = await repo.add(shop.Customer(email="here@x"))
        session.add(shop.Order(customer=gone))
        await session.flush()
        await repo.soft_delete(gone.id)
        assert await repo.get_by_id_or_none(gone.id) is None
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Customer)
        assert [row.id for row in await repo.list()] == [here.id]
        assert [row.id for row in await repo.fetch()] == [here.id]
        assert await repo.count() == 1
        assert await repo.exists({"email": "gone@x"}) is False
        assert (await repo.paginate())["total"] == 1
        assert [row.id for row in (await repo.cursor_paginate())["items"]] == [here.id]
        assert await repo.bulk_update({"email": "gone@x"}, {"email": "z"}) == 0
        for read in (repo.get_by_id, repo.fetch_by_id, repo.soft_delete):
            with pytest.raises(NotFoundException):
                await read(gone.id)
        assert (await repo.get_by_id(gone.id, include_deleted=True)).is_deleted
        assert len(await repo.list(include_deleted=True)) == 2
    async with db.read_only() as session:
        # a statement of the user's own, and a relationship
        assert len((await session.scalars(select(shop.Customer))).all()) == 1
        (order,) = await BaseRepository(session, model=shop.Order).list(load=["customer"])
        assert order.customer is None
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Customer)
        assert (await repo.restore(gone.id)).deleted_at is None
        assert await repo.count() == 2


async def test_d31_a_value_is_free_again_after_a_soft_deletion(db, shop, backend):
    if backend == "mariadb":
        pytest.skip("MariaDB has no partial indexes")
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Customer)
        first = await repo.add(shop.Customer(email="a@x"))
        with pytest.raises(ConflictException) as caught:
            await repo.add(shop.Customer(email="a@x"))
        assert caught.value.details["fields"] == ["email"]
        await repo.soft_delete(first.id)
        await repo.add(shop.Customer(email="a@x"))


async def test_soft_delete_without_the_mixin_is_refused(db, shop):
    async with db.transaction() as session:
        with pytest.raises(TypeError, match="SoftDeleteMixin"):
            await BaseRepository(session, model=shop.Product).soft_delete(uuid7())


async def test_two_writers_of_one_version_are_a_409(db, shop):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Document)
        document = await repo.add(shop.Document(title="a", slug="a"))
    assert document.version == 1
    async with db.transaction() as mine:
        row = await BaseRepository(mine, model=shop.Document).get_by_id(document.id)
        await mine.commit()
        async with db.transaction() as theirs:
            repo = BaseRepository(theirs, model=shop.Document)
            other = await repo.get_by_id(document.id)
            other.title = "theirs"
            await repo.update(other)
        row.title = "mine"
        with pytest.raises(StaleVersionException) as caught:
            await BaseRepository(mine, model=shop.Document).update(row)
        assert (caught.value.status_code, caught.value.code) == (409, "STALE_VERSION")
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Document)
        row = await repo.get_by_id(document.id)
        assert (row.title, row.version) == ("theirs", 2)
        row.title = "again"
        with pytest.raises(PreconditionFailedException):
            await repo.update(row, expected_version=1)
        assert (await repo.update(row, expected_version=2)).version == 3
        assert await repo.bulk_update({"slug": "a"}, {"title": "bulk"}) == 1
        await session.refresh(row)
        assert row.version == 4


async def test_audit_columns_are_stamped(db, shop):
    creator, editor = uuid7(), uuid7()
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Customer)
        customer = shop.Customer(email="a@x")
        customer.stamp_created_by(creator)
        await repo.add(customer)
        customer.stamp_updated_by(editor)
        await repo.update(customer)
        assert (customer.created_by, customer.updated_by) == (creator, editor)


async def test_relationships_load_by_name_and_are_written_nested(db, shop):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Order)
        order = repo.map_to_model(
            {"customer": {"email": "a@x"}, "lines": [{"position": 1}, {"position": 2}]}
        )
        await repo.add(order)
    async with db.read_only() as session:
        repo = BaseRepository(session, model=shop.Order)
        with count_queries(db.engine, at_most=4):
            found = await repo.get_by_id(order.id, load=["lines", "customer.orders"])
            assert [line.position for line in found.lines] == [1, 2]
            assert found.customer.orders == [found]
        with pytest.raises(ValueError, match="did you mean 'lines'"):
            await repo.list(load=["line"])


async def test_d7_update_takes_only_its_own_sessions_rows(db, shop):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        product = await repo.add(shop.Product(name="a"))
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        for foreign in (product, shop.Product(name="new")):
            with pytest.raises(ValueError, match="not in the repository's session"):
                await repo.update(foreign)
        with pytest.raises(TypeError):
            await repo.add(shop.Customer(email="a@x"))
        mine = await repo.get_by_id(product.id)
        mine.name = "b"
        await repo.update(mine)
        await session.rollback()
    async with db.read_only() as session:
        assert (await BaseRepository(session, model=shop.Product).get_by_id(product.id)).name == "a"


async def test_d32_first_always_has_an_order(db, shop):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        rows = await repo.add_all([shop.Product(name=f"n{i}") for i in range(9)])
        with count_queries(db.engine) as counted:
            assert (await repo.first()).id == min(row.id for row in rows)
        assert "ORDER BY" in counted.statements[0]
        assert (await repo.first(order_by=shop.Product.name.desc())).name == "n8"
        assert await repo.first({"name": "none"}) is None


@given(st.integers(min_value=0, max_value=50))
def test_uuid7_sorts_as_its_text(count):
    values = [uuid7() for _ in range(count)]
    assert [str(value) for value in values] == sorted(str(value) for value in values)
