"""Access tokens by RFC 9068: what is in them, and what is not believed (A3, A15, A16)."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
import pickle
import threading
from datetime import UTC, datetime
from uuid import uuid4

import jwt
import pytest
from pydantic import TypeAdapter

from tijolo.auth import (
    JWTSettings,
    JWTUtils,
    KeyRing,
    Principal,
    TokenIssuer,
    TokenKey,
    TokenVerifier,
)
from tijolo.core import ExpiredTokenException, InvalidTokenException

SECRET = "um-segredo-bem-comprido-de-verdade-0123456789"


def parts_of(token):
    header, payload, _ = (base64.urlsafe_b64decode(f"{p}==") for p in token.split("."))
    return json.loads(header), json.loads(payload)


def segment(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def signed(claims, *, header=None, secret=SECRET):
    """A token of any header and claims with a right HS256 signature."""
    header = {"alg": "HS256", "typ": "at+jwt", "kid": "k1"} if header is None else header
    signing_input = f"{segment(header)}.{segment(claims)}".encode()
    algorithm = jwt.get_algorithm_by_name("HS256")
    signature = algorithm.sign(signing_input, secret.encode())
    return f"{signing_input.decode()}.{segment(signature)}"


@pytest.fixture
def claims(clock):
    return {
        "iss": "https://auth.example",
        "aud": "shop",
        "sub": "7",
        "client_id": "first-party",
        "iat": int(clock()),
        "exp": int(clock()) + 60,
        "jti": "t1",
    }


def test_a_token_has_what_rfc_9068_asks_for(issuer, clock):
    made = issuer.issue(
        "7",
        session_id="s1",
        client_id="web",
        roles=["admin", "reader"],
        permissions=["orders:read"],
        scopes=["orders", "profile"],
        epoch=3,
        auth_time=datetime(2026, 1, 1, tzinfo=UTC),
        amr=["pwd", "otp"],
        acr="aal2",
        extra={"email": "ana@loja.example"},
    )
    header, claims = parts_of(made.token)
    now = int(clock())
    assert header == {"alg": "HS256", "kid": "k1", "typ": "at+jwt"}
    assert claims == {
        "iss": "https://auth.example",
        "aud": "shop",
        "sub": "7",
        "client_id": "web",
        "iat": now,
        "nbf": now,
        "exp": now + 900,
        "jti": made.token_id,
        "sid": "s1",
        "auth_time": 1_767_225_600,
        "acr": "aal2",
        "amr": ["otp", "pwd"],
        "roles": ["admin", "reader"],
        "permissions": ["orders:read"],
        "scope": "orders profile",
        "epoch": 3,
        "email": "ana@loja.example",
    }
    assert made.expires_in_seconds == 900
    assert made.expires_at.timestamp() == now + 900


def test_the_principal_says_what_the_token_says(issuer, verifier):
    token = issuer.issue(
        "7", session_id="s1", roles=["admin"], scopes=["a", "b"], amr=["pwd"], acr="1", epoch=2
    )
    principal = verifier.verify(token.token)
    assert (principal.subject, principal.session_id, principal.epoch) == ("7", "s1", 2)
    assert principal.roles == {"admin"}
    assert principal.scopes == {"a", "b"}
    assert principal.amr == {"pwd"}
    assert principal.acr == "1"
    assert principal.audience == ("shop",)
    assert principal.token_id == token.token_id
    assert principal.expires_at - principal.issued_at == 900
    assert principal.email is None


def test_nothing_of_a_remembered_principal_can_be_changed(issuer, verifier):
    token = issuer.issue("7", extra={"tags": ["a"], "deep": {"list": [{"x": 1}]}}).token
    principal = verifier.verify(token)
    assert verifier.verify(token) is principal
    with pytest.raises(dataclasses.FrozenInstanceError):
        principal.subject = "8"
    with pytest.raises(TypeError):
        principal.claims["sub"] = "8"
    with pytest.raises(TypeError):
        principal.claims["deep"]["list"][0]["x"] = 2
    assert principal.claims["tags"] == ("a",)


def test_a_principal_can_be_sent_copied_and_pickled(issuer, verifier):
    """Whoever writes ``return user`` in a route, or puts it into a cache, does so."""
    token = issuer.issue("7", roles=["admin"], extra={"deep": {"list": [{"x": 1}]}}).token
    principal = verifier.verify(token)
    claims = dataclasses.asdict(principal)["claims"]
    assert claims["deep"]["list"][0]["x"] == 1
    for other in (copy.deepcopy(principal), pickle.loads(pickle.dumps(principal))):
        assert other == principal
        assert other.claims == principal.claims
        with pytest.raises(TypeError):
            other.claims["sub"] = "8"
    sent = json.loads(TypeAdapter(Principal).dump_json(principal))
    assert (sent["subject"], sent["roles"]) == ("7", ["admin"])
    assert sent["claims"]["deep"] == {"list": [{"x": 1}]}


@pytest.mark.parametrize(
    "change",
    [
        lambda claims: claims.update(sub="8"),
        lambda claims: claims.setdefault("x", 1),
        lambda claims: claims.pop("sub"),
        lambda claims: claims.popitem(),
        lambda claims: claims.clear(),
        lambda claims: claims.__delitem__("sub"),
        lambda claims: claims.__ior__({"sub": "8"}),
    ],
)
def test_claims_stay_as_they_are(issuer, verifier, change):
    principal = verifier.verify(issuer.issue("7").token)
    before = dict(principal.claims)
    with pytest.raises(TypeError, match="cannot be changed"):
        change(principal.claims)
    assert principal.claims == before


def test_a_changed_key_is_changed_for_threads_that_verify_meanwhile(clock):
    """A token that was verified with the old key must not be remembered under the new one."""
    old, new = TokenKey.from_secret(SECRET, kid="old"), TokenKey.from_secret(SECRET, kid="new")
    ring = KeyRing([old], clock=clock)
    options = {"issuer": "https://auth.example", "audience": "shop", "clock": clock}
    token = TokenIssuer(ring, **options).issue("7").token
    verifier = TokenVerifier(ring, **options)
    find = ring.find
    found, changed = threading.Event(), threading.Event()

    def find_slowly(kid, algorithm):
        key = find(kid, algorithm)
        found.set()
        assert changed.wait(20)
        return key

    ring.find = find_slowly
    thread = threading.Thread(target=verifier.verify, args=[token])
    thread.start()
    assert found.wait(20)
    ring.find = find
    ring.replace([new])
    with pytest.raises(InvalidTokenException):
        verifier.verify(token)
    changed.set()
    thread.join()
    with pytest.raises(InvalidTokenException):
        verifier.verify(token)


def test_two_tokens_are_never_the_same(issuer):
    assert len({issuer.issue("7").token_id for _ in range(1000)}) == 1000


def test_a_token_is_not_shown(issuer):
    made = issuer.issue("7")
    assert made.token not in repr(made)


@pytest.mark.parametrize("name", sorted({"iss", "exp", "aud", "sub", "client_id", "iat", "jti"}))
@pytest.mark.parametrize("how", ["missing", "null", "empty", "number text", "list", "object"])
def test_each_required_claim_is_there_and_of_its_type(verifier, claims, name, how):
    verifier.verify(signed(claims))
    values = {"null": None, "empty": "", "number text": "12", "list": [], "object": {}}
    if how == "missing":
        del claims[name]
    elif how == "number text" and name in ("sub", "client_id", "jti"):
        claims[name] = 12  # text is right here, a number is not
    else:
        claims[name] = values[how]
    with pytest.raises(InvalidTokenException):
        verifier.verify(signed(claims))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sid", 7),
        ("scope", ["a"]),
        ("roles", "admin"),
        ("roles", {"admin": True}),
        ("roles", ["admin", 1]),
        ("permissions", "all"),
        ("amr", "pwd"),
        ("acr", 1),
        ("auth_time", "yesterday"),
        ("epoch", "9"),
        ("epoch", True),
        ("epoch", 1.0),
        ("epoch", -1),
        ("epoch", 2**53),
        ("auth_time", 10**400),
        ("nbf", "0"),
        ("exp", 10**400),
        ("exp", 1e300),
        ("exp", 253_402_300_800),
        ("iat", -(10**400)),
        ("exp", float("inf")),
        ("exp", float("nan")),
        ("exp", True),
        ("iat", float("nan")),
    ],
)
def test_a_claim_of_the_wrong_type_is_not_believed(verifier, claims, name, value):
    claims[name] = value
    with pytest.raises(InvalidTokenException):
        verifier.verify(signed(claims))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"iss": "https://evil.example\n" + "x" * 900}, "iss is 'https://evil.example\\n"),
        ({"aud": ["desejos"]}, "aud is ('desejos',), none of ('shop',)"),
    ],
)
def test_the_log_says_why_a_token_of_another_issuer_or_audience_is_refused(
    verifier, claims, caplog, wrong, reason
):
    caplog.set_level("INFO", "tijolo.auth")
    token = signed({**claims, **wrong})
    with pytest.raises(InvalidTokenException) as refused:
        verifier.verify(token)
    (said,) = [record.getMessage() for record in caplog.records if record.name == "tijolo.auth"]
    assert reason in said
    assert len(said) < 400
    assert token not in said
    assert "evil" not in str(refused.value.detail)
    with pytest.raises(InvalidTokenException):
        verifier.verify(signed({**claims, **wrong}, secret=SECRET + "x"))
    assert len(caplog.records) == 1  # what nobody of ours has signed cannot fill the log


def test_another_issuer_or_audience_is_refused(verifier, claims):
    for change in (
        {"iss": "https://auth.example/"},
        {"iss": "https://AUTH.example"},
        {"aud": "Shop"},
        {"aud": ["other"]},
        {"aud": "shop other"},
        {"aud": [["shop"]]},
    ):
        with pytest.raises(InvalidTokenException):
            verifier.verify(signed({**claims, **change}))
    assert verifier.verify(signed({**claims, "aud": ["other", "shop"]})).subject == "7"


def test_a_token_ends_at_exp_and_no_sooner(issuer, make_verifier, clock):
    made = issuer.issue("7", ttl_seconds=60)
    for leeway in (0, 5):
        for cache_size in (0, 100):
            verifier = make_verifier(leeway_seconds=leeway, cache_size=cache_size)
            start = clock.now
            clock.now = start + 59.9 + leeway
            verifier.verify(made.token)
            clock.now = start + 60 + leeway
            with pytest.raises(ExpiredTokenException):
                verifier.verify(made.token)
            clock.now = start


def test_a_part_of_a_second_lengthens_no_life(make_verifier, claims, clock):
    """``exp`` may have a fraction; a remembered token ends with one that is not."""
    token = signed({**claims, "exp": int(clock()) + 60.9})
    clock.now = int(clock()) + 65.5 - 1
    verifiers = [make_verifier(cache_size=size) for size in (0, 100)]
    for verifier in verifiers:
        verifier.verify(token)
    clock.pass_seconds(1)
    for verifier in verifiers:
        with pytest.raises(ExpiredTokenException):
            verifier.verify(token)


def test_a_token_from_the_future_waits(verifier, claims, clock):
    for name in ("nbf", "iat"):
        token = signed({**claims, name: int(clock()) + 6})
        with pytest.raises(InvalidTokenException):
            verifier.verify(token)
        clock.pass_seconds(1)
        verifier.verify(token)
        clock.pass_seconds(-1)


def test_other_kinds_of_token_are_no_access_tokens(verifier, claims, ring):
    """A3, and RFC 8725 section 3.11: a refresh, invitation or ID token opens nothing."""
    for kind in ("JWT", "refresh+jwt", "", None, 7, ["at+jwt"], "at+jwt ", "xat+jwt"):
        header = {"alg": "HS256", "kid": "k1", "typ": kind}
        with pytest.raises(InvalidTokenException):
            verifier.verify(signed(claims, header=header))
    with pytest.raises(InvalidTokenException):
        verifier.verify(signed(claims, header={"alg": "HS256", "kid": "k1"}))
    for kind in ("at+jwt", "AT+JWT", "application/at+jwt"):
        header = {"alg": "HS256", "kid": "k1", "typ": kind}
        verifier.verify(signed(claims, header=header))
    other = JWTUtils(ring, issuer="https://auth.example", audience="shop")
    with pytest.raises(InvalidTokenException):
        verifier.verify(other.encode({"sub": "7", "client_id": "x"}))


def test_an_access_token_is_no_link_of_jwt_utils(issuer, ring, clock):
    utils = JWTUtils(ring, issuer="https://auth.example", audience="shop", clock=clock)
    assert utils.decode_or_none(issuer.issue("7").token) is None


def test_alg_none_is_refused(verifier, claims):
    """RFC 8725, section 3.1, in every spelling."""
    for name in ("none", "None", "NONE", "nOnE", ""):
        unsigned = f"{segment({'alg': name, 'typ': 'at+jwt', 'kid': 'k1'})}.{segment(claims)}"
        for token in (f"{unsigned}.", unsigned, f"{unsigned}.AAAA"):
            with pytest.raises(InvalidTokenException):
                verifier.verify(token)


def test_a_public_key_used_as_a_secret_signs_nothing(clock, claims):
    """RFC 8725, section 2.1: the RS256 key is public, so anybody could make an HMAC with it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    for algorithm in ("RS256", "ES256", "EdDSA"):
        key = TokenKey.generate(algorithm, kid="k1")
        verifier = TokenVerifier(
            KeyRing([key]), issuer="https://auth.example", audience="shop", clock=clock
        )
        form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        pem = key.verifier.public_bytes(*form).decode()
        for secret in (pem, pem.strip(), json.dumps(key.to_jwk())):
            for kid in ({"kid": "k1"}, {}):
                header = {"alg": "HS256", "typ": "at+jwt", **kid}
                with pytest.raises(InvalidTokenException):
                    verifier.verify(signed(claims, header=header, secret=secret))


