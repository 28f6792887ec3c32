"""The contract, on every backend, and what each of them has of its own."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import time
from contextlib import closing

import pytest
import pytest_asyncio

from tijolo.cache import Backend, MemoryBackend, NotConnectedError, SQLiteBackend
from tijolo.cache.testing import BackendContract, FaultyBackend


class TestMemory(BackendContract):
    @pytest.fixture
    def backend(self):
        return MemoryBackend()


class TestFaulty(BackendContract):
    @pytest.fixture
    def backend(self):
        return FaultyBackend()


class TestSQLite(BackendContract):
    @pytest_asyncio.fixture
    async def backend(self, tmp_path):
        backend = SQLiteBackend(tmp_path / "cache.db")
        await backend.connect()
        yield backend
        await backend.disconnect()


class TestSQLiteInMemory(BackendContract):
    @pytest_asyncio.fixture
    async def backend(self):
        backend = SQLiteBackend(":memory:")
        await backend.connect()
        yield backend
        await backend.disconnect()


async def fill(backend: Backend, key: str, data: bytes = b"x", tags=(), ttl: float = 60) -> None:
    got = await backend.acquire(key, tags, "t", 5, 60)
    assert got is not None
    await backend.store(key, "t", data, ttl, tags, got.versions)


async def held(backend: Backend, *keys: str) -> list[bool]:
    return [(await backend.read(key, ())).data is not None for key in keys]


async def test_memory_drops_the_least_recently_used_entry_first():
    backend = MemoryBackend(max_entries=3)
    for key in "abc":
        await fill(backend, key)
    await backend.read("a", ())
    await fill(backend, "d")
    assert await held(backend, *"abcd") == [True, False, True, True]
    assert backend.evictions == 1


async def test_memory_never_holds_more_bytes_than_it_may():
    backend = MemoryBackend(max_bytes=10_000)
    for n in range(100):
        await fill(backend, str(n), b"x" * 1_000)
        assert backend.size_bytes <= 10_000
    assert 0 < len(backend) < 10
    await fill(backend, "huge", b"x" * 10_001)
    assert await held(backend, "huge") == [False]
    assert len(backend) > 0


async def test_memory_counts_bytes_back_to_nothing(clock):
    backend = MemoryBackend(clock=clock)
    for n in range(20):
        await fill(backend, str(n), ttl=10)
        await fill(backend, str(n), b"larger", ttl=10)
    await backend.invalidate([str(n) for n in range(10)], [])
    clock.advance(11)
    await held(backend, *map(str, range(20)))
    assert (backend.size_bytes, len(backend)) == (0, 0)


async def test_memory_bounds_leases_and_tags_and_a_lost_tag_is_a_miss():
    backend = MemoryBackend(max_entries=10)
    await fill(backend, "first", tags=["tag"])
    for n in range(200):
        await backend.acquire(f"k{n}", [f"tag{n}"], "t", 60, 60)
    assert len(backend._leases) <= 10
    assert len(backend._tags) <= 11
    assert (await backend.read("first", ["tag"])).versions == [None]


@pytest.mark.parametrize("made", [MemoryBackend, lambda **kw: SQLiteBackend("x", **kw)])
@pytest.mark.parametrize("option", ["max_entries", "max_bytes"])
def test_a_limit_below_one_is_refused(made, option):
    with pytest.raises(ValueError, match="1 or more"):
        made(**{option: 0})


async def test_sqlite_entries_survive_the_process_that_wrote_them(tmp_path):
    for _ in range(2):
        backend = SQLiteBackend(tmp_path / "cache.db")
        await backend.connect()
        if (await backend.read("key", ())).data is None:
            await fill(backend, "key", b"kept")
        assert (await backend.read("key", ())).data == b"kept"
        await backend.disconnect()


async def test_sqlite_file_is_for_its_owner_alone(tmp_path):
    backend = SQLiteBackend(tmp_path / "cache.db")
    await backend.connect()
    await fill(backend, "key")
    modes = {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in tmp_path.iterdir()}
    await backend.disconnect()
    assert modes == {0}


@pytest.mark.parametrize(
    ("limits", "most"), [({"max_entries": 20}, 20), ({"max_bytes": 20 * 1_210}, 20)]
)
async def test_sqlite_sweeps_what_is_over_the_limits(tmp_path, limits, most):
    backend = SQLiteBackend(tmp_path / "cache.db", **limits)
    await backend.connect()
    for n in range(200):
        await fill(backend, f"{n:03}", b"x" * 1_000, ttl=60 + n)
    kept = await held(backend, *(f"{n:03}" for n in range(200)))
    await backend.disconnect()
    assert 0 < sum(kept) <= most
    assert kept[-1] is True


async def test_sqlite_never_blocks_the_event_loop_while_another_process_writes(tmp_path):
    import sqlite3

    backend = SQLiteBackend(tmp_path / "cache.db", busy_seconds=0.15)
    await backend.connect()
    other = sqlite3.connect(tmp_path / "cache.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.ensure_future(backend.acquire("key", (), "t", 5, 60))
    ticks = 0
    while not waiting.done():
        await asyncio.sleep(0.01)
        ticks += 1
    other.execute("ROLLBACK")
    other.close()
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        await waiting
    assert ticks > 3
    assert await backend.acquire("key", (), "t", 5, 60) is not None
    await backend.disconnect()


async def test_sqlite_says_that_it_is_not_connected():
    backend = SQLiteBackend(":memory:")
    with pytest.raises(NotConnectedError, match="connect"):
        await backend.read("key", ())
    assert await backend.health_check() is False
    await backend.disconnect()


async def test_sqlite_that_cannot_be_opened_leaves_nothing_behind(tmp_path):
    backend = SQLiteBackend(tmp_path / "missing" / "cache.db")
    with pytest.raises(OSError, match="missing"):
        await backend.connect()
    with pytest.raises(NotConnectedError):
        await backend.read("key", ())


async def test_a_faulty_backend_hangs_and_fails_on_demand():
    backend = FaultyBackend()
    backend.hangs = True
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(backend.read("key", ()), 0.02)
    assert time.monotonic() - started < 5
    backend.hangs, backend.fails = False, True
    with pytest.raises(ConnectionError):
        await backend.read("key", ())
    assert backend.calls == {"read": 2}


async def test_sqlite_sweeps_what_failed_computations_left(tmp_path):
    now = [0.0]
    backend = SQLiteBackend(tmp_path / "cache.db", clock=lambda: now[0])
    await backend.connect()
    for n in range(300):
        now[0] += 100
        assert await backend.acquire(f"{n}", [f"tag {n}"], "t", 5, 60) is not None
        await backend.release(f"{n}", "t")
    await backend.disconnect()
    assert rows(tmp_path / "cache.db", "tag") <= 100


async def test_sqlite_sweeps_for_processes_that_end_before_their_hundredth_store(tmp_path):
    for process in range(5):
        backend = SQLiteBackend(tmp_path / "cache.db", max_entries=10)
        await backend.connect()
        for n in range(30):
            await fill(backend, f"{process}-{n}", tags=[f"tag {process} {n}"])
        await backend.disconnect()
    assert rows(tmp_path / "cache.db", "entry") <= 40
    assert rows(tmp_path / "cache.db", "tag") <= 2 * 10 + 32 + 30


def rows(path, table: str) -> int:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
