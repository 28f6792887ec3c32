"""A write that clashes undoes itself and nothing of its caller, whatever waited in the session."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from tijolo.core import ConflictException
from tijolo.db import BaseRepository


async def _names(db, shop):
    async with db.read_only() as session:
        rows = await BaseRepository(session, model=shop.Product).list(order_by=shop.Product.name)
        return [row.name for row in rows]


async def test_add_of_what_waits_already_leaves_the_callers_transaction_alone(db, shop):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        await repo.add(shop.Product(name="first", sku="a"))
        twin = shop.Product(name="twin", sku="a")
        session.add(twin)
        with pytest.raises(ConflictException):
            await repo.add(twin)
        await repo.add(shop.Product(name="last", sku="b"))
    assert await _names(db, shop) == ["first", "last"]


async def test_add_all_of_what_waits_already_is_all_or_nothing(db, shop):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        await repo.add(shop.Product(name="first", sku="a"))
        good, twin = shop.Product(name="good", sku="b"), shop.Product(name="twin", sku="a")
        session.add(twin)
        with pytest.raises(ConflictException):
            await repo.add_all([good, twin])
        twin.sku = "c"
        await repo.add_all([good, twin])
    assert await _names(db, shop) == ["first", "good", "twin"]


async def test_a_child_that_its_parent_brought_along_clashes_alone(db, shop):
    async with db.transaction() as session:
        customers = BaseRepository(session, model=shop.Customer)
        customer = await customers.add(shop.Customer(email="a"), refresh=["orders"])
        order = shop.Order(customer=customer)
        await BaseRepository(session, model=shop.Order).add(order, refresh=["lines"])
        lines = BaseRepository(session, model=shop.Line)
        await lines.add(shop.Line(order=order, position=1))
        twin = shop.Line(position=1)
        order.lines.append(twin)  # the cascade makes it wait in the session
        with pytest.raises(ConflictException):
            await lines.add(twin)
        await lines.add(shop.Line(order_id=order.id, position=2))
    async with db.read_only() as session:
        found = await BaseRepository(session, model=shop.Line).list(order_by=shop.Line.position)
        assert [line.position for line in found] == [1, 2]


async def test_an_update_that_moves_to_another_parent_clashes_alone(db, shop):
    async with db.transaction() as session:
        customer = shop.Customer(email="a")
        await BaseRepository(session, model=shop.Customer).add(customer)
        orders = BaseRepository(session, model=shop.Order)
        one, two = await orders.add_all([shop.Order(customer=customer) for _ in range(2)])
        lines = BaseRepository(session, model=shop.Line)
        first, second = await lines.add_all(
            [shop.Line(order=one, position=1), shop.Line(order=two, position=1)]
        )
        second.order = one
        with pytest.raises(ConflictException):
            await lines.update(second)
        assert (second.order_id, second.position) == (two.id, 1)
        first.position = 7
        await lines.update(first)
    async with db.read_only() as session:
        found = await BaseRepository(session, model=shop.Line).list()
        assert {(line.order_id, line.position) for line in found} == {(one.id, 7), (two.id, 1)}


@pytest.mark.parametrize("began", [True, False])
@pytest.mark.parametrize("many", [True, False])
async def test_an_object_can_be_read_after_its_update_clashed(db, shop, began, many):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        await repo.add_all([shop.Product(name="a", sku="a"), shop.Product(name="b", sku="b")])
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        row = await repo.get({"name": "b"})
        if not began:
            await session.commit()
        row.name, row.sku = "changed", "a"
        with pytest.raises(ConflictException) as caught:
            await (repo.update_many([row]) if many else repo.update(row))
        assert (row.name, row.sku, row.stock) == ("b", "b", 0)  # as it is stored
        assert row not in session.dirty
        assert caught.value.details["fields"] == ["sku"]
        row.name = "c"
        await repo.update(row)
    assert await _names(db, shop) == ["a", "c"]


async def test_a_version_that_was_assigned_does_not_count(db, shop):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Document)
        row = await repo.add(shop.Document(title="a", slug="a"))
        row.title = "b"
        await repo.update_many([row])
        row.title, row.version = "c", 77
        await repo.update_many([row])
        assert row.version == 3
        with pytest.raises(ValueError, match=r"Document\.version counts the writes"):
            await repo.bulk_update({"id": row.id}, {"title": "d", "version": 1})
        assert await repo.bulk_update({"id": row.id}, {"title": "d"}) == 1
    async with db.read_only() as session:
        found = await BaseRepository(session, model=shop.Document).get_by_id(row.id)
        assert (found.title, found.version) == ("d", 4)


@pytest.mark.parametrize("how", ["bulk_create_values", "bulk_upsert", "bulk_update"])
async def test_a_naive_datetime_in_a_bulk_write_is_a_clear_mistake(db, shop, how):
    naive = datetime(2026, 11, 22)  # noqa: DTZ001 - that is the mistake
    row = {"id": uuid4(), "name": "a", "sku": "a", "released_at": naive}
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        await repo.bulk_create_values([{**row, "id": uuid4(), "sku": "b", "released_at": None}])
        write = {
            "bulk_create_values": lambda: repo.bulk_create_values(
                [{**row, "released_at": datetime.now(UTC)}, row]
            ),
            "bulk_upsert": lambda: repo.bulk_upsert([row], conflict_columns=["sku"]),
            "bulk_update": lambda: repo.bulk_update({"sku": "b"}, {"released_at": naive}),
        }[how]
        with pytest.raises(ValueError, match=r"Product\.released_at needs a datetime") as caught:
            await write()
        assert "2026" not in str(caught.value)
    assert await _names(db, shop) == ["a"]
