"""Keeps a lease alive while a computation takes longer than it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tijolo.cache._store import GuardedStore
from tijolo.cache.errors import BackendUnavailableError


class Renewal:
    """Renews a lease each third of its time, until ``stop``."""

    def __init__(
        self,
        store: GuardedStore,
        key: str,
        token: str,
        lease_seconds: float,
        spawn: Callable[[Coroutine[Any, Any, Any]], object],
    ) -> None:
        self._store, self._key, self._token = store, key, token
        self._seconds, self._spawn = lease_seconds, spawn
        self._active = True
        self._timer = self._schedule()

    def stop(self) -> None:
        """Leave the lease to its holder."""
        self._active = False
        self._timer.cancel()

    def _schedule(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._seconds / 3, self._tick)

    def _tick(self) -> None:
        self._spawn(self._renew())

    async def _renew(self) -> None:
        try:
            held = await self._store.renew(self._key, self._token, self._seconds)
        except BackendUnavailableError:
            held = True  # try again while it may still be ours
        if held and self._active:
            self._timer = self._schedule()
