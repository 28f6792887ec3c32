"""Keys: what they are made of, what they may do, and when (A2, A17)."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tijolo.auth import (
    ALGORITHMS,
    InvalidKeyError,
    JWTUtils,
    KeyRing,
    KeySchedule,
    KeyStage,
    TokenIssuer,
    TokenKey,
    TokenVerifier,
)
from tijolo.core import InvalidTokenException

SECRET = "um-segredo-bem-comprido-de-verdade-0123456789-abcdef-0123456789-xyz"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def pem_of(private):
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem_of(private):
    public = private.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_every_algorithm_verifies_its_own_tokens(algorithm):
    ring = KeyRing([TokenKey.generate(algorithm)])
    token = TokenIssuer(ring, issuer="i", audience="a").issue("7").token
    assert TokenVerifier(ring, issuer="i", audience="a").verify(token).subject == "7"
    utils = JWTUtils(ring)
    assert utils.decode(utils.encode({"sub": "7"}))["sub"] == "7"


def test_jwt_utils_of_a_private_key_reads_its_own_tokens():
    """A17: RS256 with one key ended in an AttributeError."""
    private = rsa.generate_private_key(65537, 2048)
    utils = JWTUtils(pem_of(private), algorithm="RS256")
    assert utils.decode(utils.encode({"sub": "7"}))["sub"] == "7"


@pytest.mark.parametrize("algorithm", sorted(a for a in ALGORITHMS if not a.startswith("HS")))
def test_signer_and_verifier_are_separate_keys(algorithm):
    key = TokenKey.generate(algorithm)
    public = KeyRing([TokenKey.from_jwk(json.loads(json.dumps(key.to_jwk())))])
    token = TokenIssuer(KeyRing([key]), issuer="i", audience="a").issue("7").token
    assert TokenVerifier(public, issuer="i", audience="a").verify(token).subject == "7"
    with pytest.raises(RuntimeError, match="no key signs"):
        public.signing_key()
    with pytest.raises(TypeError, match="no private part"):
        public.keys[0].sign({}, token_type="JWT")
    assert {"d", "p", "q", "k"}.isdisjoint(key.to_jwk())


@pytest.mark.parametrize(("algorithm", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_is_as_long_as_its_hash(algorithm, least):
    TokenKey.from_secret(("ab" * least)[:least], algorithm=algorithm)
    with pytest.raises(InvalidKeyError, match=f"{least} bytes or more, got {least - 1}") as error:
        TokenKey.from_secret(("ab" * least)[: least - 1], algorithm=algorithm)
    assert "abab" not in str(error.value)


def test_the_algorithm_none_does_not_exist():
    for name in ("none", "None", "NONE", "", "HS1", "ES256K"):
        with pytest.raises(InvalidKeyError):
            TokenKey.from_secret(SECRET, algorithm=name)
        with pytest.raises(InvalidKeyError):
            TokenKey.generate(name)


def test_a_public_key_is_no_secret():
    """Algorithm confusion starts with a public key that somebody takes for a secret."""
    private = rsa.generate_private_key(65537, 2048)
    with pytest.raises(InvalidKeyError, match="asymmetric key"):
        TokenKey.from_secret(public_pem_of(private))
    with pytest.raises(InvalidKeyError, match="JWK"):
        TokenKey.from_secret(json.dumps(TokenKey.generate("RS256").to_jwk()))


def test_a_key_is_of_the_kind_and_strength_of_its_algorithm():
    small = rsa.generate_private_key(65537, 1024)
    curve = ec.generate_private_key(ec.SECP384R1())
    with pytest.raises(InvalidKeyError, match="2048 to 8192 bits, got 1024"):
        TokenKey.from_pem(private=pem_of(small), algorithm="RS256")
    with pytest.raises(InvalidKeyError, match="secp256r1, got secp384r1"):
        TokenKey.from_pem(private=pem_of(curve), algorithm="ES256")
    with pytest.raises(InvalidKeyError, match="needs an RSA key"):
        TokenKey.from_pem(private=pem_of(curve), algorithm="PS256")
    with pytest.raises(InvalidKeyError, match="Ed25519"):
        TokenKey.from_pem(private=pem_of(ed448.Ed448PrivateKey.generate()), algorithm="EdDSA")
    with pytest.raises(InvalidKeyError, match="takes a secret"):
        TokenKey.from_pem(private=pem_of(curve), algorithm="HS256")
    with pytest.raises(InvalidKeyError, match="takes a key pair"):
        TokenKey.from_secret(SECRET, algorithm="ES256")


def test_a_key_pair_belongs_together():
    one, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    TokenKey.from_pem(private=pem_of(one), public=public_pem_of(one), algorithm="ES256")
    with pytest.raises(InvalidKeyError, match="does not belong"):
        TokenKey.from_pem(private=pem_of(one), public=public_pem_of(other), algorithm="ES256")


def test_unreadable_keys_are_refused_without_a_word_of_them():
    private = ec.generate_private_key(ec.SECP256R1())
    locked = private.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    ).decode()
    for text in ("", "geheim-geheim", pem_of(private)[:-60], locked, public_pem_of(private)):
        with pytest.raises(InvalidKeyError, match="no PEM that can be read") as error:
            TokenKey.from_pem(private=text, algorithm="ES256")
        assert error.value.__cause__ is None
        assert not text or text not in str(error.value)
    with pytest.raises(InvalidKeyError, match="private or its public"):
        TokenKey.from_pem(algorithm="ES256")


def test_neither_repr_nor_jwk_shows_a_secret():
    key = TokenKey.from_secret(SECRET)
    assert SECRET not in repr(key)
    assert SECRET not in repr(KeyRing([key]))
    with pytest.raises(TypeError, match="secret"):
        key.to_jwk()


def test_the_default_kid_is_the_thumbprint():
    """RFC 7638, section 3.1: the example's own key and thumbprint."""
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc"
        "_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQ"
        "R0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bF"
        "TWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    key = TokenKey.from_jwk({"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256"})
    assert key.kid == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "RSA"},
        {"kty": "RSA", "n": "AQ", "e": "AQAB"},
        {"kty": "RSA", "n": 7, "e": "AQAB"},
        {"kty": ["RSA"]},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": {}, "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "X25519", "x": "AA"},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"},
    ],
)
def test_a_jwk_that_cannot_be_used_is_one_error(jwk):
    with pytest.raises(InvalidKeyError):
        TokenKey.from_jwk(jwk)


