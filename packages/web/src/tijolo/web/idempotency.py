"""A request with an idempotency key is carried out once, however often it is sent."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from itertools import chain, repeat
from typing import Any, Literal

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from tijolo.core import (
    AppException,
    ConflictException,
    ServiceUnavailableException,
    ValidationException,
)
from tijolo.web._idempotency_request import (
    IDEMPOTENCY_HEADER,
    SCOPE_KEY,
    Attempt,
    Credentials,
    PrincipalFunction,
    parse_key,
    read_body,
    replaying,
)
from tijolo.web._idempotency_run import Run
from tijolo.web._idempotency_unkept import UnkeptAnswers
from tijolo.web._logging import with_request_id
from tijolo.web._outage import StoreHealth
from tijolo.web._routes import name_the_route
from tijolo.web.handlers import known_problem
from tijolo.web.idempotency_answer import decode_answer
from tijolo.web.idempotency_store import IdempotencyStore, ReservationState

REPLAYED_HEADER = (b"idempotency-replayed", b"true")
UNSAFE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
NOT_FINAL_STATUSES = frozenset({401, 407, 408, 409, 421, 423, 424, 425, 429})

MAX_WAITING = 1_000
MAX_SECONDS = 3660 * 86_400
_FIRST_POLL_SECONDS, _LAST_POLL_SECONDS = 0.025, 0.5
_TRIES_LATER_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
_log = with_request_id(logging.getLogger("tijolo.web.idempotency"))


def is_final_status(status: int) -> bool:
    """Whether a response of ``status`` is the request's outcome, so that repeating it is no use.

    Not final are 5xx and what the same request may overcome later: 401, 407, 408, 409, 421, 423,
    424, 425, 429.
    """
    return status < 500 and status not in NOT_FINAL_STATUSES


class IdempotencyMiddleware:
    """Carry out a request with ``Idempotency-Key`` once, and give its answer to every repetition.

    As draft-ietf-httpapi-idempotency-key-header-07 says. The key is reserved before the
    application runs. A repetition while it runs waits, then is answered 409 with ``Retry-After``;
    afterwards it gets the same status, headers and body, marked ``Idempotency-Replayed: true``.
    The same key with another body or query is 422. Keys of different principals, methods and
    paths have nothing to do with each other.

    An outcome that is not final, an exception and a cancellation free the key. An answer that
    began as final and cannot be kept (too long, cut off, a file that the server sends) leaves the
    key used: a repetition is answered 409, for it must not be carried out again.

    Args:
        store: Where the keys are.
        ttl_seconds: How long answers are kept.
        header_name: The header with the key.
        methods: Methods that it works for.
        principal: Whose key it is; by default the digest of ``Authorization``, ``X-API-Key`` and
            the cookies.
        cookie_names: The cookies that say who calls, instead of all. A cookie that changes
            between two tries makes them two requests.
        final: Tells by its status whether an answer is kept.
        lease_seconds: How long the key of a process that was killed stays reserved; while the
            application runs, the lease is renewed.
        wait_seconds: How long a repetition waits for the first request's answer; 0 not at all.
        max_request_bytes: Longest body of a request with a key, which is read before it runs.
        max_response_bytes: Longest body of an answer that is kept.
        not_kept: What becomes of the key of an answer that cannot be kept: ``mark`` leaves it
            used, ``release`` frees it, and a repetition is carried out again.
        on_store_failure: While the store is down: ``closed`` answers 503, ``open`` carries every
            request out.
        retry_store_seconds: How long a store that failed is left alone.

    Raises:
        ValueError: for a bound that is not positive, a lease or a time to live beyond ten years,
            or a safe method.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        store: IdempotencyStore,
        ttl_seconds: float = 24 * 3600,
        header_name: str = IDEMPOTENCY_HEADER,
        methods: Iterable[str] = UNSAFE_METHODS,
        principal: PrincipalFunction | None = None,
        cookie_names: Iterable[str] = (),
        final: Callable[[int], bool] = is_final_status,
        lease_seconds: float = 30.0,
        wait_seconds: float = 10.0,
        max_request_bytes: int = 1_048_576,
        max_response_bytes: int = 1_048_576,
        not_kept: Literal["mark", "release"] = "mark",
        on_store_failure: Literal["closed", "open"] = "closed",
        retry_store_seconds: float = 1.0,
    ) -> None:
        self.app, self.store, self.ttl_seconds = app, store, ttl_seconds
        self.header_name = header_name
        self.final, self.lease_seconds, self.wait_seconds = final, lease_seconds, wait_seconds
        self.max_request_bytes, self.max_response_bytes = max_request_bytes, max_response_bytes
        self.not_kept, self.on_store_failure = not_kept, on_store_failure
        _check(ttl_seconds=ttl_seconds, lease_seconds=lease_seconds)
        if not wait_seconds >= 0 or max_request_bytes < 0 or max_response_bytes < 0:
            raise ValueError("wait_seconds, max_request_bytes and max_response_bytes: 0 or more")
        self._methods = frozenset(methods)
        safe = sorted(self._methods & {"GET", "HEAD", "OPTIONS", "TRACE", "QUERY"})
        if safe:
            raise ValueError(f"{safe[0]} is a safe method and needs no idempotency key")
        self._principal = principal
        self._credentials = Credentials(
            header_name.lower().encode("ascii"),
            frozenset(name.encode("ascii") for name in cookie_names),
        )
        self._running: dict[str, Run] = {}
        self._unkept = UnkeptAnswers(time.monotonic)
        self._ticking: asyncio.AbstractEventLoop | None = None
        self._waiting = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        consequence = (
            "requests with a key are answered 503 until it is back"
            if on_store_failure == "closed"
            else "requests with a key are carried out unprotected until it is back"
        )
        self.health = StoreHealth(
            _log, "the idempotency store", consequence, retry_seconds=retry_store_seconds
        )

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Guard a request with a key; pass everything else on."""
        if (
            scope["type"] != "http"
            or scope["method"] not in self._methods
            or scope.get(SCOPE_KEY) is not None
        ):
            return self.app(scope, receive, send)
        keys, credentials = self._credentials.keys_and_credentials(scope)
        if not keys:
            scope[SCOPE_KEY] = ""
            return self.app(scope, receive, send)
        return self._guard(keys, credentials, scope, receive, send)

    async def _guard(
        self, keys: list[bytes], credentials: bytes, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            text = scope[SCOPE_KEY] = parse_key(keys)
            request = await read_body(receive, self.max_request_bytes)
            if request is None:
                return  # the client left, and nothing has been done
            if self._principal is not None:
                credentials = await _name_of(self._principal, scope)
            attempt = Attempt(scope, text, credentials, request.get("body", b""))
            state, answer = await self._ask(attempt)
            if state == "running":
                state, answer = await self._wait_for_answer(attempt)
            if state == "mismatch":
                raise ValidationException(
                    "This Idempotency-Key was used for a request with another body or query",
                    code="IDEMPOTENCY_KEY_REUSED",
                )
            kept = _kept(answer) if state == "completed" else None
        except AppException as exc:
            name_the_route(scope)
            response = known_problem(scope, exc)
            assert response is not None  # noqa: S101 - every AppException has one
            await response(scope, receive, send)
            return
        if kept is not None:
            status, headers, body = kept
            headers.append(REPLAYED_HEADER)
            name_the_route(scope)
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body, "more_body": False})
        elif state == "acquired":
            await self._carry_out(attempt, scope, replaying(request, receive), send)
        else:  # the store is down and requests are let through
            await self.app(scope, replaying(request, receive), send)

    async def _ask(self, attempt: Attempt) -> tuple[ReservationState | None, bytes | None]:
        """What the store says; None if it is down and requests are let through."""
        health = self.health
        if not health.is_down or health.may_ask():
            try:
                found = await self.store.reserve(
                    attempt.key, attempt.fingerprint, attempt.owner, self.lease_seconds
                )
                if found[0] == "acquired":
                    found = await self._what_the_store_forgot(attempt)
            except BaseException as exc:
                # it may have been reserved all the same
                self.later(lambda: self.store.release(attempt.key, attempt.owner))
                if not isinstance(exc, Exception):
                    raise
                health.failed(exc)
            else:
                if health.is_down:
                    health.answered()
                return found
        if self.on_store_failure == "closed":
            raise ServiceUnavailableException(retry_after_seconds=1)
        return None, None

    async def _what_the_store_forgot(
        self, attempt: Attempt
    ) -> tuple[ReservationState, bytes | None]:
        """What this process knows of a key that the store has just given to ``attempt``.

        A store that came back empty, or an event loop that stood still for longer than a lease,
        must not let a request run again that runs here, or was answered here.
        """
        store, key, fingerprint = self.store, attempt.key, attempt.fingerprint
        run, unkept = self._running.get(key), self._unkept.find(key)
        if unkept is not None and unkept.fingerprint == fingerprint:
            await store.complete(key, fingerprint, attempt.owner, unkept.answer, self.ttl_seconds)
            self._unkept.drop(key)
            return "completed", unkept.answer
        if unkept is None and (run is None or run.settled):
            return "acquired", None
        await store.release(key, attempt.owner)
        if unkept is not None or run is None:
            return "mismatch", None
        await run.take_back()
        return ("running" if run.fingerprint == fingerprint else "mismatch"), None

    async def _wait_for_answer(
        self, attempt: Attempt
    ) -> tuple[ReservationState | None, bytes | None]:
        """Ask again until the key has an answer or is free; each time somebody may be first."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self.wait_seconds
        poll = _FIRST_POLL_SECONDS
        while (left := deadline - clock()) > 0 and self._waiting < MAX_WAITING:
            await self._wait(attempt.key, left, poll)
            poll = min(poll * 2, _LAST_POLL_SECONDS)
            found = await self._ask(attempt)
            if found[0] != "running":
                return found
        raise ConflictException(
            "A request with this Idempotency-Key is being carried out",
            code="IDEMPOTENCY_KEY_RUNNING",
            headers={"Retry-After": "1"},
            details={"retry_after_seconds": 1},
        )

    async def _wait(self, key: str, longest: float, poll: float) -> None:
        """Until the request of ``key`` ends in this process; in another, for one poll."""
        run = self._running.get(key)
        self._waiting += 1
        try:
            if run is None or run.settled:
                await asyncio.sleep(min(poll, longest))
            else:
                await asyncio.wait({run.end()}, timeout=longest)
        finally:
            self._waiting -= 1

    async def _carry_out(
        self, attempt: Attempt, scope: Scope, receive: Receive, send: Send
    ) -> None:
        key = attempt.key
        # for a transaction that wants to record, or to fence, on whose behalf it runs
        scope.setdefault("state", {})["idempotency"] = {
            "key": key,
            "fingerprint": attempt.fingerprint,
            "owner": attempt.owner,
        }
        run = self._running[key] = Run(self, attempt, send)
        self._tick_from_now_on()
        try:
            await self.app(scope, receive, run.send)
        finally:
            if run.settled:
                self._forget(key, run)
            else:
                # in a task of its own: this one may be cancelled, and once more meanwhile
                await asyncio.shield(self.spawn(self._settle(key, run)))

    async def _settle(self, key: str, run: Run) -> None:
        try:
            await run.settle()
        finally:
            self._forget(key, run)

    def _forget(self, key: str, run: Run) -> None:
        if self._running.get(key) is run:
            del self._running[key]
        run.wake()

    def _tick_from_now_on(self) -> None:
        """Renew the leases of what runs, three times in the life of one, until nothing runs."""
        loop = asyncio.get_running_loop()
        if self._ticking is not loop:
            self._ticking = loop
            loop.call_later(self.lease_seconds / 3, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        for run in self._running.values():
            if not run.settled:
                self.spawn(run.renew())
        if self._running:
            self._tick_from_now_on()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start ``work`` and hold on to it until it is done."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def later(self, call: Callable[[], Awaitable[object]]) -> None:
        """Try ``call`` a few times from now on, as the store may come back."""
        self.spawn(_try_later(call))

    def keep_later(self, attempt: Attempt, answer: bytes) -> None:
        """Hold ``answer`` and try to store it until it is, or its time is over."""
        self._unkept.add(attempt.key, attempt.fingerprint, answer, self.ttl_seconds)
        self.spawn(self._keep_later(attempt, answer))

    async def _keep_later(self, attempt: Attempt, answer: bytes) -> None:
        for seconds in chain(_TRIES_LATER_SECONDS, repeat(_TRIES_LATER_SECONDS[-1])):
            await asyncio.sleep(seconds)
            if self._unkept.find(attempt.key) is None:
                return
            try:
                kept = await self.store.complete(
                    attempt.key, attempt.fingerprint, attempt.owner, answer, self.ttl_seconds
                )
            except Exception as exc:
                _log.debug("the idempotency store is still down (%s)", type(exc).__name__)
            else:
                if kept:
                    self._unkept.drop(attempt.key)
                return


async def _name_of(principal: PrincipalFunction, scope: Scope) -> bytes:
    found = principal(Request(scope))
    found = await found if isinstance(found, Awaitable) else found
    return b"" if found is None else b"principal:" + found.encode("utf-8", "surrogatepass")


async def _try_later(call: Callable[[], Awaitable[object]]) -> None:
    for seconds in _TRIES_LATER_SECONDS:
        await asyncio.sleep(seconds)
        try:
            await call()
        except Exception as exc:
            _log.debug("the idempotency store is still down (%s)", type(exc).__name__)
        else:
            return


def _kept(answer: bytes | None) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    try:
        if answer:
            return decode_answer(answer)
    except ValueError:
        _log.exception("an answer in the idempotency store cannot be read")
    raise ConflictException(
        "The request with this Idempotency-Key was carried out, and its answer was not kept",
        code="IDEMPOTENCY_ANSWER_NOT_KEPT",
    )


def _check(**positive: float) -> None:
    for name, value in positive.items():
        if not 0 < value <= MAX_SECONDS:
            raise ValueError(f"{name} must be more than 0, at most {MAX_SECONDS}, got {value}")
