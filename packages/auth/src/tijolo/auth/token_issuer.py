"""Access tokens as RFC 9068 has them, made by their issuer."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from tijolo.auth._claims import (
    ACCESS_TOKEN_TYPE,
    MAX_EPOCH,
    REQUIRED_CLAIMS,
    audience_of,
    is_epoch,
    is_moment,
)
from tijolo.auth._compact import MAX_TOKEN_BYTES
from tijolo.auth.key_ring import KeyRing

if TYPE_CHECKING:
    from tijolo.auth.settings import JWTSettings

_OWN_CLAIMS = REQUIRED_CLAIMS | {
    "nbf", "sid", "auth_time", "acr", "amr", "roles", "permissions", "scope", "epoch",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AccessToken:
    """A token just made, to be sent to its owner and kept nowhere."""

    token: str = field(repr=False)
    token_id: str
    expires_at: datetime
    expires_in_seconds: int


class TokenIssuer:
    """Makes access tokens.

    Args:
        keys: The ring whose signing key signs.
        issuer: ``iss``; consumers compare it exactly. An https URL where others discover it.
        audience: ``aud``: whom the tokens are for.
        ttl_seconds: How long they live.
        client_id: ``client_id`` of tokens that no other client asked for.
        max_token_bytes: What verifiers read; a longer token is not made.
        clock: Seconds since the epoch.

    Raises:
        ValueError: for an empty issuer, audience or client, or a lifetime below one second.
    """

    def __init__(
        self,
        keys: KeyRing,
        *,
        issuer: str,
        audience: str | Iterable[str],
        ttl_seconds: int = 900,
        client_id: str = "first-party",
        max_token_bytes: int = MAX_TOKEN_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.audience = audience_of(audience)
        if not issuer or not client_id or ttl_seconds < 1:
            raise ValueError("a token issuer needs an issuer, a client_id and a ttl_seconds of 1")
        self.keys = keys
        self.issuer = issuer
        self.ttl_seconds = ttl_seconds
        self.client_id = client_id
        self.max_token_bytes = max_token_bytes
        self._clock = clock

    @classmethod
    def from_settings(cls, settings: JWTSettings, *, keys: KeyRing | None = None) -> Self:
        """As ``settings`` say; ``keys`` instead of theirs."""
        return cls(
            keys or settings.key_ring(),
            issuer=settings.JWT_ISSUER,
            audience=settings.audience,
            ttl_seconds=settings.JWT_ACCESS_TTL_SECONDS,
            client_id=settings.JWT_CLIENT_ID,
            max_token_bytes=settings.JWT_MAX_TOKEN_BYTES,
        )

    def issue(
        self,
        subject: str,
        *,
        session_id: str | None = None,
        client_id: str | None = None,
        roles: Iterable[str] = (),
        permissions: Iterable[str] = (),
        scopes: Iterable[str] = (),
        epoch: int = 0,
        auth_time: datetime | float | None = None,
        amr: Iterable[str] = (),
        acr: str | None = None,
        ttl_seconds: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> AccessToken:
        """A new token for ``subject``.

        Args:
            subject: The user's id, as text.
            session_id: The login it belongs to: what "log out here" revokes.
            client_id: Who asked for it; default the issuer's own.
            roles: Names that :func:`make_role_dependency` asks for.
            permissions: Names that :func:`make_permission_dependency` asks for.
            scopes: What the client may do in the user's name.
            epoch: The user's ``auth_epoch``; raising it ends all older tokens.
            auth_time: When the user proved who they are; default now. On a refresh, hand on the
                time of the login.
            amr: How (RFC 8176).
            acr: How well (RFC 9470).
            ttl_seconds: Instead of the issuer's.
            extra: Further claims; everybody who holds the token can read them.

        Raises:
            ValueError: for an empty name, a scope with a space, a lifetime below one second, an
                epoch or time out of range, an ``extra`` claim that the issuer sets itself, or a
                token that is longer than verifiers read.
            TypeError: for a name that is no text, or claims that are not JSON.
        """
        base = self._of_every_token(ttl_seconds)
        claims = {
            **_further(extra),
            **base,
            "sub": subject,
            "client_id": client_id or self.client_id,
            "auth_time": base["iat"] if auth_time is None else _seconds(auth_time),
            "epoch": epoch,
            **_given(
                sid=session_id,
                acr=acr,
                amr=_names("amr", amr),
                roles=_names("roles", roles),
                permissions=_names("permissions", permissions),
                scope=_scope(scopes),
            ),
        }
        return self._signed(_checked(claims))

    def _of_every_token(self, ttl_seconds: int | None) -> dict[str, Any]:
        lifetime = self.ttl_seconds if ttl_seconds is None else ttl_seconds
        if lifetime < 1:
            raise ValueError(f"ttl_seconds must be 1 or more, got {lifetime}")
        now = int(self._clock())
        return {
            "iss": self.issuer,
            "aud": _one_or_many(self.audience),
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "jti": secrets.token_urlsafe(16),
        }

    def _signed(self, claims: dict[str, Any]) -> AccessToken:
        token = self.keys.signing_key().sign(claims, token_type=ACCESS_TOKEN_TYPE)
        if len(token) > self.max_token_bytes:
            raise ValueError(
                f"the token has {len(token)} bytes, and verifiers read {self.max_token_bytes}:"
                " put fewer roles, permissions or extra claims into it"
            )
        return AccessToken(
            token=token,
            token_id=claims["jti"],
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
            expires_in_seconds=claims["exp"] - claims["iat"],
        )


def _checked(claims: dict[str, Any]) -> dict[str, Any]:
    """What every verifier would refuse is refused here, where somebody sees why."""
    for name in ("sub", "client_id", "sid", "acr"):
        if not isinstance(claims.get(name, ""), str):
            raise TypeError(f"{name} must be text, got {type(claims[name]).__name__}")
    if not claims["sub"]:
        raise ValueError("a token needs a subject")
    if not is_epoch(claims["epoch"]):
        raise ValueError(f"epoch must be a whole number of 0 to {MAX_EPOCH}")
    return claims


def _given(**claims: object) -> dict[str, Any]:
    return {name: value for name, value in claims.items() if value}


def _further(extra: Mapping[str, Any] | None) -> Mapping[str, Any]:
    further = extra or {}
    taken = sorted(_OWN_CLAIMS & set(further))
    if taken:
        raise ValueError(f"extra must not hold {taken[0]!r}: the issuer sets it")
    return further


def _seconds(moment: datetime | float) -> int:
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError("auth_time must have a time zone")
        return int(moment.timestamp())
    if not is_moment(moment):
        raise ValueError(f"auth_time must be seconds since the epoch, got {moment!r}")
    return int(moment)


def _one_or_many(audience: tuple[str, ...]) -> str | list[str]:
    return list(audience) if len(audience) > 1 else "".join(audience)


def _names(claim: str, names: Iterable[str]) -> list[str]:
    if isinstance(names, str):
        raise TypeError(f"{claim} must be a list of names, got the text {names!r}")
    listed = sorted(str(name) for name in names)
    if not all(listed):
        raise ValueError(f"{claim} must not hold an empty name")
    return listed


def _scope(scopes: Iterable[str]) -> str:
    names = _names("scopes", scopes)
    if any(len(name.split()) != 1 for name in names):
        raise ValueError("a scope has no spaces (RFC 6749, section 3.3)")
    return " ".join(names)
