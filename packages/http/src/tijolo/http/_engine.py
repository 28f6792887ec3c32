"""Attempts, redirects and credentials of one call, and what they teach the circuits."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import httpx

from tijolo.http._bodies import bound
from tijolo.http._call import Call
from tijolo.http._origins import Origin, OriginTable, origin_of
from tijolo.http._redirects import redirected
from tijolo.http._verdicts import verdict
from tijolo.http.auth import Auth
from tijolo.http.circuit import CircuitState, Permit
from tijolo.http.errors import (
    CircuitOpenError,
    DeadlineExceededError,
    RedirectNotAllowedError,
    RetryAfterTooLongError,
    UpstreamError,
    UpstreamUnreachableError,
)
from tijolo.http.observe import AttemptEvent, CallEvent, Observers
from tijolo.http.retry import RetryPolicy, parse_retry_after

_log = logging.getLogger("tijolo.http")
_NO_BODY = (204, 304)
_CREDENTIALS = "tijolo_credentials"
_EXPECTED = (asyncio.CancelledError, CircuitOpenError)
_VALUE = re.compile(rb"(?:[^\x00\s]+(?:[ \t]+[^\x00\s]+)*)?")  # RFC 9110, section 5.5

_Pool = Callable[[], Awaitable[httpx.AsyncBaseTransport]]
"""The client's transport; raises when the client was closed between two attempts."""


