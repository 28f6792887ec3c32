"""An e-mail in the form in which it travels (RFC 5322, RFC 2045): made once, off the loop."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email import policy
from email.message import EmailMessage, MIMEPart
from email.utils import format_datetime
from typing import Any, cast

from tijolo.email.addresses import EmailAddress
from tijolo.email.content import Attachment, attachments_of, html_to_text
from tijolo.email.errors import EmailTooLargeError, InvalidAddressError, InvalidEmailError
from tijolo.email.headers import custom_headers, list_field, text_field
from tijolo.email.message import OutgoingEmail, addresses

DEFAULT_MAX_MESSAGE_BYTES = 25 * 1024 * 1024
"""What large providers take."""
MAX_RECIPIENTS = 100
"""What every server must take at once (RFC 5321, section 4.5.3.1.8)."""
MAX_KEY_CHARACTERS = 1000
"""Longest idempotency key; the keys that are remembered stay small."""

# 57 bytes are a line of 76 characters (RFC 2045, section 6.8)
_LINE = 57
_BLOCK = _LINE * 1024
_TEXT_BLOCK = 64 * 1024
_LONG_TEXT = 32 * 1024
_SEVEN_BIT = policy.SMTP.clone(cte_type="7bit")
_CID = re.compile(r"cid:([\w.\-]+)", re.ASCII)

Signer = Callable[[bytes, bytes], bytes]
"""(headers, body) -> a header field to put before them, as ``DKIM-Signature``."""


@dataclass(frozen=True)
class PreparedEmail:
    """An e-mail that only has to be sent: rendered, encoded, addressed.

    ``to_bytes`` and ``chunks`` take time for large attachments: call them in a thread.
    """

    message_id: str
    """Without the angle brackets."""
    sender: EmailAddress
    recipients: tuple[str, ...]
    """The envelope: every address once, blind copies included."""
    size_bytes: int
    """Octets on the wire (RFC 1870)."""
    needs_smtputf8: bool
    key: str | None = field(default=None, repr=False)
    _parts: tuple[bytes | _Encoded, ...] = field(default=(), repr=False)

    def chunks(self, *, dot_stuffed: bool = False) -> Iterator[bytes]:
        """The message in pieces of some 64 KiB, in CRLF lines.

        Args:
            dot_stuffed: Double a dot that begins a line, as the SMTP DATA command wants it
                (RFC 5321, section 4.5.2).
        """
        for part in self._parts:
            if isinstance(part, _Encoded):
                yield from part.chunks()
                continue
            # in base64 no line begins with a dot
            text = re.sub(rb"(?m)^\.", b"..", part) if dot_stuffed else part
            for start in range(0, len(text), _TEXT_BLOCK):
                yield text[start : start + _TEXT_BLOCK]

    def to_bytes(self) -> bytes:
        """The whole message, as an ``.eml`` file has it."""
        return b"".join(self.chunks())


@dataclass(frozen=True)
class _Encoded:
    """Bytes that become base64 as they are sent: never twice in memory, never one long call."""

    content: bytes

    @property
    def size(self) -> int:
        full, rest = divmod(len(self.content), _LINE)
        return full * 78 + (4 * -(-rest // 3) + 2 if rest else 0)

    def chunks(self) -> Iterator[bytes]:
        for start in range(0, len(self.content), _BLOCK):
            block = memoryview(self.content)[start : start + _BLOCK]
            lines = (
                binascii.b2a_base64(block[line : line + _LINE], newline=False)
                for line in range(0, len(block), _LINE)
            )
            yield b"\r\n".join(lines) + b"\r\n"


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What all e-mails of one sender share."""

    from_addr: EmailAddress
    domain: str
    """Of ``Message-ID`` and ``Content-ID``."""
    max_bytes: int
    """Largest sum of attachments, and largest message."""
    signer: Signer | None
    now: Callable[[], datetime]

    def __call__(self, email: OutgoingEmail) -> PreparedEmail:
        """Make it. Blocking: it reads files and encodes.

        Raises:
            InvalidEmailError: or one of its subclasses, naming what is wrong.
            OSError: an attachment cannot be read.
        """
        _check_key(email.key)
        sender = self.from_addr if email.from_addr is None else EmailAddress.parse(email.from_addr)
        recipients = _Recipients.of(email)
        message_id = f"{_unique(email.key)}@{self.domain}"
        fields = self._fields(email, sender, recipients, message_id)
        try:
            first, *rest = _Body(self.domain, self.max_bytes).of(email)
        except UnicodeEncodeError as exc:
            raise InvalidEmailError("the text holds characters that are no text") from exc
        parts: list[bytes | _Encoded] = [fields.encode(), first, *rest]
        if self.signer is not None:
            parts.insert(0, self.signer(*_split(parts)))
        size = sum(part.size if isinstance(part, _Encoded) else len(part) for part in parts)
        if size > self.max_bytes:
            raise EmailTooLargeError(f"the e-mail has {size} bytes; {self.max_bytes} are allowed")
        return PreparedEmail(
            message_id=message_id,
            sender=sender,
            recipients=recipients.envelope,
            size_bytes=size,
            needs_smtputf8=sender.needs_smtputf8 or recipients.need_smtputf8,
            key=email.key,
            _parts=tuple(parts),
        )

    def _fields(
        self, email: OutgoingEmail, sender: EmailAddress, people: _Recipients, message_id: str
    ) -> str:
        fields = [
            list_field("From", [sender.header()]),
            *(list_field(name, group) for name, group in people.shown()),
            text_field("Subject", email.subject),
            f"Date: {format_datetime(self.now())}\r\n",
            f"Message-ID: <{message_id}>\r\n",
        ]
        if email.unsubscribe:
            fields += (f"{name}: {text}\r\n" for name, text in email.unsubscribe.fields().items())
        fields += (text_field(name, text) for name, text in custom_headers(email.headers).items())
        return "".join(fields)


