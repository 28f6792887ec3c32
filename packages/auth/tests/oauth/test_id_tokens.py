"""ID tokens that are wrong in one way each, signed for real (OpenID Connect Core, 3.1.3.7)."""

from __future__ import annotations

import base64
import json
import logging
import time

import jwt
import pytest

pytest.importorskip("tijolo.http.client", reason="tijolo-http is not installed")

from starlette.responses import JSONResponse, Response

from tijolo.auth import KeyRing, TokenKey
from tijolo.auth.oauth import IDTokenError, IDTokenVerifier

NONCE = "the-nonce-of-this-login"
ISSUER = "https://issuer.example"
NOW = 1_800_000_000
RING = {name: TokenKey.generate(name, kid=name) for name in ("RS256", "PS256", "ES256", "EdDSA")}
RING["ES512"] = TokenKey.generate("ES512", kid="ES512")
REMOVED = "(removed)"


def claims_with(**changes):
    claims = {"iss": ISSUER, "aud": "client", "sub": "7", "iat": NOW, "exp": NOW + 300}
    claims = {**claims, "nonce": NONCE, **changes}
    return {name: value for name, value in claims.items() if value is not REMOVED}


def signed(claims, algorithm="RS256", **headers):
    given = {"kid": algorithm, **headers}
    # the lower half of PyJWT: the upper one refuses to encode some of what is wrong
    payload = json.dumps(claims).encode()
    return jwt.PyJWS().encode(payload, RING[algorithm].signer, algorithm, given)


@pytest.fixture
def verifier():
    ring = KeyRing(RING.values())
    return IDTokenVerifier(ring, issuer=ISSUER, client_id="client", clock=lambda: NOW)


@pytest.mark.parametrize("algorithm", sorted(RING))
async def test_every_kind_of_key(verifier, algorithm):
    claims = await verifier.verify(signed(claims_with(), algorithm), nonce=NONCE)
    assert claims["sub"] == "7"


@pytest.mark.parametrize("typ", ["JWT", "jwt", None])
async def test_a_type_that_is_an_id_tokens(verifier, typ):
    assert await verifier.verify(signed(claims_with(), typ=typ), nonce=NONCE)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://issuer.example/"},
        {"iss": "https://evil.example"},
        {"iss": [ISSUER]},
        {"iss": REMOVED},
        {"aud": "another-client"},
        {"aud": ["client", "another-client"]},
        {"aud": ["client", "another-client"], "azp": "client"},
        {"aud": []},
        {"aud": None},
        {"aud": {"client": 1}},
        {"aud": REMOVED},
        {"azp": "another-client"},
        {"azp": ""},
        {"exp": NOW - 31},
        {"exp": REMOVED},
        {"exp": "never"},
        {"exp": True},
        {"exp": float("inf")},
        {"iat": NOW + 31},
        {"iat": REMOVED},
        {"nbf": NOW + 31},
        {"nonce": "of-another-login"},
        {"nonce": ""},
        {"nonce": REMOVED},
        {"nonce": [NONCE]},
        {"sub": ""},
        {"sub": 7},
        {"sub": "s" * 256},
        {"sub": "\ud800"},
        {"sub": "a\0"},
        {"sub": REMOVED},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"at_hash": 1},
    ],
    ids=str,
)
async def test_a_claim_that_is_wrong(verifier, changes):
    token = signed(claims_with(**changes))
    with pytest.raises(IDTokenError):
        await verifier.verify(token, nonce=NONCE, access_token="the-access-token")


async def test_clocks_may_differ_a_little(verifier):
    for changes in ({"exp": NOW - 29}, {"iat": NOW + 29}):
        assert await verifier.verify(signed(claims_with(**changes)), nonce=NONCE)


async def test_an_empty_nonce_is_never_the_right_one(verifier):
    with pytest.raises(IDTokenError):
        await verifier.verify(signed(claims_with(nonce="")), nonce="")


@pytest.mark.parametrize(
    ("algorithm", "half"),
    [("RS256", "d_SO4Jg9Ux1Gp6A0ExLzMQ"), ("ES512", None), ("EdDSA", None)],
)
async def test_the_access_token_is_the_one_that_was_meant(verifier, algorithm, half):
    import hashlib

    digest = hashlib.new("sha256" if half else "sha512", b"the-access-token").digest()
    at_hash = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    token = signed(claims_with(at_hash=at_hash), algorithm)
    assert await verifier.verify(token, nonce=NONCE, access_token="the-access-token")
    with pytest.raises(IDTokenError):
        await verifier.verify(token, nonce=NONCE, access_token="another")


async def test_other_audiences_are_trusted_only_by_name():
    verifier = IDTokenVerifier(
        KeyRing(RING.values()),
        issuer=ISSUER,
        client_id="client",
        trusted_audiences=["our-api"],
        clock=lambda: NOW,
    )
    both = {"aud": ["client", "our-api"]}
    assert await verifier.verify(signed(claims_with(**both, azp="client")), nonce=NONCE)
    for wrong in (both, {**both, "azp": "our-api"}, {"aud": "our-api"}):
        with pytest.raises(IDTokenError):
            await verifier.verify(signed(claims_with(**wrong)), nonce=NONCE)


# Signatures


