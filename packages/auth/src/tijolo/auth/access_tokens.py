"""Access tokens as RFC 9068 has them: made by the issuer, verified by everybody with its keys."""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, cast

from tijolo.auth._compact import MAX_TOKEN_BYTES, CompactReader, UnknownKeyException, ascii_bytes
from tijolo.auth.keys import KeyRing, KeySource
from tijolo.auth.principal import Principal, freeze
from tijolo.core import ExpiredTokenException, InvalidTokenException

if TYPE_CHECKING:
    from tijolo.auth.settings import JWTSettings

ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - a media type, RFC 9068 section 2.1
REQUIRED_CLAIMS = frozenset({"iss", "exp", "aud", "sub", "client_id", "iat", "jti"})
"""What an access token must have (RFC 9068, section 2.2)."""

_LEAST_CLAIMS = frozenset({"iss", "exp", "aud", "sub", "iat"})
_OWN_CLAIMS = REQUIRED_CLAIMS | {
    "nbf", "sid", "auth_time", "acr", "amr", "roles", "permissions", "scope", "epoch",
}  # fmt: skip
_MAX_LEEWAY_SECONDS = 300


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
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.audience = _audience(audience)
        if not issuer or not client_id or ttl_seconds < 1:
            raise ValueError("a token issuer needs an issuer, a client_id and a ttl_seconds of 1")
        self.keys = keys
        self.issuer = issuer
        self.ttl_seconds = ttl_seconds
        self.client_id = client_id
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
            ValueError: for an empty subject, a scope with a space, a lifetime below one second,
                or an ``extra`` claim that the issuer sets itself.
            TypeError: for a name that is no text, or claims that are not JSON.
        """
        lifetime = self.ttl_seconds if ttl_seconds is None else ttl_seconds
        taken = sorted(_OWN_CLAIMS & set(extra or ()))
        if taken:
            raise ValueError(f"extra must not hold {taken[0]!r}: the issuer sets it")
        if not isinstance(cast("object", subject), str):
            raise TypeError(f"subject must be text, got {type(subject).__name__}")
        if not subject or lifetime < 1:
            raise ValueError("a token needs a subject and a lifetime of a second or more")
        now = int(self._clock())
        since = auth_time.timestamp() if isinstance(auth_time, datetime) else auth_time
        claims: dict[str, Any] = {
            **(extra or {}),
            "iss": self.issuer,
            "aud": list(self.audience) if len(self.audience) > 1 else self.audience[0],
            "sub": subject,
            "client_id": client_id or self.client_id,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "jti": secrets.token_urlsafe(16),
            "auth_time": now if since is None else int(since),
            "epoch": epoch,
        }
        optional: dict[str, Any] = {
            "sid": session_id,
            "acr": acr,
            "amr": _names("amr", amr),
            "roles": _names("roles", roles),
            "permissions": _names("permissions", permissions),
            "scope": _scope(scopes),
        }
        claims.update({name: value for name, value in optional.items() if value})
        token = self.keys.signing_key().sign(claims, token_type=ACCESS_TOKEN_TYPE)
        return AccessToken(
            token=token,
            token_id=claims["jti"],
            expires_at=datetime.fromtimestamp(now + lifetime, UTC),
            expires_in_seconds=lifetime,
        )


class TokenVerifier:
    """Verifies access tokens by signature and claims; it asks nobody but the keys.

    Whether a token was revoked is for :class:`TokenAuthenticator` to say.

    Verified tokens are remembered by their SHA-256, so that the same token is not verified
    again: never beyond its ``exp``, its key's end, or a change of the keys. The oldest of
    ``cache_size`` gives way.

    Args:
        keys: Who may sign.
        issuer: The one ``iss`` that is believed.
        audience: Who we are; one of them must be in ``aud``.
        leeway_seconds: How far clocks may differ, 0 to 300.
        required_claims: What must be there. Foreign issuers may lack ``jti`` and ``client_id``.
        token_types: Accepted ``typ`` headers; foreign issuers may need ``["JWT"]``.
        max_token_bytes: What is longer is refused unread.
        cache_size: How many verified tokens are remembered; 0 for none.
        clock: Seconds since the epoch.

    Raises:
        ValueError: for an empty issuer or audience, a leeway out of range, or fewer required
            claims than an access token can do without.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str,
        audience: str | Iterable[str],
        leeway_seconds: float = 5,
        required_claims: Iterable[str] = REQUIRED_CLAIMS,
        token_types: Iterable[str] = (ACCESS_TOKEN_TYPE,),
        max_token_bytes: int = MAX_TOKEN_BYTES,
        cache_size: int = 4096,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not issuer:
            raise ValueError("a token verifier needs the issuer that it believes")
        self.issuer = issuer
        self.audience = _audience(audience)
        self.leeway_seconds = check_leeway(leeway_seconds)
        self._required = frozenset(required_claims)
        if not self._required >= _LEAST_CLAIMS:
            raise ValueError(f"required_claims must hold {sorted(_LEAST_CLAIMS)}")
        if cache_size < 0:
            raise ValueError(f"cache_size must be 0 or more, got {cache_size}")
        self.keys = keys
        self._accepted = frozenset(self.audience)
        self._reader = CompactReader(keys, token_types=token_types, max_token_bytes=max_token_bytes)
        self._max_bytes = max_token_bytes
        self._cache_size = cache_size
        self._cache: dict[bytes, tuple[Principal, float]] = {}
        self._cache_version = keys.version()
        self._clock = clock

    @classmethod
    def from_settings(cls, settings: JWTSettings, *, keys: KeySource | None = None) -> Self:
        """As ``settings`` say; ``keys`` instead of theirs, such as a ``JWKSClient``."""
        return cls(
            keys or settings.key_ring(),
            issuer=settings.JWT_ISSUER,
            audience=settings.audience,
            leeway_seconds=settings.JWT_LEEWAY_SECONDS,
            max_token_bytes=settings.JWT_MAX_TOKEN_BYTES,
            cache_size=settings.JWT_VERIFIED_CACHE_SIZE,
        )

    def verify(self, token: str) -> Principal:
        """Who ``token`` speaks for.

        Raises:
            ExpiredTokenException: The token was good once.
            InvalidTokenException: It never was, or not for us.
        """
        raw = ascii_bytes(token, self._max_bytes)
        now = self._clock()
        version = self.keys.version()
        if version != self._cache_version:
            self._cache.clear()
            self._cache_version = version
        digest = hashlib.sha256(raw).digest()
        entry = self._cache.get(digest)
        if entry is not None and now < entry[1]:
            return entry[0]
        claims, key = self._reader.read(raw)
        principal = self._principal(claims, now)
        if self._cache_size:
            self._remember(digest, principal, key.verifies_until)
        return principal

    async def verify_with_refresh(self, token: str) -> Principal:
        """The same; an unknown key is asked for once, where the keys can be asked for.

        Raises:
            ExpiredTokenException: The token was good once.
            InvalidTokenException: It never was, or not for us.
        """
        try:
            return self.verify(token)
        except UnknownKeyException:
            if not await self.keys.refresh():
                raise
        return self.verify(token)

    def _remember(self, digest: bytes, principal: Principal, key_until: float) -> None:
        while len(self._cache) >= self._cache_size:
            del self._cache[next(iter(self._cache))]
        until = min(principal.expires_at + self.leeway_seconds, key_until)
        self._cache[digest] = (principal, until)

    def _principal(self, claims: dict[str, Any], now: float) -> Principal:
        get = claims.get
        check_times(claims, now, self.leeway_seconds)
        for name in self._required:
            if get(name) is None:
                raise InvalidTokenException
        audience = text_list(get("aud"))
        if get("iss") != self.issuer or self._accepted.isdisjoint(audience):
            raise InvalidTokenException
        epoch, auth_time = get("epoch", 0), get("auth_time")
        if type(epoch) is not int or (auth_time is not None and not is_number(auth_time)):
            raise InvalidTokenException
        scope = _text(claims, "scope")
        return Principal(
            subject=_text(claims, "sub", required=True) or "",
            issuer=self.issuer,
            audience=audience,
            token_id=_text(claims, "jti") or "",
            session_id=_text(claims, "sid"),
            client_id=_text(claims, "client_id") or "",
            issued_at=claims["iat"],
            expires_at=claims["exp"],
            auth_time=auth_time,
            acr=_text(claims, "acr"),
            amr=_set(claims, "amr"),
            roles=_set(claims, "roles"),
            permissions=_set(claims, "permissions"),
            scopes=frozenset(scope.split()) if scope else _NOTHING,
            epoch=epoch,
            claims=freeze(claims),
        )


