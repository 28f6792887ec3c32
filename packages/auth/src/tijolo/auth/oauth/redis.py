"""Used states that all replicas share, in Redis (extras ``oauth`` and ``redis``)."""

from __future__ import annotations

import math

from tijolo.core import MissingExtraError

try:
    from redis.asyncio import Redis
except ImportError as exc:
    raise MissingExtraError("tijolo-auth", "redis", "redis") from exc

__all__ = ["RedisUsedStates"]


class RedisUsedStates:
    """Used states in Redis: one ``SET NX`` for each login that comes back.

    What Redis raises is raised; the login is then refused. Its ``maxmemory-policy`` should be
    ``noeviction``.

    Args:
        client: Stays the caller's to close. Give it short timeouts.
        prefix: Before every key.

    Raises:
        ValueError: for an empty prefix.
    """

    def __init__(self, client: Redis, *, prefix: str = "tijolo:auth:oauth:used:") -> None:
        if not prefix:
            raise ValueError("prefix must not be empty: other keys live in the same database")
        self._client = client
        self._prefix = prefix

    async def claim(self, state_id: str, *, ttl_seconds: float) -> bool:
        """Take it, if nobody has."""
        milliseconds = max(1, math.ceil(ttl_seconds * 1000))
        taken = await self._client.set(f"{self._prefix}{state_id}", 1, nx=True, px=milliseconds)
        return bool(taken)
