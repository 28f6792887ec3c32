from __future__ import annotations

import asyncio
import uuid

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from hypothesis import given
from hypothesis import strategies as st
from starlette.middleware import Middleware
from starlette.responses import FileResponse, StreamingResponse

from tijolo.core import BaseAppSettings, ConflictException, Environment
from tijolo.core.testing import assert_settings_read
from tijolo.web import (
    CORSSettings,
    IdempotencyMiddleware,
    IdempotencySettings,
    MemoryIdempotencyStore,
    WebSettings,
    create_app,
    is_final_status,
    make_idempotency_key_dependency,
)

KEY = "Idempotency-Key"


class Orders:
    """An application that counts how often it carried an order out."""

    def __init__(self, **options):
        self.runs = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.status = 201
        self.first_statuses = []
        self.error: BaseException | None = None
        self.bodies = []
        store = options.pop("store", None)
        self.store = store = MemoryIdempotencyStore() if store is None else store
        self.app = IdempotencyMiddleware(self._answer, store=store, **options)

    async def _answer(self, scope, receive, send):
        self.runs += 1
        run = self.runs
        body = (await receive()).get("body", b"") if scope["type"] == "http" else b""
        self.bodies.append(body)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        headers = [
            (b"set-cookie", b"a=%d; Path=/" % run),
            (b"Set-Cookie", b"b=2"),
            (b"x-odd", b" spaced\xe9 "),
            (b"content-type", b"application/json"),
        ]
        status = self.first_statuses.pop(0) if self.first_statuses else self.status
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"run": %d}' % run})


async def runs(orders):
    """Until the first order is being carried out."""
    async with asyncio.timeout(5):
        while not orders.runs:  # noqa: ASYNC110
            await asyncio.sleep(0.002)


@pytest.fixture
def post(exchange):
    async def run(app, path="/orders", key: str | None = "k1", method="POST", body=b"{}", **extra):
        headers = dict(extra.pop("headers", {}))
        if key is not None:
            headers[KEY] = key
        chunks = body if isinstance(body, list) else [body]
        extra.setdefault("asgi", {"version": "3.0", "spec_version": "2.4"})
        return await exchange(app, path, method=method, headers=headers, body=chunks, **extra)

    return run


# --- once, and the same answer to all


@pytest.mark.parametrize("duplicates", [20, 200])
async def test_concurrent_duplicates_run_once_and_all_get_the_same_answer(
    post, idempotency_store, duplicates
):
    orders = Orders(store=idempotency_store)
    orders.gate.clear()
    asked = [asyncio.create_task(post(orders.app)) for _ in range(duplicates)]
    await runs(orders)
    await asyncio.sleep(0.05)
    orders.gate.set()
    answers = await asyncio.gather(*asked)
    assert orders.runs == 1
    assert {(answer.status, answer.body) for answer in answers} == {(201, b'{"run": 1}')}
    replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
    assert sorted(replayed, key=str) == [None, *["true"] * (duplicates - 1)]


async def test_a_replay_is_byte_identical_duplicates_and_cookies_included(post, idempotency_store):
    orders = Orders(store=idempotency_store)
    first, again = await post(orders.app), await post(orders.app)
    assert orders.runs == 1
    sent = first.starts[0]["headers"]
    assert [name for name, _ in sent].count(b"set-cookie") == 1
    assert again.starts[0]["headers"] == [*sent, (b"idempotency-replayed", b"true")]
    assert (again.status, again.body) == (first.status, first.body)


async def test_the_application_reads_the_body_and_then_the_end_of_the_connection(exchange):
    read = []

    async def app(scope, receive, send):
        read.extend([await receive(), await receive()])

    guarded = IdempotencyMiddleware(app, store=MemoryIdempotencyStore())
    await exchange(guarded, method="POST", headers={KEY: "k"}, body=[b"a", b"", b"bc"])
    assert read == [
        {"type": "http.request", "body": b"abc", "more_body": False},
        {"type": "http.disconnect"},
    ]


