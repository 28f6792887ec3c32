"""For tests: the contract of a backend, one that fails on demand, a clock, recorded events.

A backend of your own proves itself by inheriting the contract::

    class TestMyBackend(BackendContract):
        @pytest_asyncio.fixture
        async def backend(self):
            backend = MyBackend()
            await backend.connect()
            yield backend
            await backend.disconnect()
"""

# ruff: noqa: S101, D102  (a test suite that is shipped; its names are its sentences)

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import TypeVar

from tijolo.cache.backends import Backend, Snapshot
from tijolo.cache.memory import MemoryBackend
from tijolo.cache.stats import CacheEvent

R = TypeVar("R")

__all__ = ["BackendContract", "FaultyBackend", "ManualClock", "RecordedEvents"]


class ManualClock:
    """A clock that a test moves: ``clock.advance(60)``; pass it as ``clock=``."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        self.now += seconds


class RecordedEvents:
    """An observer that remembers: ``Cache(observers=[events])``."""

    def __init__(self) -> None:
        self.all: list[CacheEvent] = []

    def __call__(self, event: CacheEvent) -> None:
        self.all.append(event)

    def of(self, kind: str) -> list[CacheEvent]:
        """Those of one kind."""
        return [event for event in self.all if event.kind == kind]


class FaultyBackend:
    """A backend in front of another one, with an outage at hand.

    ``fails`` raises ``ConnectionError`` before anything is done, ``hangs`` waits for ever,
    ``loses_answers`` does it and raises then. ``calls`` counts by method.
    """

    def __init__(self, inner: Backend | None = None) -> None:
        self.inner: Backend = MemoryBackend() if inner is None else inner
        self.fails = self.hangs = self.loses_answers = False
        self.calls: dict[str, int] = {}

    async def connect(self) -> None:
        """Connect the other."""
        await self.inner.connect()

    async def disconnect(self) -> None:
        """Disconnect the other."""
        await self.inner.disconnect()

    async def health_check(self) -> bool:
        """False during an outage."""
        return not (self.fails or self.hangs) and await self.inner.health_check()

    async def read(self, key: str, tags: Sequence[str]) -> Snapshot:
        """See ``Backend``."""
        await self._before("read")
        return self._after(await self.inner.read(key, tags))

    async def acquire(
        self, key: str, tags: Sequence[str], token: str, lease_seconds: float, keep_seconds: float
    ) -> Snapshot | None:
        """See ``Backend``."""
        await self._before("acquire")
        return self._after(await self.inner.acquire(key, tags, token, lease_seconds, keep_seconds))

    async def renew(self, key: str, token: str, lease_seconds: float) -> bool:
        """See ``Backend``."""
        await self._before("renew")
        return self._after(await self.inner.renew(key, token, lease_seconds))

    async def store(
        self,
        key: str,
        token: str,
        data: bytes,
        ttl_seconds: float,
        tags: Sequence[str],
        versions: Sequence[str | None],
    ) -> bool:
        """See ``Backend``."""
        await self._before("store")
        return self._after(await self.inner.store(key, token, data, ttl_seconds, tags, versions))

    async def release(self, key: str, token: str) -> None:
        """See ``Backend``."""
        await self._before("release")
        self._after(await self.inner.release(key, token))  # type: ignore[func-returns-value]

    async def invalidate(self, keys: Sequence[str], tags: Sequence[str]) -> None:
        """See ``Backend``."""
        await self._before("invalidate")
        self._after(await self.inner.invalidate(keys, tags))  # type: ignore[func-returns-value]

    async def _before(self, name: str) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1
        if self.fails:
            raise ConnectionError("on demand")
        if self.hangs:
            await asyncio.Event().wait()

    def _after(self, result: R) -> R:
        if self.loses_answers:
            raise ConnectionError("on demand, when it was done")
        return result


class BackendContract:
    """What every backend does; a subclass gives the fixture ``backend``, connected.

    Its tests are async: for pytest-asyncio in strict mode, mark the subclass.
    """

    async def _fill(
        self, backend: Backend, key: str, tags: Sequence[str], data: bytes = b"data"
    ) -> None:
        got = await backend.acquire(key, tags, "filler", 5, 60)
        assert got is not None
        assert await backend.store(key, "filler", data, 60, tags, got.versions)

    async def test_satisfies_the_protocol(self, backend: Backend) -> None:
        assert isinstance(backend, Backend)
        assert await backend.health_check() is True

    async def test_reads_nothing_from_an_empty_place(self, backend: Backend) -> None:
        key, tags = _place()
        assert await backend.read(key, tags) == Snapshot(None, [None, None])

    async def test_gives_back_the_bytes_that_were_stored(self, backend: Backend) -> None:
        for data in (b"", b"\x00\xff\r\n", b"x" * 300_000):
            key, tags = _place()
            await self._fill(backend, key, tags, data)
            found = await backend.read(key, tags)
            assert found.data == data
            assert None not in found.versions

    async def test_only_one_of_fifty_gets_the_lease(self, backend: Backend) -> None:
        key, tags = _place()
        racers = [backend.acquire(key, tags, f"t{n}", 5, 60) for n in range(50)]
        got = await asyncio.gather(*racers)
        assert sum(snapshot is not None for snapshot in got) == 1

    async def test_a_lease_ends_by_itself_and_its_old_holder_stores_nothing(
        self, backend: Backend
    ) -> None:
        key, tags = _place()
        first = await backend.acquire(key, tags, "first", 0.05, 60)
        assert first is not None
        await asyncio.sleep(0.12)
        assert await backend.renew(key, "first", 5) is False
        assert await backend.store(key, "first", b"late", 60, tags, first.versions) is False
        assert await backend.acquire(key, tags, "second", 5, 60) is not None

    async def test_a_lease_can_be_renewed_by_its_holder_alone(self, backend: Backend) -> None:
        key, tags = _place()
        assert await backend.acquire(key, tags, "first", 0.15, 60) is not None
        assert await backend.renew(key, "other", 5) is False
        assert await backend.renew(key, "first", 5) is True
        await asyncio.sleep(0.2)
        assert await backend.acquire(key, tags, "second", 5, 60) is None

    async def test_a_lease_is_released_by_its_holder_alone(self, backend: Backend) -> None:
        key, tags = _place()
        assert await backend.acquire(key, tags, "first", 5, 60) is not None
        await backend.release(key, "other")
        assert await backend.acquire(key, tags, "second", 5, 60) is None
        await backend.release(key, "first")
        assert await backend.acquire(key, tags, "second", 5, 60) is not None

    async def test_storing_ends_the_lease(self, backend: Backend) -> None:
        key, tags = _place()
        await self._fill(backend, key, tags)
        assert await backend.acquire(key, tags, "next", 5, 60) is not None

    async def test_who_gets_the_lease_sees_what_was_stored_before(self, backend: Backend) -> None:
        key, tags = _place()
        await self._fill(backend, key, tags, b"before")
        got = await backend.acquire(key, tags, "next", 5, 60)
        assert got is not None
        assert got.data == b"before"
        assert got.versions == (await backend.read(key, tags)).versions

    async def test_an_entry_ends_with_its_time_to_live(self, backend: Backend) -> None:
        key, tags = _place()
        got = await backend.acquire(key, tags, "t", 5, 60)
        assert got is not None
        assert await backend.store(key, "t", b"data", 0.05, tags, got.versions)
        await asyncio.sleep(0.12)
        assert (await backend.read(key, tags)).data is None

    async def test_invalidating_a_key_forgets_it_and_no_other(self, backend: Backend) -> None:
        key, tags = _place()
        await self._fill(backend, key, tags)
        await self._fill(backend, key + "x", tags)
        await backend.invalidate([key], [])
        assert (await backend.read(key, tags)).data is None
        assert (await backend.read(key + "x", tags)).data == b"data"

    async def test_nothing_is_stored_that_began_before_its_key_was_invalidated(
        self, backend: Backend
    ) -> None:
        key, tags = _place()
        got = await backend.acquire(key, tags, "t", 5, 60)
        assert got is not None
        await backend.invalidate([key], [])
        assert await backend.store(key, "t", b"old", 60, tags, got.versions) is False
        assert (await backend.read(key, tags)).data is None

    async def test_nothing_is_stored_that_began_before_a_tag_was_invalidated(
        self, backend: Backend
    ) -> None:
        key, tags = _place()
        got = await backend.acquire(key, tags, "t", 5, 60)
        assert got is not None
        await backend.invalidate([], tags[1:])
        assert await backend.store(key, "t", b"old", 60, tags, got.versions) is False
        # nor when the tag has a version again
        assert await backend.acquire(key + "x", tags, "u", 5, 60) is not None
        again = await backend.acquire(key, tags, "v", 5, 60)
        assert again is not None
        await backend.invalidate([], tags[1:])
        assert await backend.acquire(key + "y", tags, "w", 5, 60) is not None
        assert await backend.store(key, "v", b"old", 60, tags, again.versions) is False

    async def test_a_tag_never_gets_an_old_version_back(self, backend: Backend) -> None:
        key, tags = _place()
        seen: set[str | None] = set()
        for n in range(5):
            got = await backend.acquire(f"{key}{n}", tags, f"token-{n}", 5, 60)
            assert got is not None
            assert seen.isdisjoint(got.versions)
            seen.update(got.versions)
            await backend.invalidate([], tags)
            assert (await backend.read(key, tags)).versions == [None, None]

    async def test_a_tag_lives_as_long_as_the_entries_that_have_it(self, backend: Backend) -> None:
        key, tags = _place()
        got = await backend.acquire(key, tags, "t", 5, 0.15)
        assert got is not None
        assert await backend.store(key, "t", b"data", 60, tags, got.versions)
        await asyncio.sleep(0.2)
        assert await backend.read(key, tags) == Snapshot(b"data", got.versions)

    async def test_a_tag_lives_as_long_as_the_longest_computation_that_uses_it(
        self, backend: Backend
    ) -> None:
        key, tags = _place()
        first = await backend.acquire(key, tags, "first", 5, 0.15)
        assert first is not None
        assert await backend.acquire(f"{key}x", tags, "second", 5, 60) is not None
        await asyncio.sleep(0.2)
        assert (await backend.read(key, tags)).versions == first.versions

    async def test_invalidating_what_is_not_there_is_no_error(self, backend: Backend) -> None:
        key, tags = _place()
        await backend.invalidate([key], tags)
        await backend.invalidate([], [])

    async def test_connecting_twice_is_no_error(self, backend: Backend) -> None:
        await backend.connect()
        assert await backend.health_check() is True


def _place() -> tuple[str, list[str]]:
    """A key and two tags that nobody else uses."""
    names = [secrets.token_hex(8) for _ in range(3)]
    return f"{{contract}}:e:{names[0]}", [f"{{contract}}:t:{name}" for name in names[1:]]
