from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tijolo.core import ValidationException
from tijolo.db import UNSET, BaseRepository, InvalidFilterError, UnknownFilterError

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
async def names(db, shop):
    """filters -> the sorted names of the products that match."""
    rows = [
        {"name": "tea", "stock": 1, "price": Decimal("2.50"), "released_at": NOON},
        {"name": "Teapot", "stock": 2, "price": None, "released_at": None},
        {
            "name": "50%_off\\",
            "stock": 3,
            "price": Decimal(9),
            "released_at": NOON.replace(hour=23),
        },
        {
            "name": "cup",
            "stock": 4,
            "price": Decimal(1),
            "is_active": False,
            "released_at": NOON + timedelta(days=1),
        },
    ]
    async with db.transaction() as session:
        await BaseRepository(session, model=shop.Product).bulk_create_values(rows)

    async def matching(filters, **options):
        async with db.read_only() as session:
            repo = BaseRepository(session, model=shop.Product, **options)
            found = [row.name for row in await repo.list(filters)]
            plain = [row.name for row in await repo.fetch(filters)]
            assert sorted(found) == sorted(plain)
            assert await repo.count(filters) == len(found)
            return sorted(found)

    return matching


TABLE = [
    ({"name": "tea"}, ["tea"]),
    ({"price": None}, ["Teapot"]),
    ({"price__is_null": False}, ["50%_off\\", "cup", "tea"]),
    ({"price__ne": None}, ["50%_off\\", "cup", "tea"]),
    ({"stock": UNSET, "name": "cup"}, ["cup"]),
    ({"stock": [1, 2]}, ["Teapot", "tea"]),
    ({"stock": (1, 4)}, ["cup", "tea"]),
    ({"stock": {2}}, ["Teapot"]),
    ({"stock": []}, []),
    ({"stock__in": []}, []),
    ({"stock__not_in": []}, ["50%_off\\", "Teapot", "cup", "tea"]),
    ({"stock__not_in": [1, 2]}, ["50%_off\\", "cup"]),
    ({"price__in": [None, Decimal(1)]}, ["Teapot", "cup"]),
    ({"price__not_in": [None, Decimal(1)]}, ["50%_off\\", "tea"]),
    ({"stock__gt": 1, "stock__lte": 3}, ["50%_off\\", "Teapot"]),
    ({"stock__gte": 2, "stock__lt": 3}, ["Teapot"]),
    ({"stock__between": [2, 3]}, ["50%_off\\", "Teapot"]),
    ({"name__icontains": "TEA"}, ["Teapot", "tea"]),
    ({"name__istartswith": "TEAP"}, ["Teapot"]),
    ({"name__contains": "%"}, ["50%_off\\"]),
    ({"name__contains": "_"}, ["50%_off\\"]),
    ({"name__endswith": "\\"}, ["50%_off\\"]),
    ({"name__startswith": "50%_"}, ["50%_off\\"]),
    ({"is_active": False}, ["cup"]),
    ({"released_at": NOON}, ["tea"]),
    ({"released_at": date(2026, 3, 10)}, ["50%_off\\", "tea"]),
    ({"released_at__gt": date(2026, 3, 10)}, ["cup"]),
    ({"released_at__lte": date(2026, 3, 10)}, ["50%_off\\", "tea"]),
    ({"released_at__between": [date(2026, 3, 10), date(2026, 3, 11)]}, ["50%_off\\", "cup", "tea"]),
    ({"released_at__in": [date(2026, 3, 11)]}, ["cup"]),
]


@pytest.mark.parametrize(("filters", "expected"), TABLE)
async def test_a_filter_finds(names, filters, expected):
    assert await names(filters) == expected


async def test_d17_a_generator_is_a_list_of_values(db, shop, names):
    async with db.read_only() as session:
        repo = BaseRepository(session, model=shop.Product)
        assert len(await repo.list({"stock": (n for n in (3, 4))})) == 2


async def test_expressions_stand_beside_mappings(names, shop):
    assert await names(shop.Product.stock > 3) == ["cup"]
    assert await names([shop.Product.stock > 1, {"is_active": True, "stock__lt": 3}]) == ["Teapot"]