def test_a_jwk_for_another_use_or_algorithm_is_refused():
    good = TokenKey.generate("ES256").to_jwk()
    for change in (
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"alg": "HS256"},
        {"alg": "RS256"},
        {"alg": "none"},
        {"alg": 7},
        {"kid": 7},
    ):
        with pytest.raises(InvalidKeyError):
            TokenKey.from_jwk({**good, **change})
    ed = TokenKey.generate("EdDSA").to_jwk()
    assert TokenKey.from_jwk({**ed, "alg": "Ed25519"}).algorithm == "EdDSA"  # RFC 9864


def test_a_schedule_has_stages():
    schedule = KeySchedule(
        signs_from=NOON,
        signs_until=NOON + timedelta(hours=1),
        verifies_until=NOON + timedelta(hours=2),
    )
    at = [schedule.stage((NOON + timedelta(minutes=m)).timestamp()) for m in (-1, 0, 60, 120)]
    assert at == [KeyStage.PUBLISHED, KeyStage.SIGNING, KeyStage.RETIRING, KeyStage.RETIRED]
    with pytest.raises(ValueError, match="time zone"):
        KeySchedule(signs_from=NOON.replace(tzinfo=None))
    with pytest.raises(ValueError, match="signs_from <= signs_until"):
        KeySchedule(signs_from=NOON, signs_until=NOON - timedelta(seconds=1))


