from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tijolo.core import get_request_id
from tijolo.web import (
    BodySizeLimitMiddleware,
    EnvelopeMiddleware,
    ErrorBoundaryMiddleware,
    RequestBodyTooLargeException,
    RequestIDMiddleware,
    RequestTimingMiddleware,
    SecurityHeadersMiddleware,
    TrustedHostMiddleware,
    TrustedProxyMiddleware,
)

LAYERS = {
    "request id": RequestIDMiddleware,
    "timing": RequestTimingMiddleware,
    "security headers": SecurityHeadersMiddleware,
    "envelope": EnvelopeMiddleware,
    "body limit": lambda app: BodySizeLimitMiddleware(app, max_bytes=100),
    "trusted hosts": lambda app: TrustedHostMiddleware(app, allowed_hosts=["shop.example"]),
    "trusted proxies": lambda app: TrustedProxyMiddleware(app, trusted_proxies=["10.0.0.0/8"]),
    "error boundary": ErrorBoundaryMiddleware,
}
HOST = {"Host": "shop.example"}

every_layer = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())


def replying(*messages):
    async def app(scope, receive, send):
        for message in messages:
            await send(dict(message))

    return app


START = {"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]}
END = {"type": "http.response.body", "body": b"end"}
hello = replying(START, END)


# --- what holds for every layer


@every_layer
async def test_two_body_chunks_arrive_as_two(exchange, layer):
    chunks = [
        {"type": "http.response.body", "body": b"a", "more_body": True},
        {"type": "http.response.body", "body": b"b"},
    ]
    made = await exchange(layer(replying(START, *chunks)), headers=HOST)
    assert made.messages[1:] == chunks
    assert made.headers["x-own"] == "1"


@every_layer
async def test_messages_that_nobody_knows_yet_pass_untouched(exchange, layer):
    strange = [
        {"type": "http.response.early_hint", "links": [b"</a>"]},
        {"type": "http.response.debug", "info": {"x": 1}},
        {"type": "http.response.trailers", "headers": [(b"a", b"b")]},
        {"type": "http.response.pathsend", "path": "/x"},
        {"type": "http.response.zerocopysend", "file": 3},
        {"type": "http.response.of_the_future", "x": object()},
    ]
    made = await exchange(layer(replying(strange[0], START, *strange[1:])), headers=HOST)
    assert [made.messages[0], *made.messages[2:]] == strange


@every_layer
async def test_the_body_reaches_the_application_chunk_by_chunk(exchange, layer):
    seen = []

    async def app(scope, receive, send):
        while True:
            message = await receive()
            seen.append(message)
            if not message.get("more_body"):
                break
        await hello(scope, receive, send)

    headers = {**HOST, "Transfer-Encoding": "chunked"}
    await exchange(layer(app), method="POST", body=[b"1", b"2", b"3"], headers=headers)
    assert [m["body"] for m in seen] == [b"1", b"2", b"3"]


@every_layer
async def test_lifespan_and_unknown_scopes_pass_with_the_same_callables(layer):
    calls = []

    async def app(*args):
        calls.append(args)

    for kind in ("lifespan", "of-the-future"):
        args = {"type": kind}, object(), object()
        await layer(app)(*args)
        assert calls.pop() == args


@every_layer
async def test_a_websocket_passes(layer):
    sent = []

    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "hi"})

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"shop.example")]
    scope = {"type": "websocket", "path": "/", "headers": headers, "scheme": "ws", "client": None}
    await layer(app)(scope, None, send)
    assert [m["type"] for m in sent] == ["websocket.accept", "websocket.send"]


@every_layer
@pytest.mark.parametrize("started", [False, True])
async def test_an_error_of_the_application_passes_or_is_answered_once(exchange, layer, started):
    async def app(scope, receive, send):
        if started:
            await send(dict(START))
        raise LookupError("broken")

    made = await exchange(layer(app), headers=HOST, catch=True)
    if layer is ErrorBoundaryMiddleware:
        assert len(made.starts) == 1
    else:
        assert isinstance(made.error, LookupError)
        assert len(made.starts) == started


@every_layer
async def test_a_header_list_that_the_application_keeps_is_not_changed(exchange, layer):
    kept = [(b"x-own", b"1")]
    app = layer(replying({**START, "headers": kept}, END))
    await exchange(app, headers=HOST)
    await exchange(app, headers=HOST)
    assert kept == [(b"x-own", b"1")]


@every_layer
async def test_a_start_without_headers_is_fine(exchange, layer):
    start = {"type": "http.response.start", "status": 204}
    made = await exchange(layer(replying(start, END)), headers=HOST)
    assert made.starts[0]["status"] == 204


