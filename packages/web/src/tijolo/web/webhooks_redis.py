"""Run each webhook delivery once, over several replicas (extra ``redis``)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tijolo.core import MissingExtraError, ServiceUnavailableException
from tijolo.web._logging import with_request_id
from tijolo.web.webhooks.replay import DeliveryState

try:
    # house: allow library, beside the package that it serves; another module has the rate limits
    from redis.exceptions import RedisError
except ImportError as exc:  # pragma: no cover - the isolated environment of the wheel tests
    raise MissingExtraError("tijolo-web", "redis", "redis") from exc

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")

_HANDLED = b"handled"
_RESERVED = b"reserved:"
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
"""
_log = with_request_id(logging.getLogger("tijolo.web.webhooks"))


class RedisReplayStore:
    """Deliveries in Redis, each in a key of its own that expires.

    While Redis does not answer, a delivery is refused with 503 and runs when its sender tries
    again: letting it through would let a repeated one through too. What was handled but could not
    be noted runs again if it is sent again after the lease. Both are logged once, until Redis
    answers again, and counted in ``failures``.

    Args:
        client: A ``redis.asyncio`` client, which is not closed here. ``maxmemory-policy`` must
            not evict these keys.
        prefix: In front of every key.
        timeout_seconds: Longest time that one command may take.
    """

    def __init__(
        self, client: Redis, *, prefix: str = "tijolo:webhook:", timeout_seconds: float = 2.0
    ) -> None:
        if timeout_seconds <= 0:
            raise ValueError(f"timeout_seconds must be positive, got {timeout_seconds}")
        self._client: Any = client
        self.prefix = prefix
        self.timeout_seconds = timeout_seconds
        self.failures = 0
        self._down = False

    async def reserve(self, key: str, holder: str, *, lease_seconds: float) -> DeliveryState:
        """Reserve ``key`` with ``SET NX``.

        Raises:
            ServiceUnavailableException: when Redis does not answer.
        """

        async def attempt() -> DeliveryState:
            name, lease = self.prefix + key, max(1, round(lease_seconds * 1000))
            for _ in range(3):  # what was there may expire between the two commands
                if await self._client.set(name, _RESERVED + holder.encode(), nx=True, px=lease):
                    return DeliveryState.NEW
                state = _state(await self._client.get(name))
                if state is not None:
                    return state
            return DeliveryState.IN_PROGRESS

        return await self._run(attempt)

    async def complete(self, key: str, *, ttl_seconds: float) -> None:
        """Note that ``key`` was handled; a failure is logged and counted."""
        ttl = max(1, round(ttl_seconds * 1000))
        await self._try(lambda: self._client.set(self.prefix + key, _HANDLED, px=ttl))

    async def release(self, key: str, holder: str) -> None:
        """Forget ``key`` if ``holder`` still has it; a failure is logged and counted."""
        mine = _RESERVED + holder.encode()
        await self._try(lambda: self._client.eval(_RELEASE, 1, self.prefix + key, mine))

    async def _try(self, command: Callable[[], Awaitable[object]]) -> None:
        try:
            await self._run(command)
        except ServiceUnavailableException:
            return  # the lease ends by itself

    async def _run(self, command: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self.timeout_seconds):
                answer = await command()
        except (RedisError, OSError, TimeoutError) as exc:
            self.failures += 1
            if not self._down:
                _log.warning("the replay store does not answer: %s", type(exc).__name__)
            self._down = True
            raise ServiceUnavailableException(code="WEBHOOK_REPLAY_STORE_UNAVAILABLE") from exc
        if self._down:
            _log.info("the replay store answers again")
        self._down = False
        return answer


def _state(value: object) -> DeliveryState | None:
    if value is None:
        return None
    raw = value.encode() if isinstance(value, str) else cast("bytes", value)
    return DeliveryState.HANDLED if raw == _HANDLED else DeliveryState.IN_PROGRESS
