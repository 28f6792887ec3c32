"""``JWTUtils``, the contract's front, by the same rules (A16, A17)."""

from __future__ import annotations

from datetime import timedelta

import jwt
import pytest
from pydantic import SecretStr

from tijolo.auth import InvalidKeyError, JWTSettings, JWTUtils
from tijolo.core import ExpiredTokenException, InvalidTokenException

SECRET = "um-segredo-bem-comprido-de-verdade-0123456789"


@pytest.fixture
def utils(clock):
    return JWTUtils(SECRET, issuer="shop", clock=clock)


def test_what_was_encoded_is_decoded(utils, clock):
    claims = utils.decode(utils.encode({"sub": "7", "email": "ana@loja.example"}))
    assert claims["sub"] == "7"
    assert claims["email"] == "ana@loja.example"
    assert claims["iss"] == "shop"
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["iat"] == int(clock())
    assert len(claims["jti"]) >= 16


def test_other_libraries_read_it():
    token = JWTUtils(SECRET).encode({"sub": "7"})
    assert jwt.decode(token, SECRET, algorithms=["HS256"])["sub"] == "7"


def test_a_lifetime_of_its_own(utils, clock):
    token = utils.encode({"sub": "7"}, ttl=timedelta(seconds=30))
    clock.pass_seconds(29)
    utils.decode(token)
    clock.pass_seconds(1)
    with pytest.raises(ExpiredTokenException):
        utils.decode(token)
    assert utils.decode_or_none(token) is None
    with pytest.raises(ExpiredTokenException):
        utils.decode(utils.encode({"sub": "7"}, ttl=timedelta(seconds=-1)))


def test_a_token_without_an_end_is_not_believed(clock):
    """A16: such a token was accepted for ever."""
    utils = JWTUtils(SECRET, clock=clock)
    now = int(clock())
    for claims in ({"sub": "7"}, {"sub": "7", "iat": now}, {"sub": "7", "exp": now + 60}):
        with pytest.raises(InvalidTokenException):
            utils.decode(jwt.encode(claims, SECRET, algorithm="HS256"))


def test_callers_do_not_choose_when_a_token_ends(utils, clock):
    claims = utils.decode(utils.encode({"exp": 9_999_999_999, "iat": 0, "iss": "evil"}))
    assert claims["exp"] == int(clock()) + 3600
    assert claims["iss"] == "shop"


def test_what_is_asked_for_must_be_there(clock):
    asks = JWTUtils(SECRET, required_claims=["sub"], clock=clock)
    assert asks.decode_or_none(asks.encode({"email": "x"})) is None
    assert asks.decode_or_none(asks.encode({"sub": "7"})) is not None


def test_issuer_and_audience_hold_both_ways(clock):
    plain = JWTUtils(SECRET, clock=clock)
    shop = JWTUtils(SECRET, issuer="shop", audience="app", clock=clock)
    assert shop.decode_or_none(plain.encode({})) is None
    # a token that names somebody else is not for one who has no name
    assert plain.decode_or_none(shop.encode({})) is None
    assert JWTUtils(SECRET, audience="app", clock=clock).decode(shop.encode({}))["aud"] == "app"


def test_one_key_makes_kinds_that_cannot_be_exchanged(clock):
    """RFC 8725, section 3.11: the link of an invitation is no login."""
    invite = JWTUtils(SECRET, token_type="invite+jwt", clock=clock)
    login = JWTUtils(SECRET, clock=clock)
    assert login.decode_or_none(invite.encode({"sub": "7"})) is None
    assert invite.decode_or_none(login.encode({"sub": "7"})) is None
    assert invite.decode(invite.encode({"sub": "7"}))["sub"] == "7"


def test_a_weak_or_missing_secret_is_refused():
    for secret in ("", "short", "x" * 31):
        with pytest.raises(InvalidKeyError, match="32 bytes or more"):
            JWTUtils(secret)
    with pytest.raises(TypeError, match="NoneType"):
        JWTUtils(None)
    with pytest.raises(InvalidKeyError, match="no PEM"):
        JWTUtils(SECRET, algorithm="RS256")
    with pytest.raises(InvalidKeyError, match="'none'"):
        JWTUtils(SECRET, algorithm="none")
    with pytest.raises(ValueError, match="positive"):
        JWTUtils(SECRET, default_ttl=timedelta(0))


def test_the_secret_is_not_shown():
    utils = JWTUtils(SecretStr(SECRET))
    assert SECRET not in repr(utils)
    assert utils.algorithm == "HS256"
    assert utils.default_ttl == timedelta(hours=1)


def test_settings_make_it():
    settings = JWTSettings(JWT_SECRET=SECRET, JWT_ISSUER="shop", JWT_ACCESS_TTL_SECONDS=60)
    utils = JWTUtils.from_settings(settings)
    claims = utils.decode(utils.encode({"sub": "7"}))
    assert (claims["iss"], claims["exp"] - claims["iat"]) == ("shop", 60)


def test_claims_that_are_no_json_are_a_type_error(utils):
    for payload in ({"x": object()}, {"x": {1, 2}}):
        with pytest.raises(TypeError):
            utils.encode(payload)
    with pytest.raises(TypeError, match="iss"):
        JWTUtils(SECRET).encode({"iss": 7})
