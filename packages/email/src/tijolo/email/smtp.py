"""Sending over SMTP (RFC 5321), on connections that are used again."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping

from tijolo.email._smtp_pool import SMTPPool
from tijolo.email._smtp_session import SMTPSession, local_hostname, open_session
from tijolo.email.errors import (
    EmailBusyError,
    EmailConnectionError,
    EmailDeliveryError,
    EmailOutcomeUnknownError,
)
from tijolo.email.prepared import PreparedEmail
from tijolo.email.results import DeliveryStatus, RecipientResult
from tijolo.email.smtp_options import Clock, PoolLimits, RetryPolicy, SMTPServer, SMTPTimeouts

_log = logging.getLogger("tijolo.email")
_HEALTH_SECONDS = 10.0


class SMTPBackend:
    """Sends over a bounded pool of connections to one server.

    Transient refusals (4yz) and connections lost before the server agreed to take the data are
    tried again as ``retry`` says, for the recipients that are left; a permanent refusal (5yz) is
    not. A pooled connection that turns out dead is replaced once, at once. After the server took
    the data nothing is sent a second time.

    Args:
        server: Where to, and as whom.
        timeouts: For each phase.
        pool: How many connections, and for how long.
        retry: Further attempts.
        close_grace_seconds: How long ``disconnect`` waits for what is being sent.
        clock: Monotonic seconds.
        sleep: Waits between attempts.
    """

    def __init__(
        self,
        server: SMTPServer,
        *,
        timeouts: SMTPTimeouts | None = None,
        pool: PoolLimits | None = None,
        retry: RetryPolicy | None = None,
        close_grace_seconds: float = 5.0,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.server = server
        self._timeouts = timeouts or SMTPTimeouts()
        self._limits = pool or PoolLimits()
        self._retry = retry or RetryPolicy()
        self._grace = close_grace_seconds
        self._clock = clock
        self._sleep = sleep
        self._pools: dict[asyncio.AbstractEventLoop, SMTPPool] = {}
        self._opening: tuple[ssl.SSLContext | None, str] | None = None
        self._health: tuple[float, bool] | None = None
        self._checking: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    async def connect(self) -> None:
        """Read the certificates; no connection is opened, so that a server that is down at the
        start of the service does not keep it from starting. ``health_check`` tells.

        Raises:
            OSError: ``ca_file`` cannot be read.
        """
        await self._prepare()

    async def disconnect(self) -> None:
        """Wait for what is being sent, then close every connection of this event loop."""
        pool, self._health = self._pools.pop(asyncio.get_running_loop(), None), None
        if pool is not None:
            await pool.close(self._grace)

    async def health_check(self) -> bool:
        """Whether the server lets us in: connect, encrypt, log in; asked every 10 s at most.

        Never raises.
        """
        loop = asyncio.get_running_loop()
        if self._checking is None or self._checking[0] is not loop:
            self._checking = loop, asyncio.Lock()  # one lock is of one loop
        async with self._checking[1]:
            now = self._clock()
            if self._health is None or now - self._health[0] >= _HEALTH_SECONDS:
                before = self._health is None or self._health[1]
                self._health = now, await self._answers(was_well=before)
            return self._health[1]

    async def _answers(self, *, was_well: bool) -> bool:
        try:
            session = await self._open()
        except Exception as exc:
            if was_well:
                _log.warning("the e-mail server does not let us in", exc_info=exc)
            return False
        await session.quit()
        if not was_well:
            _log.info("the e-mail server lets us in again")
        return True

    async def send(self, email: PreparedEmail) -> Mapping[str, RecipientResult]:
        """Send it, to each recipient once.

        Raises:
            EmailDeliveryError: nobody gets it.
        """
        results: dict[str, RecipientResult] = {}
        pending: tuple[str, ...] = email.recipients
        # one for all attempts: what is disconnected meanwhile opens no connection any more
        pool = await self._prepare()
        for attempt in range(1, self._retry.attempts + 1):
            last = attempt == self._retry.attempts
            try:
                results |= await self._attempt(pool, email, pending)
            except EmailDeliveryError as error:
                # who waited for a connection in vain has waited enough
                waited = isinstance(error, EmailBusyError)
                if last or not error.transient or waited or pool.closed:
                    return _given_up(results, pending, error)
            pending = tuple(each for each in email.recipients if _may_try_again(results.get(each)))
            if last or not pending:
                break
            await self._sleep(random.uniform(0, self._retry.longest_pause(attempt)))  # noqa: S311
        return results

    async def _attempt(
        self, pool: SMTPPool, email: PreparedEmail, recipients: tuple[str, ...]
    ) -> Mapping[str, RecipientResult]:
        reused = False
        try:
            async with pool.lease() as lease:
                reused = lease.reused
                return await lease.session.send(email, recipients)
        except EmailConnectionError:
            if not reused:
                raise
        # it was dead already when we took it: NOOP says fine, and the send fails
        async with pool.lease(fresh=True) as lease:
            return await lease.session.send(email, recipients)

    async def _prepare(self) -> SMTPPool:
        loop = asyncio.get_running_loop()
        if self._opening is None:
            await self._prepare_opening()
        if loop not in self._pools:
            for other in [each for each in list(self._pools) if each.is_closed()]:
                self._pools.pop(other, None)  # its connections died with it
            self._pools[loop] = SMTPPool(self._open, self._limits, self._clock)
        return self._pools[loop]

    async def _open(self) -> SMTPSession:
        opening = self._opening or await self._prepare_opening()
        return await open_session(self.server, self._timeouts, *opening)

    async def _prepare_opening(self) -> tuple[ssl.SSLContext | None, str]:
        context = await asyncio.to_thread(self.server.make_tls_context)
        self._opening = context, await local_hostname(self.server)
        return self._opening


def _may_try_again(result: RecipientResult | None) -> bool:
    return result is None or result.status is DeliveryStatus.DEFERRED


def _given_up(
    results: dict[str, RecipientResult], pending: tuple[str, ...], error: EmailDeliveryError
) -> Mapping[str, RecipientResult]:
    """Who got it stays accepted; the rest did not, for this reason. Raises it if all did not."""
    if not any(each.status is DeliveryStatus.ACCEPTED for each in results.values()):
        raise error
    status = DeliveryStatus.DEFERRED if error.transient else DeliveryStatus.REFUSED
    if isinstance(error, EmailOutcomeUnknownError):
        status = DeliveryStatus.UNKNOWN
    reason = RecipientResult(
        status=status, smtp_code=error.smtp_code, reply=error.reply or error.message
    )
    return results | dict.fromkeys(pending, reason)
