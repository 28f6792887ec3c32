"""JWKS published and consumed (2a rows 20 and 21)."""

import asyncio
import contextlib
import json
import logging
import secrets
import socket
import threading
from base64 import urlsafe_b64encode

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from tijolo.auth import (
    FetchError,
    FetchResponse,
    JWKSClient,
    KeyRing,
    KeysUnavailableException,
    ThreadedFetch,
    TokenAuthenticator,
    TokenIssuer,
    TokenKey,
    TokenVerifier,
    make_jwks_router,
    read_jwks,
)
from tijolo.core import InvalidTokenException

URL = "https://auth.example/.well-known/jwks.json"
FOREIGN = [
    {"kty": "oct", "k": "AAAA", "kid": "secret"},
    {"kty": "AKP", "alg": "ML-DSA-65", "pub": "AA", "kid": "future"},
    {"kty": "RSA", "n": "AQ", "e": "AQAB", "kid": "weak"},
    {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "broken"},
    "no object",
    None,
]


class Issuer:
    """An issuer with its JWKS endpoint, which can be slow, silent or wrong."""

    def __init__(self, keys):
        self.ring = KeyRing(keys)
        self.asked = []
        self.headers = {}
        self.extra = []
        self.down = False
        self.body = None
        self.gate = None

    async def fetch(self, request):
        self.asked.append(request)
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise OSError("no route")
        keys = [*self.extra, *(key.to_jwk() for key in self.ring.published())]
        body = json.dumps({"keys": keys}).encode() if self.body is None else self.body
        etag = f'"{hash(body)}"'
        if request.headers.get("If-None-Match") == etag:
            return FetchResponse(status=304, headers=self.headers)
        return FetchResponse(status=200, headers={"etag": etag, **self.headers}, body=body)

    def token(self, subject="7"):
        return TokenIssuer(self.ring, issuer="i", audience="a").issue(subject).token


@pytest.fixture
def issuer():
    return Issuer([TokenKey.generate("ES256", kid="k1")])


@pytest.fixture
def client(issuer, clock):
    return JWKSClient(URL, issuer.fetch, clock=clock)


@pytest.fixture
def tokens(client):
    return TokenAuthenticator(TokenVerifier(client, issuer="i", audience="a"))


