"""Access tokens verified: by everybody who has the issuer's keys."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

from tijolo.auth._claims import (
    ACCESS_TOKEN_TYPE,
    NOTHING,
    REQUIRED_CLAIMS,
    audience_of,
    check_leeway,
    check_times,
    is_epoch,
    is_moment,
    text_list,
    text_set,
)
from tijolo.auth._compact import MAX_TOKEN_BYTES, CompactReader, UnknownKeyException, ascii_bytes
from tijolo.auth.key_ring import KeySource
from tijolo.auth.principal import Principal, freeze, principal_of
from tijolo.core import InvalidTokenException

if TYPE_CHECKING:
    from tijolo.auth.settings import JWTSettings

_log = logging.getLogger("tijolo.auth")
_LEAST_CLAIMS = frozenset({"iss", "exp", "aud", "sub", "iat"})


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
        self.audience = audience_of(audience)
        self.leeway_seconds = check_leeway(leeway_seconds)
        required = frozenset(required_claims)
        if not required >= _LEAST_CLAIMS:
            raise ValueError(f"required_claims must hold {sorted(_LEAST_CLAIMS)}")
        # the others are looked at in any case
        self._further = required - (_LEAST_CLAIMS - {"sub"})
        if cache_size < 0:
            raise ValueError(f"cache_size must be 0 or more, got {cache_size}")
        self.keys = keys
        self._accepted = frozenset(self.audience)
        self._reader = CompactReader(keys, token_types=token_types, max_token_bytes=max_token_bytes)
        self._max_bytes = max_token_bytes
        self._cache_size = cache_size
        self._cache: dict[bytes, tuple[Principal, float, int]] = {}
        self._cache_version = keys.version()
        self._lock = threading.Lock()
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
            with self._lock:
                self._cache.clear()
            self._cache_version = version
        digest = hashlib.sha256(raw).digest() if self._cache_size else b""
        entry = self._cache.get(digest)
        if entry is not None and now < entry[1] and version == entry[2]:
            return entry[0]
        claims, key = self._reader.read(raw)
        principal = self._principal(claims, now)
        if self._cache_size:
            until = min(int(principal.expires_at) + self.leeway_seconds, key.verifies_until)
            # another thread may have changed the keys since: with them it is not good any more
            self._remember(digest, (principal, until, version))
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

    def _remember(self, digest: bytes, entry: tuple[Principal, float, int]) -> None:
        with self._lock:  # routes that are no coroutines verify in threads
            self._cache.pop(digest, None)  # one of them may have been faster
            while len(self._cache) >= self._cache_size:
                del self._cache[next(iter(self._cache))]
            self._cache[digest] = entry

    def _principal(self, claims: dict[str, Any], now: float) -> Principal:
        get = claims.get
        check_times(claims, now, self.leeway_seconds)
        audience = text_list(get("aud"))
        if get("iss") != self.issuer or self._accepted.isdisjoint(audience):
            self._log_stranger(get("iss"), audience)
            raise InvalidTokenException
        texts = subject, token_id, session_id, client_id, acr, scope = (
            get("sub"), get("jti"), get("sid"), get("client_id"), get("acr"), get("scope")
        )  # fmt: skip
        for text in texts:
            if text is not None and (type(text) is not str or not text):
                raise InvalidTokenException
        for name in self._further:
            if get(name) is None:
                raise InvalidTokenException
        epoch, auth_time = get("epoch", 0), get("auth_time")
        if not is_epoch(epoch) or (auth_time is not None and not is_moment(auth_time)):
            raise InvalidTokenException
        return principal_of(
            {
                "subject": subject,
                "issuer": self.issuer,
                "audience": audience,
                "token_id": token_id or "",
                "session_id": session_id,
                "client_id": client_id or "",
                "issued_at": claims["iat"],
                "expires_at": claims["exp"],
                "auth_time": auth_time,
                "acr": acr,
                "amr": text_set(get("amr")),
                "roles": text_set(get("roles")),
                "permissions": text_set(get("permissions")),
                "scopes": frozenset(scope.split()) if scope else NOTHING,
                "epoch": epoch,
                "claims": freeze(claims),
            }
        )

    def _log_stranger(self, issuer: object, audience: tuple[str, ...]) -> None:
        # one of our keys has signed it: a setting is wrong, mostly, and nobody can flood the log
        if issuer != self.issuer:
            _log.info("a token was refused: iss is %.200r, not %r", issuer, self.issuer)
        else:
            _log.info("a token was refused: aud is %.200r, none of %r", audience, self.audience)
