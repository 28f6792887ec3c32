"""Redis: the manager of its connections, and entries that all replicas share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

from tijolo.cache import _redis_scripts as scripts
from tijolo.cache.backends import Snapshot
from tijolo.cache.cache import Cache
from tijolo.cache.errors import BackendRefusedError, NotConnectedError
from tijolo.cache.settings import RedisSettings
from tijolo.core import MissingExtraError

try:
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.client import NEVER_DECODE
    from redis.exceptions import (
        AuthenticationError,
        BusyLoadingError,
        RedisError,
        ResponseError,
    )
except ImportError as exc:
    raise MissingExtraError("tijolo-cache", "redis", "redis") from exc

__all__ = ["AsyncRedisManager", "LockHeldError", "LockLostError", "RedisBackend", "RedisLock"]

_logger = logging.getLogger("tijolo.cache.redis")
_NOT_A_URL = (
    "the URL of Redis cannot be read; a password with /, #, ?, @, [ or ] has to be percent-encoded"
)
_DEFAULTS: dict[str, Any] = {
    "socket_timeout": 1.0,
    "socket_connect_timeout": 1.0,
    "max_connections": 50,
}


class LockHeldError(RuntimeError):
    """Somebody else holds the lock."""


class LockLostError(RuntimeError):
    """A lock ended before its block did: another may have entered meanwhile."""


class AsyncRedisManager:
    """Owns a pool of connections to Redis; satisfies ``tijolo.core.Resource``.

    Timeouts are one second unless ``client_kwargs`` says otherwise, and a command that failed is
    not sent again: it may have been carried out. Where all connections are in use, a command waits
    for one for as long as ``socket_timeout``.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``. Its password is never shown.
        decode_responses: The client answers with ``str``.
        client_kwargs: For ``redis.asyncio``: ``socket_timeout``, ``max_connections``, ...

    Raises:
        ValueError: the URL has another scheme.
    """

    def __init__(self, url: str, *, decode_responses: bool = True, **client_kwargs: Any) -> None:
        _check_url(url)
        self._url = url
        self.decode_responses = decode_responses
        self._kwargs = {**_DEFAULTS, **client_kwargs}
        self._client: Redis | None = None
        self._owned = True
        self._cache: Cache | None = None

    @classmethod
    def from_client(cls, client: Redis) -> AsyncRedisManager:
        """A manager of a client that somebody else opened, and that ``disconnect`` leaves open."""
        manager = cls("redis://injected")
        manager._client, manager._owned = client, False
        decode = client.connection_pool.connection_kwargs.get("decode_responses", False)
        manager.decode_responses = bool(decode)
        return manager

    @classmethod
    def from_settings(cls, settings: RedisSettings) -> AsyncRedisManager:
        """A manager as the ``REDIS_*`` variables say."""
        return cls(
            settings.REDIS_URL.get_secret_value(),
            decode_responses=settings.REDIS_DECODE_RESPONSES,
            socket_connect_timeout=settings.REDIS_CONNECT_TIMEOUT_SECONDS,
            socket_timeout=settings.REDIS_TIMEOUT_SECONDS,
            max_connections=settings.REDIS_MAX_CONNECTIONS,
        )

    def __repr__(self) -> str:
        state = "connected" if self.is_connected else "not connected"
        if not self._owned:
            return f"AsyncRedisManager(<client of its own>, {state})"
        parts = urlsplit(self._url)
        place = (parts.hostname or "") if parts.scheme != "unix" else parts.path
        try:
            port = f":{parts.port}" if parts.port else ""
        except ValueError:  # out of range
            port = ""
        shown = parts.scheme != "unix" and parts.path.strip("/").isdigit()
        database = parts.path if shown else ""
        return f"AsyncRedisManager({parts.scheme}://{place}{port}{database}, {state})"

    @property
    def url(self) -> str:
        """The URL as it was given, password included."""
        return self._url

    @property
    def is_connected(self) -> bool:
        """Whether there is a client; not whether the server answers."""
        return self._client is not None

    @property
    def client(self) -> Redis:
        """The client.

        Raises:
            NotConnectedError: before ``connect()`` and after ``disconnect()``.
        """
        if self._client is None:
            raise NotConnectedError(
                "AsyncRedisManager is not connected; call connect() at start-up, or name it in"
                " AppLifecycle(resources=[...])"
            )
        return self._client

    async def connect(self) -> None:
        """Make the pool; a server that is down is logged, and no reason not to start."""
        if self._client is not None:
            return
        kwargs = dict(self._kwargs)
        retry = kwargs.pop("retry", None) or Retry(NoBackoff(), 0)
        pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
            self._url,
            decode_responses=self.decode_responses,
            timeout=kwargs.get("socket_timeout"),
            retry=retry,
            **kwargs,
        )
        self._client = Redis.from_pool(pool)
        if not await self.health_check():
            _logger.warning("Redis does not answer at start-up: %r", self)

    async def disconnect(self) -> None:
        """Close the connections, if this manager opened them."""
        if self._cache is not None:
            await self._cache.disconnect()
        client = self._client
        if client is not None and self._owned:
            self._client = None
            await client.aclose()

    async def health_check(self) -> bool:
        """Whether the server answers PING now; never raises."""
        if self._client is None:
            return False
        try:
            return bool(await self._client.ping())  # pyright: ignore[reportUnknownMemberType, reportGeneralTypeIssues]
        except (RedisError, OSError, TimeoutError):
            return False

    @asynccontextmanager
    async def get_client_context(self) -> AsyncGenerator[Redis]:
        """``async with redis.get_client_context() as client``: the shared client."""
        yield self.client

    async def client_dependency(self) -> AsyncIterator[Redis]:
        """For ``Depends(redis.client_dependency)``: the shared client."""
        yield self.client

    def as_cache(self) -> Cache:
        """The cache that ``cached(redis)`` uses: namespace ``cache``, defaults throughout."""
        if self._cache is None:
            self._cache = Cache(RedisBackend(self), namespace="cache")
        return self._cache

    async def increment(self, key: str, *, amount: int = 1, ttl_seconds: float) -> int:
        """Count atomically; the counter always has an end, counted from its first increment.

        Raises:
            ValueError: ``ttl_seconds`` is not above 0.
        """
        value = await _evaluate(
            self.client, scripts.INCREMENT, [key], [amount, _milliseconds(ttl_seconds)]
        )
        return int(value)

    @asynccontextmanager
    async def lock(self, name: str, *, lease_seconds: float = 10.0) -> AsyncGenerator[RedisLock]:
        """Hold ``name`` for the block, or for ``lease_seconds`` at most.

        The lock's ``fence`` grows with every holder: pass it to what you write, and let that
        refuse a smaller one, for a holder may be paused past the end of its lease. One server's
        lock: a failover may lose it.

        Raises:
            ValueError: ``lease_seconds`` is not above 0.
            LockHeldError: somebody else holds it.
            LockLostError: at the end of the block, when the lease ended first.
        """
        token = secrets.token_hex(16)
        keys = [f"{{{name}}}:lock", f"{{{name}}}:fence"]
        try:
            fence = await _evaluate(
                self.client, scripts.LOCK, keys, [token, _milliseconds(lease_seconds)]
            )
        except (asyncio.CancelledError, RedisError, OSError, BackendRefusedError):
            await self._let_go(keys[0], token)  # it may have been granted
            raise
        if fence is None:
            raise LockHeldError(f"the lock {name!r} is held by another")
        try:
            yield RedisLock(self.client, keys[0], token, int(fence))
        except BaseException:
            await self._let_go(keys[0], token)
            raise
        if not await _evaluate(self.client, scripts.RELEASE, keys[:1], [token]):
            raise LockLostError(f"the lock {name!r} ended before its block; raise the lease")

    async def _let_go(self, key: str, token: str) -> None:
        """Release where that can be; else the lease ends by itself."""
        with contextlib.suppress(RedisError, OSError, BackendRefusedError, NotConnectedError):
            await _evaluate(self.client, scripts.RELEASE, [key], [token])


class RedisLock:
    """A lock that is held."""

    def __init__(self, client: Redis, key: str, token: str, fence: int) -> None:
        self._client, self._key, self._token = client, key, token
        self.fence = fence
        """A number that is larger for every later holder."""

    async def extend(self, lease_seconds: float) -> bool:
        """Let the lease last from now; False when it is lost."""
        arguments = [self._token, _milliseconds(lease_seconds)]
        return bool(await _evaluate(self._client, scripts.RENEW, [self._key], arguments))


class RedisBackend:
    """Entries in Redis 6.2 or later, for all replicas; Lua scripts make each operation atomic.

    All keys of one namespace carry the hash tag ``{namespace}``. Losing keys (``maxmemory``, a
    restart) costs computations and never makes an old entry valid.

    Args:
        redis: A manager, which this backend connects if nobody has, and then disconnects; one that
            was connected before is left alone.
    """

    def __init__(self, redis: AsyncRedisManager) -> None:
        self._redis = redis
        self._opened = False

    def __repr__(self) -> str:
        return f"RedisBackend({self._redis!r})"

    async def connect(self) -> None:
        """Connect the manager, unless it is."""
        if not self._redis.is_connected:
            self._opened = True
            await self._redis.connect()

    async def disconnect(self) -> None:
        """Disconnect the manager, if this backend connected it."""
        if self._opened:
            self._opened = False
            await self._redis.disconnect()

    async def health_check(self) -> bool:
        """Whether Redis answers."""
        return await self._redis.health_check()

    async def read(self, key: str, tags: Sequence[str]) -> Snapshot:
        """One MGET."""
        found = await _execute(self._redis.client, "MGET", key, *tags)
        return _snapshot(found)

    async def acquire(
        self, key: str, tags: Sequence[str], token: str, lease_seconds: float, keep_seconds: float
    ) -> Snapshot | None:
        """One script."""
        times = [_milliseconds(lease_seconds), _milliseconds(keep_seconds)]
        found = await self._script(scripts.ACQUIRE, [key, _lease(key), *tags], [token, *times])
        return None if found is None else _snapshot(found)

    async def renew(self, key: str, token: str, lease_seconds: float) -> bool:
        """One script."""
        arguments = [token, _milliseconds(lease_seconds)]
        return bool(await self._script(scripts.RENEW, [_lease(key)], arguments))

    async def store(
        self,
        key: str,
        token: str,
        data: bytes,
        ttl_seconds: float,
        tags: Sequence[str],
        versions: Sequence[str | None],
    ) -> bool:
        """One script."""
        keys = [key, _lease(key), *tags]
        arguments = [token, _milliseconds(ttl_seconds), data, *(v or "" for v in versions)]
        return bool(await self._script(scripts.STORE, keys, arguments))

    async def release(self, key: str, token: str) -> None:
        """One script."""
        await self._script(scripts.RELEASE, [_lease(key)], [token])

    async def invalidate(self, keys: Sequence[str], tags: Sequence[str]) -> None:
        """One DEL; the work does not grow with the number of entries."""
        gone = [*keys, *map(_lease, keys), *tags]
        if gone:
            await _execute(self._redis.client, "DEL", *gone)

    async def _script(self, script: str, keys: list[str], arguments: list[Any]) -> Any:
        return await _evaluate(self._redis.client, script, keys, arguments)


def _lease(key: str) -> str:
    return f"{key}:lease"


def _milliseconds(seconds: float) -> int:
    if not 0 < seconds < math.inf:
        raise ValueError(f"{seconds!r} seconds; a time to live is above 0 and has an end")
    return max(1, round(seconds * 1000))


def _check_url(url: str) -> None:
    """Refuse what would be taken apart at the wrong place, without a word of it."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("redis", "rediss", "unix")
        port = parts.netloc.rpartition("@")[2].rpartition("]")[2].partition(":")[2]
    except ValueError:
        raise ValueError(_NOT_A_URL) from None
    if not known:
        raise ValueError("the URL of Redis starts with redis://, rediss:// or unix://")
    rest = parts.path + parts.fragment + ("" if parts.hostname else parts.query)
    if parts.scheme != "unix" and ("@" in rest or (port and not port.isdigit())):
        raise ValueError(_NOT_A_URL)


def _snapshot(found: list[bytes | None]) -> Snapshot:
    return Snapshot(found[0], [None if v is None else v.decode() for v in found[1:]])


async def _evaluate(client: Redis, script: str, keys: Sequence[str], arguments: list[Any]) -> Any:
    return await _execute(client, "EVAL", script, len(keys), *keys, *arguments)


async def _execute(client: Redis, *command: Any) -> Any:
    """Run a command and get bytes, whatever the client decodes."""
    execute = cast("Any", client.execute_command)  # pyright: ignore[reportUnknownMemberType]
    try:
        return await execute(*command, **{NEVER_DECODE: True})
    except (AuthenticationError, BusyLoadingError):
        raise  # it does not serve us at all
    except ResponseError as exc:
        raise BackendRefusedError(str(exc)[:200]) from exc
