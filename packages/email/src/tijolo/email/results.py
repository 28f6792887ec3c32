"""What became of an e-mail, recipient by recipient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tijolo.core import BaseStrEnum
from tijolo.email.errors import EmailError


class DeliveryStatus(BaseStrEnum):
    """What the server said about a recipient."""

    ACCEPTED = "accepted"
    """It took the responsibility (RFC 5321, section 4.2.5); a bounce may still follow."""
    DEFERRED = "deferred"
    """A transient refusal (4yz) that outlasted the retries."""
    REFUSED = "refused"
    """A permanent refusal (5yz)."""
    UNKNOWN = "unknown"
    """The connection was lost while the server had the message."""


@dataclass(frozen=True, kw_only=True)
class RecipientResult:
    """The server's last word about one recipient."""

    status: DeliveryStatus
    smtp_code: int | None = None
    """The reply code; None for a backend that does not speak SMTP."""
    reply: str = ""
    """The server's words, without control characters, at most 200 characters."""

    @classmethod
    def of_reply(cls, code: int, text: str) -> RecipientResult:
        """The result that a refusal with this code means."""
        status = DeliveryStatus.DEFERRED if 400 <= code < 500 else DeliveryStatus.REFUSED
        return cls(status=status, smtp_code=code, reply=printable(text))


ACCEPTED = RecipientResult(status=DeliveryStatus.ACCEPTED, smtp_code=250)


@dataclass(frozen=True, kw_only=True)
class SendResult:
    """An e-mail that at least one recipient was accepted for, or that was sent before."""

    message_id: str
    recipients: Mapping[str, RecipientResult]
    """The answer for each recipient's address; empty for a duplicate."""
    duplicate: bool = False
    """Nothing was sent: its key is that of an e-mail that was, or that another process is sending
    at this moment."""

    @property
    def refused(self) -> dict[str, RecipientResult]:
        """The recipients that were not accepted."""
        return {
            address: result
            for address, result in self.recipients.items()
            if result.status is not DeliveryStatus.ACCEPTED
        }


@dataclass(frozen=True, kw_only=True)
class BulkResult:
    """What became of one e-mail of many: either a result or an error."""

    position: int
    """Where it was among those given, from 0."""
    result: SendResult | None = None
    error: EmailError | None = None


@dataclass(frozen=True, kw_only=True)
class SendEvent:
    """One call to the server, for metrics: no address, no subject, no body."""

    outcome: str
    """``sent``, ``partial``, ``duplicate``, or the code of the error in lower case."""
    backend: str
    """The class of the backend."""
    recipients: int
    size_bytes: int
    duration_seconds: float


def printable(text: str, limit: int = 200) -> str:
    """One line of ``text`` that cannot forge a log record."""
    cut = text[: limit + 1]
    line = "".join(char if char.isprintable() else " " for char in cut)
    return line if len(cut) <= limit else f"{line[: limit - 1]}…"
