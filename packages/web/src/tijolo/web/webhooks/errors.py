"""What a webhook endpoint answers to a delivery that it does not run."""

from __future__ import annotations

from starlette.exceptions import HTTPException

from tijolo.core import ConflictException, UnauthorizedException


class InvalidWebhookException(UnauthorizedException):
    """A delivery whose signature does not hold; it says nothing about why.

    ``reason`` is for the log: an answer that tells "wrong signature" from "too old" helps whoever
    guesses.
    """

    code = "INVALID_WEBHOOK_SIGNATURE"
    message = "Invalid webhook signature"
    challenge = "Signature"

    def __init__(self, reason: str, *, message: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class WebhookInProgressException(ConflictException):
    """The same delivery is being handled now; the sender should try again later."""

    code = "WEBHOOK_IN_PROGRESS"
    message = "The same delivery is being handled"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(headers={"Retry-After": str(retry_after_seconds)})


class WebhookAlreadyHandled(HTTPException):
    """The delivery was handled before: answered with success, and the handler does not run.

    Senders repeat a delivery whose answer was lost. An error would make them repeat it for days,
    and some (Asaas) stop the whole queue.
    """

    def __init__(self) -> None:
        super().__init__(status_code=200, detail="This delivery was handled before")
