"""Introspection (RFC 7662), revocation (RFC 7009), and who asks from afar (2a rows 24, 25)."""

import asyncio
import json
import socket
import threading
import time

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from tijolo.auth import (
    FailureMode,
    FetchError,
    FetchRequest,
    FetchResponse,
    MemoryRevocationStore,
    RemoteRevocationClient,
    RevocationUnavailableException,
    ThreadedFetch,
    TokenAuthenticator,
    make_introspection_router,
    make_revocation_router,
    make_token_dependency,
)
from tijolo.core import InvalidTokenException
from tijolo.web import register_exception_handlers

SECRET = "um-segredo-entre-servicos-0123456789"
URL = "https://auth.example/introspect"
HEADERS = {"X-Internal-Token": SECRET}
INACTIVE = {"active": False}


@pytest.fixture
def store(clock):
    return MemoryRevocationStore(clock=clock)


@pytest.fixture
def others():
    return []


@pytest.fixture
def app(verifier, store, others):
    app = FastAPI()
    register_exception_handlers(app)
    access = make_token_dependency(SECRET, header_name="X-Internal-Token")
    tokens = TokenAuthenticator(verifier, revocation=store)

    async def revoke_other(token):
        others.append(token)

    app.include_router(make_introspection_router(tokens, access=access))
    app.include_router(
        make_revocation_router(verifier, store, access=access, revoke_other=revoke_other)
    )
    return app


@pytest.fixture
async def http(app):
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://auth.example") as client:
        yield client


async def test_a_good_token_is_described(http, issuer):
    made = issuer.issue("7", session_id="s1", scopes=["orders"], extra={"email": "ana@x.example"})
    answer = await http.post("/introspect", data={"token": made.token}, headers=HEADERS)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["active"] is True
    assert (body["sub"], body["sid"], body["jti"]) == ("7", "s1", made.token_id)
    assert (body["scope"], body["token_type"]) == ("orders", "Bearer")
    assert "email" not in body


async def test_every_other_token_is_inactive_and_nothing_more(http, issuer, store, clock):
    """RFC 7662, section 2.2: no word about why."""
    revoked = issuer.issue("7")
    await store.revoke_token(revoked.token_id, expires_at=clock() + 900)
    expired = issuer.issue("7", ttl_seconds=1)
    clock.pass_seconds(10)
    for token in (revoked.token, expired.token, "x", "a.b.c", "é", "x" * 10_000):
        answer = await http.post("/introspect", data={"token": token}, headers=HEADERS)
        assert (answer.status_code, answer.json()) == (200, INACTIVE)


