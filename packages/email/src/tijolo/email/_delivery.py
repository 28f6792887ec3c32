"""Handing a prepared e-mail to a backend: once per key, with a report."""

from __future__ import annotations

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
        if not await self._keys.claim(email.key):
            return SendResult(message_id=email.message_id, recipients={}, duplicate=True)
        try:
            return await _deliver(backend, email)
        except EmailOutcomeUnknownError:
            raise
        except Exception:  # not a cancellation: who knows how far it had come
            await self._keys.release(email.key)
            raise

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