async def test_a_duplicate_that_waited_long_enough_is_told_to_come_back(post):
    orders = Orders(wait_seconds=0.05)
    orders.gate.clear()
    first = asyncio.create_task(post(orders.app))
    await asyncio.sleep(0.01)
    refused = await post(orders.app)
    assert refused.status == 409
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "IDEMPOTENCY_KEY_RUNNING"
    orders.gate.set()
    assert (await first).status == 201
    assert (await post(orders.app)).headers["idempotency-replayed"] == "true"
    assert orders.runs == 1


async def test_without_waiting_a_duplicate_is_refused_at_once(post):
    orders = Orders(wait_seconds=0)
    orders.gate.clear()
    first = asyncio.create_task(post(orders.app))
    await asyncio.sleep(0.01)
    assert (await post(orders.app)).status == 409
    orders.gate.set()
    await first


# --- whose key, and for what


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"headers": {"Authorization": "Bearer a"}}, {"headers": {"Authorization": "Bearer b"}}),
        ({"headers": {"Authorization": "Bearer a"}}, {}),
        ({"headers": {"Cookie": "session=a"}}, {"headers": {"Cookie": "session=b"}}),
        ({"path": "/orders"}, {"path": "/payments"}),
        ({"path": "/orders/1"}, {"path": "/orders/2"}),
        ({"method": "POST"}, {"method": "PATCH"}),
        ({"key": "k1"}, {"key": "k2"}),
        ({"key": "K1"}, {"key": "k1"}),
    ],
)
async def test_keys_of_others_and_elsewhere_have_nothing_to_do_with_each_other(post, one, other):
    orders = Orders()
    await post(orders.app, **one)
    answer = await post(orders.app, **other)
    assert orders.runs == 2
    assert "idempotency-replayed" not in answer.headers


@pytest.mark.parametrize(
    "changed",
    [{"body": b'{"a":2}'}, {"query_string": b"a=1"}, {"body": b""}, {"body": b'{"a":1} '}],
)
async def test_the_same_key_with_another_body_or_query_is_refused(post, idempotency_store, changed):
    orders = Orders(store=idempotency_store)
    orders.gate.clear()
    first = asyncio.create_task(post(orders.app, body=b'{"a":1}'))
    await runs(orders)
    for _ in range(2):  # while it runs, and when it is completed
        refused = await post(orders.app, **{"body": b'{"a":1}', **changed})
        assert refused.status == 422
        assert refused.json()["code"] == "IDEMPOTENCY_KEY_REUSED"
        orders.gate.set()
        await first
    assert orders.runs == 1


async def test_query_and_body_are_not_mixed_up(post):
    orders = Orders()
    await post(orders.app, query_string=b"a", body=b"b")
    assert (await post(orders.app, query_string=b"ab", body=b"")).status == 422


async def test_a_principal_may_be_told_and_cookies_may_be_named(post):
    async def who(request):
        return request.headers.get("x-user")

    for orders, headers in [
        (Orders(principal=who), [{"X-User": "7", "Cookie": f"c={n}"} for n in range(2)]),
        (Orders(principal=lambda r: "7"), [{"Authorization": f"Bearer {n}"} for n in range(2)]),
        (
            Orders(cookie_names=["session"]),
            [{"Cookie": f"_ga={n}; session=s; x={n}"} for n in range(2)],
        ),
    ]:
        for each in headers:
            await post(orders.app, headers=each)
        assert orders.runs == 1
    orders = Orders(cookie_names=["session"])
    for value in "ab":
        await post(orders.app, headers={"Cookie": f"session={value}"})
    assert orders.runs == 2


async def test_the_store_sees_no_key_no_path_and_no_credential(post):
    orders = Orders()
    await post(orders.app, "/secret-path", key="secret-key", headers={"Authorization": "secret"})
    [key] = orders.store._completed
    assert len(key) == 64
    assert set(key) <= set("0123456789abcdef")


# --- which requests


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_safe_methods_pass(post, method):
    orders = Orders()
    for _ in range(2):
        await post(orders.app, method=method)
    assert orders.runs == 2


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_unsafe_methods_are_guarded(post, method):
    orders = Orders()
    for _ in range(2):
        await post(orders.app, method=method)
    assert orders.runs == 1