@dataclass(frozen=True)
class _Recipients:
    to: tuple[EmailAddress, ...]
    cc: tuple[EmailAddress, ...]
    bcc: tuple[EmailAddress, ...]
    reply_to: tuple[EmailAddress, ...]

    @classmethod
    def of(cls, email: OutgoingEmail) -> _Recipients:
        people = cls(*map(addresses, (email.to, email.cc, email.bcc, email.reply_to)))
        count = len(people.envelope)
        if not count:
            raise InvalidAddressError("an e-mail needs at least one recipient")
        if count > MAX_RECIPIENTS:
            raise InvalidAddressError(
                f"{count} recipients; at most {MAX_RECIPIENTS} in one e-mail: use send_many"
            )
        return people

    @property
    def envelope(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.spec for each in (*self.to, *self.cc, *self.bcc)))

    @property
    def need_smtputf8(self) -> bool:
        everybody = (*self.to, *self.cc, *self.bcc, *self.reply_to)
        return any(each.needs_smtputf8 for each in everybody)

    def shown(self) -> Iterator[tuple[str, list[str]]]:
        if not (self.to or self.cc):
            yield "To", ["undisclosed-recipients:;"]  # RFC 5322, appendix A.1.3
        for name, group in (("To", self.to), ("Cc", self.cc), ("Reply-To", self.reply_to)):
            if group:
                yield name, [each.header() for each in group]