async def test_only_services_may_ask(http, issuer):
    data = {"token": issuer.issue("7").token}
    for headers in ({}, {"X-Internal-Token": "x"}, {"Authorization": f"Bearer {data['token']}"}):
        for path in ("/introspect", "/revoke"):
            answer = await http.post(path, data=data, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "X-Internal-Token"


@pytest.mark.parametrize("path", ["/introspect", "/revoke"])
async def test_what_is_no_form_with_a_token_is_a_bad_request(http, path):
    form = {"Content-Type": "application/x-www-form-urlencoded", **HEADERS}
    for body in (b"", b"token=", b"x=1", b"token=a&token=b", b"\xff", b"a=1&" * 100):
        answer = await http.post(path, content=body, headers=form)
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")
    answer = await http.post(path, json={"token": "x"}, headers=HEADERS)
    assert answer.status_code == 400
    answer = await http.post(path, content=b"token=" + b"x" * 20_000, headers=form)
    assert answer.status_code == 413


async def test_a_token_is_ended_and_an_unknown_one_is_a_200_too(http, issuer, others):
    """RFC 7009, section 2.2."""
    made = issuer.issue("7")
    for token in (made.token, made.token, "refresh-token", "a.b.c"):
        answer = await http.post("/revoke", data={"token": token}, headers=HEADERS)
        assert (answer.status_code, answer.content) == (200, b"")
    answer = await http.post("/introspect", data={"token": made.token}, headers=HEADERS)
    assert answer.json() == INACTIVE
    fine = issuer.issue("7").token
    answer = await http.post("/introspect", data={"token": fine}, headers=HEADERS)
    assert answer.json()["active"] is True
    assert others == ["refresh-token", "a.b.c"]


async def test_any_text_can_be_described(http, issuer):
    token = issuer.issue("half a pair: \ud83e", scopes=["a"]).token
    answer = await http.post("/introspect", data={"token": token}, headers=HEADERS)
    assert (answer.status_code, answer.json()["sub"]) == (200, "half a pair: \ud83e")


async def test_a_store_that_is_gone_ends_nothing_and_says_so(verifier, issuer):
    """RFC 7009, section 2.2.1: 503, and the client tries again."""

    class Gone(MemoryRevocationStore):
        async def is_revoked(self, principal, token=""):
            raise OSError("redis://:geheim@host is down")

        async def revoke_token(self, token_id, *, expires_at):
            raise OSError("redis://:geheim@host is down")

    store = Gone()
    app = FastAPI()
    register_exception_handlers(app)
    access = make_token_dependency(SECRET, header_name="X-Internal-Token")
    tokens = TokenAuthenticator(verifier, revocation=store)
    app.include_router(make_introspection_router(tokens, access=access))
    app.include_router(make_revocation_router(verifier, store, access=access))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://auth.example") as http:
        for path in ("/introspect", "/revoke"):
            data = {"token": issuer.issue("7").token}
            answer = await http.post(path, data=data, headers=HEADERS)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert "geheim" not in answer.text


async def test_a_token_without_an_id_is_not_said_to_be_ended(make_verifier, ring, clock, store):
    now = int(clock())
    claims = {"iss": "https://auth.example", "aud": "shop", "sub": "7", "iat": now, "exp": now + 60}
    token = ring.signing_key().sign(claims, token_type="at+jwt")
    app = FastAPI()
    register_exception_handlers(app)
    access = make_token_dependency(SECRET, header_name="X-Internal-Token")
    lenient = make_verifier(required_claims=["iss", "exp", "aud", "sub", "iat"])
    app.include_router(make_revocation_router(lenient, store, access=access))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://auth.example") as http:
        answer = await http.post("/revoke", data={"token": token}, headers=HEADERS)
        assert (answer.status_code, answer.json()["code"]) == (400, "UNSUPPORTED_TOKEN_TYPE")


async def test_introspection_that_cannot_tell_says_so(issuer, verifier):
    class Down:
        async def is_revoked(self, principal, token):
            raise RevocationUnavailableException

    app = FastAPI()
    register_exception_handlers(app)
    tokens = TokenAuthenticator(verifier, revocation=Down())
    access = make_token_dependency(SECRET, header_name="X-Internal-Token")
    app.include_router(make_introspection_router(tokens, access=access))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://auth.example") as http:
        data = {"token": issuer.issue("7").token}
        assert (await http.post("/introspect", data=data, headers=HEADERS)).status_code == 503


class Over:
    """A ``Fetch`` into the application, that counts, and fails when it is told to."""

    def __init__(self, http):
        self.http = http
        self.asked = 0
        self.answer = None
        self.gate = None

    async def __call__(self, request):
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        answer = await self.http.request(
            request.method, request.url, headers=request.headers, content=request.body
        )
        return FetchResponse(status=answer.status_code, body=answer.content)


@pytest.fixture
def fetch(http):
    return Over(http)


@pytest.fixture
def make_client(fetch, clock):
    def make(**options):
        return RemoteRevocationClient(
            introspection_url=URL, private_api_secret=SECRET, fetch=fetch, clock=clock, **options
        )

    return make


async def test_a_consumer_learns_of_a_revocation(make_client, make_verifier, issuer, store, clock):
    client = make_client(cache_seconds=2)
    tokens = TokenAuthenticator(make_verifier(), revocation=client)
    made = issuer.issue("7")
    assert (await tokens.authenticate(made.token)).subject == "7"
    await store.revoke_token(made.token_id, expires_at=clock() + 900)
    clock.pass_seconds(2)
    with pytest.raises(InvalidTokenException):
        await tokens.authenticate(made.token)


async def test_a_forged_token_is_not_asked_about(make_client, make_verifier, fetch):
    tokens = TokenAuthenticator(make_verifier(), revocation=make_client())
    with pytest.raises(InvalidTokenException):
        await tokens.authenticate("a.b.c")
    assert fetch.asked == 0


async def test_many_requests_with_one_token_share_one_question(
    make_client, make_verifier, issuer, fetch
):
    tokens = TokenAuthenticator(make_verifier(), revocation=make_client(cache_seconds=2))
    token = issuer.issue("7").token
    fetch.gate = asyncio.Event()
    waiting = [asyncio.ensure_future(tokens.authenticate(token)) for _ in range(25)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()
    fetch.gate.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert {principal.subject for principal in found[1:]} == {"7"}
    assert fetch.asked == 1
    await tokens.authenticate(token)
    assert fetch.asked == 1


async def test_who_waits_when_the_client_closes_gets_a_503(make_client, issuer, verifier, fetch):
    client = make_client(cache_seconds=2)
    tokens = TokenAuthenticator(verifier, revocation=client)
    fetch.gate = asyncio.Event()
    token = issuer.issue("7").token
    waiting = [asyncio.ensure_future(tokens.authenticate(token)) for _ in range(3)]
    await asyncio.sleep(0.01)
    await client.close()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(one) for one in found} == {RevocationUnavailableException}


async def test_without_a_memory_every_request_asks(make_client, make_verifier, issuer, fetch):
    tokens = TokenAuthenticator(make_verifier(), revocation=make_client(cache_seconds=0))
    token = issuer.issue("7").token
    await asyncio.gather(*(tokens.authenticate(token) for _ in range(5)))
    assert fetch.asked == 5


@pytest.mark.parametrize(
    "answer",
    [
        OSError("no route"),
        TimeoutError(),
        FetchError("too large"),
        FetchResponse(status=401, body=b'{"active": true}'),
        FetchResponse(status=302, body=b'{"active": true}'),
        FetchResponse(status=500, body=b""),
        FetchResponse(status=200, body=b""),
        FetchResponse(status=200, body=b"[]"),
        FetchResponse(status=200, body=b"{}"),
        FetchResponse(status=200, body=b'{"active": 1}'),
        FetchResponse(status=200, body=b'{"active": "true"}'),
        FetchResponse(status=200, body=b'{"active": null}'),
        FetchResponse(status=200, body=b"x" * 20_000),
    ],
)
async def test_an_issuer_that_gives_no_answer(make_client, make_verifier, issuer, fetch, answer):
    fetch.answer = answer
    token = issuer.issue("7").token
    closed = make_client()
    with pytest.raises(RevocationUnavailableException):
        await TokenAuthenticator(make_verifier(), revocation=closed).authenticate(token)
    assert closed.failures == 1
    opened = make_client(failure_mode=FailureMode.OPEN)
    tokens = TokenAuthenticator(make_verifier(), revocation=opened)
    assert (await tokens.authenticate(token)).subject == "7"
    # neither answer is remembered
    fetch.answer = FetchResponse(status=200, body=json.dumps(INACTIVE).encode())
    with pytest.raises(InvalidTokenException):
        await tokens.authenticate(token)


async def test_a_silent_issuer_holds_nobody_for_long(make_client, make_verifier, issuer, fetch):
    fetch.gate = asyncio.Event()
    client = make_client(timeout_seconds=0.02)
    tokens = TokenAuthenticator(make_verifier(), revocation=client)
    with pytest.raises(RevocationUnavailableException):
        await tokens.authenticate(issuer.issue("7").token)
    await client.close()


def test_a_client_without_a_secret_or_address_is_none():
    for secret in ("", "é", "a\r\nX-Evil: 1"):
        with pytest.raises(ValueError, match="printable ASCII"):
            RemoteRevocationClient(introspection_url=URL, private_api_secret=secret)
    for url in ("", "auth/introspect", "file:///etc/passwd", "https://u:p@auth/introspect"):
        with pytest.raises(ValueError, match="introspection_url"):
            RemoteRevocationClient(introspection_url=url, private_api_secret=SECRET)
    client = RemoteRevocationClient(introspection_url=URL, private_api_secret=SECRET)
    assert SECRET not in repr(client)
    assert SECRET not in repr(
        FetchRequest(url=URL, headers=HEADERS, body=b"token=" + SECRET.encode())
    )


@pytest.fixture
def served(app):
    """The application behind a real server, and its address."""

    @app.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(1)
        return "late"

    @app.get("/large")
    async def large() -> str:
        return "x" * 100_000

    @app.get("/moved", status_code=307)
    async def moved() -> None:
        return None

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # who comes before the server is up waits
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(5)
    listener.close()


async def test_the_standard_library_is_enough(served, make_verifier, issuer, store, clock):
    client = RemoteRevocationClient(
        introspection_url=f"{served}/introspect", private_api_secret=SECRET, cache_seconds=0
    )
    tokens = TokenAuthenticator(make_verifier(), revocation=client)
    made = issuer.issue("7")
    assert (await tokens.authenticate(made.token)).subject == "7"
    await store.revoke_token(made.token_id, expires_at=clock() + 900)
    with pytest.raises(InvalidTokenException):
        await tokens.authenticate(made.token)
    await client.close()


async def test_a_fetch_is_bounded_in_time_size_and_number(served):
    fetch = ThreadedFetch(workers=1, queue_limit=1)
    with pytest.raises(FetchError, match="larger than 1000"):
        await fetch(FetchRequest(url=f"{served}/large", max_bytes=1000))
    assert (await fetch(FetchRequest(url=f"{served}/large", max_bytes=200_000))).status == 200
    assert (await fetch(FetchRequest(url=f"{served}/moved"))).status == 307
    slow = FetchRequest(url=f"{served}/slow", timeout_seconds=0.1)
    calls = [asyncio.ensure_future(fetch(slow)) for _ in range(4)]
    failures = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(failure, FetchError) for failure in failures)
    assert [str(failure) for failure in failures].count(
        "too many calls wait for the other service"
    ) == 2
    await fetch.close()
    with pytest.raises(ValueError, match="1 worker"):
        ThreadedFetch(workers=0)


