"""From a call to its result: entry, somebody else's computation, or one's own."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from starlette.exceptions import HTTPException

from tijolo.cache._calls import Call, Lease, Loaded
from tijolo.cache._entries import pack, stamp, unpack
from tijolo.cache._flights import Crashed, Ended, Flight, Flights, Landed, Leading, Outcome, leading
from tijolo.cache._renewal import Renewal
from tijolo.cache._reports import Reports
from tijolo.cache._store import GuardedStore
from tijolo.cache.backends import Snapshot
from tijolo.cache.codecs import UnfaithfulValueError
from tijolo.cache.errors import BackendUnavailableError

T = TypeVar("T")
ATTEMPTS = 3
"""How often one who waited asks again when something was invalidated meanwhile."""
PRIVATE_SECONDS = 2.0
"""How long callers do not wait for one another after some waited for a result of no use to them."""
MAX_PRIVATE = 4_096
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.005, 0.25


class Loader:
    """The engine of one cache."""

    def __init__(
        self,
        store: GuardedStore,
        reports: Reports,
        *,
        max_background: int,
        clock: Callable[[], float],
    ) -> None:
        self.store, self.reports, self.stats = store, reports, reports.stats
        self._clock, self._max_background = clock, max_background
        self.flights = Flights()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._refreshing: set[str] = set()
        self._private: OrderedDict[str, float] = OrderedDict()

    async def load(self, call: Call[T]) -> Loaded[T]:
        """The result of ``call``: at most ``ttl`` old, or older as its policy allows."""
        old = await self.find(call)
        if old is None:
            return await self._miss(call, None)
        late = self._clock() - old.fresh_until
        if late < 0:
            self.stats.hits += 1
            if self.reports.observed:
                self.reports.emit("hit", call.name)
            return old
        if late < call.policy.stale_while_revalidate:
            return await self._revalidate(call, old)
        return await self._miss(call, old)

    async def find(self, call: Call[T]) -> Loaded[T] | None:
        """The entry, whatever its age; None where there is none that is valid."""
        try:
            snapshot = await self.store.read(call.key, call.tags)
        except BackendUnavailableError as exc:
            self.reports.error(call.name, str(exc))
            return None
        return self._open(snapshot, call)

    async def load_only(self, call: Call[T]) -> Loaded[T] | None:
        """A fresh entry, or None; nothing is computed."""
        found = await self.find(call)
        if found is None or self._clock() >= found.fresh_until:
            return None
        self.stats.hits += 1
        self.reports.emit("hit", call.name)
        return found

    async def put(self, call: Call[T], value: T) -> bool:
        """Keep ``value`` in the place of what is there or being computed."""
        data = call.codec.encode(value)
        policy = call.policy
        if len(data) > policy.max_value_bytes:
            await self.store.invalidate([call.key], [])  # what is there is not the value either
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
                lease = Lease(token, got.versions)
                return bool(await self._store(call, lease, Landed(data, now, now), ttl))
            except BackendUnavailableError as exc:
                self.reports.error(call.name, str(exc))
                return False
        return False

    async def refresh(self, call: Call[T]) -> Loaded[T]:
        """Compute now, whatever is kept."""
        await self.store.invalidate([call.key], [])
        self.flights.invalidate([call.key], [])
        return await self._miss(call, None)

    async def close(self) -> None:
        """End what runs in the background."""
        loop = asyncio.get_running_loop()
        tasks = [task for task in self._tasks if task.get_loop() is loop]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def now(self) -> float:
        """Seconds since the epoch, as the entries count."""
        return self._clock()

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
            self.reports.error(call.name, f"entry cannot be decoded: {type(exc).__name__}")
            return None
        return Loaded(value, "hit", entry.stored_at, entry.fresh_until)

    async def _revalidate(self, call: Call[T], old: Loaded[T]) -> Loaded[T]:
        busy = call.key in self._refreshing or self.flights.get(call.key) is not None
        if busy:
            return self._stale(call, old)
        if call.policy.background:
            if len(self._tasks) < self._max_background:
                self._refreshing.add(call.key)
                task = self._spawn(self._refresh_quietly(call, old))
                # not in the coroutine: one that is cancelled before it starts never runs
                task.add_done_callback(lambda _: self._refreshing.discard(call.key))
            return self._stale(call, old)
        try:
            return await self._lead(call, old, patient=False)
        except Exception as exc:
            if not is_failure(exc):
                await self.store.invalidate([call.key], [])
                raise
            if not await self._is_still_there(call, old):
                raise
            self.reports.failure(call.name, exc)
            return self._stale(call, old)

    async def _is_still_there(self, call: Call[T], old: Loaded[T]) -> bool:
        """Whether nothing was invalidated while the computation that failed was running."""
        try:
            snapshot = await self.store.read(call.key, call.tags)
        except BackendUnavailableError as exc:
            self.reports.error(call.name, str(exc))
            return not self.store.owes
        found = self._open(snapshot, call)
        return found is not None and found.stored_at >= old.stored_at

    async def _refresh_quietly(self, call: Call[T], old: Loaded[T]) -> None:
        try:
            await self._lead(call, old, patient=False)
        except Exception as exc:
            if is_failure(exc):
                self.reports.failure(call.name, exc)
            else:  # a 404 is news: the next caller is to hear it
                await self.store.invalidate([call.key], [])

    # -- computing -------------------------------------------------------------------------

    async def _miss(self, call: Call[T], old: Loaded[T] | None) -> Loaded[T]:
        try:
            loaded = await self._fresh(call, old)
        except Exception as exc:
            late = self._clock() - old.fresh_until if old is not None else 0.0
            if old is not None and not is_failure(exc):
                await self.store.invalidate([call.key], [])
            if old is None or late >= call.policy.stale_if_error or not is_failure(exc):
                raise
            if not await self._is_still_there(call, old):
                raise
            self.reports.failure(call.name, exc)
            return self._stale(call, old)
        self.reports.works_again(call.name)
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
                raise outcome.error.with_traceback(outcome.trace)
            if isinstance(outcome, Landed):
                self.stats.shared += 1
                self.reports.emit("shared", call.name)
                value = call.codec.decode(outcome.data)
                return Loaded(value, "miss", outcome.stored_at, outcome.fresh_until)
            if outcome is Ended.PRIVATE:
                break
            if outcome is Ended.FOUND:
                # not the leader's: who joined after an invalidation must not get what was before
                found = await self.load_only(call)
                if found is not None:
                    return found
            asked_again += outcome is not Ended.ABANDONED
        return await self._alone(call)

    async def _lead(self, call: Call[T], old: Loaded[T] | None, *, patient: bool) -> Loaded[T]:
        flight = self.flights.start(call.key, call.tags)
        outcome: Outcome = Ended.ABANDONED
        try:
            loaded, outcome = await self._fill(call, old, flight, patient)
        except Exception as exc:
            outcome = Crashed(exc, exc.__traceback__)
            raise
        finally:
            self.flights.finish(call.key, flight, outcome)
        return loaded

    async def _fill(
        self, call: Call[T], old: Loaded[T] | None, flight: Flight, patient: bool
    ) -> tuple[Loaded[T], Outcome]:
        down = False
        lease: Lease | Loaded[T] | None = None
        try:
            lease = await self._lease(call, patient)
        except BackendUnavailableError as exc:
            self.reports.error(call.name, str(exc))
            down = True
        if isinstance(lease, Loaded):  # another process was faster
            self.stats.hits += 1
            self.reports.emit("hit", call.name)
            return lease, Ended.FOUND
        if lease is None and old is not None and not patient:
            return self._stale(call, old), Ended.ABANDONED
        value, seconds = await self._under_lease(call, lease)
        loaded = Loaded(value, "miss", self._clock(), self._clock())
        try:
            return await self._keep(call, loaded, lease, flight, down, seconds)
        except BaseException:  # a condition= that raises, a caller who leaves
            if lease is not None:
                self._spawn(self.store.release(call.key, lease.token))
            raise

    async def _keep(
        self,
        call: Call[T],
        loaded: Loaded[T],
        lease: Lease | None,
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
            self.reports.emit(
                "not_stored", call.name, detail=reason or "the backend is not available"
            )
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
            self.reports.once(call.name, "unfaithful", f"{call.name} is not cached: {exc}")
            return None, None, f"no faithful encoding: {exc}"
        ttl = call.ttl_of(value) if call.store else None
        if ttl is None:
            return data, None, "not to be kept"
        if len(data) > call.policy.max_value_bytes:
            return data, None, "too large"
        return data, ttl * random.uniform(1 - call.policy.jitter, 1), ""  # noqa: S311

    async def _store(
        self, call: Call[T], lease: Lease, landed: Landed | None, ttl: float
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
            self.reports.error(call.name, str(exc))
            return landed
        if not kept:
            self.stats.outdated += 1
            self.reports.emit("outdated", call.name)
            return None
        self.stats.stored += 1
        self.reports.emit("stored", call.name, size_bytes=len(raw))
        return landed

    async def _confirm(self, call: Call[T], lease: Lease, flight: Flight) -> bool:
        """Whether nothing was invalidated since the lease began; then end it."""
        valid = False
        if flight.waiting:
            try:
                held = await self.store.renew(call.key, lease.token, call.policy.lease_seconds)
                versions = (await self.store.read(call.key, call.tags)).versions
                valid = held and versions == lease.versions
            except BackendUnavailableError as exc:
                self.reports.error(call.name, str(exc))
        await self.store.release(call.key, lease.token)
        return valid

    async def _lease(self, call: Call[T], patient: bool) -> Lease | Loaded[T] | None:
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
                    return Lease(token, snapshot.versions)
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

    async def _under_lease(self, call: Call[T], lease: Lease | None) -> tuple[T, float]:
        """Compute in the caller's own task, and keep the lease meanwhile."""
        if lease is None:
            return await self._computed(call)
        renewal = Renewal(self.store, call.key, lease.token, call.policy.lease_seconds, self._spawn)
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
        self.reports.emit("miss", call.name, seconds=seconds)
        return value, seconds

    async def _alone(self, call: Call[T]) -> Loaded[T]:
        value, _ = await self._computed(call)
        now = self._clock()
        return Loaded(value, "miss", now, now)

    # -- bookkeeping -----------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run in the background, referenced, until ``close``."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _stale(self, call: Call[T], old: Loaded[T]) -> Loaded[T]:
        self.stats.stale += 1
        self.reports.emit("stale", call.name)
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


def is_failure(exc: Exception) -> bool:
    """A 404 is an answer; only what is no answer can be replaced by an old one."""
    return not (isinstance(exc, HTTPException) and exc.status_code < 500)
