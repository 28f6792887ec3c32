"""Who a request is made by, as a verified access token says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast


class Claims(dict[str, Any]):
    """A dictionary that stays as it is; it can be copied, pickled and sent as JSON."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("the claims of a verified token cannot be changed; take dict(claims)")

    __setitem__ = __delitem__ = __ior__ = _refuse  # pyright: ignore
    clear = pop = popitem = setdefault = update = _refuse  # pyright: ignore

    def __reduce__(self) -> tuple[type[Claims], tuple[dict[str, Any]]]:
        return Claims, (dict(self),)


@dataclass(frozen=True, kw_only=True)
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
    claims: Mapping[str, Any] = field(default_factory=Claims, repr=False, compare=False)
    """Every claim, read-only all the way down."""

    @property
    def email(self) -> str | None:
        """The claim ``email``, where the issuer gives one."""
        email = self.claims.get("email")
        return email if isinstance(email, str) else None


_CONTAINERS = frozenset({list, dict})


def principal_of(fields: dict[str, Any]) -> Principal:
    """A principal of all its ``fields``, without the price of a frozen class's ``__init__``."""
    principal = object.__new__(Principal)
    object.__setattr__(principal, "__dict__", fields)
    return principal


def freeze(claims: dict[str, Any]) -> Mapping[str, Any]:
    """``claims``, read-only: they are shared by everybody who presents the same token.

    What is in the dictionary is frozen in place.
    """
    for name, value in claims.items():
        if type(value) in _CONTAINERS:
            claims[name] = _frozen(value)
    return Claims(claims)


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return freeze(cast("dict[str, Any]", value))
    if not isinstance(value, list):
        return value
    items = cast("list[object]", value)
    return tuple([_frozen(item) if type(item) in _CONTAINERS else item for item in items])
