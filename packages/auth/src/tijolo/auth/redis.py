"""Revocations that all replicas share, in Redis."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from tijolo.auth.principal import Principal
from tijolo.auth.revocation import check_revocation
from tijolo.core import MissingExtraError

try:
    from redis.asyncio import Redis
except ImportError as exc:
    raise MissingExtraError("tijolo-auth", "redis", "redis") from exc

__all__ = ["RedisRevocationStore"]

# Raises the epoch and the end, and lowers neither: a call that comes late or twice does no harm.
_RAISE = """
local epoch, ttl = tonumber(ARGV[1]), tonumber(ARGV[2])
local old = tonumber(redis.call('GET', KEYS[1]) or '-1')
local left = redis.call('PTTL', KEYS[1])
redis.call('SET', KEYS[1], math.max(epoch, old), 'PX', math.max(ttl, left))
"""


class RedisRevocationStore:
    """Revocations in Redis; each ends by itself when the token would have expired.

    A check is one command. Memory is Redis' to bound: its ``maxmemory-policy`` should be
    ``noeviction``, or a token that was evicted comes back to life. What Redis raises is raised;
    ``GuardedChecker`` says what then becomes of the request.

    Ids are stored as hashes of a fixed size, so that no text from outside becomes a key.

    Args:
        client: Stays the caller's to close. Give it short timeouts.
        prefix: Before every key.
        clock: Seconds since the epoch.

    Raises:
        ValueError: for an empty prefix.
    """

    def __init__(
        self,
        client: Redis,
        *,
        prefix: str = "tijolo:auth:revoked:",
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not prefix:
            raise ValueError("prefix must not be empty: other keys live in the same database")
        self._client = client
        self._prefix = prefix
        self._clock = clock
        self._raise = client.register_script(_RAISE)

    async def is_revoked(self, principal: Principal, token: str = "") -> bool:
        """Whether the token, its session or its epoch has been revoked: one MGET."""
        keys = [self._key("sub", principal.subject)]
        if principal.token_id:
            keys.append(self._key("jti", principal.token_id))
        if principal.session_id:
            keys.append(self._key("sid", principal.session_id))
        found = await cast("Awaitable[list[Any]]", self._client.mget(keys))
        lowest, *ended = found
        return any(value is not None for value in ended) or (
            lowest is not None and int(lowest) > principal.epoch
        )

    async def revoke_token(self, token_id: str, *, expires_at: float) -> None:
        """End the token of that ``jti``."""
        await self._put("jti", token_id, 1, expires_at)

    async def revoke_session(self, session_id: str, *, expires_at: float) -> None:
        """End all tokens of that ``sid``."""
        await self._put("sid", session_id, 1, expires_at)

    async def revoke_before_epoch(self, subject: str, epoch: int, *, expires_at: float) -> None:
        """End all tokens of ``subject`` of an older epoch."""
        await self._put("sub", subject, epoch, expires_at)

    async def _put(self, kind: str, name: str, value: int, expires_at: float) -> None:
        check_revocation(name, value, expires_at)
        milliseconds = math.ceil((expires_at - self._clock()) * 1000)
        if milliseconds > 0:
            await self._raise(keys=[self._key(kind, name)], args=[value, milliseconds])

    def _key(self, kind: str, name: str) -> str:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self._prefix}{kind}:{digest[:40]}"
