"""Ways to run a request twice for one key, to read another's answer, or to block a key."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest
from pydantic import ValidationError

from tijolo.web import IdempotencyMiddleware, IdempotencySettings, MemoryIdempotencyStore
from tijolo.web._idempotency_unkept import MAX_BYTES, MAX_ENTRIES, UnkeptAnswers

KEY = "Idempotency-Key"


class Shop:
    """An application that counts its runs; its background tasks wait for ``background``."""

    def __init__(self, *, headers=()):
        self.runs, self.headers = 0, headers
        self.background = asyncio.Event()
        self.background.set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.status = 201

    async def __call__(self, scope, receive, send):
        self.runs += 1
        run = self.runs
        await self.gate.wait()
        start = {"type": "http.response.start", "status": self.status}
        await send({**start, "headers": list(self.headers)})
        await send({"type": "http.response.body", "body": b"%d" % run})
        await self.background.wait()


@pytest.fixture
def post(exchange):
    async def run(app, key="k1", body=b"{}", headers=(), **extra):
        lines = [(KEY.lower().encode(), key.encode()), *headers]
        scope = {"type": "http", "method": "POST", "path": "/orders", "query_string": b""}
        return await exchange(app, {**scope, "headers": lines, **extra}, body=[body])

    return run


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def test_processes_that_seed_random_alike_are_two_owners(post, idempotency_store):
    shop = Shop()
    shop.gate.clear()
    guards = [IdempotencyMiddleware(shop, store=idempotency_store) for _ in range(2)]

    async def process(guard):
        random.seed(42)
        return await post(guard)

    asked = [asyncio.create_task(process(guard)) for guard in guards]
    await asyncio.sleep(0.05)
    shop.gate.set()
    assert {answer.body for answer in await asyncio.gather(*asked)} == {b"1"}
    assert shop.runs == 1


def emptied(store):
    store._running.clear()
    store._completed.clear()


@pytest.mark.parametrize(("body", "status"), [(b"{}", 201), (b"{other}", 422)])
async def test_what_runs_here_is_not_run_again_although_the_store_forgot_it(post, body, status):
    shop, store = Shop(), MemoryIdempotencyStore()
    shop.gate.clear()
    guard = IdempotencyMiddleware(shop, store=store)
    first = asyncio.create_task(post(guard))
    await until(lambda: shop.runs)
    emptied(store)
    again = [asyncio.create_task(post(guard, body=body)) for _ in range(20)]
    await asyncio.sleep(0.05)
    shop.gate.set()
    assert {answer.status for answer in await asyncio.gather(*again)} == {status}
    assert (await first).status == 201
    assert (await post(guard)).headers["idempotency-replayed"] == "true"
    assert shop.runs == 1


async def test_a_store_that_comes_back_empty_is_told_again_what_runs(post):
    shop, store = Shop(), MemoryIdempotencyStore()
    shop.gate.clear()
    here = IdempotencyMiddleware(shop, store=store, lease_seconds=0.06)
    elsewhere = IdempotencyMiddleware(shop, store=store, wait_seconds=0)
    first = asyncio.create_task(post(here))
    await until(lambda: shop.runs)
    emptied(store)
    await until(lambda: len(store))
    assert (await post(elsewhere)).status == 409
    shop.gate.set()
    assert (await first).status == 201
    assert (await post(elsewhere)).headers["idempotency-replayed"] == "true"
    assert shop.runs == 1


class SlowToReserveAgain(MemoryIdempotencyStore):
    def __init__(self):
        super().__init__()
        self.gate = asyncio.Event()
        self.asked = 0

    async def renew(self, *arguments):
        return False

    async def reserve(self, *arguments):
        self.asked += 1
        if self.asked == 2:
            await self.gate.wait()
        return await super().reserve(*arguments)


async def test_a_key_that_was_freed_while_its_lease_is_taken_back_stays_free(post):
    shop, store = Shop(), SlowToReserveAgain()
    shop.gate.clear()
    shop.status = 503
    guard = IdempotencyMiddleware(shop, store=store, lease_seconds=0.06)
    first = asyncio.create_task(post(guard))
    await until(lambda: store.asked == 2)
    shop.gate.set()
    await first
    store.gate.set()
    await asyncio.sleep(0.01)
    assert len(store) == 0


class Away(MemoryIdempotencyStore):
    away = False

    async def complete(self, *arguments):
        if self.away:
            raise ConnectionError
        return await super().complete(*arguments)


async def test_an_answer_that_the_store_has_not_taken_is_given_again_however_long_it_is_away(post):
    shop, store = Shop(), Away()
    guard = IdempotencyMiddleware(shop, store=store, retry_store_seconds=0.001)
    store.away = True
    assert (await post(guard)).status == 201
    emptied(store)  # it was started again, or the lease ended
    store.away = False
    await asyncio.sleep(0.01)
    assert (await post(guard, body=b"{other}")).status == 422
    again = await post(guard)
    assert (again.body, again.headers["idempotency-replayed"]) == (b"1", "true")
    assert shop.runs == 1
    assert len(guard._unkept._held) == 0


async def test_a_store_that_stays_away_is_told_when_it_is_back(post, monkeypatch):
    monkeypatch.setattr("tijolo.web.idempotency._TRIES_LATER_SECONDS", (0.001, 0.002))
    shop, store = Shop(), Away()
    guard = IdempotencyMiddleware(shop, store=store, retry_store_seconds=0.001)
    store.away = True
    await post(guard)
    emptied(store)
    await asyncio.sleep(0.1)  # more tries than the list has
    store.away = False
    await until(lambda: len(store._completed))
    await until(lambda: not guard._unkept._held)


def test_answers_that_wait_for_the_store_are_bounded(clock):
    held = UnkeptAnswers(clock)
    for n in range(MAX_ENTRIES + 1):
        held.add(f"k{n}", "f", b"", 10)
    assert held.find("k0") is None
    assert held.find("k1") is not None
    for n in range(3):
        held.add(f"large{n}", "f", b"x" * (MAX_BYTES // 2), 10)
    assert held.find("large0") is None
    assert held.find("large2") is not None
    clock.now += 11
    assert held.find("large2") is None


class SlowToRelease(MemoryIdempotencyStore):
    async def release(self, *arguments):
        await asyncio.sleep(0.02)
        return await super().release(*arguments)


async def test_a_request_that_is_cancelled_twice_leaves_nothing_behind(post):
    shop, store = Shop(), SlowToRelease()
    shop.gate.clear()
    guard = IdempotencyMiddleware(shop, store=store)
    asked = [asyncio.create_task(post(guard, key=f"k{n}")) for n in range(20)]
    await until(lambda: shop.runs == 20)
    for _ in range(2):
        for task in asked:
            task.cancel()
        await asyncio.sleep(0.005)
    await asyncio.gather(*asked, return_exceptions=True)
    await until(lambda: not len(store))
    await asyncio.sleep(0)
    assert not guard._running


class SlowToAnswer(MemoryIdempotencyStore):
    async def reserve(self, *arguments):
        found = await super().reserve(*arguments)
        await asyncio.sleep(0.05)
        return found


async def test_a_request_that_is_cancelled_while_it_reserves_frees_the_key(post):
    store = SlowToAnswer()
    guard = IdempotencyMiddleware(Shop(), store=store)
    asked = asyncio.create_task(post(guard))
    await until(lambda: len(store))
    asked.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asked
    await until(lambda: not len(store))


async def test_who_waits_gets_the_answer_before_the_background_tasks_are_done(post):
    shop = Shop()
    shop.gate.clear()
    shop.background.clear()
    guard = IdempotencyMiddleware(shop, store=MemoryIdempotencyStore(), wait_seconds=60)
    first = asyncio.create_task(post(guard))
    await until(lambda: shop.runs)
    second = asyncio.create_task(post(guard))
    await asyncio.sleep(0.02)
    shop.gate.set()
    answer = await asyncio.wait_for(second, 5)
    assert (answer.status, answer.headers["idempotency-replayed"]) == (201, "true")
    assert not first.done()
    shop.background.set()
    await first


async def test_what_an_outer_layer_adds_in_place_is_not_kept(post):
    guard = IdempotencyMiddleware(Shop(headers=[(b"x", b"y")]), store=MemoryIdempotencyStore())

    async def outer(scope, receive, send):
        async def send_with_session(message):
            if message["type"] == "http.response.start":
                message["headers"].append((b"set-cookie", b"session=" + scope["session"]))
            await send(message)

        await guard(scope, receive, send_with_session)

    await post(outer, session=b"first")
    again = await post(outer, session=b"second")
    cookies = [value for name, value in again.starts[0]["headers"] if name == b"set-cookie"]
    assert cookies == [b"session=second"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([], [(b"cookie", b"lb=1")]),
        ([(b"cookie", b"lb=1")], [(b"cookie", b"lb=1; other=2")]),
        ([(b"cookie", b"sid=1"), (b"cookie", b"lb=1")], [(b"cookie", b"lb=1; sid=1")]),
        ([(b"cookie", b"sid =1")], [(b"cookie", b"sid =1"), (b"cookie", b"lb=1")]),
    ],
)
async def test_cookies_that_nobody_named_make_no_other_request(post, first, second):
    shop = Shop()
    guard = IdempotencyMiddleware(shop, store=MemoryIdempotencyStore(), cookie_names=["sid"])
    token = (b"authorization", b"Bearer t")
    for cookies in (first, second):
        await post(guard, headers=[token, *cookies])
    assert shop.runs == 1


@pytest.mark.parametrize("name", [b"authorization", b"x-api-key", b"cookie"])
async def test_callers_with_other_credentials_never_share_an_answer(post, name):
    shop = Shop()
    guard = IdempotencyMiddleware(shop, store=MemoryIdempotencyStore())
    answers = [await post(guard, headers=[(name, value)]) for value in (b"a=1", b"a=2")]
    assert [answer.body for answer in answers] == [b"1", b"2"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e18])
def test_times_that_no_store_can_keep_are_refused(value):
    for name in ("ttl_seconds", "lease_seconds"):
        with pytest.raises(ValueError, match=name):
            IdempotencyMiddleware(Shop(), store=MemoryIdempotencyStore(), **{name: value})
        with pytest.raises(ValidationError, match=name.upper()):
            IdempotencySettings(**{f"IDEMPOTENCY_{name.upper()}": value})
    if value != value:
        with pytest.raises(ValueError, match="wait_seconds"):
            IdempotencyMiddleware(Shop(), store=MemoryIdempotencyStore(), wait_seconds=value)
