"""One execution under a key: its lease, the record of its answer, and how it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from starlette.types import Message, Send

from tijolo.web._idempotency_request import Attempt
from tijolo.web._logging import with_request_id
from tijolo.web.idempotency_answer import encode_answer

if TYPE_CHECKING:
    from tijolo.web.idempotency import IdempotencyMiddleware

_FILES = {"http.response.pathsend", "http.response.zerocopysend"}
_log = with_request_id(logging.getLogger("tijolo.web.idempotency"))


class Run:
    """The application's answer on its way to the caller, and to the store first."""

    # of the class until they change: a shorter start of each request
    settled = False
    _ending = False
    _status = 0
    _size = 0
    _can_be_kept = True
    _complete = False
    _waiters: list[asyncio.Future[None]] | None = None

    def __init__(self, guard: IdempotencyMiddleware, attempt: Attempt, send: Send) -> None:
        self._guard, self._attempt, self._send = guard, attempt, send
        self.fingerprint = attempt.fingerprint
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []

    def end(self) -> asyncio.Future[None]:
        """A future that is done when the request has ended."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(ended)
        return ended

    def wake(self) -> None:
        """Tell those who wait for :meth:`end`."""
        for ended in self._waiters or ():
            if not ended.done():
                ended.set_result(None)

    def send(self, message: Message) -> Awaitable[None]:
        """Take note of a message and pass it on; the last one when the answer is in the store."""
        kind = message["type"]
        if kind == "http.response.body":
            body = message.get("body", b"")
            if self._can_be_kept:
                self._size += len(body)
                self._chunks.append(body)
                if self._size > self._guard.max_response_bytes:
                    self._cannot_be_kept()
            if not message.get("more_body", False):
                return self._end(message)
        elif kind == "http.response.start":
            headers = message.get("headers", ())
            # ASGI allows any iterable, also one that can be read only once
            self._headers = list(headers)
            # a list of its own: outer layers add to it what is not the application's
            message["headers"] = self._headers.copy()
            self._status = message["status"]
            if message.get("trailers"):
                self._cannot_be_kept()
        elif kind in _FILES:
            self._cannot_be_kept()
            if not message.get("more_body", False):
                return self._end(message)
        return self._send(message)

    async def settle(self) -> None:
        """Tell the store how it ended, as far as it got."""
        guard, answer = self._guard, None
        self._ending = True
        if self._status and guard.final(self._status):
            answer = self._answer()
            if answer is None and guard.not_kept == "mark":
                answer = b""
        told = False
        try:
            told = await self._tell(answer)
            if not told and answer is not None:
                _log.error("the lease of an idempotency key was lost: its request may run twice")
        except Exception as exc:
            guard.health.failed(exc)
            if answer is None:
                guard.later(lambda: self._tell(None))
        if not told and answer is not None:
            # the work is done: its answer goes out, and is kept when the store is back
            guard.keep_later(self._attempt, answer)
        self.settled = True
        self.wake()  # a background task may keep the application busy for long

    def _answer(self) -> bytes | None:
        if not (self._complete and self._can_be_kept):
            return None
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        try:
            return encode_answer(self._status, self._headers, body)
        except ValueError:
            return None

    def _tell(self, answer: bytes | None) -> Awaitable[bool]:
        """Complete the key with ``answer``, or release it where there is none."""
        guard, attempt = self._guard, self._attempt
        if answer is None:
            return guard.store.release(attempt.key, attempt.owner)
        return guard.store.complete(
            attempt.key, attempt.fingerprint, attempt.owner, answer, guard.ttl_seconds
        )

    async def _end(self, message: Message) -> None:
        self._complete = True
        if not self.settled:
            await self.settle()
        await self._send(message)

    def _cannot_be_kept(self) -> None:
        self._can_be_kept = False
        self._chunks.clear()

    async def renew(self) -> None:
        """Ask for another lease."""
        guard, attempt = self._guard, self._attempt
        try:
            held = await guard.store.renew(attempt.key, attempt.owner, guard.lease_seconds)
        except Exception as exc:
            guard.health.failed(exc)
            return
        if not held and not self._ending:
            if await self.take_back():
                _log.warning("the lease of an idempotency key was lost and is held again")
            else:
                _log.error("the lease of an idempotency key was lost while its request runs")

    async def take_back(self) -> bool:
        """Reserve the key once more, if the store has forgotten it and nobody else holds it."""
        guard, attempt = self._guard, self._attempt
        try:
            state, _ = await guard.store.reserve(
                attempt.key, attempt.fingerprint, attempt.owner, guard.lease_seconds
            )
            if self._ending and state == "acquired":
                # it ended meanwhile: a key that it had released stays free
                await guard.store.release(attempt.key, attempt.owner)
        except Exception as exc:
            guard.health.failed(exc)
            return False
        return state != "running" and state != "mismatch"
