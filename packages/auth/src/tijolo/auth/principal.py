"""Who a request is made by, as a verified access token says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast


def _no_claims() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """The subject of a verified token; nothing in it can be changed.

    Times are seconds since the epoch.
    """

    subject: str
    """``sub``: the user's id, as text."""
    issuer: str = ""
    audience: tuple[str, ...] = ()
    token_id: str = ""
    """``jti``; empty where a foreign issuer gives none."""
    session_id: str | None = None
    """``sid``: the login that the token belongs to."""
    client_id: str = ""
    issued_at: float = 0
    expires_at: float = 0
    auth_time: float | None = None
    """When the user last proved who they are."""
    acr: str | None = None
    """How well, in the issuer's words (RFC 9470)."""
    amr: frozenset[str] = frozenset()
    """By what: ``pwd``, ``otp``, ``hwk``, ... (RFC 8176)."""
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    epoch: int = 0
    """The user's ``auth_epoch`` when the token was made; an older one than today's is revoked."""
    claims: Mapping[str, Any] = field(default_factory=_no_claims, repr=False, compare=False)
    """Every claim, read-only all the way down."""

    @property
    def email(self) -> str | None:
        """The claim ``email``, where the issuer gives one."""
        email = self.claims.get("email")
        return email if isinstance(email, str) else None


def freeze(value: Any) -> Any:
    """``value`` of JSON, read-only: it is shared by everybody who presents the same token."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return MappingProxyType({name: freeze(item) for name, item in items})
    if isinstance(value, list):
        return tuple(freeze(item) for item in cast("list[Any]", value))
    return value