def check_leeway(seconds: float) -> float:
    """``seconds`` if clocks may differ by them.

    Raises:
        ValueError: beyond 0 to 300.
    """
    if not 0 <= seconds <= _MAX_LEEWAY_SECONDS:
        raise ValueError(f"leeway_seconds must be 0 to {_MAX_LEEWAY_SECONDS}, got {seconds}")
    return seconds


def check_times(claims: Mapping[str, Any], now: float, leeway: float) -> None:
    """Hold ``exp``, ``nbf`` and ``iat`` against the clock (RFC 7519, section 4.1).

    Raises:
        ExpiredTokenException: ``exp`` is over.
        InvalidTokenException: One is missing, no number, or in the future.
    """
    expires, issued, not_before = claims.get("exp"), claims.get("iat"), claims.get("nbf")
    if not is_number(expires) or not is_number(issued):
        raise InvalidTokenException
    if not_before is not None and (not is_number(not_before) or not_before > now + leeway):
        raise InvalidTokenException
    if issued > now + leeway:
        raise InvalidTokenException
    if int(expires) <= now - leeway:
        raise ExpiredTokenException


def is_number(value: object) -> bool:
    """Whether ``value`` is a JSON number; Python reads NaN, Infinity and booleans as such too."""
    kind = type(value)
    return kind is int or (kind is float and math.isfinite(cast("float", value)))


def text_list(value: object) -> tuple[str, ...]:
    """A claim that is one text or a list of them, as a tuple.

    Raises:
        InvalidTokenException: for anything else.
    """
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list):
        raise InvalidTokenException
    items = cast("list[object]", value)
    if not all(isinstance(item, str) for item in items):
        raise InvalidTokenException
    return tuple(cast("list[str]", items))


_NOTHING: frozenset[str] = frozenset()


def _set(claims: dict[str, Any], name: str) -> frozenset[str]:
    value = claims.get(name)
    if value is None:
        return _NOTHING
    return frozenset(text_list(value if isinstance(value, list) else None))


def _text(claims: dict[str, Any], name: str, *, required: bool = False) -> str | None:
    value = claims.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not value:
        raise InvalidTokenException
    return value


def _audience(audience: str | Iterable[str]) -> tuple[str, ...]:
    names = (audience,) if isinstance(audience, str) else tuple(audience)
    if not names or not all(names):
        raise ValueError("audience must name at least one, and none may be empty")
    return names


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
