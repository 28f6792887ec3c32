from __future__ import annotations

import enum
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Enum, Float, Integer, MetaData, Numeric, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tijolo.db import (
    CountPolicy,
    InvalidCursorException,
    InvalidPageError,
    UnknownOrderError,
)

SAME_MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def _fill(db, repository, shop, count, **values):
    rows = [
        {"name": f"p{number:03}", "sku": f"s{number:03}", "stock": number, **values}
        for number in range(count)
    ]
    async with db.transaction() as session:
        await repository(session, shop.Product).bulk_create_values(rows)


async def _walk(repo, **options):
    """Every item of every page, forwards, and the last page's prev_cursor."""
    items, cursor = [], None
    while True:
        page = await repo.cursor_paginate(cursor=cursor, **options)
        items += page["items"]
        cursor = page["next_cursor"]
        assert page["has_more"] is (cursor is not None)
        if cursor is None:
            return items, page["prev_cursor"]


async def test_d13_pages_over_equal_keys_show_each_row_once(db, repository, shop):
    await _fill(db, repository, shop, 40, created_at=SAME_MOMENT)
    async with db.read_only() as session:
        repo = repository(session, shop.Product)
        pages = [await repo.paginate(page=number, page_size=7) for number in range(1, 8)]
    seen = [row.id for page in pages for row in page["items"]]
    assert len(seen) == len(set(seen)) == 40
    assert [page["total"] for page in pages] == [40] * 7
    assert {page["pages"] for page in pages} == {6}
    assert [page["has_more"] for page in pages] == [True] * 5 + [False] * 2


async def test_d12_a_join_neither_repeats_rows_nor_inflates_the_total(db, repository, shop):
    async with db.transaction() as session:
        for number in range(3):
            customer = shop.Customer(email=f"{number}@x")
            order = shop.Order(
                customer=customer, lines=[shop.Line(position=place) for place in range(5)]
            )
            session.add(order)
    query = select(shop.Order).join(shop.Line).where(shop.Line.position >= 1)
    async with db.read_only() as session:
        page = await repository(session, shop.Order).paginate(query=query, page_size=2)
    assert (len(page["items"]), page["total"]) == (2, 3)


@pytest.mark.parametrize("policy", ["exact", "capped", "estimated", "none"])
async def test_count_policies(db, repository, shop, policy):
    await _fill(db, repository, shop, 30)
    chosen = CountPolicy.capped(10) if policy == "capped" else getattr(CountPolicy, policy)()
    async with db.read_only() as session:
        page = await repository(session, shop.Product).paginate(page_size=5, count=chosen)
    assert page["has_more"]
    if policy == "none":
        assert (page["total"], page["pages"]) == (None, None)
    elif policy == "capped":
        assert (page["total"], page["total_exact"]) == (10, False)
    elif policy == "exact":
        assert (page["total"], page["total_exact"]) == (30, True)
    else:
        assert page["total"] >= 5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("page", 0),
        ("page", -1),
        ("page", 10**30),
        ("page_size", 0),
        ("page_size", 101),
        ("page_size", 10**30),
    ],
)
async def test_d15_pages_out_of_range_are_422(db, repository, shop, field, value):
    async with db.read_only() as session:
        with pytest.raises(InvalidPageError) as caught:
            await repository(session, shop.Product).paginate(**{field: value})
    assert caught.value.status_code == 422
    assert caught.value.details["field"] == field


async def test_the_highest_page_is_empty_and_not_an_error(db, repository, shop):
    await _fill(db, repository, shop, 3)
    async with db.read_only() as session:
        page = await repository(session, shop.Product).paginate(page=2**31 - 1, page_size=100)
    assert (page["items"], page["total"], page["has_more"]) == ([], 3, False)


@pytest.mark.parametrize("name", ["cost_secret", "metadata", "nonsense", "orders", "_x", "x" * 300])
async def test_d14_requests_order_by_the_allow_list_alone(db, repository, shop, name):
    async with db.read_only() as session:
        repo = repository(session, shop.Product, orderable=["name", "stock"])
        for call in (repo.paginate, repo.cursor_paginate, repo.list, repo.first):
            with pytest.raises(UnknownOrderError) as caught:
                await call(order_by=name)
        assert caught.value.status_code == 422
        await repo.paginate(order_by="name")
        await repo.paginate(order_by=shop.Product.price.desc())


async def test_deep_pages_look_rows_up_late_and_in_order(db, repository, shop):
    await _fill(db, repository, shop, 1100)
    async with db.read_only() as session:
        repo = repository(session, shop.Product, orderable=["stock"])
        page = await repo.paginate(order_by="stock", page=51, page_size=20)
    assert [row.stock for row in page["items"]] == list(range(1000, 1020))