def test_the_algorithm_is_the_keys_and_not_the_headers(clock, claims):
    key = TokenKey.from_secret(SECRET + SECRET, algorithm="HS512", kid="k1")
    verifier = TokenVerifier(
        KeyRing([key]), issuer="https://auth.example", audience="shop", clock=clock
    )
    with pytest.raises(InvalidTokenException):
        verifier.verify(signed(claims, secret=SECRET + SECRET))


def test_a_key_that_the_token_brings_is_not_used(verifier, claims):
    """RFC 8725, section 3.10: ``jwk``, ``jku``, ``x5u`` and ``x5c`` prove nothing."""
    mine = TokenKey.generate("RS256", kid="mine")
    for extra in (
        {"jwk": mine.to_jwk()},
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/cert.pem"},
        {"x5c": ["MIIB"]},
    ):
        for kid in ("mine", "k1"):
            claimed = {"alg": "RS256", "typ": "at+jwt", "kid": kid, **extra}
            forged = jwt.encode(claims, mine.signer, algorithm="RS256", headers=claimed)
            with pytest.raises(InvalidTokenException):
                verifier.verify(forged)
        # a right signature with such a header is as good as without it
        fair = {"alg": "HS256", "typ": "at+jwt", "kid": "k1", **extra}
        assert verifier.verify(signed(claims, header=fair)).subject == "7"