async def test_requests_without_a_key_and_other_scopes_pass_untouched(exchange, post):
    seen = []

    async def app(scope, receive, send):
        seen.append((scope["type"], receive, send))

    guarded = IdempotencyMiddleware(app, store=MemoryIdempotencyStore())
    receive, send = object(), object()
    for scope in (
        {"type": "lifespan"},
        {"type": "websocket", "headers": [(b"idempotency-key", b"k")]},
        {"type": "http", "method": "POST", "headers": []},
    ):
        await guarded(scope, receive, send)
    assert seen == [(kind, receive, send) for kind in ("lifespan", "websocket", "http")]


@pytest.mark.parametrize(
    ("sent", "same_as"),
    [
        ('"8e03978e-40d5-43e8-bc93-6894a57f9324"', "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        ("  k1\t", "k1"),
        ('"k1"', "k1"),
        (r'"a\"b\\c"', r'"a\"b\\c"'),
        ("A" * 255, "A" * 255),
        ('"with space, and comma"', '"with space, and comma"'),
    ],
)
async def test_a_key_may_be_bare_or_a_string_of_structured_fields(post, sent, same_as):
    orders = Orders()
    assert (await post(orders.app, key=sent)).status == 201
    assert (await post(orders.app, key=same_as)).headers["idempotency-replayed"] == "true"
    assert orders.runs == 1


@pytest.mark.parametrize(
    "key",
    [
        "",
        '""',
        " ",
        "a" * 256,
        "a b",
        "a,b",
        '"open',
        'a"b',
        "ключ",
        '"é"',
        "a\tb",
        "a\x00",
        r'"\a"',
    ],
)
async def test_a_key_that_is_none_is_refused(post, key):
    orders = Orders()
    raw = key.encode("utf-8").decode("latin-1")
    refused = await post(orders.app, key=raw)
    assert (refused.status, orders.runs) == (400, 0)
    assert refused.json()["code"] == "IDEMPOTENCY_KEY_INVALID"


async def test_two_keys_are_refused(exchange, scope_of):
    orders = Orders()
    scope = scope_of("/orders", "POST")
    scope["headers"] = [(b"idempotency-key", b"a"), (b"idempotency-key", b"a")]
    assert (await exchange(orders.app, scope)).status == 400
    assert orders.runs == 0


@given(st.binary(max_size=300))
async def test_no_bytes_in_the_header_are_an_error_of_ours(sent):
    answered = []

    async def send(message):
        answered.append(message)

    async def receive():
        return {"type": "http.request", "body": b""}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"idempotency-key", sent)]}
    await Orders().app(scope, receive, send)
    assert answered[0]["status"] in (201, 400)


# --- what is kept


@pytest.mark.parametrize("status", [200, 201, 204, 302, 400, 403, 404, 410, 412, 422])
async def test_a_final_outcome_is_kept(post, idempotency_store, status):
    orders = Orders(store=idempotency_store)
    orders.status = status
    for _ in range(2):
        assert (await post(orders.app)).status == status
    assert orders.runs == 1
    assert is_final_status(status)


@pytest.mark.parametrize("status", [401, 408, 409, 423, 425, 429, 500, 502, 503, 504])
async def test_an_outcome_that_is_not_final_frees_the_key(post, idempotency_store, status):
    orders = Orders(store=idempotency_store)
    orders.status = status
    assert (await post(orders.app)).status == status
    orders.status = 201
    assert (await post(orders.app)).status == 201
    assert orders.runs == 2
    assert not is_final_status(status)


async def test_what_is_final_may_be_chosen(post):
    orders = Orders(final=lambda status: status == 201)
    orders.status = 400
    await post(orders.app)
    orders.status = 201
    for _ in range(2):
        await post(orders.app)
    assert orders.runs == 2


async def test_an_exception_frees_the_key_and_goes_on(post, exchange, idempotency_store):
    orders = Orders(store=idempotency_store)
    orders.error = RuntimeError("broken")
    with pytest.raises(RuntimeError, match="broken"):
        await post(orders.app)
    orders.error = None
    assert (await post(orders.app)).status == 201


async def test_after_a_failure_one_of_those_who_wait_runs_it_again(post, idempotency_store):
    orders = Orders(store=idempotency_store)
    orders.gate.clear()
    orders.first_statuses = [503, 503]
    asked = [asyncio.create_task(post(orders.app)) for _ in range(20)]
    await runs(orders)
    await asyncio.sleep(0.02)
    orders.gate.set()
    answers = await asyncio.gather(*asked)
    assert orders.runs == 3
    assert sorted(answer.status for answer in answers) == [201] * 18 + [503] * 2
    assert len({answer.body for answer in answers if answer.status == 201}) == 1