ORDERS = {
    "default": "created_at",
    "one column": "stock",
    "nullable": "price",
    "nullable descending": "-price",
    "text": ["name"],
    "several": ["price", "stock"],
    "mixed": ["stock", "-price", "name"],
    "uuid": "id",
    "time with nulls": "released_at",
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("ascending", [True, False])
async def test_d8_d9_a_walk_sees_every_row_once_both_ways(db, repository, shop, order, ascending):
    rows = [
        {
            "name": f"p{number % 3}",
            "stock": number % 4,
            "price": None if number % 3 == 0 else Decimal(number % 5),
            "released_at": None if number % 4 == 0 else SAME_MOMENT.replace(microsecond=number % 2),
            "created_at": SAME_MOMENT.replace(microsecond=number // 3),
        }
        for number in range(29)
    ]
    async with db.transaction() as session:
        await repository(session, shop.Product).bulk_create_values(rows)
    async with db.read_only() as session:
        repo = repository(session, shop.Product, orderable=["id", "created_at", *rows[0]])
        options = {"order_by": ORDERS[order], "ascending": ascending, "limit": 4}
        forwards, previous = await _walk(repo, **options)
        assert len({row.id for row in forwards}) == len(forwards) == 29
        backwards = forwards[-1:]
        while previous is not None:
            page = await repo.cursor_paginate(cursor=previous, **options)
            backwards[:0] = page["items"]
            previous = page["prev_cursor"]
        # the last page of the forward walk has one row
        assert [row.id for row in backwards] == [row.id for row in forwards]


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"
    MEDIUM = "medium"


class Measured(DeclarativeBase):
    metadata = MetaData()


class Shirt(Measured):
    __tablename__ = "walk_shirt"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    size: Mapped[Size] = mapped_column(Enum(Size, name="walk_size"))
    worn: Mapped[Size | None] = mapped_column(
        Enum(Size, name="walk_worn", values_callable=lambda kinds: [kind.value for kind in kinds])
    )
    plain: Mapped[Size] = mapped_column(Enum(Size, native_enum=False, length=20))
    ratio: Mapped[float | None] = mapped_column(Float)
    rounded: Mapped[Decimal] = mapped_column(Float(asdecimal=True))
    price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    loose: Mapped[Decimal] = mapped_column(Numeric())


@pytest.fixture
async def shirts(db):
    """The manager, with 25 shirts whose stored values are not what Python reads."""
    async with db.engine.begin() as connection:
        await connection.run_sync(Measured.metadata.create_all)
        for number in range(25):
            values = {
                "id": number,
                "size": list(Size)[number * 7 % 3],
                "worn": None if number % 5 == 0 else list(Size)[number % 3],
                "plain": list(Size)[number % 3],
                "ratio": None if number % 6 == 0 else [0.1, 1 / 3, 1e-7][number % 3],
                "rounded": Decimal(number % 4) / 7,
                "price": None if number % 7 == 0 else Decimal(number % 9),
                "loose": Decimal(number % 5),
            }
            await connection.execute(Shirt.__table__.insert(), values)
        await connection.execute(
            text("UPDATE walk_shirt SET price = price * 1.1234567, loose = loose / 3.0")
        )
    yield db
    async with db.engine.begin() as connection:
        await connection.run_sync(Measured.metadata.drop_all)


SHIRT_ORDERS = [
    *("size", "-size", "worn", "-worn", "plain", "ratio", "-ratio", "rounded", "price", "-loose"),
    ["size", "-price"],
    ["-ratio", "worn", "loose"],
    ["rounded", "price", "size"],
]


@pytest.mark.parametrize("order", SHIRT_ORDERS, ids=str)
async def test_a_walk_compares_what_is_stored_and_not_what_python_reads(shirts, repository, order):
    names = [column.key for column in Shirt.__table__.columns]
    async with shirts.read_only() as session:
        repo = repository(session, Shirt, orderable=names)
        options = {"order_by": order, "ascending": True, "limit": 3}
        seen, cursor = [], None
        for _ in range(9):
            page = await repo.cursor_paginate(cursor=cursor, **options)
            seen += [row.id for row in page["items"]]
            cursor = page["next_cursor"]
        assert (sorted(seen), cursor) == (list(range(25)), None)
        assert seen == [row.id for row in await repo.list(order_by=[*_listed(order), _tie(order)])]
        back = [row.id for row in page["items"]]
        for _ in range(8):
            page = await repo.cursor_paginate(cursor=page["prev_cursor"], **options)
            back[:0] = [row.id for row in page["items"]]
        assert (back, page["prev_cursor"]) == (seen, None)


def _listed(order):
    return order if isinstance(order, list) else [order]


def _tie(order):
    return "-id" if _listed(order)[-1].startswith("-") else "id"


async def test_a_cursor_walks_along_columns_of_its_own_model_alone(db, repository, shop):
    async with db.read_only() as session:
        repo = repository(session, shop.Order)
        for foreign in (shop.Customer.created_at, shop.Customer.id.desc()):
            with pytest.raises(ValueError, match="columns of Order"):
                await repo.cursor_paginate(order_by=foreign)


async def test_a_query_with_joins_is_ordered_by_its_own_model(db, repository, shop):
    async with db.transaction() as session:
        for number in range(3):
            customer = shop.Customer(email=f"{number}@x")
            session.add(shop.Order(customer=customer, lines=[shop.Line(position=1)]))
    query = select(shop.Order).join(shop.Order.customer)
    email = select(shop.Customer.email).where(shop.Customer.id == shop.Order.customer_id)
    async with db.read_only() as session:
        repo = repository(session, shop.Order)
        with pytest.raises(ValueError, match="scalar subquery"):
            await repo.paginate(query=query, order_by=shop.Customer.email)
        page = await repo.paginate(
            query=query, order_by=email.scalar_subquery().desc(), load=["customer"]
        )
    assert [row.customer.email for row in page["items"]] == ["2@x", "1@x", "0@x"]


async def test_an_order_by_another_models_key_still_gets_a_tie_break(db, repository, shop):
    async with db.transaction() as session:
        customer = shop.Customer(email="a@x")
        lines = [shop.Line(id=UUID(int=n * 5 % 9 + 1), position=n) for n in range(9)]
        session.add(shop.Order(customer=customer, lines=lines))
    joined = [shop.Line.order_id == shop.Order.id]
    async with db.read_only() as session:
        repo = repository(session, shop.Line)
        pages = [
            await repo.paginate(joined, order_by=shop.Order.id.desc(), page=number, page_size=2)
            for number in range(1, 6)
        ]
        ordered = sorted((row.id for row in await repo.list()), reverse=True)
    assert [row.id for page in pages for row in page["items"]] == ordered


async def test_d10_a_cursor_is_good_for_its_own_query_alone(db, repository, shop):
    await _fill(db, repository, shop, 10)
    async with db.read_only() as session:
        repo = repository(session, shop.Product, orderable=["stock", "created_at", "name"])
        base = {"filters": {"stock__gte": 1}, "order_by": "stock", "limit": 2}
        cursor = (await repo.cursor_paginate(**base))["next_cursor"]
        assert cursor
        await repo.cursor_paginate(**base, cursor=cursor)
        for change in (
            {"filters": {"stock__gte": 0}},
            {"filters": {}},
            {"filters": shop.Product.stock >= 1},
            {"order_by": "created_at"},
            {"order_by": "-stock"},
            {"ascending": True},
            {"include_deleted": True},
        ):
            with pytest.raises(InvalidCursorException):
                await repo.cursor_paginate(**{**base, **change}, cursor=cursor)
        forged = cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")
        for bad in (cursor[:-1], cursor + "A", forged, "", "é", "=", "A" * 9000, "\x00", "null"):
            with pytest.raises(InvalidCursorException) as caught:
                await repo.cursor_paginate(**base, cursor=bad)
            assert (caught.value.status_code, caught.value.code) == (400, "INVALID_CURSOR")


@pytest.mark.postgres
@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
async def test_d11_the_keyset_condition_is_an_index_condition(db, repository, shop):
    await _fill(db, repository, shop, 2000)
    async with db.transaction() as session:
        await session.execute(
            text("CREATE INDEX IF NOT EXISTS ix_walk ON product (created_at, id)")
        )
        await session.execute(text("ANALYZE product"))
        plans = []
        connection = await session.connection()
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        repo = repository(session, shop.Product)
        page = await repo.cursor_paginate(limit=20)

        from sqlalchemy import event

        def capture(conn, cursor, statement, parameters, context, executemany):
            plans.append((statement, parameters))

        event.listen(db.engine.sync_engine, "before_cursor_execute", capture)
        await repo.cursor_paginate(limit=20, cursor=page["next_cursor"])
        event.remove(db.engine.sync_engine, "before_cursor_execute", capture)
        statement, parameters = plans[-1]
        plan = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        shown = "\n".join(row[0] for row in plan)
        await session.execute(text("DROP INDEX ix_walk"))
    assert "Index Cond: (ROW(created_at, id) < ROW(" in shown
    assert "Sort" not in shown


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    stocks=st.lists(st.integers(0, 3), min_size=1, max_size=25),
    inserts=st.lists(st.integers(0, 3), max_size=10),
    limit=st.integers(1, 6),
    ascending=st.booleans(),
)
async def test_a_walk_under_concurrent_inserts_sees_what_was_there_once(
    db, repository, shop, stocks, inserts, limit, ascending
):
    async with db.transaction() as session:
        repo = repository(session, shop.Product)
        await repo.delete_many({}, all_rows=True)
        await repo.bulk_create_values([{"name": "old", "stock": stock} for stock in stocks])
    seen, cursor, pending = [], None, list(inserts)
    while True:
        async with db.read_only() as session:
            repo = repository(session, shop.Product, orderable=["stock"])
            page = await repo.cursor_paginate(
                cursor=cursor, limit=limit, order_by="stock", ascending=ascending
            )
        seen += [row for row in page["items"] if row.name == "old"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        if pending:
            async with db.transaction() as session:
                await repository(session, shop.Product).add(
                    shop.Product(name="new", stock=pending.pop())
                )
    assert len({row.id for row in seen}) == len(seen) == len(stocks)
