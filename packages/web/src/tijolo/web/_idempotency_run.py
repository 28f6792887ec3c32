"""One execution under a key: its lease, the record of its answer, and how it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from starlette.types import Message, Send

from tijolo.web._idempotency_request import Attempt
from tijolo.web._logging import with_request_id
from tijolo.web.idempotency_answer import CachedResponse

if TYPE_CHECKING:
    from tijolo.web.idempotency import IdempotencyMiddleware

_FILES = {"http.response.pathsend", "http.response.zerocopysend"}
_log = with_request_id(logging.getLogger("tijolo.web.idempotency"))


class Run:
    """The application's answer on its way to the caller, and to the store first."""

    def __init__(self, guard: IdempotencyMiddleware, attempt: Attempt, send: Send) -> None:
        self._guard, self._attempt, self._send = guard, attempt, send
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._size = 0
        self._can_be_kept = True
        self._complete = False
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False
        self.settled = False

    def start(self) -> None:
        """Renew the lease from time to time, until :meth:`stop`."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._guard.lease_seconds / 3, self._renew_in_task)

    def stop(self) -> None:
        """Let the lease be."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

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
            self._headers = message["headers"] = list(headers)
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
        guard = self._guard
        if not self._status or not guard.final(self._status):
            await self._release()
            return
        answer = self._answer()
        if answer is None and guard.not_kept == "release":
            await self._release()
            return
        await self._keep(answer or b"")

    def _answer(self) -> bytes | None:
        if not (self._complete and self._can_be_kept):
            return None
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        try:
            return CachedResponse(self._status, self._headers, body).encode()
        except ValueError:
            return None

    async def _end(self, message: Message) -> None:
        self._complete = True
        if not self.settled:
            await self.settle()
            self.settled = True
        await self._send(message)

    def _cannot_be_kept(self) -> None:
        self._can_be_kept = False
        self._chunks.clear()

    async def _keep(self, answer: bytes) -> None:
        guard, attempt = self._guard, self._attempt

        def complete() -> Awaitable[bool]:
            return guard.store.complete(
                attempt.key, attempt.fingerprint, attempt.owner, answer, guard.ttl_seconds
            )

        try:
            kept = await complete()
        except Exception as exc:
            guard.health.failed(exc)
            # the work is done: its answer goes out, and is kept when the store is back
            guard.later(complete)
        else:
            if not kept:
                _log.error("the lease of an idempotency key was lost: the request ran twice")

    async def _release(self) -> None:
        guard, attempt = self._guard, self._attempt
        try:
            await guard.store.release(attempt.key, attempt.owner)
        except Exception as exc:
            guard.health.failed(exc)
            guard.later(lambda: guard.store.release(attempt.key, attempt.owner))

    def _renew_in_task(self) -> None:
        self._guard.spawn(self._renew())

    async def _renew(self) -> None:
        guard, attempt = self._guard, self._attempt
        try:
            held = await guard.store.renew(attempt.key, attempt.owner, guard.lease_seconds)
        except Exception as exc:
            guard.health.failed(exc)
            held = True  # nobody knows
        if self._stopped or self.settled:
            return
        if held:
            self.start()
        else:
            _log.error("the lease of an idempotency key was lost while its request runs")
