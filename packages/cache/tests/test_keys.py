"""Two different calls never share a key, whatever is in their arguments."""

from __future__ import annotations

import functools
import itertools
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from fractions import Fraction
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, PrivateAttr, SecretStr

from tijolo.cache import Cache, UnkeyableArgumentError, cached
from tijolo.cache.keys import Keyspace, canonical, digest

keyspace = Keyspace("ns", 1)


class Colour(Enum):
    RED = "red"


class OtherColour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    RED = "red"


class Rights(Flag):
    READ = 1
    WRITE = 2


@dataclass
class Point:
    x: int
    y: int


@dataclass
class Place:
    x: int
    y: int


class Model(BaseModel):
    x: int = 0
    y: int = 0


class Extra(BaseModel, extra="allow"):
    x: int = 0


class Pair(NamedTuple):
    x: int
    y: int


class Text(str):
    __slots__ = ()


UUID_ = UUID("12345678123456781234567812345678")
LOOKALIKES = [
    *(None, "None", "", b"", (), [], {}, set(), frozenset(), "null"),
    *(1, "1", 1.0, True, "True", b"1", Decimal(1), Decimal("1.0"), Fraction(1), Level.LOW),
    *(0, False, -0.0, 0.0, "0", timedelta(0), float("inf"), float("nan"), "nan"),
    *("red", Colour.RED, OtherColour.RED, Word.RED, "RED", Text("red"), b"red"),
    *(Rights.READ, Rights.WRITE, Rights.READ | Rights.WRITE),
    *((1, 2), [1, 2], {1, 2}, Pair(1, 2), Point(1, 2), Place(1, 2), Model(x=1, y=2)),
    {"x": 1, "y": 2},
    *(((1,), 2), (1, (2,)), ((1, 2),), ("1", "2"), ("12",), ("1,2",), ("1", ",2")),
    *(["a:b", "c"], ["a", "b:c"], ["a:b:c"], ["a", "b", "c"], "a:b:c", ["a\x00b"], ["a", "\x00b"]),
    *({"a": "b"}, {"a": None}, {"a": {"b": 1}}, {"a": {}, "b": 1}, [("a", "b")], {("a", "b")}),
    *("é", "e\u0301", "\ud800", "\x00", "\x00\x00", "a\x00", "a", "а", " a", "a "),
    *("s1:a", "i1:1", "n0:", "(0:", "}", "{ns}", "*", "?", "\r\n", "DEL *"),
    *(UUID_, str(UUID_), UUID_.hex, UUID_.int),
    *(date(2026, 1, 2), "2026-01-02", datetime(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC)),  # noqa: DTZ001
    datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-3))),
    datetime(2026, 1, 2, tzinfo=ZoneInfo("America/Sao_Paulo")),
    datetime(2026, 1, 2, tzinfo=ZoneInfo("America/Buenos_Aires")),
    *(time(1, 2), time(1, 2, fold=1), timedelta(1), timedelta(seconds=1)),
    *(Extra(), Extra(x=1), Extra.model_validate({"z": 1}), Extra.model_validate({"z": "1"})),
    *(ip_address("10.0.0.1"), "10.0.0.1", ip_address("::1"), PurePosixPath("/a"), "/a"),
    *(AnyUrl("http://a/"), "http://a/", int, "int", str, bytearray(b"red")),
]  # fmt: skip


def test_lookalikes_have_different_texts_and_keys():
    for left, right in itertools.combinations(LOOKALIKES, 2):
        assert canonical(left) != canonical(right), (left, right)
        keys = [keyspace.entry("f", canonical(v)) for v in (left, right)]
        assert keys[0] != keys[1]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.decimals() | st.uuids() | st.datetimes() | st.dates() | st.timedeltas(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)  # fmt: skip


@given(VALUES, VALUES)
def test_one_text_means_one_value(left, right):
    if canonical(left) == canonical(right):
        assert repr(left) == repr(right) or left == right


@given(st.lists(VALUES, max_size=4), st.lists(VALUES, max_size=4))
def test_texts_side_by_side_do_not_run_into_each_other(left, right):
    together = ["".join(map(canonical, values)) for values in (left, right)]
    assert (together[0] == together[1]) == (canonical(left) == canonical(right))


@given(st.lists(st.text(), max_size=3), st.lists(st.text(), max_size=3))
def test_a_digest_knows_where_its_parts_end(left, right):
    assert (digest(*left) == digest(*right)) == (left == right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({3, 1, 2}, {2, 3, 1}),
        (frozenset("abc"), frozenset("cba")),
        (Model(x=1), Model(x=1, y=0)),
        (Colour.RED, Colour("red")),
        (defaultdict(list, a=1), defaultdict(dict, a=1)),
        (OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)),
    ],
)
def test_what_is_equal_has_one_text(left, right):
    assert canonical(left) == canonical(right)


def cycle():
    ring: list = []
    ring.append(ring)
    return ring


