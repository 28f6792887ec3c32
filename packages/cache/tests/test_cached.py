"""``cached`` on functions: what is kept, for how long, for whom."""

from __future__ import annotations

import asyncio
import threading
from decimal import Decimal

import pytest
from pydantic import BaseModel

from tijolo.cache import (
    Cache,
    CacheEvent,
    CachePolicy,
    CacheSettings,
    MemoryBackend,
    UnfaithfulValueError,
    UnkeyableArgumentError,
    cached,
)
from tijolo.cache._entries import pack, unpack
from tijolo.cache.testing import FaultyBackend
from tijolo.core import NotFoundException, Resource
from tijolo.core.testing import assert_settings_read


class Product(BaseModel):
    id: int
    price: Decimal


async def test_every_backend_returns_what_was_computed_with_its_type(cache):
    calls = []

    @cached(cache, ttl=60)
    async def product(product_id: int) -> Product:
        calls.append(product_id)
        return Product(id=product_id, price=Decimal("1.50"))

    first, second = await product(7), await product(product_id=7)
    assert calls == [7]
    assert first == second
    assert type(second) is Product
    assert second is not first
    assert type(second.price) is Decimal
    assert (await product(8)).id == 8
    assert (cache.stats.misses, cache.stats.hits, cache.stats.stored) == (2, 1, 2)


async def test_changing_a_result_changes_nobody_elses(memory):
    @cached(memory)
    async def names() -> list[str]:
        return ["a"]

    for _ in range(3):
        (await names()).append("mine")
    assert await names() == ["a"]


async def test_changing_a_shared_result_changes_nobody_elses(memory):
    @cached(memory)
    async def names() -> list[str]:
        await asyncio.sleep(0.01)
        return ["a"]

    results = await asyncio.gather(*(names() for _ in range(5)))
    for result in results:
        result.append("mine")
    assert all(result == ["a", "mine"] for result in results)


async def test_functions_of_one_name_in_two_modules_share_nothing(memory):
    def users():
        async def get(key: int) -> str:
            return f"users:{key}"

        return get

    def orders():
        async def get(key: int) -> str:
            return f"orders:{key}"

        return get

    functions = []
    for module, function in (("app.users", users()), ("app.orders", orders())):
        function.__module__, function.__qualname__ = module, "get"
        functions.append(cached(memory)(function))
    assert [await f(1) for f in functions] == ["users:1", "orders:1"]


class User:
    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return "user"


async def test_objects_of_one_text_never_share_an_answer(memory):
    @cached(memory)
    async def permissions(user: User) -> list[str]:
        return ["everything"] if user.name == "admin" else []

    for name in ("admin", "guest"):
        with pytest.raises(UnkeyableArgumentError, match="'user'"):
            await permissions(User(name))
    assert memory.stats.misses == 0

    @cached(memory, key="{user.name}")
    async def rights(user: User) -> list[str]:
        return ["everything"] if user.name == "admin" else []

    assert await rights(User("admin")) == ["everything"]
    assert await rights(User("guest")) == []
    assert await rights(User("admin")) == ["everything"]
    assert memory.stats.hits == 1


async def test_twenty_tenants_have_twenty_answers_or_an_error(memory):
    class Reports:
        def __init__(self, tenant: int) -> None:
            self.tenant = tenant

        @cached(memory)
        async def unsafe(self) -> int:
            return self.tenant

        @cached(memory, key="{self.tenant}")
        async def by_key(self) -> int:
            return self.tenant

    class Keyed(Reports):
        def __cache_key__(self) -> int:
            return self.tenant

    with pytest.raises(UnkeyableArgumentError, match="'self'"):
        await Reports(1).unsafe()
    for _ in range(2):
        assert [await Reports(n).by_key() for n in range(20)] == list(range(20))
        assert [await Keyed(n).unsafe() for n in range(20)] == list(range(20))
    assert (memory.stats.misses, memory.stats.hits) == (40, 40)


async def test_an_injected_session_is_ignored_only_when_it_is_named(memory):
    @cached(memory)
    async def strict(session: object, key: int) -> int:
        return key

    @cached(memory, ignore=["session"])
    async def named(session: object, key: int) -> int:
        return key

    with pytest.raises(UnkeyableArgumentError, match="'session'"):
        await strict(object(), 1)
    for _ in range(3):
        assert await named(object(), 1) == 1
    assert (memory.stats.misses, memory.stats.hits) == (1, 2)


