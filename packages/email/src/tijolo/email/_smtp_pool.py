"""Connections that are used again, few at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tijolo.email._smtp_session import SMTPSession
from tijolo.email.errors import EmailBusyError, EmailConnectionError
from tijolo.email.smtp_options import Clock, PoolLimits


@dataclass
class Lease:
    """A session for one message."""

    session: SMTPSession
    reused: bool
    """It served before: the server may have hung up since, unnoticed."""


class SMTPPool:
    """At most so many sessions at once, of one event loop; the last used is used first."""

    def __init__(
        self, open_session: Callable[[], Awaitable[SMTPSession]], limits: PoolLimits, clock: Clock
    ) -> None:
        self._open = open_session
        self._limits = limits
        self._clock = clock
        self._idle: list[SMTPSession] = []
        self._slots = asyncio.Semaphore(limits.max_connections)
        self._in_use: set[SMTPSession] = set()
        self._goodbyes: set[asyncio.Task[None]] = set()
        self._reaper: asyncio.TimerHandle | None = None
        self._all_done = asyncio.Event()
        self._all_done.set()
        self._leases = 0
        self.closed = False

    @asynccontextmanager
    async def lease(self, *, fresh: bool = False) -> AsyncGenerator[Lease]:
        """A session, which is kept afterwards if its conversation is where it began.

        Raises:
            EmailBusyError: all are in use for too long.
            EmailDeliveryError: none can be opened.
        """
        await self._take_slot()
        self._leases += 1
        self._all_done.clear()
        try:
            lease = await self._get(fresh=fresh)
            self._in_use.add(lease.session)
            try:
                yield lease
            finally:
                self._in_use.discard(lease.session)
                self._put_back(lease.session)
        finally:
            self._leases -= 1
            if not self._leases:
                self._all_done.set()
            self._slots.release()

    async def _take_slot(self) -> None:
        try:
            async with asyncio.timeout(self._limits.wait_seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise EmailBusyError(
                f"all {self._limits.max_connections} connections to the e-mail server were in use"
                f" for {self._limits.wait_seconds:g} s",
                transient=True,
            ) from None
        if self.closed:
            self._slots.release()
            raise _disconnected()

    async def _get(self, *, fresh: bool) -> Lease:
        while self._idle and not fresh:
            session = self._idle.pop()
            if await self._is_alive(session):
                return Lease(session, reused=True)
            session.abort()
        # one that was dead is seldom alone, and the old ones count as connections too
        while self._idle and len(self._idle) + self._leases > self._limits.max_connections:
            self._idle.pop(0).abort()
        session = await self._open()
        if self.closed:  # meanwhile; nobody would close this one
            session.abort()
            raise _disconnected()
        return Lease(session, reused=False)

    async def _is_alive(self, session: SMTPSession) -> bool:
        if not session.is_open:
            return False
        if self._clock() - session.idle_since < self._limits.noop_after_seconds:
            return True
        try:
            return await session.answers()
        except BaseException:
            session.abort()  # cancelled: nobody has it any more
            raise

    def _put_back(self, session: SMTPSession) -> None:
        if not (session.reusable and session.is_open):
            session.abort()
        elif self.closed or session.messages >= self._limits.max_messages:
            self._say_goodbye(session)
        else:
            session.idle_since = self._clock()
            self._idle.append(session)
            self._schedule()

    def _schedule(self) -> None:
        if self._reaper is None and self._idle:
            oldest = min(session.idle_since for session in self._idle)
            delay = oldest + self._limits.idle_seconds - self._clock()
            self._reaper = asyncio.get_running_loop().call_later(max(delay, 0.01), self._reap)

    def _reap(self) -> None:
        self._reaper = None
        oldest = self._clock() - self._limits.idle_seconds
        for session in [each for each in self._idle if each.idle_since <= oldest]:
            self._idle.remove(session)
            self._say_goodbye(session)
        self._schedule()

    def _say_goodbye(self, session: SMTPSession) -> None:
        task = asyncio.get_running_loop().create_task(session.quit())
        self._goodbyes.add(task)
        task.add_done_callback(self._goodbyes.discard)

    async def close(self, grace_seconds: float) -> None:
        """Let what is under way end, for so long; then close everything."""
        self.closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self._all_done.wait()
        for session in list(self._in_use):
            session.abort()
        while self._idle:
            self._say_goodbye(self._idle.pop())
        if self._reaper is not None:
            self._reaper.cancel()
        if self._goodbyes:
            await asyncio.wait(set(self._goodbyes))


def _disconnected() -> EmailConnectionError:
    return EmailConnectionError("the e-mail backend was disconnected", transient=True)