class _Body:
    """The MIME entity: text, its HTML alternative, the images of it, attachments."""

    def __init__(self, domain: str, limit: int) -> None:
        self._domain = domain
        self._left = limit
        self._blobs: dict[bytes, _Encoded] = {}

    def of(self, email: OutgoingEmail) -> list[bytes | _Encoded]:
        if len(email.body) + len(email.html or "") > self._left:
            # it is larger still when it is encoded, which would take long to find out
            raise EmailTooLargeError(f"the text alone exceeds the {self._left} bytes allowed")
        root = EmailMessage(policy=_SEVEN_BIT)
        html, cids = self._with_content_ids(email)
        self._set_text(root, email.body or (html_to_text(html) if html else ""), "plain")
        if html is not None:
            page = MIMEPart(policy=_SEVEN_BIT)
            self._set_text(page, html, "html")
            for cid, file in cids:
                self._add(page.add_related, file, disposition="inline", cid=f"<{cid}>")
            root.make_alternative()
            root.attach(cast("Any", page))  # typeshed knows no MIMEPart here
        for file in attachments_of(email.attachments):
            self._add(root.add_attachment, file)
        for part in root.walk():
            if part.is_multipart():
                part.set_boundary(secrets.token_hex(20))
        return self._spliced(root.as_bytes())

    def _with_content_ids(
        self, email: OutgoingEmail
    ) -> tuple[str | None, list[tuple[str, Attachment]]]:
        """The HTML with unique Content-IDs, as RFC 2045, section 7 wants them."""
        if not email.inline:
            return email.html, []
        if email.html is None:
            raise InvalidEmailError("inline images need html that shows them")
        ids = {name: f"{secrets.token_hex(10)}@{self._domain}" for name in email.inline}
        for name in ids:
            if not _CID.fullmatch(f"cid:{name}"):
                raise InvalidEmailError(f"{name!r} cannot be used as cid: letters, digits, . _ -")
        html = _CID.sub(lambda found: f"cid:{ids.get(found[1], found[1])}", email.html)
        return html, [(ids[name], Attachment.of(file)) for name, file in email.inline.items()]

    def _add(self, add: Callable[..., None], file: Attachment, **options: str) -> None:
        content = file.read(self._left)
        self._left -= len(content)
        kind, subtype = file.media_type()
        token = self._token_for(content)
        add(token, maintype=kind, subtype=subtype, filename=file.filename, **options)

    def _token_for(self, content: bytes) -> bytes:
        """What stands for the content in the skeleton; it is encoded only as it is sent."""
        token = secrets.token_bytes(45)
        self._blobs[base64.b64encode(token)] = _Encoded(content)
        return token

    def _set_text(self, part: MIMEPart, text: str, subtype: str) -> None:
        """Text in the encoding that any server carries: never 8bit, never a line of over 998."""
        lines = text.replace("\r\n", "\n").replace("\r", "\n")
        lines = lines if lines.endswith("\n") or not lines else f"{lines}\n"
        if len(lines) > _LONG_TEXT:
            # the standard library would take seconds, holding the interpreter's lock for long
            token = self._token_for(lines.replace("\n", "\r\n").encode())
            charset = {"charset": "utf-8"}
            part.set_content(token, maintype="text", subtype=subtype, params=charset)
            return
        plain = lines.isascii() and all(char.isprintable() or char in "\t\n" for char in lines)
        short = max(map(len, lines.split("\n"))) <= 76
        encoding = "7bit" if plain and short else "quoted-printable" if plain else None
        part.set_content(lines, subtype=subtype, charset="utf-8", cte=encoding)

    def _spliced(self, skeleton: bytes) -> list[bytes | _Encoded]:
        parts = list[bytes | _Encoded]()
        rest = skeleton
        for token, blob in self._blobs.items():
            before, found, rest = rest.partition(token + b"\r\n")
            if not found:
                raise RuntimeError("the generator of the standard library lost an attachment")
            parts += [before, blob]
        return [*parts, rest]


def _split(parts: list[bytes | _Encoded]) -> tuple[bytes, bytes]:
    whole = b"".join(
        b"".join(part.chunks()) if isinstance(part, _Encoded) else part for part in parts
    )
    headers, blank, body = whole.partition(b"\r\n\r\n")
    return headers + blank, body


def _check_key(key: str | None) -> None:
    if key is None:
        return
    if not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"the key of an e-mail is a str, got {type(key).__name__}")
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS:
        # an empty one would make duplicates of e-mails that have nothing in common
        raise InvalidEmailError(
            f"the key of an e-mail has 1 to {MAX_KEY_CHARACTERS} characters, got {len(key)}"
        )


def _unique(key: str | None) -> str:
    """What is left of the @ in ``Message-ID``; the same for the same idempotency key."""
    if key is None:
        return secrets.token_hex(16)
    return hashlib.sha256(b"tijolo.email\0" + key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
