"""What a login at another service begins with, and what comes of it."""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any, Self

from tijolo.core.tokens import MIN_TOKEN_BYTES

__all__ = ["OAuthFlow", "OAuthTokens", "OAuthUser", "generate_oauth_state"]


def generate_oauth_state(n_bytes: int = 32) -> str:
    """A fresh value for ``state`` or ``nonce``: URL-safe text that nobody guesses.

    Args:
        n_bytes: Entropy in bytes, 16 (128 bits) or more.

    Raises:
        ValueError: for fewer.
    """
    if n_bytes < MIN_TOKEN_BYTES:
        raise ValueError(f"n_bytes must be {MIN_TOKEN_BYTES} or more, got {n_bytes}")
    return secrets.token_urlsafe(n_bytes)


@dataclass(frozen=True, kw_only=True)
class OAuthFlow:
    """The secrets of one login, made when the browser leaves and needed when it returns.

    They stay between this service and the one browser: ``OAuthLogins`` seals them into a cookie.
    """

    state: str = field(repr=False)
    code_verifier: str = field(repr=False)
    """PKCE: whoever steals the code has not this (RFC 7636)."""
    nonce: str = field(repr=False)
    """Binds the ID token to this login (OpenID Connect Core, 15.5.2)."""

    @classmethod
    def new(cls) -> Self:
        """Fresh secrets of 256 bits each."""
        return cls(
            state=generate_oauth_state(),
            code_verifier=generate_oauth_state(),
            nonce=generate_oauth_state(),
        )

    @property
    def code_challenge(self) -> str:
        """S256 of the verifier (RFC 7636, section 4.2)."""
        digest = hashlib.sha256(self.code_verifier.encode("ascii")).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(slots=True)
class OAuthTokens:
    """What the token endpoint answered. No token is shown in a ``repr``."""

    access_token: str = field(repr=False)
    token_type: str
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    expires_in: int | None = None
    """Seconds."""
    scope: str | None = None
    raw: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    claims: dict[str, Any] | None = field(default=None, repr=False)
    """Of the ID token, after it was verified; None where there is none."""


@dataclass(slots=True)
class OAuthUser:
    """Who the other service says the user is.

    ``provider`` and ``subject`` together are the user's identity there: both stay the same when
    the user changes their e-mail address. ``email`` may be anything unless ``email_verified``.
    """

    provider: str
    subject: str
    email: str | None = field(default=None, repr=False)
    name: str | None = field(default=None, repr=False)
    picture: str | None = field(default=None, repr=False)
    raw: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    email_verified: bool = False
    """Whether the other service says that the address is, or once was, this user's."""
    email_domains: frozenset[str] = frozenset()
    """Domains whose addresses the other service hands out itself: of these it knows today."""