@contextlib.contextmanager
def served_by_uvicorn(app):
    """The URL of ``app`` on a real socket."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


def served(ring, **options):
    app = FastAPI()
    app.include_router(make_jwks_router(ring, **options))
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="https://auth.example")


async def test_public_keys_are_published_and_secrets_are_not():
    keys = [TokenKey.generate(name) for name in ("RS256", "ES256", "EdDSA", "HS256")]
    async with served(KeyRing(keys)) as http:
        answer = await http.get("/.well-known/jwks.json")
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.headers["cache-control"] == "public, max-age=300, stale-while-revalidate=300"
    published = answer.json()["keys"]
    assert [key["alg"] for key in published] == ["RS256", "ES256", "EdDSA"]
    assert all({"d", "p", "q", "dp", "dq", "qi", "k"}.isdisjoint(key) for key in published)
    with pytest.raises(ValueError, match="all secrets"):
        make_jwks_router(KeyRing([keys[-1]]))


async def test_an_etag_spares_the_body():
    ring = KeyRing([TokenKey.generate("ES256")])
    async with served(ring, path="/keys", max_age_seconds=60) as http:
        etag = (await http.get("/keys")).headers["etag"]
        for given in (etag, f"W/{etag}", f'"x", {etag}', "*"):
            answer = await http.get("/keys", headers={"If-None-Match": given})
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["etag"] == etag
        ring.replace([TokenKey.generate("ES256")])
        assert (await http.get("/keys", headers={"If-None-Match": etag})).status_code == 200


async def test_what_answers_get_answers_head():
    """RFC 9110, section 9.1; who watches the route asks so."""
    app = FastAPI()
    app.include_router(make_jwks_router(KeyRing([TokenKey.generate("ES256")])))
    with served_by_uvicorn(app) as url:
        async with httpx.AsyncClient(base_url=url) as http:
            got = await http.get("/.well-known/jwks.json")
            head = await http.head("/.well-known/jwks.json")
            same = {"If-None-Match": got.headers["etag"]}
            known = await http.head("/.well-known/jwks.json", headers=same)
    assert (head.status_code, head.content, known.status_code) == (200, b"", 304)
    for name in ("content-type", "content-length", "cache-control", "etag"):
        assert head.headers[name] == got.headers[name]
    assert list(app.openapi()["paths"]["/.well-known/jwks.json"]) == ["get"]


async def test_what_is_published_verifies_elsewhere(clock):
    ring = KeyRing([TokenKey.generate("EdDSA")])
    async with served(ring) as http:

        async def fetch(request):
            answer = await http.request(request.method, request.url, headers=request.headers)
            return FetchResponse(
                status=answer.status_code, headers=dict(answer.headers), body=answer.content
            )

        client = JWKSClient(URL, fetch, clock=clock)
        await client.connect()
        assert await client.health_check()
        token = TokenIssuer(ring, issuer="i", audience="a").issue("7").token
        assert TokenVerifier(client, issuer="i", audience="a").verify(token).subject == "7"
        clock.pass_seconds(60)
        assert not await client.refresh()  # 304: the keys are the same


async def test_the_first_tokens_share_one_fetch(issuer, tokens):
    issuer.gate = asyncio.Event()
    waiting = [asyncio.ensure_future(tokens.authenticate(issuer.token())) for _ in range(30)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()  # who gives up takes nothing away from the others
    issuer.gate.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert {principal.subject for principal in found[1:]} == {"7"}
    assert len(issuer.asked) == 1


async def test_an_unknown_kid_asks_again_but_not_all_the_time(issuer, client, tokens, clock):
    await tokens.authenticate(issuer.token())
    issuer.ring.replace([*issuer.ring.keys, TokenKey.generate("ES256", kid="k2")])
    await tokens.authenticate(issuer.token())  # signed with k2, a moment after the first fetch
    assert len(issuer.asked) == 2
    stranger = Issuer([TokenKey.generate("ES256", kid="evil")])
    for _ in range(50):
        with pytest.raises(InvalidTokenException):
            await tokens.authenticate(stranger.token())
    assert len(issuer.asked) == 2
    clock.pass_seconds(10)
    with pytest.raises(InvalidTokenException):
        await tokens.authenticate(stranger.token())
    assert len(issuer.asked) == 3


async def test_keys_that_change_right_after_a_fetch_are_found_at_a_real_server():
    """The issuer's second token of the new key was refused for ten seconds."""
    ring, asked = KeyRing([TokenKey.generate("ES256", kid="k1")]), []
    issuer = TokenIssuer(ring, issuer="i", audience="a")
    app = FastAPI()
    app.include_router(make_jwks_router(ring, path="/keys"))

    fetch = ThreadedFetch()

    async def counted(request):
        asked.append(request.url)
        return await fetch(request)

    with served_by_uvicorn(app) as url:
        client = JWKSClient(f"{url}/keys", counted)
        tokens = TokenAuthenticator(TokenVerifier(client, issuer="i", audience="a"))
        assert (await tokens.authenticate(issuer.issue("7").token)).subject == "7"
        ring.replace([TokenKey.generate("EdDSA", kid="k2")])
        rotated = [tokens.authenticate(issuer.issue(str(n)).token) for n in range(20)]
        assert {p.subject for p in await asyncio.gather(*rotated)} == {str(n) for n in range(20)}
        assert len(asked) == 2
        forger = TokenIssuer(
            KeyRing([TokenKey.generate("ES256", kid="evil")]), issuer="i", audience="a"
        )
        for _ in range(20):  # refused as no token, and the issuer hears nothing of it
            with pytest.raises(InvalidTokenException) as refused:
                await tokens.authenticate(forger.issue("7").token)
            assert refused.value.status_code == 401
        assert len(asked) == 2
    await client.disconnect()
    await fetch.close()


async def test_made_up_ids_do_not_hinder_a_renewal_nor_a_renewal_them(
    issuer, client, tokens, clock
):
    token = issuer.token()
    await tokens.authenticate(token)
    stranger = Issuer([TokenKey.generate("ES256", kid="evil")])
    for second in range(1000):  # an attacker who never stops
        with pytest.raises(InvalidTokenException):
            await tokens.authenticate(stranger.token())
        assert (await tokens.authenticate(token)).subject == "7"
        assert len(issuer.asked) <= 2 + second / 10 + second / 300
        clock.pass_seconds(1)
    assert client.version() == 1


