"""Signed claims of the service's own making: links, short-lived proofs, tokens of old clients."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, cast

from pydantic import SecretStr

from tijolo.auth._claims import check_leeway, check_times, text_list
from tijolo.auth._compact import MAX_TOKEN_BYTES, CompactReader, ascii_bytes
from tijolo.auth.key_ring import KeyRing
from tijolo.auth.keys import TokenKey
from tijolo.core import InvalidTokenException, UnauthorizedException

if TYPE_CHECKING:
    from tijolo.auth.settings import JWTSettings


class JWTUtils:
    """Encodes and decodes JWTs; for access tokens there are ``TokenIssuer`` and ``TokenVerifier``.

    Every token gets ``iat``, ``exp`` and ``jti``, and none without the first two is believed.
    ``token_type`` keeps kinds apart that share a key: give each purpose its own, such as
    ``"invite+jwt"``, and a token of one is refused as another (RFC 8725, section 3.11).

    Args:
        secret: Of HS256, 32 bytes or more; PEM text of the private key for the others; or a
            key ring.
        algorithm: The only one that is believed. Ignored with a key ring.
        default_ttl: How long tokens live.
        issuer: ``iss``, set and asked for.
        audience: ``aud``, set and asked for.
        token_type: ``typ``, set and asked for.
        leeway_seconds: How far clocks may differ, 0 to 300.
        required_claims: What else must be there.
        clock: Seconds since the epoch.

    Raises:
        InvalidKeyError: for a short secret, or a key of another kind than ``algorithm``.
        ValueError: for a lifetime that is not positive, or a leeway out of range.
    """

    def __init__(
        self,
        secret: SecretStr | str | KeyRing,
        *,
        algorithm: str = "HS256",
        default_ttl: timedelta = timedelta(hours=1),
        issuer: str | None = None,
        audience: str | None = None,
        token_type: str = "JWT",  # noqa: S107 - a media type
        leeway_seconds: float = 0,
        required_claims: Iterable[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        if default_ttl <= timedelta(0):
            raise ValueError(f"default_ttl must be positive, got {default_ttl}")
        self.keys = secret if isinstance(secret, KeyRing) else KeyRing([_key(secret, algorithm)])
        self.algorithm = self.keys.signing_key().algorithm
        self.default_ttl = default_ttl
        self.issuer = issuer
        self.audience = audience
        self.token_type = token_type
        self.leeway_seconds = check_leeway(leeway_seconds)
        self._required = frozenset(required_claims)
        self._reader = CompactReader(self.keys, token_types=[token_type])
        self._clock = clock

    @classmethod
    def from_settings(cls, settings: JWTSettings) -> Self:
        """With the keys, issuer and lifetime of ``settings``."""
        return cls(
            settings.key_ring(),
            default_ttl=timedelta(seconds=settings.JWT_ACCESS_TTL_SECONDS),
            issuer=settings.JWT_ISSUER,
            leeway_seconds=settings.JWT_LEEWAY_SECONDS,
        )

    def __repr__(self) -> str:
        return f"JWTUtils(algorithm={self.algorithm!r}, token_type={self.token_type!r})"

    def encode(self, payload: Mapping[str, Any], *, ttl: timedelta | None = None) -> str:
        """A token of ``payload``; ``iat`` and ``exp`` are set, ``jti`` where it is missing.

        Args:
            payload: The claims; JSON. ``sub`` must be text.
            ttl: Instead of the default lifetime; not positive makes a token that has expired.

        Raises:
            TypeError: for claims that are not JSON, or an ``iss`` that is no text.
        """
        now = int(self._clock())
        lifetime = self.default_ttl if ttl is None else ttl
        claims: dict[str, Any] = {"jti": secrets.token_urlsafe(16), **payload}
        claims["iat"], claims["exp"] = now, now + int(lifetime.total_seconds())
        if self.issuer is not None:
            claims["iss"] = self.issuer
        if self.audience is not None:
            claims["aud"] = self.audience
        if not isinstance(claims.get("iss", ""), str):  # PyJWT says so in later versions only
            raise TypeError(f"iss must be text, got {type(claims['iss']).__name__}")
        return self.keys.signing_key().sign(claims, token_type=self.token_type)

    def decode(self, token: str) -> dict[str, Any]:
        """The claims of ``token``.

        Raises:
            ExpiredTokenException: The token was good once.
            InvalidTokenException: It never was, or not for this purpose.
        """
        claims, _ = self._reader.read(ascii_bytes(token, MAX_TOKEN_BYTES))
        check_times(claims, self._clock(), self.leeway_seconds)
        if any(claims.get(name) is None for name in self._required):
            raise InvalidTokenException
        if any(not isinstance(claims.get(name, ""), str) for name in ("sub", "jti")):
            raise InvalidTokenException
        if self.issuer is not None and claims.get("iss") != self.issuer:
            raise InvalidTokenException
        # a token that names whom it is for must not be read by anybody else (RFC 7519, 4.1.3)
        named = text_list(claims["aud"]) if claims.get("aud") else ()
        if (self.audience is not None or named) and self.audience not in named:
            raise InvalidTokenException
        return claims

    def decode_or_none(self, token: str) -> dict[str, Any] | None:
        """The claims of ``token``, or None where :meth:`decode` raises."""
        try:
            return self.decode(token)
        except UnauthorizedException:
            return None


def _key(secret: SecretStr | str, algorithm: str) -> TokenKey:
    # called with settings that were left unset, too
    if not isinstance(cast("object", secret), (str, SecretStr)):
        raise TypeError(f"secret must be text or a KeyRing, got {type(secret).__name__}")
    if algorithm.startswith("HS"):
        return TokenKey.from_secret(secret, algorithm=algorithm)
    return TokenKey.from_pem(private=secret, algorithm=algorithm)
