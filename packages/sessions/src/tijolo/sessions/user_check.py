"""Whether a user may stay signed in, asked while their session is used."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from tijolo.core import ServiceUnavailableException
from tijolo.sessions._breaker import LoggedBreaker
from tijolo.sessions._under_way import UnderWay
from tijolo.sessions._within import within
from tijolo.sessions.errors import SessionStoreUnavailableException
from tijolo.sessions.session import Session

_MAX_ANSWERS = 10_000


class UserCheck(Protocol):
    """Says from which epoch on a user's sessions hold."""

    async def __call__(self, user_id: UUID) -> int | None:
        """The user's current ``auth_epoch``; None when they may not be signed in at all.

        Whoever keeps no epochs answers 0 for everybody who may.

        Raises:
            ServiceUnavailableException: It cannot tell now. OSError, TimeoutError included, says
                the same; anything else is a fault, and a 500.
        """
        ...


class CachedUserCheck:
    """Asks a ``UserCheck`` once in a while.

    The answer is believed for ``cache_seconds``; a disabled user is out that long after at most.

    Args:
        check: Who is asked.
        cache_seconds: 0 asks every time.
        stale_seconds: How long an answer is kept for :meth:`stayed`.
        retry_seconds: How long a check that failed a few times in a row is left alone.
        timeout_seconds: Longest wait for an answer; then it cannot tell.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        check: UserCheck,
        *,
        cache_seconds: float,
        stale_seconds: float = 0,
        retry_seconds: float = 0,
        timeout_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._check = check
        self._cache_seconds, self._stale_seconds = cache_seconds, stale_seconds
        self._timeout, self._clock = timeout_seconds, clock
        self._breaker = LoggedBreaker("the user check", retry_seconds, clock)
        self._answers: OrderedDict[UUID, tuple[int | None, float]] = OrderedDict()
        self._under_way = UnderWay[UUID]()

    async def may_stay(self, session: Session) -> bool:
        """Whether the user of ``session`` may stay signed in with it.

        Raises:
            SessionStoreUnavailableException: Nobody can tell.
        """
        user_id = session.user_id
        if user_id is None:
            return True
        known = self._answers.get(user_id)
        if known is not None and self._clock() - known[1] < self._cache_seconds:
            return _holds(session, known[0])
        return _holds(session, await self._asked(user_id))

    def stayed(self, session: Session) -> bool | None:
        """The same by the last answer, while nobody can tell; None where that is too old."""
        known = None if session.user_id is None else self._answers.get(session.user_id)
        if known is None or self._clock() - known[1] > self._stale_seconds:
            return None
        return _holds(session, known[0])

    def forget(self, user_id: UUID) -> None:
        """Ask again the next time; an answer that is under way is not kept."""
        self._under_way.outdate(user_id)
        self._answers.pop(user_id, None)

    async def _asked(self, user_id: UUID) -> int | None:
        asked_at = self._clock()
        if self._breaker.failures:
            self._breaker.check()
        asked, is_current = self._under_way.begin(user_id), False
        try:
            epoch = await within(self._timeout, self._check(user_id))
        except (ServiceUnavailableException, OSError) as error:
            self._breaker.lost(error)
            raise SessionStoreUnavailableException from error
        finally:
            is_current = self._under_way.end(user_id, asked)
        if self._breaker.failures:
            self._breaker.found()
        if (self._cache_seconds or self._stale_seconds) and is_current:
            self._answers[user_id] = (epoch, asked_at)
            self._answers.move_to_end(user_id)
            if len(self._answers) > _MAX_ANSWERS:
                self._answers.popitem(last=False)
        return epoch


def _holds(session: Session, epoch: int | None) -> bool:
    return epoch is not None and session.auth_epoch >= epoch