async def test_a_cancelled_request_frees_the_key(post, idempotency_store):
    orders = Orders(store=idempotency_store)
    orders.gate.clear()
    first = asyncio.create_task(post(orders.app))
    await runs(orders)
    first.cancel()
    await asyncio.sleep(0)
    first.cancel()  # once more, while the key is being released
    with pytest.raises(asyncio.CancelledError):
        await first
    orders.gate.set()
    assert (await post(orders.app)).status == 201
    assert orders.runs == 2


async def test_a_client_that_leaves_while_it_sends_its_body_runs_nothing():
    orders = Orders()
    sent = []

    async def receive():
        sent.append(1)
        if len(sent) == 1:
            return {"type": "http.request", "body": b"half", "more_body": True}
        return {"type": "http.disconnect"}

    async def send(message):
        raise AssertionError("nobody is there")

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"idempotency-key", b"k")]}
    await orders.app(scope, receive, send)
    assert orders.runs == 0
    assert len(orders.store) == 0


async def test_a_client_that_left_before_its_answer_finds_it_when_it_comes_back(post):
    orders = Orders()

    async def receive():
        return {"type": "http.request", "body": b"{}"}

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/orders",
        "headers": [(b"idempotency-key", b"k1")],
    }

    async def only_body_fails(message):
        if message["type"] == "http.response.body":
            raise OSError("connection reset")

    with pytest.raises(OSError, match="reset"):
        await orders.app(scope, receive, only_body_fails)
    again = await post(orders.app)
    assert (again.status, again.headers["idempotency-replayed"]) == (201, "true")
    assert orders.runs == 1


async def test_an_answer_is_in_the_store_before_its_last_part_is_sent(post):
    orders = Orders()
    held = []

    async def receive():
        return {"type": "http.request", "body": b"{}"}

    async def send(message):
        held.append((message["type"], len(orders.store._completed)))

    headers = [(b"idempotency-key", b"k1")]
    scope = {"type": "http", "method": "POST", "path": "/orders", "headers": headers}
    await orders.app(scope, receive, send)
    assert held == [("http.response.start", 0), ("http.response.body", 1)]


# --- streams, long answers, files


def streaming(chunks, *, error=None, status=200, **options):
    runs = []

    async def app(scope, receive, send):
        runs.append(1)

        async def produce():
            for chunk in chunks:
                yield chunk
                await asyncio.sleep(0)
            if error is not None:
                raise error

        await StreamingResponse(produce(), status_code=status)(scope, receive, send)

    return IdempotencyMiddleware(app, store=MemoryIdempotencyStore(), **options), runs


async def test_a_short_stream_passes_chunk_by_chunk_and_is_replayed(post):
    app, runs = streaming([b"a", b"b", b"c"])
    first = await post(app)
    assert [m.get("body") for m in first.messages[1:]] == [b"a", b"b", b"c", b""]
    again = await post(app)
    assert (again.body, len(runs)) == (b"abc", 1)


async def test_a_long_answer_passes_and_its_key_stays_used(post):
    app, runs = streaming([b"x" * 60] * 3, max_response_bytes=100)
    assert (await post(app)).body == b"x" * 180
    refused = await post(app)
    assert refused.status == 409
    assert refused.json()["code"] == "IDEMPOTENCY_ANSWER_NOT_KEPT"
    assert "retry-after" not in refused.headers  # waiting would not help
    assert len(runs) == 1


async def test_a_long_answer_may_free_its_key_by_choice(post):
    app, runs = streaming([b"x" * 60] * 3, max_response_bytes=100, not_kept="release")
    assert [(await post(app)).status for _ in range(2)] == [200, 200]
    assert len(runs) == 2


async def test_a_final_answer_that_breaks_off_is_not_run_again(post):
    app, runs = streaming([b"a"], error=RuntimeError("cut"))
    with pytest.raises(Exception, match=r"cut|unhandled errors"):
        await post(app)
    assert (await post(app)).json()["code"] == "IDEMPOTENCY_ANSWER_NOT_KEPT"
    assert len(runs) == 1


