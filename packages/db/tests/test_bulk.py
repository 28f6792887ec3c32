from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import CHAR, Enum, ForeignKey, Integer, MetaData, String, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tijolo.core import ConflictException, ValidationException, utcnow
from tijolo.db import BaseRepository
from tijolo.db.testing import count_queries


def _rows(count, **values):
    return [{"name": f"n{i}", "sku": f"s{i}", "stock": i, **values} for i in range(count)]


async def test_d19_twelve_thousand_rows_and_their_defaults(db, shop):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        assert await repo.bulk_create_values(_rows(12_000, price=Decimal("1.25"))) == 12_000
    async with db.read_only() as session:
        repo = BaseRepository(session, model=shop.Product)
        assert await repo.count() == 12_000
        row = await repo.get({"sku": "s11999"})
        assert (row.price, row.is_active, row.stock) == (Decimal("1.25"), True, 11_999)
        assert (utcnow() - row.created_at).total_seconds() < 60


async def test_rows_may_name_different_columns(db, shop):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        await repo.bulk_create_values([{"name": "a"}, {"name": "b", "stock": 7}, {"name": "c"}])
        assert {(row.name, row.stock) for row in await repo.list()} == {
            ("a", 0),
            ("b", 7),
            ("c", 0),
        }
        assert await repo.bulk_create_values([]) == 0
        with pytest.raises(ValueError, match="did you mean 'stock'"):
            await repo.bulk_create_values([{"name": "a", "stok": 1}])


async def test_a_clash_in_a_bulk_insert_undoes_the_bulk_alone(db, shop):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        await repo.add(shop.Product(name="kept", sku="s2"))
        with pytest.raises(ConflictException) as caught:
            await repo.bulk_create_values(_rows(5))
        assert caught.value.details["fields"] == ["sku"]
        assert await repo.count() == 1


async def test_d20_an_upsert_keeps_created_at_and_what_it_does_not_name(db, shop):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        await repo.bulk_create_values(_rows(3, price=Decimal(5), is_active=False))
        before = {row.sku: row for row in await repo.fetch()}
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        rows = [{"name": f"new{i}", "sku": f"s{i}"} for i in range(4)]
        assert await repo.bulk_upsert(rows, conflict_columns=["sku"]) == 4
    async with db.read_only() as session:
        repo = BaseRepository(session, model=shop.Product)
        after = {row.sku: row for row in await repo.fetch()}
    assert {row.name for row in after.values()} == {"new0", "new1", "new2", "new3"}
    for sku, old in before.items():
        new = after[sku]
        assert (new.id, new.created_at, new.price, new.is_active, new.stock) == (
            old.id,
            old.created_at,
            old.price,
            old.is_active,
            old.stock,
        )
        assert new.updated_at > old.updated_at
    assert after["s3"].is_active is True


async def test_d20_an_upsert_does_not_bring_back_the_deleted(db, shop):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Customer)
        customer = await repo.add(shop.Customer(email="a@x"))
        await repo.soft_delete(customer.id)
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Customer)
        row = {"id": customer.id, "email": "b@x", "deleted_at": None}
        await repo.bulk_upsert([row], conflict_columns=["id"])
        assert await repo.count() == 0
        found = await repo.get_by_id(customer.id, include_deleted=True)
        assert (found.email, found.is_deleted) == ("b@x", True)


async def test_the_last_of_equal_rows_counts(db, shop):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        rows = [{"name": name, "sku": "same"} for name in ("first", "second", "last")]
        assert await repo.bulk_upsert(rows, conflict_columns=["sku"]) == 1
        assert (await repo.get({"sku": "same"})).name == "last"


async def test_an_upsert_may_name_what_it_updates_and_moves_the_version(db, shop):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Document)
        row = {"title": "one", "slug": "s"}
        await repo.bulk_upsert([row], conflict_columns=["slug"])
        await repo.bulk_upsert([{**row, "title": "two"}], conflict_columns=["slug"])
        (found,) = await repo.fetch()
        assert (found.title, found.version) == ("two", 2)
        await repo.bulk_upsert(
            [{**row, "title": "no"}], conflict_columns=["slug"], update_columns=["slug"]
        )
        (found,) = await repo.fetch()
        assert (found.title, found.version) == ("two", 3)
        with pytest.raises(ValueError, match="empty"):
            await repo.bulk_upsert([row], conflict_columns=[])


@pytest.mark.parametrize("wanted", [None, ["name", "stock"]])
async def test_an_upsert_leaves_what_a_row_does_not_name(db, shop, wanted):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        stored = [{"sku": "x", "name": "x", "stock": 1}, {"sku": "y", "name": "y", "stock": 2}]
        await repo.bulk_create_values(stored)
        rows = [{"sku": "x", "name": "new"}, {"sku": "y", "name": "y", "stock": 9, "price": 5}]
        await repo.bulk_upsert(rows, conflict_columns=["sku"], update_columns=wanted)
        found = {row.sku: (row.name, row.stock) for row in await repo.fetch()}
    assert found == {"x": ("new", 1), "y": ("y", 9)}


