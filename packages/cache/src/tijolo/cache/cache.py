"""One cache: a namespace in a backend, its counters, and what invalidates its entries."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Self, TypeVar

from tijolo.cache._calls import Call
from tijolo.cache._guard import Guard
from tijolo.cache._loading import Loader
from tijolo.cache._reports import Reports
from tijolo.cache._store import GuardedStore
from tijolo.cache.backends import Backend
from tijolo.cache.codecs import TypedCodec
from tijolo.cache.keys import Keyspace, canonical
from tijolo.cache.memory import MemoryBackend
from tijolo.cache.policy import CachePolicy
from tijolo.cache.settings import CacheSettings
from tijolo.cache.stats import CacheStats, Observer

T = TypeVar("T")


@lru_cache(maxsize=256)
def _remembered(result_type: Hashable) -> TypedCodec[Any]:
    return TypedCodec(result_type)


def _typed(result_type: Any) -> TypedCodec[Any]:
    if isinstance(result_type, Hashable):
        return _remembered(result_type)
    return TypedCodec(result_type)


class Cache:
    """Results in ``backend``; a backend that is down makes calls slower and never wrong.

    Satisfies ``tijolo.core.Resource``. Entries of another ``namespace`` or ``version`` are never
    seen. An invalidation during an outage is repeated when the backend answers again, before this
    process reads anything; other processes may see the old entry until then, ``retry_seconds`` or
    so. If this process dies before that, the entry's time to live is the bound.

    Args:
        backend: Where entries are kept; this process's memory where none is given.
        namespace: First part of every key: letters, digits, ``.``, ``_``, ``-``.
        version: Raise it to leave every entry behind.
        enabled: False computes every time and keeps nothing; invalidations are still carried out,
            for other processes may use the same entries.
        ttl: Seconds to live where a function names none.
        jitter: Default of ``CachePolicy.jitter``.
        max_value_bytes: Default of ``CachePolicy.max_value_bytes``.
        compress_above_bytes: Default of ``CachePolicy.compress_above_bytes``.
        timeout_seconds: How long one operation of the backend may take. After three failures in a
            row the backend is left alone for ``retry_seconds``, then tried by one call.
        retry_seconds: See above.
        clear_after_outage: Empty the namespace after every outage, for a Redis that may come back
            with an older state (a restored snapshot, a replica that was behind).
        observers: Called with every :class:`~tijolo.cache.CacheEvent`.
        max_background: Refreshes that may run at once; above it the old value stays.
        clock: Seconds since the epoch.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        backend: Backend | None = None,
        *,
        namespace: str = "app",
        version: int | str = 1,
        enabled: bool = True,
        ttl: float = 300.0,
        jitter: float = 0.1,
        max_value_bytes: int = 1_048_576,
        compress_above_bytes: int | None = None,
        timeout_seconds: float = 0.25,
        retry_seconds: float = 1.0,
        clear_after_outage: bool = False,
        observers: Sequence[Observer] = (),
        max_background: int = 100,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not (timeout_seconds > 0 and retry_seconds > 0 and max_background >= 0):
            raise ValueError("timeout_seconds and retry_seconds must be above 0")
        self.enabled = enabled
        self.stats = CacheStats()
        self.keys = Keyspace(namespace, version)
        self.policy = CachePolicy(
            ttl=ttl,
            jitter=jitter,
            max_value_bytes=max_value_bytes,
            compress_above_bytes=compress_above_bytes,
        )
        self._backend: Backend = MemoryBackend() if backend is None else backend
        in_process = isinstance(self._backend, MemoryBackend)
        self._guard = Guard(
            f"the cache {namespace!r} ({type(self._backend).__name__})",
            timeout_seconds=None if in_process else timeout_seconds,
            retry_seconds=retry_seconds,
            on_change=self._changed,
        )
        self._clear_after_outage = clear_after_outage
        self._store = GuardedStore(
            self._backend,
            self._guard,
            root_tag=self.keys.root_tag,
            retry_seconds=retry_seconds,
            stats=self.stats,
        )
        self.loader = Loader(
            self._store,
            Reports(self.stats, tuple(observers)),
            max_background=max_background,
            clock=clock,
        )

    @classmethod
    def from_settings(
        cls, settings: CacheSettings, backend: Backend | None = None, **options: Any
    ) -> Self:
        """A cache as the ``CACHE_*`` variables say; ``options`` are further arguments."""
        if backend is None:
            backend = MemoryBackend(
                max_entries=settings.CACHE_MEMORY_MAX_ENTRIES,
                max_bytes=settings.CACHE_MEMORY_MAX_BYTES,
            )
        return cls(
            backend,
            namespace=settings.CACHE_NAMESPACE,
            version=settings.CACHE_VERSION,
            enabled=settings.CACHE_ENABLED,
            ttl=settings.CACHE_TTL_SECONDS,
            jitter=settings.CACHE_TTL_JITTER,
            max_value_bytes=settings.CACHE_MAX_VALUE_BYTES,
            compress_above_bytes=settings.CACHE_COMPRESS_ABOVE_BYTES or None,
            timeout_seconds=settings.CACHE_TIMEOUT_SECONDS,
            retry_seconds=settings.CACHE_RETRY_SECONDS,
            **options,
        )

    def __repr__(self) -> str:
        return f"Cache({self.keys.prefix!r}, {self._backend!r})"

    @property
    def is_available(self) -> bool:
        """Whether the backend counts as up; no question to it."""
        return not self._guard.is_open

    async def connect(self) -> None:
        """Open the backend; one that is down is no reason not to start."""
        await self._backend.connect()

    async def disconnect(self) -> None:
        """End the refreshes, carry out what is pending if that can be, close the backend."""
        await self.loader.close()
        await self._store.close()
        await self._backend.disconnect()

    async def health_check(self) -> bool:
        """Whether the backend answers now. A cache that is down should only degrade a service."""
        return await self._backend.health_check()

    # -- values by key ---------------------------------------------------------------------

    async def get(
        self, key: object, result_type: type[T] | Any, *, tags: Sequence[str] = ()
    ) -> T | None:
        """What ``set`` kept under ``key`` with the same type and tags; None where it is gone."""
        if not self.enabled:
            return None
        found = await self.loader.load_only(self._call(key, result_type, tags, self.policy))
        return None if found is None else found.value

    async def set(
        self,
        key: object,
        value: T,
        result_type: type[T] | Any,
        *,
        ttl: float | None = None,
        tags: Sequence[str] = (),
    ) -> bool:
        """Keep ``value`` under any keyable ``key``.

        False when it could not be kept (it is too large, the backend is down); the value that was
        there is gone all the same.

        Raises:
            UnkeyableArgumentError: the key has no faithful text.
            UnfaithfulValueError: ``result_type`` does not give the value back.
        """
        if not self.enabled:
            return False
        policy = self.policy if ttl is None else replace(self.policy, ttl=ttl)
        return await self.loader.put(self._call(key, result_type, tags, policy), value)

    async def get_or_compute(
        self,
        key: object,
        compute: Callable[[], Awaitable[T]],
        result_type: type[T] | Any,
        *,
        policy: CachePolicy | None = None,
        tags: Sequence[str] = (),
    ) -> T:
        """What is kept under ``key``, or what ``compute`` returns, computed once for all callers.

        Raises:
            UnkeyableArgumentError: the key has no faithful text.
            Exception: what ``compute`` raises; it is not kept.
        """
        if not self.enabled:
            return await compute()
        call = self._call(key, result_type, tags, policy or self.policy)
        call.compute = compute
        value: T = (await self.loader.load(call)).value
        return value

    # -- invalidation ----------------------------------------------------------------------

    async def delete(self, *keys: object, result_type: type[Any] | Any) -> bool:
        """Forget what ``set`` or ``get_or_compute`` kept under ``keys``, as ``invalidate_tags``."""
        codec = _typed(result_type)
        return await self.invalidate_keys(*(self._key(key, codec) for key in keys))

    async def invalidate_tags(self, *tags: str) -> bool:
        """No entry with any of ``tags`` is returned from now on, nor one that is being computed.

        The work does not grow with the number of entries. True when the backend did it; False when
        it is down and the invalidation will be repeated.
        """
        return await self._invalidate((), [self.keys.tag(tag) for tag in tags])

    async def invalidate_keys(self, *keys: str) -> bool:
        """The same for keys as ``CachedFunction.key_for`` gives them."""
        return await self._invalidate(keys, ())

    async def clear(self) -> bool:
        """The same for every entry of this namespace and version, and of no other."""
        return await self._invalidate((), [self.keys.root_tag])

    def invalidation(self, *tags: str, keys: Sequence[str] = ()) -> Callable[[], Awaitable[None]]:
        """A hook without parameters, for after a commit: ``on_commit(session, hook)``."""

        async def invalidate() -> None:
            await self._invalidate(tuple(keys), [self.keys.tag(tag) for tag in tags])

        return invalidate

    async def _invalidate(self, keys: Sequence[str], tags: Sequence[str]) -> bool:
        if not keys and not tags:
            return True
        self.stats.invalidations += len(keys) + len(tags)
        self.loader.reports.emit("invalidated", "", detail=f"{len(keys)} keys, {len(tags)} tags")
        # before and after: a computation may start while the backend works
        self.loader.flights.invalidate(keys, tags)
        try:
            return await self._store.invalidate(keys, tags)
        finally:
            self.loader.flights.invalidate(keys, tags)

    # -- inside ----------------------------------------------------------------------------

    def _key(self, key: object, codec: TypedCodec[Any]) -> str:
        return self.keys.entry("value", canonical(key) + codec.fingerprint)

    def _call(
        self, key: object, result_type: Any, tags: Sequence[str], policy: CachePolicy
    ) -> Call[Any]:
        codec = _typed(result_type)
        return Call(
            name="value",
            key=self._key(key, codec),
            tags=self.keys.tags(tuple(tags)),
            codec=codec,
            policy=policy,
            compute=_nothing,
            ttl_of=policy.ttl_of,
        )

    def _changed(self, up: bool, reason: str) -> None:
        if up:
            self.loader.reports.emit("up", "")
            if self._clear_after_outage:
                self._store.owe([], [self.keys.root_tag])
        else:
            self.stats.outages += 1
            self.loader.reports.emit("down", "", detail=reason)


async def _nothing() -> None:
    raise AssertionError("never called")