# --- request id


with_request_id = pytest.mark.parametrize("layer", [RequestIDMiddleware, EnvelopeMiddleware])


@with_request_id
@pytest.mark.parametrize("given_id", ["a", "A-1_b.c", "x" * 128])
async def test_an_acceptable_id_is_kept(exchange, layer, given_id):
    seen = []

    async def app(scope, receive, send):
        seen.extend([get_request_id(), scope["state"]["request_id"]])
        await hello(scope, receive, send)

    made = await exchange(layer(app), headers={"X-Request-ID": given_id})
    assert seen == [given_id, given_id]
    assert made.headers["x-request-id"] == given_id
    assert get_request_id() is None


@with_request_id
@pytest.mark.parametrize(
    "given_id",
    ["", "x" * 129, "x" * 65536, "a b", "a\r\nSet-Cookie: x=1", "a\n", "é", "a;b", "<script>"],
)
async def test_any_other_id_is_replaced(exchange, layer, given_id):
    made = await exchange(layer(hello), headers={"X-Request-ID": given_id})
    assert made.headers["x-request-id"] != given_id
    assert len(bytes.fromhex(made.headers["x-request-id"])) == 16


@with_request_id
async def test_an_id_that_the_application_sets_gives_way(exchange, layer):
    start = {**START, "headers": [(b"x-request-id", b"upstream")]}
    made = await exchange(layer(replying(start, END)), headers={"X-Request-ID": "mine"})
    assert [v for k, v in made.starts[0]["headers"] if k == b"x-request-id"] == [b"mine"]


async def test_the_header_can_have_another_name(exchange):
    layer = RequestIDMiddleware(hello, "X-Correlation-ID")
    made = await exchange(layer, headers={"X-Correlation-ID": "c1", "X-Request-ID": "r1"})
    assert made.headers["x-correlation-id"] == "c1"
    assert "x-request-id" not in made.headers


async def test_a_denied_websocket_handshake_tells_its_id():
    sent = []

    async def app(scope, receive, send):
        await send({"type": "websocket.http.response.start", "status": 403, "headers": []})

    async def send(message):
        sent.append(message)

    await RequestIDMiddleware(app)({"type": "websocket", "headers": []}, None, send)
    assert dict(sent[0]["headers"]).keys() == {b"x-request-id"}


# --- security headers


with_security = pytest.mark.parametrize("layer", [SecurityHeadersMiddleware, EnvelopeMiddleware])


@with_security
@pytest.mark.parametrize("status", [200, 304, 404, 500])
async def test_every_status_gets_the_headers(exchange, layer, status):
    made = await exchange(layer(replying({**START, "status": status}, END)))
    assert (
        made.headers.items()
        >= {
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "referrer-policy": "strict-origin-when-cross-origin",
            "cross-origin-opener-policy": "same-origin",
        }.items()
    )
    assert "frame-ancestors 'none'" in made.headers["content-security-policy"]
    assert "camera=()" in made.headers["permissions-policy"]


@with_security
async def test_a_header_that_the_handler_set_is_kept(exchange, layer):
    start = {**START, "headers": [(b"x-frame-options", b"SAMEORIGIN")]}
    made = await exchange(layer(replying(start, END)))
    values = [v for k, v in made.starts[0]["headers"] if k == b"x-frame-options"]
    assert values == [b"SAMEORIGIN"]
    assert made.headers["x-content-type-options"] == "nosniff"


@with_security
@pytest.mark.parametrize(
    ("scheme", "host", "sent"),
    [
        ("https", "shop.example", True),
        ("http", "shop.example", False),
        ("https", "localhost:8000", False),
        ("https", "LOCALHOST", False),
        ("https", "127.0.0.1", False),
        ("https", "[::1]:8000", False),
        ("https", "api.localhost", False),
        ("https", "localhost.example", True),
        ("https", "127.example", True),
    ],
)
async def test_hsts_is_for_https_and_never_for_localhost(exchange, layer, scheme, host, sent):
    made = await exchange(layer(hello), scheme=scheme, headers={"Host": host})
    assert ("strict-transport-security" in made.headers) is sent


async def test_headers_can_be_replaced_left_out_and_extended(exchange):
    layer = SecurityHeadersMiddleware(
        hello,
        headers={"X-Frame-Options": "", "X-Extra": "1"},
        hsts_max_age_seconds=60,
        hsts_include_subdomains=True,
    )
    made = await exchange(layer, scheme="https", headers=HOST)
    assert made.headers == {
        "x-own": "1",
        "x-extra": "1",
        "strict-transport-security": "max-age=60; includeSubDomains",
    }


