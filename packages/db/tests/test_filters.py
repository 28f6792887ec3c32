from __future__ import annotations

import enum
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    JSON,
    BigInteger,
    Enum,
    Float,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    func,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column

from tijolo.core import NotFoundException, ValidationException
from tijolo.db import (
    UNSET,
    BaseRepository,
    InvalidFilterError,
    UnknownFilterError,
    UtcDateTime,
)
from tijolo.db.filters import MAX_VALUES
from tijolo.db.testing import count_queries

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
@example(key="price__gte", value=2**63)
@example(key="price", value=[-(2**70), None])
async def test_no_filter_from_outside_is_more_than_a_422(db, shop, key, value):
    async with db.read_only() as session:
        with suppress(ValidationException):
            await BaseRepository(session, model=shop.Product).list({key: value})


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Kinds(DeclarativeBase):
    metadata = MetaData()


class Sample(Kinds):
    __tablename__ = "filter_sample"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    title: Mapped[str] = mapped_column(String(40))
    small: Mapped[int] = mapped_column(SmallInteger, default=0)
    large: Mapped[int] = mapped_column(BigInteger, default=0)
    price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    ratio: Mapped[float | None] = mapped_column(Float)
    flag: Mapped[bool] = mapped_column(default=True)
    level: Mapped[Level] = mapped_column(Enum(Level, name="filter_level"), default=Level.LOW)
    mark: Mapped[str | None] = mapped_column(Enum("x", "y", name="filter_mark"))
    data: Mapped[Any | None] = mapped_column(JSON)
    raw: Mapped[bytes | None] = mapped_column(LargeBinary)
    lasts: Mapped[timedelta | None] = mapped_column(Interval)
    moment: Mapped[datetime | None] = mapped_column(UtcDateTime())
    length: Mapped[int] = column_property(func.length(title))

    @hybrid_property
    def twice(self):
        return self.small * 2

    @hybrid_property
    def lower_title(self):
        return self.title.lower()

    @lower_title.inplace.expression
    @classmethod
    def _lower_title(cls):
        return func.lower(cls.title, type_=String())


@pytest.fixture
async def samples(db):
    """The manager, with three samples."""
    async with db.engine.begin() as connection:
        await connection.run_sync(Kinds.metadata.create_all)
    async with db.transaction() as session:
        await BaseRepository(session, model=Sample).bulk_create_values(
            [
                {"id": 1, "title": "One", "small": 1, "level": Level.LOW, "moment": NOON},
                {"id": 2, "title": "Two", "small": 2, "level": Level.HIGH, "mark": "x"},
                {"id": 3, "title": "Three", "small": 3, "level": Level.HIGH, "flag": False},
            ]
        )
    yield db
    async with db.engine.begin() as connection:
        await connection.run_sync(Kinds.metadata.drop_all)


WEST = timezone(timedelta(hours=-3))
EAST = timezone(timedelta(hours=9))
BAD = {
    "text operators": [
        (f"{name}__{operator}", "1")
        for name in ("id", "price", "flag", "level", "data", "moment", "raw", "ratio", "twice")
        for operator in ("contains", "istartswith", "endswith")
    ],
    "members": [
        *(("level", value) for value in ("bogus", "HIGH", 5, {"a": 1}, b"low")),
        *(("level__in", [value]) for value in ("bogus", 5, [], {})),
        *(("mark", value) for value in ("z", 5, {})),
    ],
    "json": [("data", {"a": 1}), ("data", "a"), ("data", [1]), ("data__gt", 1), ("data__in", [1])],
    "numbers": [
        (name, value)
        for name in ("price", "ratio", "price__lt", "ratio__gte")
        for value in (
            *(float("nan"), float("inf"), float("-inf"), 10**400, True, "1"),
            *map(Decimal, ("NaN", "sNaN", "Infinity", "1e400")),
        )
    ],
    "integers": [
        *(("small", 2**15), ("id", 2**31), ("large", 2**63), ("large", -(10**400))),
        *(("twice", 10**400), ("length", 10**30), ("small", 1.5), ("small", float("nan"))),
    ],
    "text": [
        (f"{name}{operator}", value)
        for name in ("title", "lower_title")
        for operator in ("", "__contains", "__gt", "__iendswith")
        for value in ("a\0b", "\ud800", 7, b"x", {"a": 1})
    ],
    "flags": [("flag", 2), ("flag", "yes"), ("flag", -1), ("flag__in", [0, 2])],
    "instants": [
        ("moment__lt", datetime(9999, 12, 31, 23, 59, 59, tzinfo=WEST)),
        ("moment__gt", datetime(1, 1, 1, tzinfo=EAST)),
        ("moment__in", [datetime(1, 1, 1, tzinfo=EAST)]),
        *(("moment__lte", date.max), ("moment", {date.max}), ("moment", {NOON.date(), "x"})),
        *(("moment__between", [NOON.date()]), ("moment", 5)),
        *(("moment__between", [NOON.date()] * 3), ("moment__contains", NOON.date())),
    ],
    "others": [("raw", "x"), ("raw", 1), ("lasts", 5), ("lasts", timedelta.max)],
    "lists": [
        ("small__in", list(range(MAX_VALUES + 1))),
        ("small", set(range(MAX_VALUES + 1))),
        ("title__not_in", (str(number) for number in range(10**9))),
        ("small__between", range(10**9)),
        *(("twice__in", 5), ("twice__between", [1]), ("twice__between", 1), ("twice__gt", None)),
        *(("twice", "a"), ("twice__is_null", "x"), ("length__between", 5), ("twice", {"a": 1})),
    ],
}