@dataclass(slots=True)
class _Progress:
    """What one call has done so far."""

    call: Call
    started: float
    timer: asyncio.Timeout
    attempts: int = 0
    status: int | None = None
    error: BaseException | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """Carries calls out."""

    policy: RetryPolicy
    origins: OriginTable
    observers: Observers
    max_redirects: int
    auth: Auth | None
    auth_origin: str
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]

    async def run(self, call: Call, pool: _Pool, *, read: bool) -> httpx.Response:
        """The last attempt's response, its body read if ``read``."""
        timer = asyncio.timeout(call.deadline.remaining())
        progress = _Progress(call, self.clock(), timer)
        try:
            async with timer:
                response = await self._attempts(progress, pool, read=read)
        except TimeoutError as error:
            if not timer.expired():
                progress.error = error
                raise
            exceeded = DeadlineExceededError(call.origin, call.deadline.seconds)
            exceeded.request = call.sent or call.request()
            progress.error = exceeded
            raise exceeded from None
        except httpx.TransportError as error:
            progress.error = error
            if isinstance(error, UpstreamError):
                raise
            raise UpstreamUnreachableError.of(error, call.origin) from error
        except BaseException as error:
            progress.error = error
            raise
        finally:
            self._report(progress)
        return response

    async def _attempts(self, progress: _Progress, pool: _Pool, *, read: bool) -> httpx.Response:
        origin = self.origins.get(progress.call.origin)
        origin.budget.deposit()
        while True:
            outcome = await self._attempt(progress, origin, pool, read=read)
            if isinstance(outcome, httpx.Response):
                return outcome
            await self.sleep(outcome)

    async def _attempt(
        self, progress: _Progress, origin: Origin, pool: _Pool, *, read: bool
    ) -> httpx.Response | float:
        """One attempt: its response, or the seconds until the next."""
        progress.attempts += 1
        started, wait = self.clock(), None
        response: httpx.Response | None = None
        error: BaseException | None = None
        try:
            response = await self._exchange(progress, await pool())
            if read:
                await self._read(response)
            response.elapsed = timedelta(seconds=self.clock() - started)
            wait = await self._wait_after(response, progress, origin)
            if wait is None:
                return response
            await response.aclose()
            return wait
        except BaseException as raised:
            error = raised
            wait = self._wait_after_error(raised, progress, origin)
            if wait is None:
                raise
            return wait
        finally:
            progress.status = None if response is None else response.status_code
            self._attempted(progress, started, error, wait)

    @staticmethod
    async def _read(response: httpx.Response) -> None:
        try:
            await response.aread()
        finally:
            await response.aclose()

    async def _exchange(
        self, progress: _Progress, transport: httpx.AsyncBaseTransport
    ) -> httpx.Response:
        """One attempt: the request, its redirects, and once more where a token was too old."""
        call = progress.call
        request = call.request()
        history: list[httpx.Response] = []
        auth = self.auth if call.origin == self.auth_origin else None
        renewed = False
        while True:
            signed = await self._signed(auth, request) if auth else None
            response = await self._hop(signed or request, progress, transport)
            if response.status_code == 401 and auth and signed and call.replayable and not renewed:
                renewed = True
                try:
                    again = await auth.refresh(signed.extensions[_CREDENTIALS])
                except BaseException:
                    await response.aclose()
                    raise
                if again:
                    await response.aclose()
                    # a stream is used up and made anew; what a redirect asked for has none
                    request = request if history else call.request()
                    continue
            if not (call.follow_redirects and response.has_redirect_location):
                response.history = history
                return response
            await response.aclose()
            if len(history) >= self.max_redirects:
                raise RedirectNotAllowedError(call.origin, f"more than {self.max_redirects}")
            history.append(response)
            request = redirected(request, response)
            # whoever redirects back here has chosen the URL: not with our credentials
            if origin_of(request.url) != self.auth_origin:
                auth = None

    @staticmethod
    async def _signed(auth: Auth, request: httpx.Request) -> httpx.Request | None:
        """``request`` with credentials; None where the caller gave some."""
        credentials = await auth.headers()
        if any(name in request.headers for name in credentials):
            return None
        headers = request.headers.copy()
        headers.update(credentials)
        signed = httpx.Request(
            request.method,
            request.url,
            headers=headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        signed.extensions = {**request.extensions, _CREDENTIALS: credentials}
        return signed

    async def _hop(
        self, request: httpx.Request, progress: _Progress, transport: httpx.AsyncBaseTransport
    ) -> httpx.Response:
        """One request and the headers of its response, with leave of the origin's circuit."""
        _refuse_illegal(request)
        host = origin_of(request.url)
        origin = self.origins.get(host)
        permit = await self._admitted(origin, request)

        def ended(error: BaseException | None) -> None:
            origin.calls -= 1
            if origin.places is not None:
                origin.places.release()
            if isinstance(error, httpx.RequestError):
                error.request = request  # as httpx's own client does it
            self._judge(permit, error, progress)

        try:
            response = await transport.handle_async_request(request)
        except BaseException as error:
            ended(error)
            raise
        response.request = request
        if response.status_code >= 500:
            permit.failure()
        elif response.status_code == 429:
            permit.release()  # it is alive, and says that we are too many
        has_body = request.method != "HEAD" and response.status_code not in _NO_BODY
        try:
            return bound(
                response,
                host=host,
                limit=progress.call.max_response_bytes,
                has_body=has_body,
                on_end=ended,
            )
        except BaseException as error:
            ended(error)
            await response.aclose()
            raise

    async def _admitted(self, origin: Origin, request: httpx.Request) -> Permit:
        """A place among the calls to ``origin``, and its circuit's leave."""
        origin.calls += 1
        try:
            if origin.places is not None:
                await self._wait_for_place(origin.places, request)
            try:
                return origin.circuit.acquire()
            except CircuitOpenError:
                if origin.places is not None:
                    origin.places.release()
                raise
        except BaseException:
            origin.calls -= 1
            raise

    @staticmethod
    async def _wait_for_place(places: asyncio.Semaphore, request: httpx.Request) -> None:
        timer = asyncio.timeout(request.extensions["timeout"]["pool"])
        try:
            async with timer:
                await places.acquire()
        except TimeoutError:
            if not timer.expired():
                raise
            raise httpx.PoolTimeout("every call to the origin is in use", request=request) from None

    @staticmethod
    def _judge(permit: Permit, error: BaseException | None, progress: _Progress) -> None:
        if error is None:
            permit.success()
        elif isinstance(error, asyncio.CancelledError):
            # What cannot answer in the time that its callers give it is failing; what got only the
            # rest of that time, or whose caller has left, has not been tried.
            if not progress.timer.expired():
                permit.release()
            elif progress.call.deadline.own and progress.attempts == 1:
                permit.failure()
            else:
                permit.cut_off()
        elif verdict(error).blame:
            permit.failure()
        else:
            permit.release()

    async def _wait_after(
        self, response: httpx.Response, progress: _Progress, origin: Origin
    ) -> float | None:
        """Seconds until the next attempt; None when ``response`` is the answer."""
        if response.status_code not in self.policy.retry_statuses:
            return None
        if not self._may_repeat(progress, origin):
            return None
        asked = parse_retry_after(response.headers.get("retry-after"))
        if asked is None:
            return self._backoff(progress, origin)
        if asked > self.policy.max_retry_after_seconds or not progress.call.deadline.allows(asked):
            if not response.is_stream_consumed:
                await self._read(response)
            raise RetryAfterTooLongError(origin.circuit.name, asked, response)
        return asked if origin.budget.withdraw() else None

    def _wait_after_error(
        self, error: BaseException, progress: _Progress, origin: Origin
    ) -> float | None:
        if not isinstance(error, Exception) or not verdict(error).retry:
            return None
        return self._backoff(progress, origin) if self._may_repeat(progress, origin) else None

    def _may_repeat(self, progress: _Progress, origin: Origin) -> bool:
        call = progress.call
        return (
            progress.attempts < self.policy.max_attempts
            and call.idempotent
            and call.replayable
            and origin.circuit.state is not CircuitState.OPEN
        )

    def _backoff(self, progress: _Progress, origin: Origin) -> float | None:
        wait = self.policy.sleep_for(progress.attempts)
        if not progress.call.deadline.allows(wait) or not origin.budget.withdraw():
            return None
        return wait

    def _attempted(
        self, progress: _Progress, started: float, error: BaseException | None, wait: float | None
    ) -> None:
        call = progress.call
        if wait is not None:
            reason = progress.status if error is None else type(error).__name__
            _log.info(
                "attempt %d of %s %s ended with %s; next in %.2f s",
                progress.attempts,
                call.method,
                call.origin,
                reason,
                wait,
            )
        if self.observers:
            event = AttemptEvent(
                method=call.method,
                origin=call.origin,
                route=call.route,
                attempt=progress.attempts,
                status=progress.status,
                error=None if error is None else type(error).__name__,
                seconds=self.clock() - started,
                retry_in_seconds=wait,
            )
            self.observers.tell(lambda observer: observer.on_attempt(event))

    def _report(self, progress: _Progress) -> None:
        """One line and one event for the call. The query is left out: secrets travel in it."""
        call, error = progress.call, progress.error
        # an open circuit was logged when it opened
        failed = error is not None and not isinstance(error, _EXPECTED)
        level = logging.WARNING if failed or (progress.status or 0) >= 500 else logging.INFO
        seconds = self.clock() - progress.started
        outcome = type(error).__name__ if error is not None else progress.status
        if _log.isEnabledFor(level):
            _log.log(
                level,
                "%s %s%s %s",
                call.method,
                call.origin,
                call.route or call.url.raw_path.partition(b"?")[0].decode("ascii"),
                outcome,
                extra={
                    "http_method": call.method,
                    "http_origin": call.origin,
                    "http_route": call.route or None,
                    "http_status": progress.status,
                    "attempts": progress.attempts,
                    "duration_ms": round(seconds * 1000, 3),
                },
            )
        if self.observers:
            event = CallEvent(
                method=call.method,
                origin=call.origin,
                route=call.route,
                attempts=progress.attempts,
                status=progress.status if error is None else None,
                error=None if error is None else type(error).__name__,
                seconds=seconds,
            )
            self.observers.tell(lambda observer: observer.on_call(event))


def _refuse_illegal(request: httpx.Request) -> None:
    """h11 refuses such a header too, and quotes its value, which may be a credential."""
    for name, value in request.headers.raw:
        if not _VALUE.fullmatch(value):
            raise httpx.LocalProtocolError(
                f"the value of the header {name.decode('latin-1')!r} holds a line break, a NUL, or"
                " spaces around it",
                request=request,
            )