async def test_an_error_that_breaks_off_frees_the_key(post):
    app, runs = streaming([b"a"], error=RuntimeError("cut"), status=503)
    for _ in range(2):
        with pytest.raises(Exception, match=r"cut|unhandled errors"):
            await post(app)
    assert len(runs) == 2


async def test_a_file_that_the_server_sends_is_not_kept(post, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")

    async def app(scope, receive, send):
        await FileResponse(path)(scope, receive, send)

    guarded = IdempotencyMiddleware(app, store=MemoryIdempotencyStore())
    extensions = {"extensions": {"http.response.pathsend": {}}}
    first = await post(guarded, **extensions)
    assert first.messages[-1]["type"] == "http.response.pathsend"
    assert (await post(guarded)).json()["code"] == "IDEMPOTENCY_ANSWER_NOT_KEPT"


async def test_unknown_messages_pass_and_headers_may_be_an_iterator(post):
    async def app(scope, receive, send):
        await send({"type": "http.response.early_hint", "links": []})
        headers = iter([(b"x-a", b"1")])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    guarded = IdempotencyMiddleware(app, store=MemoryIdempotencyStore())
    first = await post(guarded)
    assert first.messages[0]["type"] == "http.response.early_hint"
    assert first.headers == {"x-a": "1"}
    assert (await post(guarded)).headers == {"x-a": "1", "idempotency-replayed": "true"}


@pytest.mark.parametrize("chunks", [[b"x" * 101], [b"x" * 50, b"x" * 51]])
async def test_a_long_request_is_refused_before_anything_runs(post, chunks):
    orders = Orders(max_request_bytes=100)
    refused = await post(orders.app, body=chunks)
    assert (refused.status, orders.runs) == (413, 0)
    assert refused.json()["code"] == "REQUEST_BODY_TOO_LARGE"
    assert (await post(orders.app, body=b"x" * 100)).status == 201
    assert (await post(orders.app, key=None, body=chunks)).status == 201


# --- leases


async def test_the_lease_is_renewed_while_the_application_runs(post, idempotency_store):
    orders = Orders(store=idempotency_store, lease_seconds=0.06, wait_seconds=0)
    orders.gate.clear()
    first = asyncio.create_task(post(orders.app))
    await asyncio.sleep(0.2)  # three leases
    assert (await asyncio.wait_for(post(orders.app), 2)).status == 409
    orders.gate.set()
    assert (await first).status == 201
    assert orders.runs == 1


class Forgetful(MemoryIdempotencyStore):
    async def renew(self, key, owner, lease_seconds):
        self._running.pop(key, None)
        return False


async def test_a_lease_that_was_lost_is_logged(post, records):
    orders = Orders(store=Forgetful(), lease_seconds=0.03)
    orders.gate.clear()
    first = asyncio.create_task(post(orders.app))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(post(orders.app))
    await asyncio.sleep(0.005)
    orders.gate.set()
    assert [(await each).status for each in (first, second)] == [201, 201]
    assert any("was lost" in record.getMessage() for record in records)


async def test_a_transaction_can_see_on_whose_behalf_it_runs(exchange):
    seen = {}

    async def app(scope, receive, send):
        seen.update(scope["state"]["idempotency"])

    guarded = IdempotencyMiddleware(app, store=MemoryIdempotencyStore())
    await exchange(guarded, method="POST", headers={KEY: "k"})
    assert {name: len(value) for name, value in seen.items()} == {
        "key": 64,
        "fingerprint": 64,
        "owner": 32,
    }


# --- a store that is down


class Flaky(MemoryIdempotencyStore):
    broken: tuple[str, ...] = ()

    async def reserve(self, *arguments):
        self._fail("reserve")
        return await super().reserve(*arguments)

    async def complete(self, *arguments):
        self._fail("complete")
        return await super().complete(*arguments)

    async def release(self, *arguments):
        self._fail("release")
        return await super().release(*arguments)

    def _fail(self, name):
        if name in self.broken:
            raise ConnectionError("redis://user:secret@cache refused")


async def test_without_its_store_a_request_with_a_key_is_not_carried_out(post, records):
    store = Flaky()
    store.broken = ("reserve", "release")
    orders = Orders(store=store, retry_store_seconds=0.05)
    for n in range(3):
        refused = await post(orders.app, key=f"k{n}")
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert (await post(orders.app, key=None)).status == 201
    store.broken = ()
    await asyncio.sleep(0.06)
    assert (await post(orders.app)).status == 201
    assert orders.runs == 2
    told = [r.getMessage() for r in records if r.name == "tijolo.web.idempotency"]
    assert len(told) == 2
    assert "is down (ConnectionError)" in told[0]
    assert "is back" in told[1]


async def test_without_its_store_requests_run_unprotected_by_choice(post):
    store = Flaky()
    store.broken = ("reserve", "release")
    orders = Orders(store=store, on_store_failure="open")
    assert [(await post(orders.app)).status for _ in range(2)] == [201, 201]
    assert orders.bodies == [b"{}", b"{}"]


async def test_an_answer_that_cannot_be_stored_at_once_goes_out_and_is_stored_later(post):
    store = Flaky()
    store.broken = ("complete",)
    orders = Orders(store=store, retry_store_seconds=0.01)
    assert (await post(orders.app)).status == 201
    store.broken = ()
    while (await store.reserve(*_record(store), "other", 30))[0] != "completed":  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert (await post(orders.app)).headers["idempotency-replayed"] == "true"
    assert orders.runs == 1


def _record(store):
    key, record = next(iter([*store._running.items(), *store._completed.items()]))
    return key, record.fingerprint


async def test_an_answer_in_the_store_that_cannot_be_read_is_not_run_again(post, records):
    orders = Orders()
    await post(orders.app)
    next(iter(orders.store._completed.values())).answer = b"9 something else"
    assert (await post(orders.app)).json()["code"] == "IDEMPOTENCY_ANSWER_NOT_KEPT"
    assert orders.runs == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"ttl_seconds": 0},
        {"lease_seconds": -1},
        {"wait_seconds": -1},
        {"max_request_bytes": -1},
        {"methods": ["POST", "GET"]},
    ],
)
def test_what_cannot_work_is_refused_when_it_is_built(wrong):
    with pytest.raises(ValueError, match=r"more|safe"):
        Orders(**wrong)


