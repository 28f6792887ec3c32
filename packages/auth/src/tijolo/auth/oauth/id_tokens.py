"""ID tokens, held to OpenID Connect Core 1.0, section 3.1.3.7. PyJWT verifies the signature."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from typing import Any, cast

import jwt

from tijolo.auth._claims import check_leeway, check_times, text_list
from tijolo.auth.jwks import KeysUnavailableException
from tijolo.auth.key_ring import KeySource
from tijolo.auth.keys import ALGORITHMS, TokenKey
from tijolo.auth.oauth._exchange import text_or_none
from tijolo.auth.oauth.errors import IDTokenError, OAuthUnavailableError
from tijolo.core import UnauthorizedException

__all__ = ["IDTokenVerifier"]

_ASYMMETRIC = frozenset(name for name in ALGORITHMS if not name.startswith("HS"))
_MAX_BYTES = 16_384
_signatures = jwt.PyJWS()  # what the claims say is checked here, against a clock that can be set
_MAX_SUBJECT = 255
_HASHES = {"256": "sha256", "384": "sha384", "512": "sha512"}


class IDTokenVerifier:
    """Says whether an ID token is one that ``issuer`` made, for us, for this login, now.

    The key is one that the issuer publishes, found by ``kid`` and never taken from the token
    (``jwk``, ``jku``, ``x5c``). Unsigned tokens and those of HMAC are refused: a client's secret
    does not sign.

    Args:
        keys: The issuer's, such as a ``JWKSClient``.
        issuer: The one that must have made it.
        client_id: Whom it must be for.
        trusted_audiences: Whom else it may be for.
        leeway_seconds: How far clocks may differ.
        clock: Seconds since the epoch.

    Raises:
        ValueError: for an empty issuer or client, or a leeway out of range.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str,
        client_id: str,
        trusted_audiences: Iterable[str] = (),
        leeway_seconds: float = 30,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not issuer or not client_id:
            raise ValueError("an ID token needs the issuer and the client that it must name")
        self._keys = keys
        self._issuer, self._client_id = issuer, client_id
        self._audiences = frozenset({client_id, *trusted_audiences})
        self._leeway = check_leeway(leeway_seconds)
        self._clock = clock

    async def verify(self, token: str, *, nonce: str, access_token: str = "") -> dict[str, Any]:
        """The claims of ``token``.

        Args:
            token: As the token endpoint gave it.
            nonce: Of this login.
            access_token: Compared with ``at_hash`` where the token has one.

        Raises:
            IDTokenError: It is not good; ``reason`` says why, for logs.
            OAuthUnavailableError: The issuer's keys cannot be read.
        """
        key = await self._key(token)
        claims = _signed_claims(token, key)
        self._check_parties(claims)
        try:
            check_times(claims, self._clock(), self._leeway)
        except UnauthorizedException as error:
            raise IDTokenError(reason=f"exp, iat or nbf: {error.code}") from None
        if not _same(claims.get("nonce"), nonce):
            raise IDTokenError(reason="the nonce is not that of this login")
        expected = claims.get("at_hash")
        if expected is not None and not _same(expected, _half_hash(access_token, key.algorithm)):
            raise IDTokenError(reason="at_hash is not that of the access token")
        return claims

    async def _key(self, token: str) -> TokenKey:
        if not isinstance(token, str) or len(token) > _MAX_BYTES:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise IDTokenError(reason=f"the token is no text of up to {_MAX_BYTES} characters")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise IDTokenError(reason="the token cannot be read") from None
        algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
        # crit and b64 would change how the token is read (RFC 7515, section 4.1.11; RFC 7797);
        # a type of its own is another kind of token (RFC 8725, section 3.11)
        if "crit" in header or "b64" in header or str(kind).lower() != "jwt":
            raise IDTokenError(reason="the header is not that of an ID token")
        if algorithm not in _ASYMMETRIC or not (kid is None or isinstance(kid, str)):
            raise IDTokenError(reason="the algorithm is not one that is believed")
        self._keys.version()
        key = self._keys.find(kid, algorithm)
        if key is None:
            try:
                await self._keys.refresh()
            except KeysUnavailableException as error:
                raise OAuthUnavailableError(reason="the issuer's keys cannot be read") from error
            key = self._keys.find(kid, algorithm)
        if key is None:
            raise IDTokenError(reason="no key of the issuer signed it")
        return key

    def _check_parties(self, claims: dict[str, Any]) -> None:
        if claims.get("iss") != self._issuer:
            raise IDTokenError(reason="iss is another issuer")
        try:
            audience = frozenset(text_list(claims.get("aud")))
        except UnauthorizedException:
            audience = frozenset[str]()
        if self._client_id not in audience or not audience <= self._audiences:
            raise IDTokenError(reason="aud names another client")
        authorized = claims.get("azp", None if len(audience) > 1 else self._client_id)
        if authorized != self._client_id:
            raise IDTokenError(reason="azp is another client")
        if text_or_none(claims.get("sub"), _MAX_SUBJECT) is None:
            raise IDTokenError(reason=f"sub is no text of 1 to {_MAX_SUBJECT} characters")


def _signed_claims(token: str, key: TokenKey) -> dict[str, Any]:
    try:
        payload = _signatures.decode(token, key.verifier, algorithms=[key.algorithm])
        claims: object = json.loads(payload)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise IDTokenError(reason="the signature does not hold, or it signs no JSON") from None
    if not isinstance(claims, dict):
        raise IDTokenError(reason="the signature does not hold, or it signs no JSON")
    return cast("dict[str, Any]", claims)


def _half_hash(access_token: str, algorithm: str) -> str:
    """OpenID Connect Core, 3.1.3.6: the left half of the hash that the signature is made with."""
    name = _HASHES.get(algorithm[-3:], "sha512")  # Ed25519 is made with SHA-512
    digest = hashlib.new(name, access_token.encode("utf-8", "surrogatepass")).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def _same(given: object, expected: str) -> bool:
    text = given if isinstance(given, str) else ""
    one, other = (value.encode("utf-8", "surrogatepass") for value in (text, expected))
    return bool(expected) and hmac.compare_digest(one, other)