async def test_nobody_there_is_one_error():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    fetch = ThreadedFetch()
    for url in (f"http://127.0.0.1:{port}/", "http://[::1/", "https://127.0.0.1:1/"):
        with pytest.raises(FetchError):
            await fetch(FetchRequest(url=url, timeout_seconds=1))
    await fetch.close()


async def test_a_client_that_keeps_its_connections(served, make_verifier, issuer):
    pytest.importorskip("tijolo.http.client", reason="tijolo-http is not installed")
    from tijolo.auth.remote import ClientFetch
    from tijolo.http import HTTPClient, ResponseTooLargeError

    async with HTTPClient() as http:
        fetch = ClientFetch(http)
        client = RemoteRevocationClient(
            introspection_url=f"{served}/introspect", private_api_secret=SECRET, fetch=fetch
        )
        tokens = TokenAuthenticator(make_verifier(), revocation=client)
        assert (await tokens.authenticate(issuer.issue("7").token)).subject == "7"
        assert (await fetch(FetchRequest(url=f"{served}/moved"))).status == 307
        with pytest.raises(ResponseTooLargeError):
            await fetch(FetchRequest(url=f"{served}/large", max_bytes=1000))


async def test_nobody_waits_again_and_again_for_an_issuer_that_is_dead(make_verifier, issuer):
    """It takes connections and says nothing: each request was held for the whole timeout."""
    answer = json.dumps({"active": True}).encode()
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer)
    back = asyncio.Event()

    async def silent(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        if back.is_set():
            writer.write(whole)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = RemoteRevocationClient(
        introspection_url=f"http://127.0.0.1:{port}/introspect",
        private_api_secret=SECRET,
        timeout_seconds=0.5,
        cache_seconds=0,
        retry_seconds=2,
    )
    tokens = TokenAuthenticator(make_verifier(), revocation=client)
    took = []
    for number in range(30):
        token, began = issuer.issue(str(number)).token, time.monotonic()
        with pytest.raises(RevocationUnavailableException):
            await tokens.authenticate(token)
        took.append(time.monotonic() - began)
    assert sum(seconds >= 0.4 for seconds in took) <= 5
    assert sorted(took)[len(took) // 2] < 0.1
    assert client.failures <= 5
    back.set()
    async with asyncio.timeout(20):
        while client.failures:
            try:
                await tokens.authenticate(issuer.issue("7").token)
            except RevocationUnavailableException:
                await asyncio.sleep(0.2)
            else:
                break
    assert (await tokens.authenticate(issuer.issue("8").token)).subject == "8"
    await client.close()
    server.close()