async def test_no_hsts_when_it_is_turned_off(exchange):
    layer = SecurityHeadersMiddleware(hello, hsts_max_age_seconds=0)
    made = await exchange(layer, scheme="https", headers=HOST)
    assert "strict-transport-security" not in made.headers
    with pytest.raises(ValueError, match="-1"):
        SecurityHeadersMiddleware(hello, hsts_max_age_seconds=-1)


async def test_only_the_docs_page_itself_gets_the_looser_policy(exchange):
    layer = SecurityHeadersMiddleware(hello, docs_paths=["/docs"])
    for path, loose in (("/docs", True), ("/docsx", False), ("/docs/x", False)):
        policy = (await exchange(layer, path)).headers["content-security-policy"]
        assert ("jsdelivr" in policy) is loose


# --- timing


with_timing = pytest.mark.parametrize("layer", [RequestTimingMiddleware, EnvelopeMiddleware])


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("Server-Timing", {"server-timing"}),
        ("X-Process-Time", {"x-process-time"}),
        ("both", {"server-timing", "x-process-time"}),
        ("none", set()),
    ],
)
async def test_the_time_is_told_in_the_header_of_choice(exchange, header, names):
    made = await exchange(RequestTimingMiddleware(hello, header=header))
    assert made.headers.keys() - {"x-own"} == names
    if "x-process-time" in names:
        assert 0 <= float(made.headers["x-process-time"]) < 60


def test_another_timing_header_is_refused():
    with pytest.raises(ValueError, match="'X-Time'"):
        RequestTimingMiddleware(hello, header="X-Time")


def access(records):
    return [r for r in records if r.name == "tijolo.web.access"]


@with_timing
async def test_status_and_bytes_of_the_record_are_those_that_were_sent(exchange, records, layer):
    chunk = {"type": "http.response.body", "body": b"12345", "more_body": True}
    await exchange(layer(replying({**START, "status": 201}, chunk, END)), "/p", method="PUT")
    [record] = access(records)
    assert (record.method, record.status, record.response_bytes) == ("PUT", 201, 8)
    assert record.client_ip == "203.0.113.9"
    assert record.levelno == logging.INFO


@with_timing
async def test_a_crash_without_an_answer_is_a_500_and_a_client_that_left_a_499(
    exchange, records, layer
):
    async def crash(scope, receive, send):
        raise LookupError

    await exchange(layer(crash), catch=True)
    await exchange(layer(replying()))
    assert [r.status for r in access(records)] == [500, 499]


# --- trusted hosts


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("shop.example", True),
        ("SHOP.example:8000", True),
        ("shop.example.", True),
        ("a.wild.example", True),
        ("a.b.wild.example", True),
        ("wild.example", False),
        ("evilwild.example", False),
        ("shop.example.evil", False),
        ("[::1]:80", True),
        ("shop.example:port", False),
        ("shop.example@evil", False),
        ("shop.example/evil", False),
        ("", False),
        ("ü.example", False),
        ("x" * 65536, False),
    ],
)
async def test_only_the_hosts_that_are_ours_are_served(exchange, host, good):
    allowed = ["shop.example", "*.wild.example", "[::1]"]
    made = await exchange(
        TrustedHostMiddleware(hello, allowed_hosts=allowed), headers={"Host": host}
    )
    assert made.status == (200 if good else 400)
    if not good:
        assert made.json()["code"] == "UNTRUSTED_HOST"
        assert host == "" or host not in made.body.decode()


async def test_no_host_and_two_hosts_are_refused(exchange, scope_of):
    layer = TrustedHostMiddleware(hello, allowed_hosts=["shop.example"])
    twice = scope_of()
    twice["headers"] = [(b"host", b"shop.example"), (b"host", b"shop.example")]
    for scope in (scope_of(), twice):
        assert (await exchange(layer, scope)).status == 400


async def test_a_websocket_for_another_host_is_closed():
    sent = []

    async def send(message):
        sent.append(message)

    layer = TrustedHostMiddleware(hello, allowed_hosts=["shop.example"])
    await layer({"type": "websocket", "headers": [(b"host", b"evil")]}, None, send)
    assert [m["type"] for m in sent] == ["websocket.close"]


@pytest.mark.parametrize("pattern", ["https://a.example", "a.example:80", "*a.example", "a.*", ""])
def test_a_pattern_that_would_match_nothing_is_refused(pattern):
    with pytest.raises(ValueError, match="neither a host name"):
        TrustedHostMiddleware(hello, allowed_hosts=[pattern])


