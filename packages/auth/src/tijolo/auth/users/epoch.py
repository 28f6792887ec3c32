"""Whether a token is from before its user's last password, status or roles."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

from sqlalchemy import select

from tijolo.auth.principal import Principal
from tijolo.auth.revocation import RevocationChecker
from tijolo.auth.users.models import BaseUserModel, UserStatus
from tijolo.db import AsyncDatabaseManager


class EpochChecker:
    """Refuses tokens whose ``epoch`` is lower than the user's, or whose user may not log in.

    A subject that is no user is refused. It is a ``RevocationChecker``: what the database raises
    is raised, and ``GuardedChecker`` says what becomes of the request.

    Args:
        db: Where the users are.
        user_model: Their model.
        cache_seconds: How long an answer is believed; 0 asks at every request.
        cache_size: Users that are remembered; the one that was asked for first gives way.
        also: Asked first; what it has revoked is revoked.
        clock: Monotonic seconds.

    Raises:
        ValueError: for a negative time, or no room.
    """

    def __init__(
        self,
        db: AsyncDatabaseManager,
        user_model: type[BaseUserModel],
        *,
        cache_seconds: float = 5.0,
        cache_size: int = 10_000,
        also: RevocationChecker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if cache_seconds < 0 or cache_size < 1:
            raise ValueError("needs cache_seconds of 0 or more and a cache_size of 1 or more")
        self._db = db
        self._user_model = user_model
        self._cache_seconds = cache_seconds
        self._cache_size = cache_size
        self._also = also
        self._clock = clock
        self._cache: dict[str, tuple[int | None, float]] = {}
        self._forgotten = 0  # how often: what is being read at that moment must not be kept

    async def is_revoked(self, principal: Principal, token: str = "") -> bool:
        """Whether the principal's login was ended."""
        if self._also is not None and await self._also.is_revoked(principal, token):
            return True
        epoch = await self._epoch(principal.subject)
        return epoch is None or principal.epoch < epoch

    def forget(self, subject: str) -> None:
        """Ask again at the next request of ``subject``."""
        self._forgotten += 1
        self._cache.pop(subject, None)

    async def _epoch(self, subject: str) -> int | None:
        """The epoch that tokens must have; None where there is nobody who may log in."""
        known = self._cache.get(subject)
        if known is not None and self._clock() < known[1]:
            return known[0]
        forgotten = self._forgotten
        epoch = await self._read(subject)
        if self._cache_seconds and forgotten == self._forgotten:
            self._cache.pop(subject, None)
            while len(self._cache) >= self._cache_size:
                del self._cache[next(iter(self._cache))]
            self._cache[subject] = (epoch, self._clock() + self._cache_seconds)
        return epoch

    async def _read(self, subject: str) -> int | None:
        try:
            user_id = UUID(subject)
        except ValueError:
            return None
        model = self._user_model
        query = select(model.auth_epoch).where(
            model.id == user_id, model.status == UserStatus.ACTIVE, model.is_active.is_(True)
        )
        async with self._db.read_only() as session:
            return await session.scalar(query)
