"""What carries an e-mail away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from tijolo.email.prepared import PreparedEmail
from tijolo.email.results import ACCEPTED, RecipientResult


@runtime_checkable
class EmailBackend(Protocol):
    """SMTP, a directory, memory, or the HTTP API of a provider: write your own with four methods.

    ``tijolo.email.testing.EmailBackendContract`` is the test suite that all of them pass.
    """

    async def connect(self) -> None:
        """Get ready; a second call does nothing."""

    async def disconnect(self) -> None:
        """Let go of everything; does nothing where there is nothing."""

    async def health_check(self) -> bool:
        """Whether an e-mail could be sent now; never raises."""
        ...

    async def send(self, email: PreparedEmail) -> Mapping[str, RecipientResult]:
        """Send, and say for each of ``email.recipients`` what became of it.

        Raises:
            EmailDeliveryError: Nobody gets it; ``EmailOutcomeUnknownError`` when they might.
        """
        ...


def all_accepted(email: PreparedEmail) -> dict[str, RecipientResult]:
    """The answer of a backend that accepts everything."""
    return dict.fromkeys(email.recipients, ACCEPTED)