async def test_a_star_means_every_host(exchange):
    layer = TrustedHostMiddleware(hello, allowed_hosts=["*"])
    assert (await exchange(layer)).status == 200


# --- body limit


async def reading(scope, receive, send):
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await send(dict(START))
    await send({"type": "http.response.body", "body": str(size).encode()})


@pytest.mark.parametrize(
    ("headers", "chunks", "status"),
    [
        ({"Content-Length": "10"}, [b"x" * 10], 200),
        ({"Content-Length": "11"}, [b"x" * 11], 413),
        ({"Content-Length": "0" * 50 + "10"}, [b"x" * 10], 200),
        ({"Content-Length": "9" * 5000}, [b""], 413),
        ({"Content-Length": "-1"}, [b""], 413),
        ({"Content-Length": "1e1"}, [b""], 413),
        ({"Transfer-Encoding": "chunked"}, [b"x" * 5, b"x" * 5], 200),
        ({"Transfer-Encoding": "chunked"}, [b"x" * 5, b"x" * 6], 413),
        ({"Transfer-Encoding": "chunked", "Content-Length": "1"}, [b"x" * 11], 413),
        ({}, [b""], 200),
    ],
)
async def test_declared_and_counted_bodies_have_one_limit(exchange, headers, chunks, status):
    layer = BodySizeLimitMiddleware(reading, max_bytes=10)
    made = await exchange(layer, method="POST", headers=headers, body=chunks)
    assert made.status == status
    assert len(made.starts) == 1
    if status == 413:
        assert made.json()["code"] == "REQUEST_BODY_TOO_LARGE"
        assert made.json()["details"] == {"max_bytes": 10}


async def test_a_body_of_http2_is_counted_without_any_header(exchange):
    layer = BodySizeLimitMiddleware(reading, max_bytes=10)
    made = await exchange(layer, method="POST", http_version="2", body=[b"x" * 6, b"x" * 6])
    assert made.status == 413


async def test_past_the_limit_after_the_start_there_is_no_second_response(exchange):
    async def eager(scope, receive, send):
        await send(dict(START))
        while (await receive()).get("more_body"):
            pass

    layer = BodySizeLimitMiddleware(eager, max_bytes=10)
    headers = {"Transfer-Encoding": "chunked"}
    made = await exchange(layer, headers=headers, body=[b"x" * 9] * 3, catch=True)
    assert isinstance(made.error, RequestBodyTooLargeException)
    assert len(made.starts) == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/upload", 200),
        ("/upload/a", 200),
        ("/uploads", 413),
        ("/uploads-private", 413),
        ("/", 413),
    ],
)
async def test_exempt_paths_match_whole_segments(exchange, path, status):
    layer = BodySizeLimitMiddleware(reading, max_bytes=1, exclude_paths=("/upload",))
    headers = {"Content-Length": "5"}
    assert (await exchange(layer, path, headers=headers, body=[b"12345"])).status == status


@pytest.mark.parametrize("arguments", [{"max_bytes": -1}, {"exclude_paths": ("upload",)}])
def test_a_limit_that_means_nothing_is_refused(arguments):
    with pytest.raises(ValueError, match="must"):
        BodySizeLimitMiddleware(hello, **{"max_bytes": 1, **arguments})


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=10), st.integers(0, 120))
async def test_a_counted_body_is_refused_exactly_when_it_is_longer(chunks, limit):
    messages = [
        {"type": "http.request", "body": chunk, "more_body": i < len(chunks) - 1}
        for i, chunk in enumerate(chunks)
    ]
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "path": "/",
        "http_version": "1.1",
        "headers": [(b"transfer-encoding", b"chunked")],
    }
    await BodySizeLimitMiddleware(reading, max_bytes=limit)(scope, receive, send)
    total = sum(map(len, chunks))
    assert sent[0]["status"] == (413 if total > limit else 200)


@pytest.mark.parametrize("layer", [EnvelopeMiddleware, RequestTimingMiddleware])
async def test_headers_may_be_any_iterable_and_arrive_whole(exchange, layer):
    async def app(scope, receive, send):
        headers = (pair for pair in [(b"content-type", b"text/x-mine"), (b"x-a", b"1")])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    made = await exchange(layer(app))
    assert (made.headers["content-type"], made.headers["x-a"]) == ("text/x-mine", "1")


@pytest.mark.parametrize("layer", [EnvelopeMiddleware, SecurityHeadersMiddleware])
async def test_a_scope_may_lack_its_scheme(exchange, scope_of, layer):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    scope = scope_of("/")
    del scope["scheme"]
    made = await exchange(layer(app), scope)
    assert made.status == 200
    assert "strict-transport-security" not in made.headers