async def test_old_keys_serve_while_new_ones_are_fetched(issuer, client, tokens, clock):
    token = issuer.token()
    await tokens.authenticate(token)
    clock.pass_seconds(300)
    issuer.gate = asyncio.Event()
    for _ in range(20):
        assert (await tokens.authenticate(token)).subject == "7"  # nobody waits
    await asyncio.sleep(0)
    assert len(issuer.asked) == 2
    issuer.gate.set()
    await client._task
    assert client.version() == 1


async def test_a_key_that_is_withdrawn_ends_its_tokens(issuer, client, tokens, clock):
    token = issuer.token()
    await tokens.authenticate(token)
    issuer.ring.replace([TokenKey.generate("ES256", kid="k2")])
    clock.pass_seconds(300)
    await tokens.authenticate(token)  # still the old keys; this starts the renewal
    await client._task
    with pytest.raises(InvalidTokenException):
        await tokens.authenticate(token)


async def test_an_issuer_that_is_down_costs_nothing_until_its_keys_are_too_old(
    issuer, client, tokens, clock, caplog
):
    token = issuer.token()
    await tokens.authenticate(token)
    issuer.down = True
    for _ in range(86_400 // 300 - 1):
        clock.pass_seconds(300)
        assert (await tokens.authenticate(token)).subject == "7"
        await asyncio.gather(client._task, return_exceptions=True)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    clock.pass_seconds(301)
    with pytest.raises(KeysUnavailableException) as error:
        await tokens.authenticate(token)
    assert error.value.status_code == 503
    assert not await client.health_check()
    issuer.down = False
    clock.pass_seconds(10)
    assert (await tokens.authenticate(token)).subject == "7"
    assert caplog.records[-1].levelname == "WARNING"


async def test_no_keys_at_all_is_a_503_and_not_a_401(issuer, client, tokens, clock):
    issuer.down = True
    await client.connect()  # does not keep the service from starting
    for _ in range(5):
        with pytest.raises(KeysUnavailableException):
            await tokens.authenticate(issuer.token())
    assert len(issuer.asked) == 1


async def test_keys_that_cannot_be_used_are_skipped(issuer, client, tokens):
    """One Ed25519 key made another library refuse every token."""
    issuer.extra = FOREIGN
    assert (await tokens.authenticate(issuer.token())).subject == "7"
    assert [client.find(entry["kid"], "ES256") for entry in FOREIGN[:4]] == [None] * 4


def rsa_jwk(bits, *, exponent=65537, kid="k"):
    """A modulus of that size, which nobody has to have a key of."""

    def number(value):
        length = (value.bit_length() + 7) // 8
        return urlsafe_b64encode(value.to_bytes(length, "big")).rstrip(b"=").decode()

    modulus = secrets.randbits(bits) | 1 | 1 << (bits - 1)
    return {"kty": "RSA", "alg": "RS256", "n": number(modulus), "e": number(exponent), "kid": kid}


@pytest.mark.parametrize(
    ("jwk", "said"),
    [(rsa_jwk(1024), "2048 to 8192 bits, got 1024"), (rsa_jwk(8200), "bits, got 8200"),
     (rsa_jwk(16384), "bits, got 16384"),
     (rsa_jwk(2048, exponent=2**2000 + 1), "exponent of 32 bits at most, got 2001"),
     (rsa_jwk(2048, exponent=2**33 + 1, kid="x" * 9999), "got 34")],
    ids=["short", "long", "longer", "exponent", "name"],
)  # fmt: skip
async def test_a_key_that_is_weak_or_costs_too_much_is_skipped_aloud(
    issuer, client, tokens, caplog, jwk, said
):
    """Of 16384 bits, or with an exponent as long as its modulus, each signature costs 2 ms."""
    caplog.set_level(logging.WARNING, "tijolo.auth.jwks")
    issuer.extra = [jwk, rsa_jwk(8192, kid="largest")]
    assert (await tokens.authenticate(issuer.token())).subject == "7"
    assert client.find(jwk["kid"], "RS256") is None
    assert client.find("largest", "RS256") is not None
    (record,) = caplog.records
    assert said in record.getMessage()
    assert len(record.getMessage()) < 200


@pytest.mark.parametrize(
    "body",
    [b"", b"no json", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"[" * 100_000,
     json.dumps({"keys": FOREIGN}).encode(), b'{"keys": [' + b" " * 70_000 + b"]}", b"\xff"],
)  # fmt: skip
async def test_a_broken_document_leaves_the_old_keys(issuer, client, tokens, clock, body):
    token = issuer.token()
    await tokens.authenticate(token)
    issuer.body = body
    clock.pass_seconds(300)
    assert not await client.refresh()
    assert (await tokens.authenticate(token)).subject == "7"


async def test_a_document_is_bounded(issuer, clock):
    issuer.ring.replace(TokenKey.generate("EdDSA", kid=f"k{n}") for n in range(60))
    client = JWKSClient(URL, issuer.fetch, clock=clock)
    await client.connect()
    assert len(client._keys) == 50
    assert issuer.asked[0].max_bytes == 65_536


async def test_the_issuer_may_ask_for_a_shorter_memory(issuer, client, tokens, clock):
    issuer.headers = {"cache-control": "public, max-age=20"}
    token = issuer.token()
    await tokens.authenticate(token)
    clock.pass_seconds(19)
    await tokens.authenticate(token)
    assert len(issuer.asked) == 1
    clock.pass_seconds(1)
    await tokens.authenticate(token)
    await client._task
    assert len(issuer.asked) == 2
    issuer.headers = {"cache-control": "max-age=0"}  # not shorter than the cooldown
    clock.pass_seconds(300)
    await tokens.authenticate(token)
    await client._task
    clock.pass_seconds(9)
    await tokens.authenticate(token)
    assert len(issuer.asked) == 3


async def test_a_slow_issuer_holds_nobody_for_long(issuer, clock):
    issuer.gate = asyncio.Event()
    client = JWKSClient(URL, issuer.fetch, timeout_seconds=0.02, clock=clock)
    with pytest.raises(KeysUnavailableException):
        await client.refresh()
    issuer.gate = None


async def test_disconnect_ends_a_fetch(issuer, client):
    issuer.gate = asyncio.Event()
    task = asyncio.ensure_future(client.connect())
    await asyncio.sleep(0.01)
    refreshing = asyncio.ensure_future(client.refresh())
    await asyncio.sleep(0)
    await client.disconnect()
    await task  # ends; it was not cancelled itself
    with pytest.raises(KeysUnavailableException):
        await refreshing
    await client.disconnect()


async def test_an_issuer_that_starts_later_is_found_within_a_second(issuer, client, tokens, clock):
    """The cooldown of an issuer that has given keys once would be a long 503."""
    issuer.down = True
    await client.connect()
    issuer.down = False
    with pytest.raises(KeysUnavailableException):
        await tokens.authenticate(issuer.token())
    clock.pass_seconds(1)
    assert (await tokens.authenticate(issuer.token())).subject == "7"
    for n in range(5):
        with pytest.raises(InvalidTokenException):
            await tokens.authenticate(
                Issuer([TokenKey.generate("ES256", kid=f"made-up-{n}")]).token()
            )
    assert len(issuer.asked) == 3  # with keys, one made-up id asks, and the others wait


async def test_only_the_algorithms_that_are_wanted(issuer, clock):
    issuer.ring.replace([TokenKey.generate("ES256", kid="a"), TokenKey.generate("EdDSA", kid="b")])
    client = JWKSClient(URL, issuer.fetch, algorithms=["EdDSA"], clock=clock)
    await client.connect()
    assert client.find("a", "ES256") is None
    assert client.find("b", "EdDSA") is not None
    assert client.find("b", "ES256") is None


def test_the_first_of_two_keys_with_one_id_counts():
    one, two = (TokenKey.generate("ES256", kid="same") for _ in range(2))
    document = json.dumps({"keys": [one.to_jwk(), two.to_jwk()]}).encode()
    assert read_jwks(document)["same"].to_jwk() == one.to_jwk()
    with pytest.raises(FetchError):
        read_jwks(b"{}")


def test_a_client_refuses_settings_that_fetch_nothing(issuer):
    for url in ("", "ftp://x/y", "https://", "https://user:geheim@host/x", "https://host:port/x"):
        with pytest.raises(ValueError, match="JWKS URL") as error:
            JWKSClient(url, issuer.fetch)
        assert "geheim" not in str(error.value)
    for options in (
        {"algorithms": ["HS256"]},
        {"algorithms": []},
        {"fresh_seconds": 1},
        {"cooldown_seconds": 0},
        {"timeout_seconds": 0},
        {"max_stale_seconds": 10},
    ):
        with pytest.raises(ValueError, match=r"algorithms|needs"):
            JWKSClient(URL, issuer.fetch, **options)