async def test_a_method_keeps_its_helpers(memory):
    class Repository:
        reads = 0

        @cached(memory, ignore=["self"])
        async def get(self, key: int) -> int:
            """Reads."""
            type(self).reads += 1
            return key + type(self).reads

    repository = Repository()
    assert await repository.get(1) == 2
    assert await repository.get(1) == 2
    assert await repository.get.invalidate(1) is True
    assert await repository.get(1) == 3
    assert await repository.get.refresh(1) == 4
    assert await repository.get(1) == 4
    assert repository.get.key_for(1) == Repository.get.key_for(None, 1)
    assert Repository.get.__doc__ == "Reads."
    assert Repository.get.__name__ == "get"


async def test_exceptions_are_not_kept(memory):
    calls = 0

    @cached(memory)
    async def flaky() -> int:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise RuntimeError("not yet")
        return calls

    for _ in range(2):
        with pytest.raises(RuntimeError):
            await flaky()
    assert await flaky() == 3
    assert await flaky() == 3


async def test_none_is_kept_by_choice_and_for_its_own_time(memory, clock):
    calls = []

    @cached(memory, ttl=100)
    async def absent() -> int | None:
        calls.append("absent")
        return None

    @cached(memory, ttl=100, negative_ttl=5)
    async def negative() -> int | None:
        calls.append("negative")
        return None

    @cached(memory, ttl=100, negative_ttl=5, negative=lambda rows: not rows)
    async def empty() -> list[int]:
        calls.append("empty")
        return []

    for _ in range(2):
        assert (await absent(), await negative(), await empty()) == (None, None, [])
    assert sorted(calls) == ["absent", "absent", "empty", "negative"]
    clock.advance(6)
    await negative()
    await empty()
    assert sorted(calls) == ["absent", "absent", "empty", "empty", "negative", "negative"]


async def test_a_condition_and_a_size_limit_decide_what_is_kept(memory, events):
    @cached(memory, condition=lambda n: n > 10)
    async def large(n: int) -> int:
        return n

    @cached(memory, max_value_bytes=100)
    async def text(n: int) -> str:
        return "x" * n

    for _ in range(2):
        assert (await large(1), await large(11)) == (1, 11)
        assert (len(await text(50)), len(await text(200))) == (50, 200)
    assert (memory.stats.hits, memory.stats.not_stored) == (2, 4)
    assert {event.detail for event in events.of("not_stored")} == {"not to be kept", "too large"}


async def test_a_result_that_would_change_is_returned_and_never_kept(memory, caplog):
    @cached(memory)
    async def mixed() -> dict[str, object]:
        return {"price": Decimal("1.5")}

    for _ in range(5):
        assert await mixed() == {"price": Decimal("1.5")}
    assert memory.stats.stored == 0
    assert caplog.text.count("mixed is not cached") == 1


async def test_entries_end_with_their_time_shortened_at_random(clock):
    @cached(Cache(MemoryBackend(clock=clock), clock=clock), ttl=100, jitter=0.5)
    async def one(n: int) -> int:
        return n

    for n in range(100):
        await one(n)
    stats = one.cache.stats
    clock.advance(49)
    for n in range(100):
        await one(n)
    assert stats.hits == 100
    clock.advance(26)
    for n in range(100):
        await one(n)
    assert 10 < stats.misses - 100 < 90
    stats.misses = 0
    clock.advance(101)
    for n in range(100):
        await one(n)
    assert stats.misses == 100


async def test_large_results_are_compressed(namespace):
    backend = MemoryBackend()

    @cached(Cache(backend, namespace=namespace, compress_above_bytes=1_000))
    async def text() -> str:
        return "tijolo " * 10_000

    assert await text() == await text()
    assert backend.size_bytes < 2_000
    assert text.cache.stats.hits == 1


async def test_a_compressed_entry_never_grows_past_the_limit(namespace):
    backend = MemoryBackend()

    def read(limit):
        cache = Cache(backend, namespace=namespace, compress_above_bytes=10)

        @cached(cache, max_value_bytes=limit)
        async def text() -> str:
            return "x" * 500_000

        return text

    await read(1_000_000)()
    limited = read(1_000)
    assert len(await limited()) == 500_000  # computed, not inflated
    assert limited.cache.stats.errors > 0
    assert limited.cache.stats.hits == 0


@pytest.mark.parametrize("cut", [0, 3])
def test_a_damaged_or_oversized_compressed_entry_is_an_error(cut):
    raw = pack(b"x" * 100_000, 1.0, 2.0, b"", 10)
    entry = unpack(raw[: len(raw) - cut])
    assert entry is not None
    with pytest.raises(ValueError, match="damaged"):
        entry.data(100_000 if cut else 99_999)


async def test_a_plain_function_runs_in_a_thread(memory):
    @cached(memory)
    def slow(n: int) -> str:
        return threading.current_thread().name

    name = await slow(1)
    assert name != threading.main_thread().name
    assert await slow(1) == name
    assert memory.stats.misses == 1


