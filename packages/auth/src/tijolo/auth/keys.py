"""Keys that sign and verify tokens: one algorithm each, named by ``kid``, changed on a schedule.

PyJWT holds the cryptography. What is decided here is which key may do what, and when: the header
of a token picks a key by its id and cannot pick the algorithm (RFC 8725, sections 3.1 and 3.2).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn, cast

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import SecretStr

from tijolo.core import BaseStrEnum

_RSA = {f"{family}{bits}" for family in ("RS", "PS") for bits in (256, 384, 512)}
_HMAC_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
_CURVES: dict[str, Callable[[], ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1,
    "ES384": ec.SECP384R1,
    "ES512": ec.SECP521R1,
}
_MIN_RSA_BITS = 2048
# who publishes keys decides what a signature costs here: 16384 bits take 1.6 ms, and so does an
# exponent as long as the modulus, instead of 20 us
_MAX_RSA_BITS = 8192
_MAX_RSA_EXPONENT_BITS = 32
_MAX_KID = 128

ALGORITHMS = frozenset({*_HMAC_BYTES, *_RSA, *_CURVES, "EdDSA"})
"""What a key may be made for. ``none`` is not among them, and cannot be added."""

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class InvalidKeyError(ValueError):
    """A key that is too weak, unreadable, or not of the algorithm that it is given for."""


class KeySizeError(InvalidKeyError):
    """An RSA key too short to be safe, or so long that each signature costs milliseconds."""


class KeyStage(BaseStrEnum):
    """What a key does at a moment."""

    PUBLISHED = "published"
    """Known to those who verify, so that they have it before the first token of it comes."""
    SIGNING = "signing"
    RETIRING = "retiring"
    """Signs no more; its tokens are still good."""
    RETIRED = "retired"


@dataclass(frozen=True, kw_only=True)
class KeySchedule:
    """When a key signs and verifies; aware moments, None for no bound.

    Raises:
        ValueError: for a naive moment, or for moments in the wrong order.
    """

    signs_from: datetime | None = None
    """Before it the key is only published: leave consumers a cache lifetime."""
    signs_until: datetime | None = None
    verifies_until: datetime | None = None
    """After the last token has expired."""

    def __post_init__(self) -> None:
        moments = [self.signs_from, self.signs_until, self.verifies_until]
        given = [moment for moment in moments if moment is not None]
        if any(moment.tzinfo is None for moment in given):
            raise ValueError("the moments of a key's schedule must have a time zone")
        if given != sorted(given):
            raise ValueError("a key's schedule must be signs_from <= signs_until <= verifies_until")

    def stage(self, now: float) -> KeyStage:
        """The stage at ``now``, seconds since the epoch."""
        if self.verifies_until is not None and now >= self.verifies_until.timestamp():
            return KeyStage.RETIRED
        if self.signs_until is not None and now >= self.signs_until.timestamp():
            return KeyStage.RETIRING
        if self.signs_from is not None and now < self.signs_from.timestamp():
            return KeyStage.PUBLISHED
        return KeyStage.SIGNING


_ALWAYS = KeySchedule()


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenKey:
    """One key, its one algorithm, and its place in time. Make it with a class method.

    A key without a private part, or one that came from a JWKS, verifies and never signs.
    """

    kid: str
    algorithm: str
    schedule: KeySchedule = _ALWAYS
    signer: Any = field(default=None, repr=False)
    """The prepared private key or secret; None where it only verifies."""
    verifier: Any = field(repr=False)
    implementation: Any = field(repr=False)
    """PyJWT's algorithm, which decides whether a signature is good."""
    verifies_until: float = field(init=False, repr=False, default=float("inf"))

    def __post_init__(self) -> None:
        if not self.kid or len(self.kid) > _MAX_KID or not self.kid.isprintable():
            raise InvalidKeyError(f"a kid has 1 to {_MAX_KID} printable characters")
        if self.schedule.verifies_until is not None:
            until = self.schedule.verifies_until.timestamp()
            object.__setattr__(self, "verifies_until", until)

    def __reduce__(self) -> NoReturn:
        # a cache or a queue that pickles what it is given would write the secret to a disk
        raise TypeError(f"key {self.kid!r} is not pickled or copied: it may hold a secret")

    @property
    def is_symmetric(self) -> bool:
        """Whether whoever verifies could sign too; such a key is never published."""
        return self.algorithm in _HMAC_BYTES

    @classmethod
    def from_secret(
        cls,
        secret: SecretStr | str | bytes,
        *,
        algorithm: str = "HS256",
        kid: str | None = None,
        schedule: KeySchedule = _ALWAYS,
    ) -> TokenKey:
        """A key of HS256, HS384 or HS512, as long as the hash or longer (RFC 7518, section 3.2).

        Raises:
            InvalidKeyError: for a short secret, one that is a public key, or another algorithm.
        """
        least = _HMAC_BYTES.get(algorithm)
        if least is None:
            raise InvalidKeyError(f"{algorithm!r} takes a key pair, not a secret")
        material = _bytes(secret)
        if len(material) < least:
            raise InvalidKeyError(
                f"{algorithm} needs a secret of {least} bytes or more, got {len(material)}"
            )
        if material.lstrip()[:1] == b"{" and b'"kty"' in material:
            raise InvalidKeyError("a JWK is no secret; its public half may be known to everybody")
        implementation = _implementation(algorithm)
        prepared = _prepared(implementation, material)
        # says nothing about the secret that a token signed with it does not say too
        named = kid or hmac.digest(material, b"tijolo.auth kid", "sha256").hex()[:16]
        return cls(
            kid=named,
            algorithm=algorithm,
            schedule=schedule,
            signer=prepared,
            verifier=prepared,
            implementation=implementation,
        )

    @classmethod
    def from_pem(
        cls,
        *,
        private: SecretStr | str | bytes | None = None,
        public: str | bytes | None = None,
        algorithm: str,
        kid: str | None = None,
        schedule: KeySchedule = _ALWAYS,
    ) -> TokenKey:
        """A key pair as PEM text; with ``public`` alone it only verifies.

        Args:
            private: PKCS #8, without a passphrase.
            public: SubjectPublicKeyInfo; made from ``private`` where it is missing.
            algorithm: One of :data:`ALGORITHMS` but those of HMAC.
            kid: Default: the key's thumbprint (RFC 7638).
            schedule: When it signs and verifies.

        Raises:
            InvalidKeyError: for a key that is unreadable, weak, of another kind than
                ``algorithm``, or a pair that is none.
        """
        _implementation(algorithm)
        if private is None and public is None:
            raise InvalidKeyError("a key needs its private or its public part")
        try:
            signer = None if private is None else load_pem_private_key(_bytes(private), None)
            given = None if public is None else load_pem_public_key(_bytes(public))
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise InvalidKeyError(
                f"the key for {algorithm} is no PEM that can be read (PKCS #8 without a"
                " passphrase, or a public key)"
            ) from None
        derived = None if signer is None else signer.public_key()
        if derived is not None and given is not None and _spki(derived) != _spki(given):
            raise InvalidKeyError("the public key does not belong to the private key")
        return cls._of_pair(signer, given or derived, algorithm, kid, schedule)

    @classmethod
    def generate(
        cls, algorithm: str, *, kid: str | None = None, schedule: KeySchedule = _ALWAYS
    ) -> TokenKey:
        """A fresh key, which ends with the process: for tests, and for one process alone.

        Raises:
            InvalidKeyError: for an unknown algorithm.
        """
        if algorithm in _HMAC_BYTES:
            secret = secrets.token_bytes(_HMAC_BYTES[algorithm])
            return cls.from_secret(secret, algorithm=algorithm, kid=kid, schedule=schedule)
        private: Any
        if algorithm in _RSA:
            private = rsa.generate_private_key(65537, _MIN_RSA_BITS)
        elif algorithm in _CURVES:
            private = ec.generate_private_key(_CURVES[algorithm]())
        else:
            private = ed25519.Ed25519PrivateKey.generate()
        return cls._of_pair(private, private.public_key(), algorithm, kid, schedule)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any], *, algorithm: str | None = None) -> TokenKey:
        """The public key of a JWK (RFC 7517); it verifies and never signs.

        Args:
            jwk: ``kty`` RSA, EC or OKP; private members are not read.
            algorithm: Where the JWK names none. Default by kind: RS256, the curve's, EdDSA.

        Raises:
            InvalidKeyError: for another kind of key, one not for signatures, or a broken one.
        """
        chosen = _algorithm_of(jwk, algorithm)
        kid = jwk.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise InvalidKeyError("the kid of a JWK must be text")
        public_members = {name: jwk[name] for name in ("kty", "n", "e", "crv", "x", "y")
                          if name in jwk}  # fmt: skip
        try:
            public = _implementation(chosen).from_jwk(public_members)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, UnsupportedAlgorithm):
            raise InvalidKeyError("the JWK cannot be read") from None
        return cls._of_pair(None, public, chosen, kid, _ALWAYS)

    @classmethod
    def _of_pair(
        cls, private: Any, public: Any, algorithm: str, kid: str | None, schedule: KeySchedule
    ) -> TokenKey:
        implementation = _implementation(algorithm)
        _check_kind(public, algorithm)
        members = _public_members(implementation, public)
        return cls(
            kid=kid or _thumbprint(members),
            algorithm=algorithm,
            schedule=schedule,
            signer=private,
            verifier=_prepared(implementation, public),
            implementation=implementation,
        )

    def to_jwk(self) -> dict[str, str]:
        """The public key as a JWK.

        Raises:
            TypeError: for a symmetric key, which must not be published.
        """
        if self.is_symmetric:
            raise TypeError(f"{self.algorithm} keys are secret; they have no public JWK")
        members = _public_members(self.implementation, self.verifier)
        return {**members, "use": "sig", "alg": self.algorithm, "kid": self.kid}

    def sign(self, claims: Mapping[str, Any], *, token_type: str) -> str:
        """``claims`` as a signed token in compact form.

        Raises:
            TypeError: for a key that only verifies, or claims that are not JSON.
        """
        if self.signer is None:
            raise TypeError(f"key {self.kid!r} has no private part; it only verifies")
        headers = {"typ": token_type, "kid": self.kid}
        return jwt.encode(dict(claims), self.signer, algorithm=self.algorithm, headers=headers)


