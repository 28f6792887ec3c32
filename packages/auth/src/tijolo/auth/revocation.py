"""Tokens that ended before their time: by their id, their session, or their user's epoch."""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections.abc import Callable
from typing import Protocol

from tijolo.auth._claims import MAX_EPOCH, is_epoch, is_moment
from tijolo.auth.principal import Principal
from tijolo.core import BaseStrEnum, ServiceUnavailableException
from tijolo.core.breaker import Breaker

_SWEPT_AT_ONCE = 100
_log = logging.getLogger("tijolo.auth.revocation")


class TokenMode(BaseStrEnum):
    """Who is asked whether a good token was revoked."""

    STATELESS = "stateless"
    """Nobody: a token lives until its ``exp``. Logging out ends the refresh token only."""
    HYBRID = "hybrid"
    """Somebody, once in a while: an answer is believed for ``REVOCATION_CACHE_SECONDS``."""
    STATEFUL = "stateful"
    """Somebody, at every request."""


class FailureMode(BaseStrEnum):
    """What becomes of a good token while nobody can say whether it was revoked."""

    CLOSED = "fail_closed"
    """The request is a 503."""
    OPEN = "fail_open"
    """The token is believed."""


class RevocationUnavailableException(ServiceUnavailableException):
    """Whether the token was revoked cannot be told now, and guessing is not allowed."""

    code = "REVOCATION_CHECK_UNAVAILABLE"
    message = "The token cannot be checked now; try again"


class RevocationStoreFullException(ServiceUnavailableException):
    """The memory store holds all it may: the revocation did not happen."""

    code = "REVOCATION_STORE_FULL"
    message = "The token cannot be revoked now; try again"


class RevocationChecker(Protocol):
    """Says whether a verified token was revoked since."""

    async def is_revoked(self, principal: Principal, token: str) -> bool:
        """Whether ``token``, which says ``principal``, has been revoked.

        Raises:
            Exception: of any kind, when it cannot be told.
        """
        ...


class RevocationStore(RevocationChecker, Protocol):
    """Keeps revocations for as long as the tokens would have lived.

    ``expires_at`` is in seconds since the epoch: when the last token that the revocation is
    about has expired, leeway included. A ``ValueError`` for an empty name, which would stand for
    all tokens without one, an epoch that is none, or a moment out of range.
    """

    async def revoke_token(self, token_id: str, *, expires_at: float) -> None:
        """End the token of that ``jti``."""
        ...

    async def revoke_session(self, session_id: str, *, expires_at: float) -> None:
        """End all tokens of the login of that ``sid``."""
        ...

    async def revoke_before_epoch(self, subject: str, epoch: int, *, expires_at: float) -> None:
        """End all tokens of ``subject`` whose ``epoch`` is lower; never lowers what is stored."""
        ...


class MemoryRevocationStore:
    """Revocations of this process alone, for one process and for tests.

    It holds ``max_entries``. When they are all still needed, a new revocation raises
    ``RevocationStoreFullException``: nothing that was revoked comes back to life to make room.

    Args:
        max_entries: Revocations that are kept at once.
        clock: Seconds since the epoch.

    Raises:
        ValueError: for fewer than one entry.
    """

    def __init__(
        self, *, max_entries: int = 100_000, clock: Callable[[], float] = time.time
    ) -> None:
        if max_entries < 1:
            raise ValueError(f"max_entries must be 1 or more, got {max_entries}")
        self.max_entries = max_entries
        self._clock = clock
        self._entries: dict[tuple[str, str], tuple[int, float]] = {}
        # each entry once, with the end that it had at first
        self._ends: list[tuple[float, tuple[str, str]]] = []

    async def is_revoked(self, principal: Principal, token: str = "") -> bool:
        """Whether the token, its session or its epoch has been revoked."""
        return (
            (bool(principal.token_id) and self._holds("jti", principal.token_id))
            or (principal.session_id is not None and self._holds("sid", principal.session_id))
            or self._lowest_epoch(principal.subject) > principal.epoch
        )

    async def revoke_token(self, token_id: str, *, expires_at: float) -> None:
        """End the token of that ``jti``."""
        self._put(("jti", token_id), 1, expires_at)

    async def revoke_session(self, session_id: str, *, expires_at: float) -> None:
        """End all tokens of that ``sid``."""
        self._put(("sid", session_id), 1, expires_at)

    async def revoke_before_epoch(self, subject: str, epoch: int, *, expires_at: float) -> None:
        """End all tokens of ``subject`` of an older epoch."""
        self._put(("sub", subject), epoch, expires_at)

    def _holds(self, kind: str, name: str) -> bool:
        entry = self._entries.get((kind, name))
        return entry is not None and entry[1] > self._clock()

    def _lowest_epoch(self, subject: str) -> int:
        entry = self._entries.get(("sub", subject))
        return entry[0] if entry is not None and entry[1] > self._clock() else 0

    def _put(self, key: tuple[str, str], value: int, expires_at: float) -> None:
        check_revocation(key[1], value, expires_at)
        now = self._clock()
        if expires_at <= now:
            return
        old = self._entries.get(key)
        if old is None:
            self._make_room(now)
            heapq.heappush(self._ends, (expires_at, key))
        else:  # a replayed call must not shorten or lower what is there
            value, expires_at = max(value, old[0]), max(expires_at, old[1])
        self._entries[key] = (value, expires_at)

    def _make_room(self, now: float) -> None:
        for _ in range(_SWEPT_AT_ONCE):  # more than one comes: it keeps up, and nobody waits long
            if not self._ends or self._ends[0][0] > now:
                break
            key = self._ends[0][1]
            end = self._entries[key][1]
            if end > now:
                heapq.heapreplace(self._ends, (end, key))
            else:
                heapq.heappop(self._ends)
                del self._entries[key]
        if len(self._entries) >= self.max_entries:
            raise RevocationStoreFullException(retry_after_seconds=1)