def test_what_would_change_the_reading_is_refused(verifier, claims):
    """RFC 7515, section 4.1.11 (crit), RFC 7797 (b64), and members that are there twice."""
    base = {"alg": "HS256", "typ": "at+jwt", "kid": "k1"}
    for extra in (
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"b64": True},
        {"kid": ["k1"]},
        {"kid": 1},
        {"alg": ["HS256"]},
        {"alg": None},
    ):
        with pytest.raises(InvalidTokenException):
            verifier.verify(signed(claims, header={**base, **extra}))
    twice = b'{"alg":"none","alg":"HS256","typ":"at+jwt","kid":"k1"}'
    with pytest.raises(InvalidTokenException):
        verifier.verify(signed(claims, header=twice))


def test_a_token_has_one_spelling(verifier, claims):
    """A signature's bytes can be written in base64 in ways that only sloppy readers take."""
    token = signed(claims)
    verifier.verify(token)
    head, body, signature = token.split(".")
    last = signature[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same_bits = alphabet[alphabet.index(last) ^ 1]
    for other in (
        f"{token}=",
        f"{token}\n",
        f" {token}",
        f"{token}.",
        f".{token}",
        f"{head}.{body}.{signature[:-1]}{same_bits}",
        f"{head}.{body}.{signature[:10]}\n{signature[10:]}",
        f"{head}.{body}.{signature[:10]}!{signature[10:]}",
        f"{head}..{body}.{signature}",
        f"{head}=.{body}.{signature}",
        f"{head}.{body}",
        head,
        "",
        "..",
        "...",
    ):
        with pytest.raises(InvalidTokenException):
            verifier.verify(other)


def test_hostile_input_is_refused_quietly(verifier):
    deep = segment(b"[" * 1000 + b"]" * 1000)
    number = segment(b'{"alg":' + b"9" * 1000 + b"}")
    utf16 = segment('{"alg":"HS256","typ":"at+jwt"}'.encode("utf-16"))
    for token in (
        "á.é.í",
        "\ud800.a.b",
        "\x00.\x00.\x00",
        "🧱" * 100,
        f"{deep}.{deep}.AAAA",
        f"{number}.AAAA.AAAA",
        f"{utf16}.AAAA.AAAA",
        f"{segment([])}.AAAA.AAAA",
        f"{segment('x')}.AAAA.AAAA",
        f"{segment(None)}.AAAA.AAAA",
        ".".join(["A" * 2000] * 3),
        None,
        7,
        b"a.b.c",
        ["a.b.c"],
    ):
        with pytest.raises(InvalidTokenException) as error:
            verifier.verify(token)
        assert error.value.__cause__ is None


def test_signed_nonsense_is_refused_too(verifier):
    """The issuer's key may be right and its claims still no claims."""
    for payload in (b"[]", b"null", b'"x"', b"{", b"\xff\xfe", b"[" * 3000, b'{"exp":1}x'):
        with pytest.raises(InvalidTokenException):
            verifier.verify(signed(payload))


def test_an_oversized_token_is_refused_unread(make_verifier, issuer):
    class Unreadable:
        def version(self):
            return 1

        def find(self, kid, algorithm):
            raise AssertionError("the token was read")

        async def refresh(self):
            raise AssertionError("the keys were asked for")

    issuer.max_token_bytes = 20_000
    big = issuer.issue("7", extra={"x": "y" * 9000}).token
    verifier = TokenVerifier(Unreadable(), issuer="i", audience="a")
    with pytest.raises(InvalidTokenException):
        verifier.verify(big)
    with pytest.raises(AssertionError):
        verifier.verify(issuer.issue("7").token)
    assert make_verifier(max_token_bytes=20_000).verify(big).subject == "7"


def test_remembered_tokens_are_bounded_and_the_oldest_goes(issuer, make_verifier):
    verifier = make_verifier(cache_size=3)
    tokens = [issuer.issue(str(n)).token for n in range(5)]
    principals = [verifier.verify(token) for token in tokens]
    again = [verifier.verify(token) for token in reversed(tokens)]
    same = [a is b for a, b in zip(principals, reversed(again), strict=True)]
    assert same == [False, False, True, True, True]
    assert len(verifier._cache) == 3
    assert tokens[0] not in repr(verifier._cache)  # only hashes are kept


def test_what_was_refused_is_not_remembered(verifier, claims, clock):
    token = signed({**claims, "nbf": int(clock()) + 60, "exp": int(clock()) + 600})
    for _ in range(2):
        with pytest.raises(InvalidTokenException):
            verifier.verify(token)
    clock.pass_seconds(60)
    assert verifier.verify(token).subject == "7"


def test_an_issuer_refuses_what_nobody_could_read(issuer, ring):
    for options, error in (
        ({"extra": {"exp": 1}}, "'exp': the issuer sets it"),
        ({"extra": {"roles": ["admin"]}}, "'roles': the issuer sets it"),
        ({"scopes": ["a b"]}, "no spaces"),
        ({"ttl_seconds": 0}, "ttl_seconds"),
        ({"roles": [""]}, "empty name"),
        ({"epoch": -1}, "epoch"),
        ({"epoch": "3"}, "epoch"),
        ({"epoch": True}, "epoch"),
        ({"epoch": 2**53}, "epoch"),
        ({"auth_time": float("inf")}, "auth_time"),
        ({"auth_time": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001 - what is refused
        ({"permissions": [f"permission:{n}" for n in range(1000)]}, "verifiers read 8192"),
    ):
        with pytest.raises(ValueError, match=error):
            issuer.issue("7", **options)
    with pytest.raises(TypeError, match="list of names"):
        issuer.issue("7", roles="admin")
    for options in ({"session_id": 7}, {"acr": 2}, {"client_id": 3}, {"session_id": uuid4()}):
        with pytest.raises(TypeError, match="must be text"):
            issuer.issue("7", **options)
    with pytest.raises(TypeError, match="sub must be text"):
        issuer.issue(7)
    with pytest.raises(ValueError, match="subject"):
        issuer.issue("")
    with pytest.raises(TypeError):
        issuer.issue("7", extra={"x": object()})
    for options in (
        {"issuer": "", "audience": "a"},
        {"issuer": "i", "audience": ""},
        {"issuer": "i", "audience": []},
        {"issuer": "i", "audience": "a", "ttl_seconds": 0},
    ):
        with pytest.raises(ValueError, match=r"needs|audience"):
            TokenIssuer(ring, **options)


def test_a_verifier_refuses_settings_that_verify_nothing(ring):
    for options in (
        {"issuer": ""},
        {"audience": ""},
        {"audience": []},
        {"leeway_seconds": 301},
        {"leeway_seconds": -1},
        {"required_claims": ["sub"]},
        {"token_types": []},
        {"max_token_bytes": 0},
        {"cache_size": -1},
    ):
        with pytest.raises(ValueError, match=r"."):
            TokenVerifier(ring, **{"issuer": "i", "audience": "a", **options})
    with pytest.raises(TypeError, match="list of types"):
        TokenVerifier(ring, issuer="i", audience="a", token_types="at+jwt")


def test_a_foreign_issuer_may_be_less_strict(make_verifier, claims):
    del claims["jti"], claims["client_id"]
    token = signed(claims, header={"alg": "HS256", "typ": "JWT", "kid": "k1"})
    verifier = make_verifier(
        token_types=["JWT"], required_claims={"iss", "exp", "aud", "sub", "iat"}
    )
    assert verifier.verify(token).token_id == ""


def test_the_settings_are_in_the_token():
    """A15: the issuer of the settings was ignored."""
    settings = JWTSettings(
        JWT_SECRET=SECRET,
        JWT_ISSUER="https://auth.example",
        JWT_AUDIENCE="shop, stock",
        JWT_CLIENT_ID="web",
        JWT_ACCESS_TTL_SECONDS=60,
        JWT_KEY_ID="2026",
    )
    made = TokenIssuer.from_settings(settings).issue("7")
    header, claims = parts_of(made.token)
    assert header["kid"] == "2026"
    assert claims["iss"] == "https://auth.example"
    assert claims["aud"] == ["shop", "stock"]
    assert claims["client_id"] == "web"
    assert claims["exp"] - claims["iat"] == 60
    assert TokenVerifier.from_settings(settings).verify(made.token).subject == "7"


def test_threads_share_what_is_remembered(issuer, make_verifier):
    from concurrent.futures import ThreadPoolExecutor

    verifier = make_verifier(cache_size=4)
    tokens = [issuer.issue(str(n)).token for n in range(32)] * 20
    with ThreadPoolExecutor(16) as pool:
        subjects = list(pool.map(lambda token: verifier.verify(token).subject, tokens))
    assert subjects == [str(n) for n in range(32)] * 20
    assert len(verifier._cache) == 4


def test_only_the_keys_holder_signs(verifier, claims):
    token = signed(claims)
    head, body, signature = token.split(".")
    richer = segment({**claims, "roles": ["admin"]})
    for forged in (
        signed(claims, secret=SECRET[::-1]),
        f"{head}.{richer}.{signature}",
        f"{head}.{body}.{segment(bytes(32))}",
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:22]}",
    ):
        with pytest.raises(InvalidTokenException):
            verifier.verify(forged)
    assert verifier.verify(token).roles == frozenset()