# --- in a FastAPI application


class Settings(IdempotencySettings, CORSSettings, WebSettings, BaseAppSettings, env_file=None):
    pass


def settings(**given):
    return Settings(**{"ENVIRONMENT": Environment.TEST, "IDEMPOTENCY_ENABLED": True, **given})


def shop(given=None, **options):
    app = create_app(given or settings(), **options)
    app.state.runs = 0

    @app.post("/orders")
    async def create_order(request: Request, response: Response):
        app.state.runs += 1
        if request.headers.get("x-fail") == "conflict":
            raise ConflictException("Taken")
        if request.headers.get("x-fail"):
            raise RuntimeError("broken")
        response.set_cookie("a", str(app.state.runs))
        response.set_cookie("b", "2")
        return {"order": app.state.runs, "sent": await request.json()}

    return app


def client_of(app):
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 1))
    return httpx.AsyncClient(transport=transport, base_url="http://shop.example")


async def test_create_app_replays_within_its_own_layers():
    app = shop(settings(CORS_ORIGINS=["https://shop.example"]))
    async with client_of(app) as client:

        async def order(origin, request_id):
            headers = {KEY: "k1", "Origin": origin, "X-Request-ID": request_id}
            return await client.post("/orders", json={"n": 1}, headers=headers)

        first = await order("https://shop.example", "r1")
        client.cookies.clear()  # they would make another principal
        again = await order("https://shop.example", "r2")
    assert app.state.runs == 1
    assert again.content == first.content
    assert again.headers.get_list("set-cookie") == first.headers.get_list("set-cookie")
    assert len(again.headers.get_list("set-cookie")) == 2
    assert again.headers["x-request-id"] == "r2"  # of this request, not of the first
    assert again.headers["access-control-allow-origin"] == "https://shop.example"
    assert again.headers["x-content-type-options"] == "nosniff"
    assert again.headers.get_list("x-request-id") == ["r2"]
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize(("fail", "status"), [("crash", 500), ("conflict", 409)])
async def test_create_app_frees_the_key_of_what_failed(fail, status):
    app = shop()
    async with client_of(app) as client:
        found = []
        for headers in ({"X-Fail": fail}, {"X-Fail": fail}, {}):
            answer = await client.post("/orders", json={}, headers={KEY: "k", **headers})
            found.append(answer.status_code)
    assert found == [status, status, 200]