@pytest.mark.parametrize("group", BAD)
async def test_what_a_column_cannot_be_asked_is_422_before_any_sql(samples, group):
    async with samples.read_only() as session:
        repo = BaseRepository(session, model=Sample)
        with count_queries(samples.engine, at_most=0):
            for key, value in BAD[group]:
                for read in (repo.list, repo.fetch):
                    with pytest.raises(InvalidFilterError) as caught:
                        await read({key: value})
                    assert caught.value.details == {"field": key}


GOOD = [
    ({"level": Level.HIGH}, [2, 3]),
    ({"level": "high"}, [2, 3]),
    ({"level__in": ["low", Level.LOW]}, [1]),
    ({"level__ne": "low"}, [2, 3]),
    ({"mark": "x"}, [2]),
    ({"data": None}, [1, 2, 3]),
    ({"data__is_null": False}, []),
    ({"flag": 0}, [3]),
    ({"price__lt": 1e300}, []),
    ({"ratio__lt": Decimal("0.5")}, []),
    ({"small__in": list(range(MAX_VALUES))}, [1, 2, 3]),
    ({"moment": {NOON.date()}}, [1]),
    ({"moment": frozenset([NOON.date(), date(2020, 1, 1)])}, [1]),
    ({"moment": {NOON.date(): 1}.keys()}, [1]),
    ({"moment__not_in": {NOON.date()}}, []),
    ({"moment": NOON.astimezone(WEST)}, [1]),
    ({"twice": 4}, [2]),
    ({"twice": [2, 6]}, [1, 3]),
    ({"twice__in": range(2, 5, 2)}, [1, 2]),
    ({"twice__between": [3, 6]}, [2, 3]),
    ({"twice": []}, []),
    ({"lower_title__contains": "o"}, [1, 2]),
    ({"length": 5}, [3]),
    ({"length__lt": 4, "level": "high"}, [2]),
]


async def test_hybrids_members_and_any_iterable_are_filters(samples):
    async with samples.read_only() as session:
        repo = BaseRepository(session, model=Sample)
        for filters, expected in GOOD:
            assert [row.id for row in await repo.list(filters, order_by="id")] == expected, filters
            assert [row.id for row in await repo.fetch(filters, order_by="id")] == expected, filters


async def test_a_key_that_no_row_can_have_finds_none(samples, shop):
    async with samples.read_only() as session:
        repo = BaseRepository(session, model=Sample)
        assert (await repo.get_by_id("2")).title == "Two"
        assert (await repo.fetch_by_id("2")).title == "Two"
        for key in (10**30, -(10**400), "9" * 19, "9" * 5000, "x", "", "\u0665", "1.0", None):
            assert await repo.get_by_id_or_none(key) is None
            with pytest.raises(NotFoundException):
                await repo.get_by_id(key)
            with pytest.raises(NotFoundException):
                await repo.fetch_by_id(key)
        products = BaseRepository(session, model=shop.Product)
        assert await products.get_by_id_or_none("not-a-uuid") is None