def _b64(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


async def test_unsigned_and_symmetric_tokens(verifier):
    body = _b64(claims_with())
    pem = RING["RS256"].to_jwk()["n"]
    forged = [
        f"{_b64({'alg': 'none', 'kid': 'RS256'})}.{body}.",
        f"{_b64({'alg': 'None'})}.{body}.",
        f"{_b64({'alg': 'RS256', 'kid': 'RS256'})}.{body}.",
        jwt.encode(claims_with(), "client-secret-of-32-bytes-or-more", "HS256", {"kid": "RS256"}),
        jwt.encode(claims_with(), pem, "HS256", {"kid": "RS256"}),
    ]
    for token in forged:
        with pytest.raises(IDTokenError):
            await verifier.verify(token, nonce=NONCE)


async def test_a_secret_among_the_keys_signs_no_id_token():
    shared = TokenKey.from_secret("s" * 20 + "ecret-of-32-bytes", kid="hs")
    keys = KeyRing([*RING.values(), shared])
    verifier = IDTokenVerifier(keys, issuer=ISSUER, client_id="client", clock=lambda: NOW)
    with pytest.raises(IDTokenError):
        await verifier.verify(shared.sign(claims_with(), token_type="JWT"), nonce=NONCE)


async def test_a_key_that_the_token_brings_proves_nothing(verifier):
    other = TokenKey.generate("RS256", kid="RS256")
    jwk = {**other.to_jwk(), "kid": "RS256"}
    for headers in ({"jwk": jwk}, {"jku": "https://evil.example/jwks"}, {"x5c": ["AAAA"]}):
        token = jwt.encode(claims_with(), other.signer, "RS256", {"kid": "RS256", **headers})
        with pytest.raises(IDTokenError):
            await verifier.verify(token, nonce=NONCE)


@pytest.mark.parametrize(
    "headers",
    [
        {"typ": "at+jwt"},
        {"typ": "logout+jwt"},
        {"typ": 7},
        {"crit": ["exp"]},
        {"kid": "PS256"},
        {"kid": "unknown"},
    ],
    ids=str,
)
async def test_a_header_that_is_wrong(verifier, headers):
    with pytest.raises(IDTokenError):
        await verifier.verify(signed(claims_with(), **headers), nonce=NONCE)


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b.c", "a.b.c.d", "é.é.é", "A" * 20_000, None, 7, b"a.b.c", "\ud800.a.b"],
    ids=repr,
)
async def test_what_is_no_token(verifier, token):
    with pytest.raises(IDTokenError):
        await verifier.verify(token, nonce=NONCE)


@pytest.mark.parametrize("payload", [b"no json", b"[]", b'"text"', b"[" * 5000, b"\xff"])
async def test_a_payload_that_is_no_claims(verifier, payload):
    token = jwt.PyJWS().encode(payload, RING["RS256"].signer, "RS256", {"kid": "RS256"})
    with pytest.raises(IDTokenError):
        await verifier.verify(token, nonce=NONCE)


def test_a_verifier_needs_to_know_whom_it_believes():
    ring = KeyRing(RING.values())
    for options in (
        {"issuer": "", "client_id": "client"},
        {"issuer": ISSUER, "client_id": ""},
        {"issuer": ISSUER, "client_id": "client", "leeway_seconds": 3000},
    ):
        with pytest.raises(ValueError, match=r"issuer|leeway"):
            IDTokenVerifier(ring, **options)


# The same, from the provider's token endpoint to the answer of our callback


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "of-another-login"},
        {"aud": "another-client"},
        {"iss": "https://evil.example"},
        {"exp": int(time.time()) - 100},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_nobody_comes_in_with_a_wrong_token(browser, provider, change, caplog):
    caplog.set_level(logging.DEBUG)
    provider.change_claims = lambda claims: {**claims, **change}
    answer = await browser.whole_login()
    assert answer.status_code == 502
    assert "248289761001" not in answer.text + caplog.text


async def test_nobody_comes_in_with_a_token_of_another_key(browser, provider):
    other = TokenKey.generate("RS256", kid="k1")
    provider.sign = lambda claims: jwt.encode(claims, other.signer, "RS256", {"kid": "k1"})
    assert (await browser.whole_login()).status_code == 502
    provider.sign = lambda claims: f"{_b64({'alg': 'none'})}.{_b64(claims)}."
    assert (await browser.whole_login()).status_code == 502
    provider.sign = lambda claims: jwt.encode(claims, "s3cret:of/the+client" * 2, "HS256")
    assert (await browser.whole_login()).status_code == 502


async def test_nobody_comes_in_without_a_token(browser, provider):
    for token in (None, 7, ""):
        provider.change_tokens = lambda tokens, token=token: {**tokens, "id_token": token}
        assert (await browser.whole_login()).status_code == 502


async def test_the_keys_are_fetched_once_for_many_logins(browser, provider):
    assert (await browser.whole_login()).status_code == 200
    assert provider.times("/jwks") == 1
    assert (await browser.whole_login()).status_code == 200
    assert provider.times("/jwks") == 1


async def test_keys_that_are_none(browser, provider):
    for answer in (
        lambda: JSONResponse({"keys": []}),
        lambda: JSONResponse([]),
        lambda: Response("x" * 100_000),
        lambda: Response(status_code=302, headers={"Location": "http://127.0.0.1:9/"}),
    ):
        provider.answers["/jwks"] = answer
        assert (await browser.whole_login()).status_code in (502, 503)
