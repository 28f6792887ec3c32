"""Handing a prepared e-mail to a backend: once per key, with a report."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from tijolo.email.backend import EmailBackend
from tijolo.email.errors import EmailError, EmailOutcomeUnknownError, EmailRejectedError
from tijolo.email.prepared import PreparedEmail
from tijolo.email.results import DeliveryStatus, SendEvent, SendResult
from tijolo.email.send_keys import SendKeyStore

_log = logging.getLogger("tijolo.email")


class Delivery:
    """What happens around ``backend.send``."""

    def __init__(self, keys: SendKeyStore, observer: Callable[[SendEvent], None] | None) -> None:
        self._keys = keys
        self._observer = observer
        self._under_way: dict[str, asyncio.Future[Exception | None]] = {}

    async def send(self, backend: EmailBackend, email: PreparedEmail) -> SendResult:
        """See ``EmailUtils.send_prepared``."""
        started = time.monotonic()
        try:
            result = await self._send_once(backend, email)
        except EmailError as error:
            self._report(backend, email, started, error.code.lower())
            raise
        outcome = "duplicate" if result.duplicate else "partial" if result.refused else "sent"
        self._report(backend, email, started, outcome)
        return result

    async def _send_once(self, backend: EmailBackend, email: PreparedEmail) -> SendResult:
        if email.key is None:
            return await _deliver(backend, email)
        loop = asyncio.get_running_loop()
        first = self._under_way.get(email.key)
        if first is not None and first.get_loop() is loop:
            # the first one's fate is ours: "duplicate" would be wrong if it fails
            await asyncio.wait([first])
            if (failure := first.result()) is not None:
                raise failure
            return _duplicate(email)
        ours: asyncio.Future[Exception | None] = loop.create_future()
        self._under_way[email.key] = ours
        try:
            result = await self._send_claimed(backend, email, email.key)
        except Exception as error:
            ours.set_result(error)
            raise
        finally:
            if not ours.done():
                ours.set_result(None)
            if self._under_way.get(email.key) is ours:
                del self._under_way[email.key]
        return result

    async def _send_claimed(
        self, backend: EmailBackend, email: PreparedEmail, key: str
    ) -> SendResult:
        if not await self._keys.claim(key):
            return _duplicate(email)
        try:
            return await _deliver(backend, email)
        except EmailOutcomeUnknownError:
            raise
        except Exception:  # not a cancellation: who knows how far it had come
            await self._release(email, key)
            raise

    async def _release(self, email: PreparedEmail, key: str) -> None:
        try:
            await self._keys.release(key)
        except Exception:
            # why the e-mail failed matters more to the caller
            _log.exception("the key of e-mail %s could not be given back", email.message_id)

    def _report(
        self, backend: EmailBackend, email: PreparedEmail, started: float, outcome: str
    ) -> None:
        event = SendEvent(
            outcome=outcome,
            backend=type(backend).__name__,
            recipients=len(email.recipients),
            size_bytes=email.size_bytes,
            duration_seconds=time.monotonic() - started,
        )
        # neither subject nor address: both are people's data
        level = logging.INFO if outcome in {"sent", "duplicate"} else logging.WARNING
        _log.log(level, "e-mail %s: %s", email.message_id, outcome)
        try:
            if self._observer is not None:
                self._observer(event)
        except Exception:
            _log.exception("the observer of e-mails failed")


def _duplicate(email: PreparedEmail) -> SendResult:
    return SendResult(message_id=email.message_id, recipients={}, duplicate=True)


async def _deliver(backend: EmailBackend, email: PreparedEmail) -> SendResult:
    results = await backend.send(email)
    if any(each.status is DeliveryStatus.ACCEPTED for each in results.values()):
        return SendResult(message_id=email.message_id, recipients=dict(results))
    first = next(iter(results.values()), None)
    raise EmailRejectedError(
        transient=any(each.status is DeliveryStatus.DEFERRED for each in results.values()),
        smtp_code=first.smtp_code if first else None,
        reply=first.reply if first else "",
        recipients=results,
    )
