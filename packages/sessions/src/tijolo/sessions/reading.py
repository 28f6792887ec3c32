"""From the id that a browser sent to the session that holds: memory, store, user, outage."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

from tijolo.core import BaseStrEnum, utcnow
from tijolo.sessions._breaker import LoggedBreaker
from tijolo.sessions._replaced import ReplacedIds
from tijolo.sessions.errors import SessionStoreUnavailableException
from tijolo.sessions.events import LoadOutcome, SessionEventKind, SessionMetrics, SessionReporter
from tijolo.sessions.recent import RecentSessions
from tijolo.sessions.session import Session
from tijolo.sessions.settings import SessionSettings
from tijolo.sessions.store import SessionStore
from tijolo.sessions.user_check import CachedUserCheck

_log = logging.getLogger("tijolo.sessions")


class OutagePolicy(BaseStrEnum):
    """What becomes of a request whose session cannot be looked up, because the store is down or
    nobody can tell whether its user may stay."""

    UNAVAILABLE = "unavailable"
    """It is a 503."""
    ANONYMOUS = "anonymous"
    """It goes on as nobody's. It cannot write to a session, nor start one."""
    LAST_KNOWN_GOOD = "last_known_good"
    """What this process loaded within ``SESSION_LAST_KNOWN_GOOD_SECONDS`` counts; else a 503. A
    session that ended meanwhile lives so long."""


class SessionReader:
    """Looks sessions up: at most one round trip, none while the store is known to be down.

    Args:
        store: Where they are.
        settings: How long local answers count.
        users: Whether their users may stay; None asks nobody.
        metrics: Told of every search.
        report: Told of the sessions that end because their user may not stay.
        clock: Monotonic seconds.
        now: The time of day, aware.
    """

    def __init__(
        self,
        store: SessionStore,
        settings: SessionSettings,
        *,
        users: CachedUserCheck | None = None,
        metrics: SessionMetrics | None = None,
        report: SessionReporter | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utcnow,
    ) -> None:
        self._store = store
        self._users = users
        self._metrics = metrics
        self._report = report
        self._touch_seconds = settings.session_touch_seconds
        self._fresh = settings.SESSION_LOCAL_CACHE_SECONDS
        self._stale = settings.SESSION_LAST_KNOWN_GOOD_SECONDS
        address: str | None = getattr(store, "address", None)
        name = "the session store" if address is None else f"the session store at {address}"
        self._breaker = LoggedBreaker(name, settings.SESSION_STORE_RETRY_SECONDS, clock)
        self.replaced = (
            None if settings.SESSION_RENEWAL_SECONDS is None else ReplacedIds(store, report)
        )
        self.recent = (
            RecentSessions(max_entries=settings.SESSION_LOCAL_CACHE_SIZE, clock=clock, now=now)
            if self._fresh or self._stale
            else None
        )

    @property
    def has_last_known_good(self) -> bool:
        """Whether anything is remembered for an outage."""
        return bool(self._stale)

    def load(
        self,
        session_id_hash: str,
        *,
        policy: OutagePolicy = OutagePolicy.UNAVAILABLE,
        check_user: bool = True,
    ) -> Awaitable[Session | None]:
        """The session of that id, if it lives and its user may stay.

        Args:
            session_id_hash: SHA-256 of the cookie's value.
            policy: What to do when nobody can tell.
            check_user: False for who is about to end it: that needs nobody's leave.

        Raises:
            SessionStoreUnavailableException: Nobody can tell, and ``policy`` knows no other way.
        """
        # without a coroutine for each thing that is not switched on
        users = self._users if check_user else None
        if self._metrics is not None:
            return self._measured(self._metrics, session_id_hash, policy, users)
        if self.recent is None and users is None:
            return self._from_store(session_id_hash)
        return self._found(session_id_hash, policy, users)

    async def _measured(
        self,
        metrics: SessionMetrics,
        session_id_hash: str,
        policy: OutagePolicy,
        users: CachedUserCheck | None,
    ) -> Session | None:
        started = time.perf_counter()
        outcome = LoadOutcome.UNAVAILABLE
        try:
            session, outcome = await self._load(session_id_hash, policy, users)
        finally:
            metrics.loaded(outcome, time.perf_counter() - started)
        return session

    async def _found(
        self, session_id_hash: str, policy: OutagePolicy, users: CachedUserCheck | None
    ) -> Session | None:
        return (await self._load(session_id_hash, policy, users))[0]

    async def _load(
        self, session_id_hash: str, policy: OutagePolicy, users: CachedUserCheck | None
    ) -> tuple[Session | None, LoadOutcome]:
        session, outcome = await self._searched(session_id_hash, policy)
        if session is None or users is None:
            return session, outcome
        try:
            stays: bool | None = await users.may_stay(session)
        except SessionStoreUnavailableException:
            stays, outcome = users.stayed(session), LoadOutcome.LAST_KNOWN_GOOD
            if stays is None or policy is not OutagePolicy.LAST_KNOWN_GOOD:
                raise
        if stays:
            return session, outcome
        await self._end(session)
        return None, LoadOutcome.USER_ENDED

    async def _searched(
        self, session_id_hash: str, policy: OutagePolicy
    ) -> tuple[Session | None, LoadOutcome]:
        recent = self.recent
        if recent is not None and self._fresh:
            session = recent.get(session_id_hash, max_age_seconds=self._fresh)
            if session is not None:
                return session, LoadOutcome.CACHED
        try:
            if recent is None:
                session = await self._from_store(session_id_hash)
            else:
                session = await recent.load(session_id_hash, self._from_store)
        except SessionStoreUnavailableException:
            session = None
            if recent is not None and policy is OutagePolicy.LAST_KNOWN_GOOD:
                session = recent.get(session_id_hash, max_age_seconds=self._stale)
            if session is None:
                raise
            return session, LoadOutcome.LAST_KNOWN_GOOD
        return session, LoadOutcome.ABSENT if session is None else LoadOutcome.FOUND

    async def _from_store(self, session_id_hash: str) -> Session | None:
        breaker = self._breaker
        if breaker.failures:
            breaker.check()
        try:
            session = await self._store.get(session_id_hash, touch_seconds=self._touch_seconds)
            if session is None and self.replaced is not None:
                ended = await self.replaced.heed(session_id_hash)
                if ended is not None and self.recent is not None:
                    self.recent.forget_user(ended)
        except SessionStoreUnavailableException as error:
            breaker.lost(error)
            raise
        if breaker.failures:
            breaker.found()
        return session

    async def _end(self, session: Session) -> None:
        if self.recent is not None:
            self.recent.forget(session.session_id)
        try:
            ended = await self._store.delete(session.session_id)
        except SessionStoreUnavailableException:
            # refused here all the same, now and at the next request
            _log.info("a session whose user may not stay could not be deleted")
            return
        if ended and self._report is not None:
            await self._report(SessionEventKind.REVOKED, session)
