"""One-time passwords, recovery codes and sealed secrets, apart from any database."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

pytest.importorskip("segno")
pytest.importorskip("tijolo.db")

from tijolo.auth.mfa import SecretBox, TotpParameters, UnreadableSecretError
from tijolo.auth.mfa.qr import qr_svg
from tijolo.auth.mfa.recovery_codes import (
    CODE_BITS,
    new_recovery_codes,
    read_recovery_code,
    recovery_code_hash,
)
from tijolo.auth.mfa.totp import new_secret, secret_text

# RFC 6238, appendix B: 8 digits, steps of 30 seconds
SECRETS = {
    "SHA1": b"12345678901234567890",
    "SHA256": b"12345678901234567890123456789012",
    "SHA512": b"1234567890123456789012345678901234567890123456789012345678901234",
}
VECTORS = [
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1111111111, "14050471", "67062674", "99943326"),
    (1234567890, "89005924", "91819424", "93441116"),
    (2000000000, "69279037", "90698825", "38618901"),
    (20000000000, "65353130", "77737706", "47863826"),
]
NOW = 1_800_000_015.0


@pytest.mark.parametrize(("now", "sha1", "sha256", "sha512"), VECTORS)
def test_the_vectors_of_rfc_6238(now: int, sha1: str, sha256: str, sha512: str) -> None:
    for algorithm, expected in (("SHA1", sha1), ("SHA256", sha256), ("SHA512", sha512)):
        parameters = TotpParameters(digits=8, algorithm=algorithm)
        secret = SECRETS[algorithm]
        assert parameters.code(secret, parameters.step_at(now)) == expected
        assert parameters.matching_step(secret, expected, now=now) == now // 30


def test_the_vectors_of_rfc_4226() -> None:
    expected = "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489"
    codes = [TotpParameters().code(SECRETS["SHA1"], counter) for counter in range(10)]
    assert codes == expected.split()


@pytest.mark.parametrize("skew", [0, 1, 2])
def test_codes_count_within_the_skew_and_no_further(skew: int) -> None:
    parameters, secret = TotpParameters(skew_steps=skew), new_secret()
    present = parameters.step_at(NOW)
    accepted = {
        step - present
        for step in range(present - 5, present + 6)
        if parameters.matching_step(secret, parameters.code(secret, step), now=NOW) == step
    }
    assert accepted == set(range(-skew, skew + 1))


def test_a_step_that_was_used_and_those_before_it_count_no_more() -> None:
    parameters, secret = TotpParameters(), new_secret()
    present = parameters.step_at(NOW)

    def match(step: int, *, after: int) -> int | None:
        return parameters.matching_step(secret, parameters.code(secret, step), now=NOW, after=after)

    assert match(present, after=present) is None
    assert match(present - 1, after=present) is None
    assert match(present + 1, after=present) == present + 1
    assert match(present, after=present - 1) == present


@pytest.mark.parametrize(
    "text", ["", "12345", "1234567", "١٢٣٤٥٦", "123 456", "12345é", "-12345", "0x1234", "\ud800"]
)
def test_what_is_no_code_matches_nothing(text: str) -> None:
    assert TotpParameters().matching_step(new_secret(), text, now=NOW) is None


def test_a_clock_at_the_begin_of_time_has_no_step_before_it() -> None:
    parameters, secret = TotpParameters(), new_secret()
    assert parameters.matching_step(secret, parameters.code(secret, 0), now=0.0) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"digits": 5},
        {"digits": 9},
        {"digits": True},
        {"period_seconds": 0},
        {"period_seconds": 30.5},
        {"skew_steps": -1},
        {"skew_steps": 3},
        {"algorithm": "MD5"},
    ],
)
def test_parameters_outside_their_ranges_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TotpParameters(**wrong)


def test_a_secret_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="128 bits"):
        TotpParameters().code(b"fifteen bytes..", 1)


@given(st.text(min_size=1, max_size=40), st.text(max_size=60))
def test_the_uri_says_what_was_put_into_it(issuer: str, account: str) -> None:
    try:
        issuer.encode("utf-8"), account.encode("utf-8")
    except UnicodeEncodeError:
        return
    if ":" in issuer:
        return
    secret = new_secret()
    parts = urlsplit(TotpParameters().uri(secret, issuer=issuer, account=account))
    query = parse_qs(parts.query, strict_parsing=True)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    shown_issuer, _, shown_account = parts.path[1:].partition(":")
    assert (unquote(shown_issuer), unquote(shown_account)) == (issuer, account)
    assert query["issuer"] == [issuer]
    assert base64.b32decode(query["secret"][0]) == secret
    assert [query[name] for name in ("digits", "period", "algorithm")] == [["6"], ["30"], ["SHA1"]]
    assert "+" not in parts.query


def test_an_issuer_with_a_colon_is_refused() -> None:
    for issuer in ("", "Loja:Matriz"):
        with pytest.raises(ValueError, match="issuer"):
            TotpParameters().uri(new_secret(), issuer=issuer, account="ana")


def test_a_secret_of_20_bytes_has_no_padding() -> None:
    assert len(secret_text(new_secret())) == 32


def test_the_qr_code_is_an_svg_of_the_text() -> None:
    secret = new_secret()
    uri = TotpParameters().uri(secret, issuer="Loja do Zé", account="ana@loja.example")
    svg = qr_svg(uri)
    assert svg.startswith("<svg ")
    assert secret_text(secret) not in svg
    assert svg != qr_svg(uri + "&x=1")


# recovery codes


def test_recovery_codes_hold_more_than_112_bits() -> None:
    """ASVS 6.5.2: below that a slow hash would be needed."""
    codes = new_recovery_codes(200)
    assert CODE_BITS >= 112
    assert len(set(codes)) == 200
    assert {len(code.replace("-", "")) * 5 for code in codes} == {CODE_BITS}
    assert all(
        len(set(column)) > 16 for column in zip(*[c.replace("-", "") for c in codes], strict=True)
    )


def test_a_recovery_code_is_read_however_it_is_typed() -> None:
    (code,) = new_recovery_codes(1)
    bare = read_recovery_code(code)
    assert bare is not None
    typed = [
        code.upper(),
        f"  {code}\n",
        code.replace("-", " "),
        code.replace("-", ""),
        code.replace("0", "O").replace("1", "l"),
        code.replace("1", "I"),
    ]
    assert {read_recovery_code(text) for text in typed} == {bare}


@pytest.mark.parametrize(
    "text",
    ["", "123456", "u" * 24, "a" * 23, "a" * 25, "á" * 24, "а" * 24, "a" * 100_000, "-" * 30],
)
def test_what_is_no_recovery_code_is_not_read(text: str) -> None:
    assert read_recovery_code(text) is None


def test_the_hash_of_a_recovery_code_is_its_owners() -> None:
    code, one, other = "a" * 24, uuid4(), uuid4()
    assert recovery_code_hash(code, owner=one) == recovery_code_hash(code, owner=one)
    assert recovery_code_hash(code, owner=one) != recovery_code_hash(code, owner=other)
    assert code not in recovery_code_hash(code, owner=one)


# secrets at rest


def test_a_sealed_secret_opens_for_its_owner_alone() -> None:
    box, owner, secret = SecretBox([SecretBox.generate_key()]), uuid4(), new_secret()
    sealed = box.seal(secret, owner=owner)
    assert box.open(sealed, owner=owner) == secret
    assert base64.urlsafe_b64encode(secret).decode() not in sealed
    with pytest.raises(UnreadableSecretError, match="another owner"):
        box.open(sealed, owner=uuid4())


def test_keys_rotate_without_losing_what_is_sealed() -> None:
    owner, secret = uuid4(), new_secret()
    old, new = SecretBox.generate_key(), SecretBox.generate_key()
    sealed = SecretBox([old]).seal(secret, owner=owner)
    rotating = SecretBox([SecretStr(new), SecretStr(old)])
    assert rotating.open(sealed, owner=owner) == secret
    assert rotating.is_stale(sealed)
    renewed = rotating.seal(secret, owner=owner)
    assert not rotating.is_stale(renewed)
    assert SecretBox([new]).open(renewed, owner=owner) == secret
    with pytest.raises(UnreadableSecretError, match="MFA_ENCRYPTION_KEYS"):
        SecretBox([new]).open(sealed, owner=owner)


@pytest.mark.parametrize("damage", ["", "gAAAA", "x" * 100, "é"])
def test_a_damaged_secret_is_unreadable(damage: str) -> None:
    box = SecretBox([SecretBox.generate_key()])
    with pytest.raises(UnreadableSecretError):
        box.open(damage, owner=uuid4())


def test_what_was_changed_by_one_character_is_unreadable() -> None:
    box, owner = SecretBox([SecretBox.generate_key()]), uuid4()
    sealed = box.seal(new_secret(), owner=owner)
    for at in range(0, len(sealed), 7):
        changed = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]
        with pytest.raises(UnreadableSecretError):
            box.open(changed, owner=owner)


def test_a_key_that_is_none_is_refused_without_being_shown() -> None:
    with pytest.raises(ValueError, match="no encryption key"):
        SecretBox([])
    with pytest.raises(ValueError, match="encryption key 1 is not 32 bytes") as refused:
        SecretBox([Fernet.generate_key().decode(), "um-segredo-que-nao-e-chave"])
    assert "um-segredo" not in str(refused.value)
    assert refused.value.__cause__ is None
