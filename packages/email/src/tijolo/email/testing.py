"""For the tests of a service: what it would have sent, and a suite for backends of its own."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from tijolo.email.backend import EmailBackend
from tijolo.email.email_utils import EmailUtils
from tijolo.email.local_backends import CapturedEmail, MemoryBackend
from tijolo.email.message import OutgoingEmail
from tijolo.email.results import DeliveryStatus

_LINK = re.compile(r"https?://[^\s<>\"')]*[^\s<>\"').,;:!?]")


class Outbox:
    """The e-mails of a test, oldest first."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend

    @property
    def emails(self) -> Sequence[CapturedEmail]:
        """All of them."""
        return tuple(self._backend.outbox)

    @property
    def only(self) -> CapturedEmail:
        """The one that was sent.

        Raises:
            AssertionError: there is none, or there are several.
        """
        subjects = [each.subject for each in self.emails]
        if len(subjects) != 1:
            raise AssertionError(f"one e-mail was expected; sent: {subjects}")
        return self.emails[0]

    def to(self, address: str) -> Sequence[CapturedEmail]:
        """Those that ``address`` got, copies included."""
        return tuple(each for each in self.emails if address in each.recipients)

    def links(self) -> Sequence[str]:
        """Every link in the texts, in order: activation and reset links are among them."""
        return tuple(link for each in self.emails for link in _LINK.findall(each.text))

    def clear(self) -> None:
        """Forget them."""
        self._backend.outbox.clear()


@contextmanager
def capture_emails(email: EmailUtils) -> Generator[Outbox]:
    """What ``email`` sends inside the block reaches nobody but the outbox::

    @pytest.fixture
    def outbox():
        with capture_emails(service.email) as outbox:
            yield outbox
    """
    backend, before = MemoryBackend(), email.backend
    email.backend = backend
    try:
        yield Outbox(backend)
    finally:
        email.backend = before


class EmailBackendContract:
    """What every backend promises, as a test class: inherit it and give it a ``backend`` fixture.

    The tests are coroutines, as pytest-asyncio in auto mode runs them.
    """

    async def _prepared(self, backend: EmailBackend) -> OutgoingEmail:
        await backend.connect()
        return OutgoingEmail(
            to=["ana@example.com"], bcc=["leo@example.com"], subject="Olá", body="Tudo bem?\n"
        )

    async def test_every_recipient_gets_an_answer(self, backend: EmailBackend) -> None:
        """Also those of blind copies."""
        email = EmailUtils.with_backend(backend, from_addr="shop@example.com")
        result = await email.send_email(await self._prepared(backend))

        answers = {address: answer.status for address, answer in result.recipients.items()}
        expected = dict.fromkeys(("ana@example.com", "leo@example.com"), DeliveryStatus.ACCEPTED)
        if answers != expected:
            raise AssertionError(f"expected {expected}, got {answers}")

    async def test_connect_and_disconnect_may_be_called_twice(self, backend: EmailBackend) -> None:
        """And a backend that was never connected may be disconnected."""
        await backend.disconnect()
        await backend.connect()
        await backend.connect()
        if await backend.health_check() is not True:
            raise AssertionError("a connected backend is well")
        await backend.disconnect()
        await backend.disconnect()
