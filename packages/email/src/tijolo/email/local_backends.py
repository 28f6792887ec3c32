"""Backends that reach nobody: for development, and for tests."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email import message_from_string
from email.message import EmailMessage, Message
from email.policy import default as modern
from pathlib import Path
from typing import TextIO

from tijolo.core import utcnow
from tijolo.email.backend import all_accepted
from tijolo.email.errors import EmailDeliveryError
from tijolo.email.prepared import PreparedEmail
from tijolo.email.results import RecipientResult

_log = logging.getLogger("tijolo.email")


class _Local:
    """Nothing to connect to."""

    async def connect(self) -> None:
        """Nothing to do."""

    async def disconnect(self) -> None:
        """Nothing to do."""

    async def health_check(self) -> bool:
        """Always well."""
        return True


class ConsoleBackend(_Local):
    """Shows e-mails instead of sending them; attachments by name and size.

    Args:
        stream: Where to; None is the standard output of the moment.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    async def send(self, email: PreparedEmail) -> Mapping[str, RecipientResult]:
        """Write it, off the event loop."""
        await asyncio.to_thread(self._write, email)
        return all_accepted(email)

    def _write(self, email: PreparedEmail) -> None:
        shown = _shown(parsed(email.to_bytes()), email)
        stream = sys.stdout if self._stream is None else self._stream
        encoding = getattr(stream, "encoding", None) or "utf-8"
        with self._lock:
            # a terminal without the letters of a name gets their codes
            stream.write(shown.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()


class FileBackend(_Local):
    """Writes each e-mail as an ``.eml`` file that mail readers open.

    Names sort by time and cannot be guessed; a file appears whole or not at all, readable by
    its owner alone. ``X-Envelope-To`` holds the recipients, blind copies included.

    Args:
        directory: Where to; it is made if need be.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)

    async def connect(self) -> None:
        """Make the directory.

        Raises:
            OSError: that is not possible.
        """
        await asyncio.to_thread(self.directory.mkdir, parents=True, exist_ok=True)

    async def health_check(self) -> bool:
        """Whether the directory is there and can be written to."""
        return await asyncio.to_thread(
            lambda: self.directory.is_dir() and os.access(self.directory, os.W_OK)
        )

    async def send(self, email: PreparedEmail) -> Mapping[str, RecipientResult]:
        """Write it, off the event loop.

        Raises:
            EmailDeliveryError: the directory cannot be written to.
        """
        try:
            await asyncio.to_thread(self._write, email)
        except OSError as exc:
            raise EmailDeliveryError("the e-mail could not be written", transient=True) from exc
        return all_accepted(email)

    def _write(self, email: PreparedEmail) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        name = f"{utcnow():%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(16)}"
        partial, final = self.directory / f".{name}.part", self.directory / f"{name}.eml"
        try:
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                recipients = ", ".join(email.recipients)
                file.write(f"X-Envelope-To: {recipients}\r\n".encode())
                file.writelines(email.chunks())
            partial.replace(final)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


@dataclass(frozen=True, kw_only=True)
class CapturedEmail:
    """An e-mail as its receiver would see it, with the envelope it came in."""

    message: EmailMessage
    """Parsed by the standard library: ``captured.message["Subject"]``."""
    sender: str
    recipients: tuple[str, ...]
    """The envelope, blind copies included."""
    message_id: str
    sent_at: datetime

    @property
    def subject(self) -> str:
        """The subject, decoded."""
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        """The text part; empty when there is none."""
        return self._body("plain")

    @property
    def html(self) -> str:
        """The HTML part; empty when there is none."""
        return self._body("html")

    @property
    def attachments(self) -> dict[str, bytes]:
        """Content by file name."""
        found = self.message.iter_attachments()
        return {each.get_filename() or "": _content(each) for each in found}

    def _body(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        return "" if part is None else str(part.get_content()).replace("\r\n", "\n")


class MemoryBackend(_Local):
    """Keeps the last e-mails in :attr:`outbox`, oldest first.

    Args:
        max_emails: How many are kept; then the oldest is forgotten.
    """

    def __init__(self, max_emails: int = 1000) -> None:
        if max_emails < 1:
            raise ValueError(f"max_emails must be 1 or more, got {max_emails}")
        self.outbox: deque[CapturedEmail] = deque(maxlen=max_emails)

    async def send(self, email: PreparedEmail) -> Mapping[str, RecipientResult]:
        """Keep it."""
        message = await asyncio.to_thread(lambda: parsed(email.to_bytes()))
        self.outbox.append(
            CapturedEmail(
                message=message,
                sender=email.sender.spec,
                recipients=email.recipients,
                message_id=email.message_id,
                sent_at=utcnow(),
            )
        )
        return all_accepted(email)


def parsed(content: bytes) -> EmailMessage:
    """The message that a mail reader would make of ``content``."""
    # as text: from bytes, the parser would not read headers in UTF-8 (RFC 6532)
    return message_from_string(content.decode("utf-8"), _class=EmailMessage, policy=modern)


def _shown(message: EmailMessage, email: PreparedEmail) -> str:
    wanted = ("From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID", "List-Unsubscribe")
    lines = [f"{name}: {message[name]}" for name in wanted if message[name]]
    lines.append(f"Envelope-To: {', '.join(email.recipients)}")
    for part in message.walk():
        if part.is_multipart():
            continue
        if part.get_content_maintype() == "text" and not part.is_attachment():
            lines += ["", f"--- {part.get_content_type()}", str(part.get_content()).strip()]
        else:
            size = len(_content(part))
            lines += ["", f"--- {part.get_content_type()} {part.get_filename()!r}, {size} bytes"]
    rule = "=" * 72
    body = "\n".join(_visible(line) for text in lines for line in text.splitlines() or [""])
    return f"{rule}\n{body}\n{rule}\n"


def _content(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _visible(line: str) -> str:
    """Without escape sequences: a terminal obeys them."""
    return "".join(
        char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in line
    )