async def test_d16_a_day_is_that_of_the_repositorys_zone(db, shop, names):
    class Brazilian(BaseRepository):
        timezone = timezone(timedelta(hours=-3))

    async with db.read_only() as session:
        repo = Brazilian(session, model=shop.Product)
        found = await repo.list({"released_at": date(2026, 3, 10)})
    assert sorted(row.name for row in found) == ["50%_off\\", "tea"]
    async with db.transaction() as session:
        repo = Brazilian(session, model=shop.Product)
        await repo.bulk_update(
            {"name": "tea"}, {"released_at": datetime(2026, 3, 11, 1, tzinfo=UTC)}
        )
        assert await repo.count({"released_at": date(2026, 3, 10)}) == 2
        assert await repo.count({"released_at": date(2026, 3, 11)}) == 1


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "key",
    [
        "metadata",
        "to_dict",
        "orders",
        "cost_secret",
        "cost_secret__contains",
        "__class__",
        "registry",
        "name__regex",
        "name__",
        "nme",
        "stock__gte__gte",
        "x" * 500,
        "_sa_instance_state",
        "",
    ],
)
async def test_d18_only_public_columns_are_filters(db, shop, key):
    async with db.read_only() as session:
        with pytest.raises(UnknownFilterError) as caught:
            await BaseRepository(session, model=shop.Product).list({key: "x"})
    assert isinstance(caught.value, ValidationException)
    assert caught.value.details == {"field": key}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", "not-a-uuid"),
        ("id", 7),
        ("stock", "7"),
        ("stock", 10**30),
        ("stock", 2**31),
        ("stock__gt", None),
        ("stock__between", [1]),
        ("stock__in", 7),
        ("stock__is_null", "yes"),
        ("name", 7),
        ("name__contains", 7),
        ("released_at", datetime(2026, 1, 1)),  # noqa: DTZ001
        ("released_at", "yesterday"),
        ("released_at", date.max),
        ("price", "cheap"),
        ("name", {"$ne": ""}),
    ],
)
async def test_a_value_that_does_not_fit_is_422_naming_the_field(db, shop, key, value):
    async with db.read_only() as session:
        with pytest.raises(InvalidFilterError) as caught:
            await BaseRepository(session, model=shop.Product).list({key: value})
        assert not session.in_transaction()
    assert (caught.value.status_code, caught.value.details) == (422, {"field": key})


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_filterable_narrows_what_requests_may_name(db, shop):
    async with db.read_only() as session:
        repo = BaseRepository(session, model=shop.Product, filterable=["name"])
        await repo.list({"name": "x"})
        with pytest.raises(UnknownFilterError):
            await repo.list({"stock": 1})
        with pytest.raises(ValueError, match="cost_secret"):
            BaseRepository(session, model=shop.Product, filterable=["cost_secret"])
        # code may say what a request may not
        assert await repo.list(shop.Product.cost_secret == "x") == []


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_filters_of_another_kind_are_a_type_error(db, shop):
    async with db.read_only() as session:
        for wrong in ("name", 7, b"x"):
            with pytest.raises(TypeError, match="mapping"):
                await BaseRepository(session, model=shop.Product).list(wrong)


async def test_a_uuid_may_come_as_text(db, shop, names):
    async with db.read_only() as session:
        repo = BaseRepository(session, model=shop.Product)
        row = await repo.get({"name": "cup"})
        assert (await repo.get({"id": str(row.id)})).name == "cup"
        assert await repo.get_or_none({"id": uuid4()}) is None


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    key=st.one_of(st.text(max_size=30), st.sampled_from(["name", "stock__in", "id", "price__gte"])),
    value=st.one_of(
        st.none(),
        st.text(),
        st.integers(),
        st.floats(),
        st.binary(),
        st.dates(),
        st.datetimes(),
        st.lists(st.one_of(st.none(), st.integers(), st.text()), max_size=4),
        st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    ),
)
async def test_no_filter_from_outside_is_more_than_a_422(db, shop, key, value):
    async with db.read_only() as session:
        with suppress(ValidationException):
            await BaseRepository(session, model=shop.Product).list({key: value})