def test_keys_change_without_one_token_being_refused():
    """2d.6: publish ahead, sign, retire; the overlap leaves no gap at any minute."""
    clock = [NOON.timestamp()]
    hour = timedelta(hours=1)
    old = TokenKey.generate(
        "ES256",
        kid="old",
        schedule=KeySchedule(signs_until=NOON + hour, verifies_until=NOON + hour * 1.5),
    )
    new = TokenKey.generate("EdDSA", kid="new", schedule=KeySchedule(signs_from=NOON + hour))
    ring = KeyRing([old, new], clock=lambda: clock[0])
    issuer = TokenIssuer(ring, issuer="i", audience="a", ttl_seconds=1200, clock=lambda: clock[0])
    verifier = TokenVerifier(ring, issuer="i", audience="a", clock=lambda: clock[0])
    live, signers = [], []
    for _ in range(36):
        made = issuer.issue("7")
        live.append(made)
        signers.append(ring.signing_key().kid)
        for token in live:
            if token.expires_at.timestamp() > clock[0]:
                verifier.verify(token.token)
        clock[0] += 300
    assert signers == ["old"] * 12 + ["new"] * 24
    assert [key.kid for key in ring.published()] == ["new"]


def test_a_retired_key_verifies_nothing_not_even_what_was_remembered():
    clock = [NOON.timestamp()]
    schedule = KeySchedule(verifies_until=NOON + timedelta(seconds=30))
    ring = KeyRing([TokenKey.generate("ES256", schedule=schedule)], clock=lambda: clock[0])
    token = TokenIssuer(ring, issuer="i", audience="a", clock=lambda: clock[0]).issue("7").token
    verifier = TokenVerifier(ring, issuer="i", audience="a", clock=lambda: clock[0])
    verifier.verify(token)
    clock[0] += 30
    with pytest.raises(InvalidTokenException):
        verifier.verify(token)


def test_replaced_keys_end_what_was_remembered():
    ring = KeyRing([TokenKey.generate("ES256")])
    token = TokenIssuer(ring, issuer="i", audience="a").issue("7").token
    verifier = TokenVerifier(ring, issuer="i", audience="a")
    assert verifier.verify(token) is verifier.verify(token)
    ring.replace([TokenKey.generate("ES256")])
    with pytest.raises(InvalidTokenException):
        verifier.verify(token)


def test_a_ring_refuses_what_would_be_ambiguous_or_endless():
    key = TokenKey.generate("HS256", kid="one")
    for keys in ([], [key, TokenKey.generate("ES256", kid="one")]):
        with pytest.raises(ValueError, match="key"):
            KeyRing(keys)
    with pytest.raises(ValueError, match="1 to 100 keys, got 101"):
        KeyRing(TokenKey.generate("HS256", kid=str(n)) for n in range(101))
    for kid in ("x" * 129, "line\nbreak"):
        with pytest.raises(InvalidKeyError, match="kid"):
            TokenKey.generate("HS256", kid=kid)


def test_a_token_without_a_kid_fits_only_one_key():
    import jwt

    keys = [TokenKey.generate("HS256") for _ in range(2)]
    for ring, good in ((KeyRing(keys[:1]), True), (KeyRing(keys), False)):
        utils = JWTUtils(ring)
        claims = {"sub": "7", "iat": 1, "exp": 9_999_999_999}
        token = jwt.encode(claims, keys[0].signer, algorithm="HS256")
        assert (utils.decode_or_none(token) is not None) is good


def test_a_key_is_found_for_its_own_algorithm_only():
    ring = KeyRing([TokenKey.generate("ES256", kid="k1"), TokenKey.generate("EdDSA", kid="k2")])
    assert ring.find("k1", "ES256").kid == "k1"
    for kid, algorithm in (("k1", "EdDSA"), ("k1", "HS256"), ("k3", "ES256"), (None, "HS256")):
        assert ring.find(kid, algorithm) is None
    assert ring.find(None, "EdDSA").kid == "k2"


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_a_key_is_not_pickled(algorithm):
    """Caches pickle what they are given, and write it to where no secret belongs."""
    key = TokenKey.generate(algorithm, kid="k")
    for copied in (pickle.dumps, copy.deepcopy):
        for holder in (key, KeyRing([key])):
            with pytest.raises(TypeError, match="'k' is not pickled"):
                copied(holder)
