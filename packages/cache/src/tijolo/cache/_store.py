"""The backend as the cache uses it: guarded, and never read while it owes an invalidation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from tijolo.cache._guard import Guard
from tijolo.cache._strays import Strays
from tijolo.cache.backends import Backend, Snapshot
from tijolo.cache.errors import BackendRefusedError, BackendUnavailableError, NotConnectedError
from tijolo.cache.stats import CacheStats

T = TypeVar("T")
MAX_PENDING = 1_000
"""Invalidations that are remembered through an outage; more, and the whole namespace goes."""


class GuardedStore:
    """Every method raises ``BackendUnavailableError`` for an outage, whatever the backend raises.

    An invalidation that failed, or whose caller was cancelled, is remembered and repeated until
    it succeeds. Until then this process reads nothing, for it might be what had to go.

    A lease that may be held by nobody, for the answer to asking for it or to ending it was lost,
    is given back before this process asks for its key again, and in the background for the others.
    """

    def __init__(
        self,
        backend: Backend,
        guard: Guard,
        *,
        root_tag: str,
        retry_seconds: float,
        stats: CacheStats,
    ) -> None:
        self.backend, self._guard, self._root_tag = backend, guard, root_tag
        self._retry_seconds, self._stats = retry_seconds, stats
        # the value tells one debt from a later one of the same name
        self._keys: dict[str, object] = {}
        self._tags: dict[str, object] = {}
        self._strays = Strays()
        self._replay: asyncio.Task[None] | None = None

    @property
    def owes(self) -> bool:
        """Whether invalidations are pending."""
        return bool(self._keys or self._tags)

    async def read(self, key: str, tags: Sequence[str]) -> Snapshot:
        """The entry and its tags' versions."""
        return await self._do(lambda: self.backend.read(key, tags))

    async def acquire(
        self, key: str, tags: Sequence[str], token: str, lease_seconds: float, keep_seconds: float
    ) -> Snapshot | None:
        """The lease, or None."""

        async def take() -> Snapshot | None:
            got = await self.backend.acquire(key, tags, token, lease_seconds, keep_seconds)
            strays = self._strays.of(key) if got is None else ()
            for stray in strays:  # it may be this process itself that is in the way
                await self.backend.release(key, stray)
            if strays:
                got = await self.backend.acquire(key, tags, token, lease_seconds, keep_seconds)
            return got

        got = await self._do(lambda: self._or_stray(key, token, take))
        if got is not None:
            self._strays.forget(key)
        return got

    async def renew(self, key: str, token: str, lease_seconds: float) -> bool:
        """Keep the lease."""
        return await self._do(lambda: self.backend.renew(key, token, lease_seconds))

    async def store(
        self,
        key: str,
        token: str,
        data: bytes,
        ttl_seconds: float,
        tags: Sequence[str],
        versions: Sequence[str | None],
    ) -> bool:
        """Keep an entry."""
        return await self._do(
            lambda: self._or_stray(
                key,
                token,
                lambda: self.backend.store(key, token, data, ttl_seconds, tags, versions),
            )
        )

    async def release(self, key: str, token: str) -> None:
        """End the lease, now or when the backend answers again."""
        try:
            await self._do(lambda: self.backend.release(key, token))
            self._strays.given_back(key, token)
        except BackendUnavailableError:
            self._note_stray(key, token)
        except asyncio.CancelledError:
            self._note_stray(key, token)
            raise

    async def invalidate(self, keys: Sequence[str], tags: Sequence[str]) -> bool:
        """True when it is done, False when it will be repeated."""
        try:
            await self._guard.call(lambda: self.backend.invalidate(keys, tags))
        except BackendUnavailableError:
            self.owe(keys, tags)
            return False
        except BaseException:
            self.owe(keys, tags)  # a caller who hung up does not undo what changed
            raise
        return True

    def owe(self, keys: Iterable[str], tags: Iterable[str]) -> None:
        """Remember an invalidation, and repeat it in the background until it succeeds."""
        debt = object()
        self._keys.update(dict.fromkeys(keys, debt))
        self._tags.update(dict.fromkeys(tags, debt))
        if len(self._keys) + len(self._tags) > MAX_PENDING:
            self._keys, self._tags = {}, {self._root_tag: debt}
        self._count()
        self._repeat_later()

    async def settle(self, *, anyway: bool = False) -> None:
        """Carry out what is pending; ``anyway`` asks a backend that is left alone, too.

        Raises:
            BackendUnavailableError: not now.
        """
        keys, tags = dict(self._keys), dict(self._tags)
        if keys or tags:
            await self._guard.call(
                lambda: self.backend.invalidate(list(keys), list(tags)), anyway=anyway
            )
            _pay(self._keys, keys)
            _pay(self._tags, tags)
            self._count()

    async def close(self) -> None:
        """One last try, then forget; entries that should have gone end with their time to live."""
        task, self._replay = self._replay, None
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        with suppress(BackendUnavailableError):
            await self.settle(anyway=True)
        await self._give_back()

    async def _do(self, operation: Callable[[], Awaitable[T]]) -> T:
        if self._keys or self._tags:
            await self.settle()
        return await self._guard.call(operation)

    async def _or_stray(self, key: str, token: str, operation: Callable[[], Awaitable[T]]) -> T:
        """An operation after whose failure nobody knows whether ``token`` holds ``key``."""
        try:
            return await operation()
        except (BackendRefusedError, NotConnectedError):
            raise
        except BaseException:  # a time limit and a caller who leaves are cancellations here
            self._note_stray(key, token)
            raise

    def _note_stray(self, key: str, token: str) -> None:
        self._strays.note(key, token)
        self._repeat_later()

    def _repeat_later(self) -> None:
        loop, task = asyncio.get_running_loop(), self._replay
        if task is None or task.done() or task.get_loop() is not loop:
            self._replay = loop.create_task(self._repeat())

    async def _repeat(self) -> None:
        while self.owes or self._strays.due:
            await asyncio.sleep(self._retry_seconds)
            with suppress(BackendUnavailableError):
                await self.settle()
            await self._give_back()

    async def _give_back(self) -> None:
        for key, token in self._strays.due:
            if not await self._guard.quietly(partial(self.backend.release, key, token)):
                return
            self._strays.given_back(key, token)

    def _count(self) -> None:
        self._stats.invalidations_pending = len(self._keys) + len(self._tags)


def _pay(owed: dict[str, object], paid: dict[str, object]) -> None:
    """Take off what was paid, save what is owed again since."""
    for name, debt in paid.items():
        if owed.get(name) is debt:
            del owed[name]