async def test_skip_cache_and_a_disabled_cache_compute_each_time(memory):
    calls = []

    @cached(memory, skip_cache=lambda args, kwargs: kwargs.get("fresh", False))
    async def value(fresh: bool = False) -> int:
        calls.append(fresh)
        return 1

    for _ in range(2):
        await value()
        await value(fresh=True)
    assert calls == [False, True, True]
    assert memory.stats.bypassed == 2

    off = Cache(enabled=False)
    assert await off.set("k", 1, int) is False
    assert await off.get("k", int) is None

    @cached(off)
    async def unhashable(user: object) -> int:
        calls.append("off")
        return 1

    await unhashable(object())
    await unhashable(object())
    assert calls[-2:] == ["off", "off"]


async def test_a_serializer_pair_moves_over_from_the_contract(memory):
    @cached(
        memory,
        ttl=300,
        key_prefix="orders",
        key_builder=lambda name, args, kwargs: f"{name}:{args[0]}",
        serializer=str,
        deserializer=int,
        skip_cache=lambda args, kwargs: args[0] < 0,
    )
    async def order(number, session=None):
        return number

    assert [await order(1, object()), await order(1, object()), await order(-1)] == [1, 1, -1]
    assert memory.stats.hits == 1


# -- wrong use -----------------------------------------------------------------------------


def no_annotation(cache):
    @cached(cache)
    async def f(): ...


def any_annotation(cache):
    @cached(cache)
    async def f() -> object: ...


def generator(cache):
    @cached(cache)
    async def f() -> int:
        yield 1


def a_lambda(cache):
    cached(cache, result_type=int)(lambda: 1)


def unknown_option(cache):
    @cached(cache, tll=5)
    async def f() -> int: ...


def half_a_pair(cache):
    cached(cache, serializer=str)


def two_codecs(cache):
    cached(cache, serializer=str, deserializer=int, result_type=int)


def two_keys(cache):
    cached(cache, key="{a}", ignore=["b"])


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (no_annotation, TypeError, "no return annotation"),
        (any_annotation, TypeError, "does not say"),
        (generator, TypeError, "generator"),
        (a_lambda, TypeError, "lambda"),
        (unknown_option, TypeError, "unknown option 'tll'"),
        (half_a_pair, ValueError, "belong together"),
        (two_codecs, ValueError, "exclude each other"),
        (two_keys, ValueError, "exclude each other"),
    ],
)
def test_wrong_use_is_refused_at_the_decoration(memory, wrong, error, says):
    with pytest.raises(error, match=says):
        wrong(memory)


@pytest.mark.parametrize(
    "options",
    [
        {"ttl": 0}, {"ttl": -1}, {"ttl": float("nan")}, {"ttl": float("inf")}, {"jitter": 1},
        {"jitter": -0.1}, {"stale_if_error": -1}, {"negative_ttl": 0}, {"lease_seconds": 0},
        {"max_value_bytes": 0}, {"negative": bool}, {"wait_seconds": -1},
    ],
)  # fmt: skip
def test_a_policy_out_of_range_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        CachePolicy(**{"ttl": 1, **options})


# -- values by key -------------------------------------------------------------------------


async def test_values_by_key_are_typed_tagged_and_deleted(cache):
    key = ("user", 7)
    assert await cache.get(key, Product) is None
    product = Product(id=7, price=Decimal("1.0"))
    assert await cache.set(key, product, Product, ttl=60, tags=["t"]) is True
    assert await cache.get(key, Product, tags=["t"]) == product
    assert await cache.get(("user", "7"), Product, tags=["t"]) is None
    assert await cache.set(key, Product(id=7, price=Decimal(2)), Product, tags=["t"]) is True
    assert (await cache.get(key, Product, tags=["t"])).price == 2
    await cache.invalidate_tags("t")
    assert await cache.get(key, Product, tags=["t"]) is None
    await cache.set("k", 1, int)
    assert await cache.delete("k", "other", result_type=int) is True
    assert await cache.get("k", int) is None


async def test_get_or_compute_shares_one_computation(cache):
    calls = []

    async def compute() -> int:
        calls.append(1)
        await asyncio.sleep(0.02)
        return 5

    results = await asyncio.gather(*(cache.get_or_compute("key", compute, int) for _ in range(20)))
    assert results == [5] * 20
    assert len(calls) == 1


async def test_a_written_value_wins_over_one_that_was_being_computed(cache):
    computing, go = asyncio.Event(), asyncio.Event()

    async def compute() -> int:
        computing.set()
        await go.wait()
        return 1

    old = asyncio.ensure_future(cache.get_or_compute("key", compute, int))
    await computing.wait()
    assert await cache.set("key", 2, int) is True
    go.set()
    assert await old == 1
    assert await cache.get("key", int) == 2