class HasText:
    """Equal texts, different objects: what ``str()`` made one key of."""

    def __str__(self) -> str:
        return "guest"

    __repr__ = __str__


@pytest.mark.parametrize(
    "value",
    [
        object(), HasText(), SecretStr("x"), lambda: 1, cycle(), {"a": {"b": object()}},
        {1: HasText()}, (x for x in ()), Point(1, object()), iter([]), NotImplemented, range(3),
        [[]] * 1 + [cycle()], memoryview(b"x"), Exception("x"),
    ],
    ids=lambda v: type(v).__name__,
)  # fmt: skip
def test_what_has_no_faithful_text_is_refused(value):
    with pytest.raises(UnkeyableArgumentError):
        canonical(value)


@pytest.mark.parametrize(
    "value",
    ["x" * 5_000_000, 10**20_000, b"\x00" * 1_000_000, ["\ud800"] * 1000, "{ns}:*?\r\n"],
    ids=["long", "large", "NUL", "surrogates", "separators"],
)
def test_a_hostile_value_makes_a_short_plain_key(value):
    key = keyspace.entry("f" * 10_000 + "\x00 *{}\n", canonical(value))
    assert len(key) < 200
    assert key.isascii()
    assert not set(key) & set("*?\r\n\x00 []")


def test_a_class_can_say_what_it_is():
    class Tenant:
        def __init__(self, number: int, session: object) -> None:
            self.number, self.session = number, session

        def __cache_key__(self) -> int:
            return self.number

    assert canonical(Tenant(1, object())) == canonical(Tenant(1, object()))
    assert canonical(Tenant(1, object())) != canonical(Tenant(2, object()))
    assert canonical(Tenant(1, object())) != canonical(1)


@pytest.mark.parametrize("namespace", ["", "a:b", "{a}", "a*", "é", "a" * 65, "a\n"])
def test_a_namespace_is_a_plain_word(namespace):
    with pytest.raises(ValueError, match="namespace"):
        Keyspace(namespace, 1)


def test_too_many_tags_are_refused():
    with pytest.raises(ValueError, match="33 tags"):
        keyspace.tags(tuple(map(str, range(33))))


# -- the keys of functions -----------------------------------------------------------------

cache = Cache()


@cached(cache)
async def plain(a: int, b: str = "x", *args: int, c: float = 1.0, **kwargs: str) -> int:
    return 0


@cached(cache)
async def simple(a: int, b: str = "x", *, c: float = 1.0) -> int:
    return 0


@pytest.mark.parametrize("function", [plain, simple])
def test_spellings_of_one_call_have_one_key(function):
    keys = {
        function.key_for(1),
        function.key_for(a=1),
        function.key_for(1, "x"),
        function.key_for(b="x", a=1),
        function.key_for(1, c=1.0, b="x"),
    }
    assert len(keys) == 1
    others = {function.key_for(2), function.key_for(1, "y"), function.key_for(1, c=2.0)}
    assert len(keys | others) == 4


def test_variable_arguments_are_part_of_the_key():
    keys = {
        plain.key_for(1, "x", 2),
        plain.key_for(1, "x", 2, 3),
        plain.key_for(1, z="2"),
        plain.key_for(1, y="2"),
    }
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1,), {"a": 2}), ((1,), {"zz": 1}), ((1, "x", 1.0, 4), {})]
)
def test_a_wrong_call_is_the_functions_own_type_error(args, kwargs):
    with pytest.raises(TypeError) as refused:
        simple.key_for(*args, **kwargs)
    assert not isinstance(refused.value, UnkeyableArgumentError)


def test_versions_namespace_prefix_and_result_type_are_part_of_the_key():
    def key(of=cache, **options):
        @cached(of, **options)
        async def f(a: int) -> int:
            return a

        return f.key_for(1)

    keys = {
        key(),
        key(version=2),
        key(key_prefix="p"),
        key(Cache(namespace="other")),
        key(Cache(version=2)),
        key(result_type=int | None),
        key(key="{a}"),
        key(key="{a}:"),
        key(key_builder=lambda name, args, kwargs: "1"),
    }
    assert len(keys) == 9


def test_the_shape_of_a_model_is_part_of_the_key():
    def key(fields):
        model = type("Item", (BaseModel,), {"__annotations__": fields, "__module__": __name__})

        @cached(cache, result_type=model)
        async def f() -> None: ...

        return f.key_for()

    assert key({"a": int}) == key({"a": int})
    assert key({"a": int}) != key({"a": str})
    assert key({"a": int}) != key({"a": int, "b": int})


def test_separators_in_a_template_do_not_collide():
    @cached(cache, key="{a}:{b}")
    async def f(a: str, b: str) -> int:
        return 0

    assert f.key_for("1:2", "3") != f.key_for("1", "2:3")
    assert f.key_for("1", "") != f.key_for("", "1")


