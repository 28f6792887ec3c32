"""What a service answers to requests that no honest client sends, over real connections."""

from __future__ import annotations

import asyncio
import json

import pytest
from fastapi import Request
from pydantic import BaseModel

from tijolo.core import BaseAppSettings, Environment
from tijolo.web import CurrentDevice, WebSettings, create_app, get_client_ip

LIMIT = 100_000


class Settings(WebSettings, BaseAppSettings, env_file=None):
    pass


class Item(BaseModel):
    name: str
    price: float
    count: int = 1
    tags: list[str] = []


def make_app():
    settings = Settings(
        ENVIRONMENT=Environment.TEST,
        REQUEST_BODY_MAX_BYTES=LIMIT,
        TRUSTED_PROXIES=["127.0.0.1"],
        HEALTH_PREFIX="",
    )
    app = create_app(settings)

    @app.post("/items")
    async def create(item: Item) -> Item:
        return item

    @app.post("/any")
    async def anything(data: dict):
        return data

    @app.post("/raw")
    async def raw(request: Request):
        return len(await request.body())

    @app.get("/who/{name}")
    async def who(request: Request, device: CurrentDevice, name: str, q: str = ""):
        return {"ip": get_client_ip(request), "device": device.fingerprint(), "q": q}

    return app


async def talk(port, raw, *, more=()):
    """Send bytes, then what there is of the answer: (status, headers, body)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        for chunk in more:
            await writer.drain()
            writer.write(chunk)
        await writer.drain()
    except ConnectionError:
        pass  # the server may answer and close before everything is sent
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode("latin-1")
    status = int(head.split(" ", 2)[1])
    lines = [line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line]
    headers = {name.lower(): value for name, value in lines}
    length = int(headers.get("content-length", 0))
    body = await asyncio.wait_for(reader.readexactly(length), 10)
    writer.close()
    return status, headers, body


def request(method, target, body=b"", **headers):
    fields = {"Host": "x", "Content-Type": "application/json", "Content-Length": str(len(body))}
    fields |= {k.replace("_", "-"): v for k, v in headers.items()}
    lines = "".join(f"{k}: {v}\r\n" for k, v in fields.items() if v is not None)
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body


def chunked(target, chunks):
    head = request("POST", target, Content_Length=None, Transfer_Encoding="chunked")
    return head, [b"%x\r\n%s\r\n" % (len(c), c) for c in chunks] + [b"0\r\n\r\n"]


async def still_serves(port):
    status, _, body = await talk(port, request("POST", "/items", b'{"name":"a","price":1}'))
    assert (status, json.loads(body)["name"]) == (200, "a")


def assert_problem(answer, status, code):
    got, headers, body = answer
    problem = json.loads(body, parse_constant=pytest.fail)
    assert (got, problem["code"]) == (status, code), body
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"] == problem["request_id"]
    assert "Traceback" not in body.decode()


BODIES = [
    ("/items", b"{", 400, "MALFORMED_JSON"),
    ("/items", b'{"name": "a",}', 400, "MALFORMED_JSON"),
    ("/items", b"\xff\xfe{", 400, "MALFORMED_JSON"),
    ("/items", b'{"name": "\xc3\x28"}', 400, "MALFORMED_JSON"),
    ("/items", b"[" * 90_000, 400, "MALFORMED_JSON"),
    ("/any", b'{"a":' * 15_000 + b"1" + b"}" * 15_000, 400, "MALFORMED_JSON"),
    ("/any", b'{"a": ' + b"9" * 5000 + b"}", 400, "MALFORMED_JSON"),
    ("/items", b'{"name": 1, "price": "x"}', 422, "VALIDATION_ERROR"),
    ("/items", b'{"name": "a", "price": 1, "count": 1e400}', 422, "VALIDATION_ERROR"),
    ("/items", b'{"name": "\\ud800", "price": 1}', 422, "INVALID_UNICODE"),
    ("/items", b'{"name": "a", "price": 1, "tags": ["\\udfff"]}', 422, "INVALID_UNICODE"),
    ("/items", b"null", 422, "VALIDATION_ERROR"),
    ("/items", b"", 422, "VALIDATION_ERROR"),
    ("/items", b"NaN", 422, "VALIDATION_ERROR"),
]


@pytest.mark.parametrize(("target", "body", "status", "code"), BODIES)
async def test_a_body_that_is_no_good_is_a_problem(serve, target, body, status, code):
    async with serve(make_app()) as port:
        assert_problem(await talk(port, request("POST", target, body)), status, code)
        await still_serves(port)


async def test_numbers_that_are_no_json_never_come_back(serve, records):
    body = b'{"name": "a", "price": NaN, "other": -Infinity}'
    async with serve(make_app()) as port:
        status, _, answer = await talk(port, request("POST", "/items", body))
        assert status in (200, 422)  # older FastAPIs do not write it as null
        assert json.loads(answer, parse_constant=pytest.fail).get("price") is None
        assert_problem(await talk(port, request("POST", "/any", body)), 422, "INVALID_NUMBER")
        await still_serves(port)
    assert not [r for r in records if r.levelname == "ERROR"]


async def test_a_number_that_the_service_itself_got_wrong_is_its_failure(serve):
    app = make_app()

    @app.get("/ratio")
    async def ratio():
        return {"ratio": float("nan")}

    async with serve(app) as port:
        answer = await talk(port, request("GET", "/ratio", Content_Type=None))
        assert_problem(answer, 500, "INTERNAL_SERVER_ERROR")
        await still_serves(port)


# --- length


async def test_a_declared_body_over_the_limit_is_refused_unread(serve):
    async with serve(make_app()) as port:
        answer = await talk(port, request("POST", "/raw", Content_Length=str(10**12)))
        assert_problem(answer, 413, "REQUEST_BODY_TOO_LARGE")
        await still_serves(port)


@pytest.mark.parametrize("target", ["/raw", "/items"])
async def test_a_chunked_body_over_the_limit_is_refused(serve, target):
    head, chunks = chunked(target, [b"x" * 1000] * (LIMIT // 1000 + 5))
    async with serve(make_app()) as port:
        answer = await talk(port, head, more=chunks)
        assert_problem(answer, 413, "REQUEST_BODY_TOO_LARGE")
        await still_serves(port)


async def test_a_chunked_body_at_the_limit_is_read(serve):
    head, chunks = chunked("/raw", [b"x" * 1000] * (LIMIT // 1000))
    async with serve(make_app()) as port:
        status, _, body = await talk(port, head, more=chunks)
        assert (status, json.loads(body)) == (200, LIMIT)


async def test_a_declared_body_that_is_sent_whole_is_refused_with_an_answer(serve):
    body = b"x" * (LIMIT + 1)
    async with serve(make_app()) as port:
        answer = await talk(port, request("POST", "/raw", body))
        assert_problem(answer, 413, "REQUEST_BODY_TOO_LARGE")
        await still_serves(port)


# --- headers, paths and queries


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Request-ID": "\xff\xfe"},
        {"X-Request-ID": "x" * 30_000},
        {"X-Forwarded-For": "\xe9, <script>"},
        {"X-Forwarded-For": "1.1.1.1," * 3_000},
        {"X-Forwarded-Proto": "\xff"},
        {"User-Agent": "\xff" * 30_000},
        {"Sec-CH-UA": '"\xff";v="' * 1000},
        {"Content-Type": "application/json; charset=\xff"},
        {"Accept": "\x80\x81"},
        {"Cookie": "a=\xff; ;;=;"},
        {"Authorization": "\xff \xff"},
    ],
    ids=lambda headers: next(iter(headers)),
)
async def test_a_strange_header_is_no_failure(serve, records, headers):
    async with serve(make_app()) as port:
        names = {name.replace("-", "_"): value for name, value in headers.items()}
        status, answered, _ = await talk(port, request("GET", "/who/me", **names))
        assert status == 200
        assert len(answered["x-request-id"]) == 32
        await still_serves(port)
    assert not [r for r in records if r.levelname == "ERROR"]


async def test_a_header_of_64_kib_and_more_leaves_the_service_standing(serve):
    async with serve(make_app()) as port:
        for size in (65_536, 200_000):
            try:
                status, _, _ = await talk(port, request("GET", "/who/me", X_Big="x" * size))
            except (asyncio.IncompleteReadError, ConnectionError):
                continue  # the server's own limit, by closing the connection
            assert status in (200, 400, 431)
        await still_serves(port)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/who/%", 200),
        ("/who/%zz", 200),
        ("/who/%ff%fe", 200),
        ("/who/%00", 200),
        ("/who/%ed%a0%80", 200),
        ("/who/a%0d%0aSet-Cookie:%20x=1", 200),
        ("/%ff/%2e%2e/%2e%2e", 404),
        ("/who/a?q=%ff%zz&q&=&&;", 200),
        ("/who/a?" + "a=b&" * 5000, 200),
        ("/" + "x" * 20_000, 404),
    ],
    ids=range(10),
)
async def test_broken_percent_encodings_are_answered(serve, records, target, status):
    async with serve(make_app()) as port:
        got, headers, body = await talk(port, request("GET", target))
        assert got == status
        assert "set-cookie" not in headers
        json.loads(body)
        await still_serves(port)
    assert not [r for r in records if r.levelname == "ERROR"]


async def test_an_unknown_method_is_a_405_problem(serve):
    async with serve(make_app()) as port:
        answer = await talk(port, request("PROPFIND", "/items"))
        assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
        await still_serves(port)


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_failure(serve, records):
    async with serve(make_app()) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("POST", "/raw", Content_Length="1000") + b"x" * 10)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        await still_serves(port)
    assert not [r for r in records if r.levelname == "ERROR"]