async def test_create_app_does_nothing_with_keys_until_it_is_told_to():
    app = shop(settings(IDEMPOTENCY_ENABLED=False))
    async with client_of(app) as client:
        for _ in range(2):
            await client.post("/orders", json={}, headers={KEY: "k"})
    assert app.state.runs == 2


async def test_a_store_given_to_create_app_switches_keys_on():
    store = MemoryIdempotencyStore()
    app = shop(settings(IDEMPOTENCY_ENABLED=False), idempotency_store=store)
    async with client_of(app) as client:
        await client.post("/orders", json={}, headers={KEY: "k"})
    assert len(store) == 1


class Marks:
    """A layer that the service adds."""

    def __init__(self, app, name, calls):
        self.app, self.name, self.calls = app, name, calls

    async def __call__(self, scope, receive, send):
        self.calls.append(self.name)

        async def marking(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-layer", self.name)]
            await send(message)

        await self.app(scope, receive, marking)


async def test_the_guard_is_inside_what_the_service_adds():
    calls = []
    app = shop(middleware=[Middleware(Marks, b"inner", calls)])
    app.add_middleware(Marks, b"outer", calls)
    async with client_of(app) as client:
        found = []
        for _ in range(2):
            client.cookies.clear()
            answer = await client.post("/orders", json={}, headers={KEY: "k"})
            found.append(answer.headers.get_list("x-layer"))
    assert found == [["inner", "outer"]] * 2  # added to the replay, not replayed as well
    assert calls == [b"outer", b"inner"] * 2
    assert app.state.runs == 1


def required_app(*, guarded=True):
    app = create_app(settings(IDEMPOTENCY_ENABLED=guarded))
    router = APIRouter()
    key = make_idempotency_key_dependency()

    @router.post("/payments")
    async def pay(key: str = Depends(key)) -> str:
        return key

    app.include_router(router)
    return app


async def test_a_route_may_require_a_key_and_openapi_says_so():
    app = required_app()
    async with client_of(app) as client:
        missing = await client.post("/payments")
        assert missing.status_code == 400
        assert missing.json()["code"] == "IDEMPOTENCY_KEY_REQUIRED"
        given = await client.post("/payments", headers={KEY: '"k 1"'})
        assert given.json() == "k 1"
        document = (await client.get("/openapi.json")).json()
    [parameter] = document["paths"]["/payments"]["post"]["parameters"]
    assert (parameter["name"], parameter["in"], parameter["required"]) == (KEY, "header", True)
    assert "UUID" in parameter["description"]


async def test_a_required_key_that_nothing_guards_is_an_error_of_the_service():
    async with client_of(required_app(guarded=False)) as client:
        assert (await client.post("/payments", headers={KEY: "k"})).status_code == 500


async def test_an_application_mounted_in_another_is_guarded_once(exchange):
    store = MemoryIdempotencyStore()
    inner = Orders(store=store)
    outer = FastAPI()
    outer.add_middleware(IdempotencyMiddleware, store=MemoryIdempotencyStore())
    outer.mount("/inner", inner.app)
    async with client_of(outer) as client:
        for _ in range(2):
            client.cookies.clear()
            answer = await client.post("/inner/orders", headers={KEY: "k"})
            assert answer.status_code == 201
    assert (inner.runs, len(store)) == (1, 0)


def test_every_setting_is_read():
    pytest.importorskip("redis")
    with assert_settings_read(IdempotencySettings, by="tijolo.web"):
        create_app(settings(IDEMPOTENCY_REDIS_URL="redis://127.0.0.1:1/0"))


async def test_real_servers_carry_it(serve):
    app = shop()
    key = str(uuid.uuid4())
    async with (
        serve(app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):

        async def order():
            client.cookies.clear()
            return await client.post("/orders", json={"n": 1}, headers={KEY: key})

        first = await order()
        again = await order()
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert app.state.runs == 1