def test_a_template_reads_public_attributes_and_nothing_else():
    @cached(cache, key="{user.x}")
    async def f(user: Point, session: object) -> int:
        return 0

    assert f.key_for(Point(1, 2), object()) == f.key_for(Point(1, 3), object())
    assert f.key_for(Point(1, 2), object()) != f.key_for(Point(2, 2), object())
    for bad in (
        "{user.__class__}",
        "{user._x}",
        "{user!r}",
        "{user:>3}",
        "{user[0]}",
        "{0}",
        "{no}",
    ):
        with pytest.raises(ValueError, match=r"\{"):

            @cached(cache, key=bad)
            async def g(user: Point) -> int:
                return 0


def test_a_key_function_is_called_with_the_parameters_that_it_names():
    @cached(cache, key=lambda user: user.x)
    async def f(user: Point, session: object) -> int:
        return 0

    assert f.key_for(Point(1, 2), object()) == f.key_for(Point(1, 3), object())
    with pytest.raises(ValueError, match="no parameter"):

        @cached(cache, key=lambda nobody: 1)
        async def g(user: Point) -> int:
            return 0


def test_inner_functions_of_one_name_differ_by_what_they_took_from_around_them():
    def make(factor: int):
        @cached(cache)
        async def times(n: int) -> int:
            return n * factor

        return times

    assert make(2).key_for(1) == make(2).key_for(1)
    assert make(2).key_for(1) != make(3).key_for(1)


def test_an_unkeyable_argument_is_named_with_what_to_do():
    with pytest.raises(UnkeyableArgumentError, match=r"'a'.*HasText.*ignore=.*__cache_key__"):
        simple.key_for(HasText())


def test_an_ignored_name_has_to_exist():
    with pytest.raises(ValueError, match="'sesion' is no parameter"):

        @cached(cache, ignore=["sesion"])
        async def f(session: object) -> int:
            return 0


@pytest.mark.parametrize("tag", ["{a.__class__}", "{nobody}", "{a!r}"])
def test_a_wrong_tag_template_is_refused_at_the_decoration(tag):
    with pytest.raises(ValueError, match="in '"):

        @cached(cache, tags=[tag])
        async def f(a: int) -> int:
            return 0


def test_tags_are_a_list():
    with pytest.raises(TypeError, match="list of texts"):

        @cached(cache, tags="products")
        async def f(a: int) -> int:
            return 0


class Hidden(BaseModel):
    shown: int = 1
    _tenant: str = PrivateAttr("a")


@dataclass
class Filter:
    page: int


class TenantFilter(Filter):
    def __init__(self, page: int, tenant: str) -> None:
        super().__init__(page)
        self.tenant = tenant


class Measured(BaseModel):
    width: int

    @functools.cached_property
    def handle(self) -> object:
        return object()


def test_what_a_class_does_not_declare_counts_as_well():
    left, right = Hidden(), Hidden()
    right._tenant = "b"
    assert canonical(left) != canonical(right)
    assert canonical(TenantFilter(1, "a")) != canonical(TenantFilter(1, "b"))


def test_a_property_that_was_looked_at_changes_no_key():
    looked_at = Measured(width=1)
    assert looked_at.handle is not None
    assert canonical(looked_at) == canonical(Measured(width=1))


@dataclass(frozen=True)
class Place:
    name: str


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (UUID(int=1), UUID(int=2)), (("a",), ("b",)), (Decimal(1), Decimal(2)), (Level, Word),
        (Place("a"), Place("b")), (date(2026, 1, 1), date(2026, 1, 2)),
    ],
)  # fmt: skip
async def test_inner_functions_differ_by_whatever_plain_they_took_from_around_them(left, right):
    cache = Cache()

    def make(owner):
        @cached(cache)
        async def load() -> str:
            return str(owner)

        return load

    assert [await make(left)(), await make(right)()] == [str(left), str(right)]


async def test_methods_of_two_objects_are_two_functions():
    class Repository:
        def __init__(self, tenant: str) -> None:
            self.tenant = tenant

        async def load(self) -> str:
            return self.tenant

    class Keyed(Repository):
        def __cache_key__(self) -> str:
            return self.tenant

    cache = Cache()
    with pytest.raises(TypeError, match="decorate the method in its class"):
        cached(cache)(Repository("a").load)
    named = [cached(cache, key_prefix=tenant)(Repository(tenant).load) for tenant in "ab"]
    keyed = [cached(cache)(Keyed(tenant).load) for tenant in "ab"]
    assert [await load() for load in named + keyed] == ["a", "b", "a", "b"]


def test_long_lists_of_tags_are_not_remembered():
    space = Keyspace("ns", 1)
    for number in range(50):
        assert space.tags((f"{number}" + "x" * 10_000,)) == space.tags(
            (f"{number}" + "x" * 10_000,)
        )
    assert sum(len(name) for names in space._known for name in names) < 10_000
