"""PyJWT says which tokens are good; what is faster here must say the same.

Tokens are made right, then cut, glued, re-spelled and forged. Whatever is believed here PyJWT
believes; whatever PyJWT believes and is refused here is refused for a reason that is listed.
"""

from __future__ import annotations

import base64
import json
import time

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tijolo.auth import JWTUtils, KeyRing, TokenIssuer, TokenKey, TokenVerifier
from tijolo.core import UnauthorizedException

ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")
REQUIRED = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]
KEYS = {name: TokenKey.generate(name, kid="k") for name in ALGORITHMS}
OTHER = {name: TokenKey.generate(name, kid="k") for name in ALGORITHMS}

relaxed = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def pyjwt_believes(token, key):
    try:
        claims = jwt.decode(
            token,
            key.verifier,
            algorithms=[key.algorithm],
            issuer="i",
            audience="a",
            leeway=5,
            options={"require": REQUIRED},
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return None
    return claims


def we_believe(verifier, token):
    try:
        return verifier.verify(token)
    except UnauthorizedException:
        return None


def segments(token):
    return [base64.urlsafe_b64decode(f"{part}==") for part in token.split(".")]


def encode(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def stricter_here(token):
    """Why we may refuse what PyJWT believes."""
    header_part, payload_part, signature_part = token.split(".")
    header, payload = (json.loads(raw) for raw in segments(token)[:2])
    typed = str(header.get("typ", "")).lower().removeprefix("application/") == "at+jwt"
    times = [payload.get(name) for name in ("exp", "iat", "nbf", "auth_time")]
    named = [payload.get(name, "x") for name in ("sub", "jti", "client_id", "sid", "scope", "acr")]
    lists = [payload.get(name, []) for name in ("roles", "permissions", "amr")]
    return (
        "=" in token
        or len(header_part) > 2048
        or not typed
        or header.get("kid", "k") != "k"
        or "crit" in header
        or "b64" in header
        or any(
            value is not None
            and (type(value) not in (int, float) or not abs(value) < 253_402_300_800)
            for value in times
        )
        or any(not isinstance(name, str) or not name for name in named)
        or any(not isinstance(names, list) for names in lists)
        or any(not isinstance(name, str) for names in lists for name in names)
        or type(payload.get("epoch", 0)) is not int
        or not 0 <= payload.get("epoch", 0) < 2**53
        or any(
            encode(base64.urlsafe_b64decode(f"{part}==")) != part
            for part in (header_part, payload_part, signature_part)
        )
    )


def disagreement(token, key, verifiers):
    """What PyJWT and we say differently about ``token``; None when we agree."""
    expected = pyjwt_believes(token, key)
    for verifier in verifiers:
        found, again = we_believe(verifier, token), we_believe(verifier, token)
        if (found is None) != (again is None):
            return f"the second look differs at {token}"
        if found is None and expected is not None and not stricter_here(token):
            return f"only PyJWT believes {token}"
        if found is not None and expected is None:
            return f"only we believe {token}"
        if found is not None and (found.subject, found.expires_at) != (
            expected["sub"],
            expected["exp"],
        ):
            return f"we read {token} differently"
    return None


def verifiers_of(key, keys=None):
    ring = KeyRing(keys or [key])
    return [TokenVerifier(ring, issuer="i", audience="a", cache_size=n) for n in (0, 64)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([10**400, -(10**400), 2**53, 253_402_300_800]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
claim_names = st.sampled_from(
    [*REQUIRED, "nbf", "sid", "scope", "roles", "permissions", "amr", "acr", "auth_time", "epoch"]
)


@relaxed
@given(st.sampled_from(ALGORITHMS), st.dictionaries(claim_names, json_values, max_size=3))
def test_claims_of_any_kind(algorithm, changed):
    key = KEYS[algorithm]
    now = int(time.time())
    claims = {
        "iss": "i", "aud": "a", "sub": "7", "client_id": "c", "jti": "t", "iat": now,
        "exp": now + 60, **changed,
    }  # fmt: skip
    payload = json.dumps(claims).encode()
    header = {"alg": algorithm, "typ": "at+jwt", "kid": "k"}
    signing_input = f"{encode(json.dumps(header).encode())}.{encode(payload)}"
    signature = key.implementation.sign(signing_input.encode(), key.signer)
    assert disagreement(f"{signing_input}.{encode(signature)}", key, verifiers_of(key)) is None


times = st.integers(-20, 20) | st.floats(-20, 20)


@relaxed
@given(times, times, st.none() | times)
def test_times_around_now(expires, issued, not_before):
    """At whole seconds of distance from now, where a test's own time cannot tip the scale."""
    key = KEYS["HS256"]
    now = time.time()
    for value in (expires + 5, issued - 5, (not_before or 0) - 5):
        if abs(value) < 2:
            return
    claims = {
        "iss": "i", "aud": "a", "sub": "7", "client_id": "c", "jti": "t", "iat": now + issued,
        "exp": now + expires,
    }  # fmt: skip
    if not_before is not None:
        claims["nbf"] = now + not_before
    assert disagreement(key.sign(claims, token_type="at+jwt"), key, verifiers_of(key)) is None


def good_token(key):
    return TokenIssuer(KeyRing([key]), issuer="i", audience="a").issue("7", roles=["x"]).token


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@relaxed
@given(data=st.data())
def test_one_byte_changed(algorithm, data):
    key = KEYS[algorithm]
    token = good_token(key)
    position = data.draw(st.integers(0, len(token) - 1))
    text = data.draw(st.text(st.characters(max_codepoint=127), max_size=2))
    changed = token[:position] + text + token[position + 1 :]
    assert disagreement(changed, key, verifiers_of(key)) is None


@relaxed
@given(st.sampled_from(ALGORITHMS), st.sampled_from(ALGORITHMS), st.data())
def test_headers_signatures_and_bodies_of_other_tokens(mine, other, data):
    tokens = [good_token(KEYS[mine]), good_token(KEYS[other]), good_token(OTHER[mine])]
    parts = [data.draw(st.sampled_from(tokens)).split(".")[i] for i in range(3)]
    assert disagreement(".".join(parts), KEYS[mine], verifiers_of(KEYS[mine])) is None


@relaxed
@given(
    st.sampled_from(ALGORITHMS),
    st.dictionaries(
        st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "jku", "x5u", "cty"]),
        json_values | st.sampled_from(["none", "HS256", "RS256", "at+jwt", "JWT", "k", ["exp"]]),
        max_size=4,
    ),
)
def test_headers_of_any_kind(algorithm, changed):
    key = KEYS[algorithm]
    header = {"alg": algorithm, "typ": "at+jwt", "kid": "k", **changed}
    body = good_token(key).split(".")[1]
    signing_input = f"{encode(json.dumps(header).encode())}.{body}"
    signature = key.implementation.sign(signing_input.encode(), key.signer)
    assert disagreement(f"{signing_input}.{encode(signature)}", key, verifiers_of(key)) is None


@relaxed
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_text_of_any_kind(text):
    key = KEYS["HS256"]
    assert [we_believe(verifier, text) for verifier in verifiers_of(key)] == [None, None]
    assert JWTUtils(KeyRing([key])).decode_or_none(text) is None


@relaxed
@given(st.dictionaries(st.text(max_size=6), json_values, max_size=4))
def test_jwt_utils_reads_what_pyjwt_reads(payload):
    key = KEYS["HS256"]
    utils = JWTUtils(KeyRing([key]))
    if not isinstance(payload.get("iss", ""), str):
        with pytest.raises(TypeError, match="iss"):
            utils.encode(payload)
        return
    token = utils.encode(payload)
    try:
        expected = jwt.decode(
            token, key.signer, algorithms=["HS256"], options={"require": ["exp", "iat"]}
        )
    except jwt.PyJWTError:
        expected = None
    found = utils.decode_or_none(token)
    if found is not None:
        assert expected is not None
        assert json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)
    else:
        odd = {"jti", "sub", "nbf", "aud"} & set(payload)
        assert expected is None or odd