async def test_set_refuses_what_would_come_back_otherwise(memory):
    with pytest.raises(UnfaithfulValueError):
        await memory.set("key", "1", int)
    with pytest.raises(UnkeyableArgumentError):
        await memory.set(object(), 1, int)


async def test_a_set_that_keeps_nothing_leaves_nothing_old_behind():
    small = Cache(max_value_bytes=10)
    assert await small.set("key", "old", str) is True
    assert await small.set("key", "x" * 20, str) is False
    assert await small.get("key", str) is None

    backend = FaultyBackend()
    failing = Cache(backend, retry_seconds=0.02)
    await failing.set("key", "old", str)
    backend.fails = True
    assert await failing.set("key", "new", str) is False
    backend.fails = False
    assert await failing.get("key", str) is None
    await failing.disconnect()


@pytest.mark.parametrize(
    "key", ["", "\x00", "x" * 1_000_000, "é\ud800", "{app}:*", ("a", "b:c"), None, 0, "\r\nDEL x"]
    , ids=range(9))  # fmt: skip
async def test_hostile_keys_are_keys_like_any_other(cache, key):
    assert await cache.set(key, "value", str) is True
    assert await cache.get(key, str) == "value"
    assert await cache.get((key,), str) is None


# -- what can be seen ----------------------------------------------------------------------


async def test_observers_are_told_and_one_that_raises_changes_nothing(namespace, events, caplog):
    def broken(event: CacheEvent) -> None:
        raise RuntimeError("observer")

    cache = Cache(namespace=namespace, observers=[broken, events])

    @cached(cache)
    async def value(secret: str) -> int:
        return 1

    await value("hunter2")
    await value("hunter2")
    assert [event.kind for event in events.all] == ["miss", "stored", "hit"]
    assert events.of("miss")[0].seconds >= 0
    assert events.of("stored")[0].size_bytes > 0
    assert all(event.name.endswith("value") for event in events.all)
    assert "hunter2" not in repr(events.all)
    assert caplog.text.count("an observer of the cache raised") == 1


async def test_the_counters_have_a_ratio_and_a_dictionary(memory):
    @cached(memory)
    async def value() -> int:
        return 1

    assert memory.stats.hit_ratio == 0
    for _ in range(4):
        await value()
    assert memory.stats.hit_ratio == 0.75
    assert memory.stats.as_dict()["hits"] == 3


async def test_the_cache_is_a_resource(memory):
    assert isinstance(memory, Resource)
    await memory.connect()
    assert await memory.health_check() is True
    assert memory.is_available is True
    await memory.disconnect()
    await memory.disconnect()
    assert "memory" in repr(memory).lower()


async def test_a_404_is_an_answer_and_is_not_replaced(memory, clock):
    gone = False

    @cached(memory, ttl=10, stale_if_error=100, stale_while_revalidate=20)
    async def page() -> str:
        if gone:
            raise NotFoundException
        return "text"

    assert await page() == "text"
    gone = True
    clock.advance(50)
    with pytest.raises(NotFoundException):
        await page()


async def test_a_function_that_asks_for_itself_does_not_wait_for_itself(memory):
    depth = 0

    @cached(memory)
    async def again(n: int) -> int:
        nonlocal depth
        depth += 1
        return 1 if depth > 2 else await again(n)

    assert await asyncio.wait_for(again(1), 5) == 1


def test_every_setting_is_read():
    settings = CacheSettings(
        CACHE_NAMESPACE="shop", CACHE_TTL_SECONDS=5, CACHE_COMPRESS_ABOVE_BYTES=10
    )
    with assert_settings_read(CacheSettings, by="tijolo.cache"):
        cache = Cache.from_settings(settings)
    assert cache.keys.prefix == "{shop}:1"
    assert (cache.policy.ttl, cache.policy.compress_above_bytes) == (5, 10)


@pytest.mark.parametrize("option", ["timeout_seconds", "retry_seconds"])
def test_a_cache_out_of_range_is_refused(option):
    with pytest.raises(ValueError, match="above 0"):
        Cache(**{option: 0})


async def test_an_annotation_that_comes_later_is_found_at_the_first_call(memory):
    @cached(memory)
    async def later() -> Later:  # noqa: F821
        return 1

    globals()["Later"] = int
    try:
        assert await later() == 1
    finally:
        del globals()["Later"]


async def test_an_annotation_that_never_comes_says_what_to_do(memory):
    @cached(memory)
    async def never() -> Never_:  # noqa: F821
        return 1

    with pytest.raises(TypeError, match="result_type="):
        await never()