def _bytes(value: SecretStr | str | bytes) -> bytes:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value


def _implementation(algorithm: str) -> Any:
    if algorithm not in ALGORITHMS:
        raise InvalidKeyError(f"{algorithm!r} is not among {sorted(ALGORITHMS)}")
    return jwt.get_algorithm_by_name(algorithm)


def _prepared(implementation: Any, material: Any) -> Any:
    try:
        return implementation.prepare_key(material)
    except (jwt.PyJWTError, TypeError, ValueError) as error:
        # PyJWT's texts name the kind of the key, never the key
        raise InvalidKeyError(f"the key cannot be used: {error}") from None


def _check_kind(public: Any, algorithm: str) -> None:
    if algorithm in _RSA:
        if not isinstance(public, rsa.RSAPublicKey):
            raise InvalidKeyError(f"{algorithm} needs an RSA key")
        _check_rsa_size(public, algorithm)
    elif algorithm in _CURVES:
        curve = public.curve.name if isinstance(public, ec.EllipticCurvePublicKey) else None
        expected = _CURVES[algorithm]().name
        if curve != expected:
            raise InvalidKeyError(f"{algorithm} needs a key on {expected}, got {curve}")
    elif algorithm == "EdDSA":
        if not isinstance(public, ed25519.Ed25519PublicKey):
            raise InvalidKeyError("EdDSA needs an Ed25519 key")
    else:
        raise InvalidKeyError(f"{algorithm} takes a secret, not a key pair")


