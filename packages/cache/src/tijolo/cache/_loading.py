"""From a call to its result: entry, somebody else's computation, or one's own."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from starlette.exceptions import HTTPException

from tijolo.cache._entries import pack, stamp, unpack
from tijolo.cache._flights import Crashed, Ended, Flight, Flights, Landed, Leading, Outcome, leading
from tijolo.cache._store import GuardedStore
from tijolo.cache.backends import Snapshot
from tijolo.cache.codecs import Codec, UnfaithfulValueError
from tijolo.cache.errors import BackendUnavailableError
from tijolo.cache.policy import CachePolicy
from tijolo.cache.stats import CacheEvent, CacheStats, Kind, Observer

T = TypeVar("T")
ATTEMPTS = 3
"""How often one who waited asks again when something was invalidated meanwhile."""
PRIVATE_SECONDS = 2.0
"""How long callers do not wait for one another after some waited for a result of no use to them."""
MAX_PRIVATE = 4_096
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.005, 0.25
_logger = logging.getLogger("tijolo.cache")
State = Literal["hit", "stale", "miss"]


@dataclass(slots=True)
class Call(Generic[T]):
    """Everything about one call of a cached thing."""

    name: str
    key: str
    tags: tuple[str, ...]
    codec: Codec[T]
    policy: CachePolicy
    compute: Callable[[], Awaitable[T]]
    ttl_of: Callable[[T], float | None]
    shareable: Callable[[T], bool] | None = None
    """Whether others may be given this result; None for always."""
    store: bool = True
    """Whether the result may be kept."""


class Loaded(NamedTuple, Generic[T]):
    """A result with its age; times are seconds since the epoch."""

    value: T
    state: State
    stored_at: float
    fresh_until: float


class _Lease(NamedTuple):
    token: str
    versions: list[str | None]


class Loader:
    """The engine of one cache."""

    def __init__(
        self,
        store: GuardedStore,
        stats: CacheStats,
        *,
        observers: tuple[Observer, ...],
        max_background: int,
        clock: Callable[[], float],
    ) -> None:
        self.store, self.stats, self._observers = store, stats, observers
        self._clock, self._max_background = clock, max_background
        self.flights = Flights()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._refreshing: set[str] = set()
        self._private: OrderedDict[str, float] = OrderedDict()
        self._said: set[tuple[str, str]] = set()
        self._failing: set[str] = set()

    async def load(self, call: Call[T]) -> Loaded[T]:
        """The result of ``call``: at most ``ttl`` old, or older as its policy allows."""
        old = await self.find(call)
        if old is None:
            return await self._miss(call, None)
        late = self._clock() - old.fresh_until
        if late < 0:
            self.stats.hits += 1
            if self._observers:
                self.emit("hit", call.name)
            return old
        if late < call.policy.stale_while_revalidate:
            return await self._revalidate(call, old)
        return await self._miss(call, old)

    async def find(self, call: Call[T]) -> Loaded[T] | None:
        """The entry, whatever its age; None where there is none that is valid."""
        try:
            snapshot = await self.store.read(call.key, call.tags)
        except BackendUnavailableError as exc:
            self._error(call.name, str(exc))
            return None
        return self._open(snapshot, call)

    async def load_only(self, call: Call[T]) -> Loaded[T] | None:
        """A fresh entry, or None; nothing is computed."""
        found = await self.find(call)
        if found is None or self._clock() >= found.fresh_until:
            return None
        self.stats.hits += 1
        self.emit("hit", call.name)
        return found

    async def put(self, call: Call[T], value: T) -> bool:
        """Keep ``value`` in the place of what is there or being computed."""
        data = call.codec.encode(value)
        policy = call.policy
        if len(data) > policy.max_value_bytes:
            self.stats.not_stored += 1
            return False
        ttl = policy.ttl * random.uniform(1 - policy.jitter, 1)  # noqa: S311
        for _ in range(ATTEMPTS):
            await self.store.invalidate([call.key], [])
            self.flights.invalidate([call.key], [])
            token, now = secrets.token_hex(8), self._clock()
            try:
                got = await self.store.acquire(
                    call.key, call.tags, token, policy.lease_seconds, policy.keep_seconds
                )
                if got is None:  # somebody began to compute in between
                    continue
                lease = _Lease(token, got.versions)
                return bool(await self._store(call, lease, Landed(data, now, now), ttl))
            except BackendUnavailableError as exc:
                self._error(call.name, str(exc))
                return False
        return False

    async def refresh(self, call: Call[T]) -> Loaded[T]:
        """Compute now, whatever is kept."""
        await self.store.invalidate([call.key], [])
        self.flights.invalidate([call.key], [])
        return await self._miss(call, None)

    async def close(self) -> None:
        """End what runs in the background."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def now(self) -> float:
        """Seconds since the epoch, as the entries count."""
        return self._clock()

    def emit(self, kind: Kind, name: str, **more: Any) -> None:
        """Tell the observers; one that raises is logged once and changes nothing."""
        for observer in self._observers:
            try:
                observer(CacheEvent(kind, name, **more))
            except Exception:
                self._say_once("observer", repr(observer), "an observer of the cache raised", True)

    # -- finding ---------------------------------------------------------------------------

    def _open(self, snapshot: Snapshot, call: Call[T]) -> Loaded[T] | None:
        if snapshot.data is None:
            return None
        entry = unpack(snapshot.data)
        if entry is None or entry.stamp != stamp(call.tags, snapshot.versions):
            return None
        try:
            value = call.codec.decode(entry.data(call.policy.max_value_bytes))
        except Exception as exc:
            self._error(call.name, f"entry cannot be decoded: {type(exc).__name__}")
            return None
        return Loaded(value, "hit", entry.stored_at, entry.fresh_until)

    async def _revalidate(self, call: Call[T], old: Loaded[T]) -> Loaded[T]:
        busy = call.key in self._refreshing or self.flights.get(call.key) is not None
        if busy:
            return self._stale(call, old)
        if call.policy.background:
            if len(self._tasks) < self._max_background:
                self._refreshing.add(call.key)
                self._spawn(self._refresh_quietly(call, old))
            return self._stale(call, old)
        try:
            return await self._lead(call, old, patient=False)
        except Exception as exc:
            self._note_failure(call, exc)
            if not is_failure(exc):
                raise
            return self._stale(call, old)

    async def _refresh_quietly(self, call: Call[T], old: Loaded[T]) -> None:
        try:
            await self._lead(call, old, patient=False)
        except Exception as exc:
            self._note_failure(call, exc)
        finally:
            self._refreshing.discard(call.key)

    # -- computing -------------------------------------------------------------------------

    async def _miss(self, call: Call[T], old: Loaded[T] | None) -> Loaded[T]:
        try:
            loaded = await self._fresh(call, old)
        except Exception as exc:
            late = self._clock() - old.fresh_until if old is not None else 0.0
            if old is None or late >= call.policy.stale_if_error or not is_failure(exc):
                raise
            self._note_failure(call, exc)
            return self._stale(call, old)
        self._failing.discard(call.name)
        return loaded

    async def _fresh(self, call: Call[T], old: Loaded[T] | None) -> Loaded[T]:
        waits_for_itself = any(
            it.active and it.of is self and it.key == call.key for it in leading.get()
        )
        if waits_for_itself or self._is_private(call.key):
            return await self._alone(call)
        asked_again = 0
        while asked_again < ATTEMPTS:
            flight = self.flights.get(call.key)
            if flight is None:
                return await self._lead(call, old, patient=True)
            outcome = await flight.wait()
            if isinstance(outcome, Crashed):
                raise outcome.error
            if isinstance(outcome, Landed):
                self.stats.shared += 1
                self.emit("shared", call.name)
                value = call.codec.decode(outcome.data)
                return Loaded(value, "miss", outcome.stored_at, outcome.fresh_until)
            if outcome is Ended.PRIVATE:
                break
            asked_again += outcome is Ended.OUTDATED
        return await self._alone(call)

    async def _lead(self, call: Call[T], old: Loaded[T] | None, *, patient: bool) -> Loaded[T]:
        flight = self.flights.start(call.key, call.tags)
        outcome: Outcome = Ended.ABANDONED
        try:
            loaded, outcome = await self._fill(call, old, flight, patient)
        except Exception as exc:
            outcome = Crashed(exc)
            raise
        finally:
            self.flights.finish(call.key, flight, outcome)
        return loaded

    async def _fill(
        self, call: Call[T], old: Loaded[T] | None, flight: Flight, patient: bool
    ) -> tuple[Loaded[T], Outcome]:
        down = False
        lease: _Lease | Loaded[T] | None = None
        try:
            lease = await self._lease(call, patient)
        except BackendUnavailableError as exc:
            self._error(call.name, str(exc))
            down = True
        if isinstance(lease, Loaded):  # another process was faster
            self.stats.hits += 1
            self.emit("hit", call.name)
            return lease, self._landed(call, lease) if flight.waiting else Ended.OUTDATED
        if lease is None and old is not None and not patient:
            return self._stale(call, old), Ended.ABANDONED
        value, seconds = await self._under_lease(call, lease)
        loaded = Loaded(value, "miss", self._clock(), self._clock())
        return await self._keep(call, loaded, lease, flight, down, seconds)

    def _landed(self, call: Call[T], loaded: Loaded[T]) -> Outcome:
        try:
            data = call.codec.encode(loaded.value)
        except UnfaithfulValueError:
            return Ended.PRIVATE
        return Landed(data, loaded.stored_at, loaded.fresh_until)

    async def _keep(
        self,
        call: Call[T],
        loaded: Loaded[T],
        lease: _Lease | None,
        flight: Flight,
        down: bool,
        seconds: float,
    ) -> tuple[Loaded[T], Outcome]:
        """Keep the result if it is to be kept, and say whether it may be shared."""
        data, ttl, reason = self._encoded(call, loaded.value)
        now = self._clock()
        loaded = Loaded(loaded.value, "miss", now, now + (ttl or 0.0))
        landed = None if data is None else Landed(data, now, loaded.fresh_until)
        if landed is None and flight.waiting:
            self._mark_private(call.key)
        # those who come from here on do not join: the answer to "is it still valid?" is older
        self.flights.finish_joining(call.key, flight)
        if data is None or ttl is None or lease is None:
            self.stats.not_stored += 1
            self.emit("not_stored", call.name, detail=reason or "the backend is not available")
            valid = down or (lease is not None and await self._confirm(call, lease, flight))
            return loaded, landed if landed is not None and valid else Ended.PRIVATE
        return loaded, await self._store(call, lease, landed, ttl) or Ended.OUTDATED

    def _encoded(self, call: Call[T], value: T) -> tuple[bytes | None, float | None, str]:
        """Bytes that may be shared, seconds to keep them, and why not."""
        if call.shareable is not None and not call.shareable(value):
            return None, None, "not to be shared"
        try:
            data = call.codec.encode(value)
        except UnfaithfulValueError as exc:
            self._say_once(call.name, "unfaithful", f"{call.name} is not cached: {exc}")
            return None, None, f"no faithful encoding: {exc}"
        ttl = call.ttl_of(value) if call.store else None
        if ttl is None:
            return data, None, "not to be kept"
        if len(data) > call.policy.max_value_bytes:
            return data, None, "too large"
        return data, ttl * random.uniform(1 - call.policy.jitter, 1), ""  # noqa: S311

    async def _store(
        self, call: Call[T], lease: _Lease, landed: Landed | None, ttl: float
    ) -> Landed | None:
        """Store it; None when something was invalidated meanwhile."""
        if landed is None:
            return None
        policy, mark = call.policy, stamp(call.tags, lease.versions) or b""
        landed = Landed(landed.data, landed.stored_at, landed.stored_at + ttl)
        raw = pack(
            landed.data, landed.stored_at, landed.fresh_until, mark, policy.compress_above_bytes
        )
        try:
            kept = await self.store.store(
                call.key, lease.token, raw, ttl + policy.stale_seconds, call.tags, lease.versions
            )
        except BackendUnavailableError as exc:
            self._error(call.name, str(exc))
            return landed
        if not kept:
            self.stats.outdated += 1
            self.emit("outdated", call.name)
            return None
        self.stats.stored += 1
        self.emit("stored", call.name, size_bytes=len(raw))
        return landed

    async def _confirm(self, call: Call[T], lease: _Lease, flight: Flight) -> bool:
        """Whether nothing was invalidated since the lease began; then end it."""
        valid = False
        if flight.waiting:
            try:
                held = await self.store.renew(call.key, lease.token, call.policy.lease_seconds)
                versions = (await self.store.read(call.key, call.tags)).versions
                valid = held and versions == lease.versions
            except BackendUnavailableError as exc:
                self._error(call.name, str(exc))
        await self.store.release(call.key, lease.token)
        return valid

    async def _lease(self, call: Call[T], patient: bool) -> _Lease | Loaded[T] | None:
        """The lease, an entry that appeared meanwhile, or None: another process has it."""
        policy, token = call.policy, secrets.token_hex(8)
        deadline = time.monotonic() + policy.wait_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                snapshot = await self.store.acquire(
                    call.key, call.tags, token, policy.lease_seconds, policy.keep_seconds
                )
            except asyncio.CancelledError:
                self._spawn(self.store.release(call.key, token))  # it may have been granted
                raise
            if snapshot is not None:
                fresh = self._if_fresh(snapshot, call)
                if fresh is None:
                    return _Lease(token, snapshot.versions)
                await self.store.release(call.key, token)
                return fresh
            if not patient or time.monotonic() >= deadline:
                return None
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
            pause = min(pause * 1.6, LONGEST_PAUSE_SECONDS)
            fresh = self._if_fresh(await self.store.read(call.key, call.tags), call)
            if fresh is not None:
                return fresh

    def _if_fresh(self, snapshot: Snapshot, call: Call[T]) -> Loaded[T] | None:
        found = self._open(snapshot, call)
        return found if found is not None and self._clock() < found.fresh_until else None

    async def _under_lease(self, call: Call[T], lease: _Lease | None) -> tuple[T, float]:
        """Compute in the caller's own task, and keep the lease meanwhile."""
        if lease is None:
            return await self._computed(call)
        renewal = _Renewal(self, call, lease.token)
        try:
            return await self._computed(call)
        except Exception:
            await self.store.release(call.key, lease.token)
            raise
        except BaseException:
            self._spawn(self.store.release(call.key, lease.token))
            raise
        finally:
            renewal.stop()

    async def _computed(self, call: Call[T]) -> tuple[T, float]:
        started = time.perf_counter()
        this = Leading(self, call.key)
        token = leading.set((*leading.get(), this))
        try:
            value = await call.compute()
        finally:
            this.active = False  # a task that it started may live on with this context
            leading.reset(token)
        seconds = time.perf_counter() - started
        self.stats.misses += 1
        self.emit("miss", call.name, seconds=seconds)
        return value, seconds

    async def _alone(self, call: Call[T]) -> Loaded[T]:
        value, _ = await self._computed(call)
        now = self._clock()
        return Loaded(value, "miss", now, now)

    # -- bookkeeping -----------------------------------------------------------------------

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run in the background, referenced, until ``close``."""
        self._spawn(work)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _stale(self, call: Call[T], old: Loaded[T]) -> Loaded[T]:
        self.stats.stale += 1
        self.emit("stale", call.name)
        return Loaded(old.value, "stale", old.stored_at, old.fresh_until)

    def _is_private(self, key: str) -> bool:
        until = self._private.get(key)
        if until is None:
            return False
        if until > time.monotonic():
            return True
        del self._private[key]
        return False

    def _mark_private(self, key: str) -> None:
        self._private[key] = time.monotonic() + PRIVATE_SECONDS
        while len(self._private) > MAX_PRIVATE:
            self._private.popitem(last=False)

    def _error(self, name: str, detail: str) -> None:
        self.stats.errors += 1
        self.emit("error", name, detail=detail)

    def _note_failure(self, call: Call[T], exc: Exception) -> None:
        self.emit("error", call.name, detail=f"refresh failed: {type(exc).__name__}")
        if call.name not in self._failing and len(self._failing) < MAX_PRIVATE:
            self._failing.add(call.name)
            _logger.warning(
                "%s failed; its last result is used as long as it may be", call.name, exc_info=exc
            )

    def _say_once(self, name: str, what: str, text: str, trace: bool = False) -> None:
        if (name, what) not in self._said and len(self._said) < MAX_PRIVATE:
            self._said.add((name, what))
            _logger.warning("%s", text, exc_info=trace)


def is_failure(exc: Exception) -> bool:
    """A 404 is an answer; only what is no answer can be replaced by an old one."""
    return not (isinstance(exc, HTTPException) and exc.status_code < 500)


class _Renewal:
    """Renews a lease each third of its time, while a computation takes that long."""

    def __init__(self, loader: Loader, call: Call[Any], token: str) -> None:
        self._loader, self._call, self._token = loader, call, token
        self._active = True
        self._timer = self._schedule()

    def stop(self) -> None:
        self._active = False
        self._timer.cancel()

    def _schedule(self) -> asyncio.TimerHandle:
        seconds = self._call.policy.lease_seconds
        return asyncio.get_running_loop().call_later(seconds / 3, self._tick)

    def _tick(self) -> None:
        self._loader.spawn(self._renew())

    async def _renew(self) -> None:
        call = self._call
        try:
            held = await self._loader.store.renew(call.key, self._token, call.policy.lease_seconds)
        except BackendUnavailableError:
            held = True  # try again while it may still be ours
        if held and self._active:
            self._timer = self._schedule()
