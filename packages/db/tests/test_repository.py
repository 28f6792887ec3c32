from __future__ import annotations

import pytest

from tijolo.core import ConflictException, NotFoundException
from tijolo.db import RowLimitExceededError


async def _some(db, repository, shop, *names):
    async with db.transaction() as session:
        repo = repository(session, shop.Product)
        return [await repo.add(shop.Product(name=name, sku=name)) for name in names]


async def test_add_then_read_back_in_another_session(db, repository, shop):
    (tea,) = await _some(db, repository, shop, "tea")
    async with db.read_only() as session:
        repo = repository(session, shop.Product)
        found = await repo.get_by_id(tea.id)
        assert (found.id, found.name, found.created_at) == (tea.id, "tea", tea.created_at)
        assert found.created_at.utcoffset() is not None
        assert (await repo.get_by_id(str(tea.id))).id == tea.id
        assert (await repo.fetch_by_id(tea.id)).name == "tea"


async def test_d1_an_unknown_filter_key_raises_before_any_sql(db, repository, shop):
    await _some(db, repository, shop, "a", "b")
    async with db.transaction() as session:
        repo = repository(session, shop.Product)
        for call in (repo.delete_many, repo.count, repo.list, repo.get, repo.exists):
            with pytest.raises(ValueError, match="did you mean 'name'"):
                await call({"nam": "a"})
        with pytest.raises(ValueError, match="Unknown filter"):
            await repo.bulk_update({"nam": "a"}, {"stock": 1})
        assert not session.in_transaction()


async def test_d3_multi_row_writes_need_a_condition_or_all_rows(db, repository, shop):
    await _some(db, repository, shop, "a", "b", "c")
    async with db.transaction() as session:
        repo = repository(session, shop.Product)
        for empty in ({}, None, [], {"name__not_in": []}):
            with pytest.raises(ValueError, match="all_rows=True"):
                await repo.delete_many(empty)
            with pytest.raises(ValueError, match="all_rows=True"):
                await repo.bulk_update(empty, {"stock": 1})
        with pytest.raises(RowLimitExceededError):
            await repo.delete_many({}, all_rows=True, max_rows=2)
        with pytest.raises(RowLimitExceededError):
            await repo.bulk_update({"name": "a"}, {"stock": 9}, expected=2)
        assert await repo.count() == 3
        assert await repo.count({"stock": 9}) == 0
        assert await repo.bulk_update({"name__in": ["a", "b"]}, {"stock": 5}, expected=2) == 2
        assert await repo.delete_many({}, all_rows=True) == 3


async def test_d6_a_conflict_undoes_itself_alone(db, repository, shop):
    await _some(db, repository, shop, "taken")
    async with db.transaction() as session:
        repo = repository(session, shop.Product)
        session.add(shop.Product(name="pending", sku="pending"))
        with pytest.raises(ConflictException) as caught:
            await repo.add(shop.Product(name="x", sku="taken"))
        assert caught.value.details == {"fields": ["sku"], "reason": "unique"}
        free = await repo.add(shop.Product(name="free", sku="free"))
        free.sku = "taken"
        with pytest.raises(ConflictException):
            await repo.update(free)
    async with db.read_only() as session:
        rows = await repository(session, shop.Product).list()
        assert sorted(row.sku for row in rows) == ["free", "pending", "taken"]


async def test_a_conflict_tells_fields_and_no_values(db, repository, shop):
    import traceback

    await _some(db, repository, shop, "hush" + "-hush")
    async with db.transaction() as session:
        with pytest.raises(ConflictException) as caught:
            await repository(session, shop.Product).add(
                shop.Product(name="x", sku=("hush" + "-hush"))
            )
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert "hush-hush" not in shown
    assert "INSERT" not in shown


async def test_missing_row_is_the_configured_error(db, repository, shop):
    class Gone(NotFoundException):
        code = "PRODUCT_GONE"

    async with db.transaction() as session:
        repo = repository(session, shop.Product, not_found_exception=Gone)
        with pytest.raises(Gone, match="Product not found"):
            await repo.get({"name": "none"})
        with pytest.raises(Gone):
            await repo.get_by_id("not-a-uuid")
        assert await repo.get_or_none({"name": "none"}) is None


async def test_new_rows_may_name_parents_that_the_session_holds(db, repository, shop):
    async with db.transaction() as session:
        customer = await repository(session, shop.Customer).add(shop.Customer(email="a@x"))
        orders = repository(session, shop.Order)
        one = await orders.add(shop.Order(customer=customer))
        await orders.add_all([shop.Order(customer=customer) for _ in range(3)])
        assert one.customer is customer
        assert await orders.count({"customer_id": customer.id}) == 4