def _check_rsa_size(public: rsa.RSAPublicKey, algorithm: str) -> None:
    bits, exponent = public.key_size, public.public_numbers().e.bit_length()
    if not _MIN_RSA_BITS <= bits <= _MAX_RSA_BITS:
        raise KeySizeError(f"{algorithm} needs {_MIN_RSA_BITS} to {_MAX_RSA_BITS} bits, got {bits}")
    if exponent > _MAX_RSA_EXPONENT_BITS:
        raise KeySizeError(
            f"{algorithm} needs a public exponent of {_MAX_RSA_EXPONENT_BITS} bits at most,"
            f" got {exponent}"
        )


def _spki(public: Any) -> bytes:
    made: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return made


def _public_members(implementation: Any, public: Any) -> dict[str, str]:
    made = cast("dict[str, Any]", implementation.to_jwk(public, as_dict=True))
    return {name: str(made[name]) for name in ("kty", "crv", "n", "e", "x", "y") if name in made}


def _thumbprint(members: Mapping[str, str]) -> str:
    """RFC 7638: the hash of the required members in order."""
    text = json.dumps(dict(sorted(members.items())), separators=(",", ":"))
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _algorithm_of(jwk: Mapping[str, Any], fallback: str | None) -> str:
    kind, curve, use = jwk.get("kty"), jwk.get("crv"), jwk.get("use")
    operations = jwk.get("key_ops")
    if use not in (None, "sig") or (isinstance(operations, list) and "verify" not in operations):
        raise InvalidKeyError("the JWK is not for signatures")
    by_kind: dict[Any, set[str]] = {
        "RSA": _RSA,
        "EC": {{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}.get(str(curve), "")},
        "OKP": {"EdDSA"} if curve == "Ed25519" else set[str](),
    }
    possible = by_kind.get(kind, set[str]()) if isinstance(kind, str) else set[str]()
    default = "RS256" if kind == "RSA" else next(iter(possible), "")
    # RFC 9864 names the curve; PyJWT knows the older name of the same algorithm
    named = jwk.get("alg") or fallback or default
    named = "EdDSA" if named == "Ed25519" else named
    if not isinstance(named, str) or named not in possible - {""}:
        raise InvalidKeyError("the JWK is of a kind or algorithm that is not used here")
    return named