class Reversed(TypeDecorator):
    impl = String
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else value[::-1]

    def process_result_value(self, value, dialect):
        return None if value is None else value[::-1]


class Narrow(DeclarativeBase):
    metadata = MetaData()


class Label(Narrow):
    __tablename__ = "narrow_label"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    code: Mapped[str | None] = mapped_column(String(5), default=None)
    fixed: Mapped[str | None] = mapped_column(CHAR(5), default=None)
    turned: Mapped[str | None] = mapped_column(Reversed(5), default=None)
    kind: Mapped[str | None] = mapped_column(Enum("a", "b", native_enum=False), default=None)


async def _write_label(db, method, rows, **options):
    async with db.transaction() as session:
        await getattr(BaseRepository(session, model=Label), method)(rows, **options)


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ],
    indirect=True,
)
@pytest.mark.parametrize("column", ["code", "fixed", "turned"])
async def test_a_text_that_is_too_long_is_refused_and_not_cut(db, column):
    async with db.engine.begin() as connection:
        await connection.run_sync(Narrow.metadata.create_all)
    try:
        for method in ("bulk_create_values", "bulk_upsert"):
            options = {"conflict_columns": ["id"]} if method == "bulk_upsert" else {}
            with pytest.raises(ValidationException):
                await _write_label(db, method, [{"id": 1, column: "abcdefgh"}], **options)
        async with db.transaction() as session:
            repo = BaseRepository(session, model=Label)
            assert await repo.count() == 0
            await repo.bulk_create_values([{"id": 1, column: "abcde", "kind": "b"}])
            row = await repo.get_by_id(1)
            assert (getattr(row, column), row.kind) == ("abcde", "b")
    finally:
        async with db.engine.begin() as connection:
            await connection.run_sync(Narrow.metadata.drop_all)


async def test_add_all_does_not_read_each_row_back(db, shop):
    async with db.transaction() as session:
        repo = BaseRepository(session, model=shop.Product)
        await session.execute(__import__("sqlalchemy").text("SELECT 1"))
        with count_queries(db.engine, at_most=4):
            await repo.add_all([shop.Product(name=f"n{i}") for i in range(500)])


class Foreign(DeclarativeBase):
    metadata = MetaData()


class Country(Foreign):
    __tablename__ = "legacy_country"
    code: Mapped[str] = mapped_column("c_code", String(2), primary_key=True)
    label: Mapped[str] = mapped_column("c_label", String(40))


class City(Foreign):
    __tablename__ = "legacy_city"
    country: Mapped[str] = mapped_column(ForeignKey("legacy_country.c_code"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    label: Mapped[str] = mapped_column(String(40))


@pytest.fixture
async def legacy(db):
    async with db.engine.begin() as connection:
        await connection.run_sync(Foreign.metadata.create_all)
    yield db
    async with db.engine.begin() as connection:
        await connection.run_sync(Foreign.metadata.drop_all)


async def test_any_declarative_base_with_any_key_works(legacy):
    async with legacy.transaction() as session:
        countries = BaseRepository(session, model=Country)
        cities = BaseRepository(session, model=City, orderable=["label"])
        await countries.bulk_create_values([{"code": "br", "label": "Brasil"}])
        await countries.bulk_upsert([{"code": "br", "label": "Brazil"}], conflict_columns=["code"])
        await countries.add(Country(code="pt", label="Portugal"))
        assert (await countries.get_by_id("br")).label == "Brazil"
        await cities.bulk_create_values(
            [{"country": "br", "number": n, "label": f"l{n % 2}"} for n in range(7)]
        )
        assert (await cities.get_by_id(("br", 3))).label == "l1"
        assert (await cities.fetch_by_id(("br", 3))).label == "l1"
        page = await cities.paginate(order_by="label", page_size=3)
        assert [row.number for row in page["items"]] == [0, 2, 4]
        page = await cities.cursor_paginate(order_by="label", ascending=True, limit=4)
        page = await cities.cursor_paginate(
            order_by="label", ascending=True, limit=4, cursor=page["next_cursor"]
        )
        assert [row.number for row in page["items"]] == [1, 3, 5]
        assert await cities.delete_batch([("br", 0), ("br", 1), ("zz", 9)]) == 2
        with pytest.raises(ConflictException) as caught:
            await countries.delete("br")
        assert caught.value.message == "Conflict deleting Country"
        assert caught.value.details["reason"] == "foreign_key"
        for delete in (countries.delete_batch(["br"]), countries.delete_many({"code": "br"})):
            with pytest.raises(ConflictException, match="Conflict deleting Country"):
                await delete
        named = BaseRepository(session, model=Country, update_conflict_message="It is in use")
        with pytest.raises(ConflictException, match="It is in use"):
            await named.delete("br")