def check_revocation(name: str, epoch: int, expires_at: float) -> None:
    """Hold what a store is given to what it can keep.

    Raises:
        ValueError: as :class:`RevocationStore` says.
    """
    if not name:
        raise ValueError("a revocation needs the id of a token or session, or a subject")
    if not is_epoch(epoch):
        raise ValueError(f"an epoch is a whole number of 0 to {MAX_EPOCH}, got {epoch!r}")
    if not is_moment(expires_at):
        raise ValueError(f"expires_at must be seconds since the epoch, got {expires_at!r}")


class GuardedChecker:
    """Asks another checker, with a deadline, a policy for when it fails, and a short memory.

    An answer is believed for ``cache_seconds`` from the moment it was asked for; that a token was
    revoked is not overruled by an answer that was longer on its way. The oldest of ``cache_size``
    gives way. A failure is logged once, and its end again.

    After three failures in a row one request in ``retry_seconds`` asks; to the others the failure
    mode applies at once, without the wait.

    Args:
        checker: Who is asked.
        failure_mode: What happens while it does not answer.
        timeout_seconds: Longest wait for an answer.
        cache_seconds: 0 asks every time.
        cache_size: Answers that are remembered.
        retry_seconds: How long a checker that is down is left alone.
        clock: Monotonic seconds.

    Raises:
        ValueError: for a timeout that is not positive, or a negative time or size.
    """

    def __init__(
        self,
        checker: RevocationChecker,
        *,
        failure_mode: FailureMode = FailureMode.CLOSED,
        timeout_seconds: float = 3.0,
        cache_seconds: float = 0.0,
        cache_size: int = 10_000,
        retry_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if timeout_seconds <= 0 or cache_seconds < 0 or cache_size < 1:
            raise ValueError("needs a positive timeout and size, and cache_seconds of 0 or more")
        self.checker = checker
        self.failure_mode = failure_mode
        self.timeout_seconds = timeout_seconds
        self.cache_seconds = cache_seconds
        self.failures = 0
        self._cache_size = cache_size
        self._cache: dict[str, tuple[bool, float]] = {}
        self._breaker = Breaker(retry_seconds, clock=clock)
        self._clock = clock

    async def is_revoked(self, principal: Principal, token: str) -> bool:
        """The checker's answer, or the remembered one.

        Raises:
            RevocationUnavailableException: It did not answer, and the mode is fail_closed.
        """
        known = self._known(principal.token_id)
        if known is not None:
            return known
        if self._breaker.failures and not self._breaker.may_try():
            return self._without_answer(None)
        asked = self._clock()
        try:
            async with asyncio.timeout(self.timeout_seconds):
                revoked = await self.checker.is_revoked(principal, token)
        except Exception as error:
            self._failed(error)
            return self._without_answer(error)
        self._answered()
        # a question asked before the token was revoked may be answered after one asked since
        revoked = revoked or self._known(principal.token_id) is True
        self._remember(principal.token_id, revoked, asked)
        return revoked

    def _without_answer(self, error: Exception | None) -> bool:
        if self.failure_mode is FailureMode.OPEN:
            return False
        raise RevocationUnavailableException(retry_after_seconds=1) from error

    def _known(self, token_id: str) -> bool | None:
        entry = self._cache.get(token_id)
        if entry is None or not token_id:
            return None
        revoked, until = entry
        return revoked if self._clock() < until else None

    def _remember(self, token_id: str, revoked: bool, asked: float) -> None:
        if not self.cache_seconds or not token_id:
            return
        self._cache.pop(token_id, None)
        while len(self._cache) >= self._cache_size:
            del self._cache[next(iter(self._cache))]
        # asked again later in either case: the memory is there to spare calls, not to decide
        self._cache[token_id] = (revoked, asked + self.cache_seconds)

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        first = not self._breaker.failures
        self._breaker.failed()
        if first:
            _log.error(
                "revocation cannot be checked (%s); %s", type(error).__name__, self.failure_mode
            )

    def _answered(self) -> None:
        if self._breaker.failures:
            self._breaker.answered()
            _log.warning("revocation can be checked again, after %d failures", self.failures)
