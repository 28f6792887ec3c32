"""An e-mail as a value: what to send, to whom, from whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from urllib.parse import quote, urlsplit

from tijolo.email.addresses import EmailAddress
from tijolo.email.content import Attachment
from tijolo.email.errors import InvalidHeaderError
from tijolo.email.headers import MAX_LINE_BYTES

Address = str | EmailAddress
"""``"ana@exemplo.com.br"``, ``"Ana <ana@exemplo.com.br>"`` or an :class:`EmailAddress`."""
File = Attachment | str | PathLike[str]
"""An :class:`Attachment`, or the path of a file."""


@dataclass(frozen=True, kw_only=True)
class Unsubscribe:
    """How to leave the list: ``List-Unsubscribe`` (RFC 2369) and one click (RFC 8058).

    Args:
        url: https, personal and unguessable; the mail reader POSTs
            ``List-Unsubscribe=One-Click`` to it, without cookies. Its receiver must not ask.
        mailto: An address, for readers that know no one-click.
    """

    url: str | None = field(default=None, repr=False)
    mailto: Address | None = None

    def __post_init__(self) -> None:
        if self.url is None and self.mailto is None:
            raise ValueError("Unsubscribe needs a url, a mailto, or both")
        if self.url is not None:
            _check_url(self.url)

    def fields(self) -> dict[str, str]:
        """The headers by name."""
        targets = [f"<{self.url}>"] if self.url else []
        if self.mailto is not None:
            targets.append(f"<mailto:{quote(EmailAddress.parse(self.mailto).spec, safe='@')}>")
        fields = {"List-Unsubscribe": ",\r\n ".join(targets)}
        if self.url:
            fields["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        return fields


def _check_url(url: str) -> None:
    printable = url.isascii() and url.isprintable() and not set(url) & set(' <>"')
    if not printable or len(url) > MAX_LINE_BYTES - 30:
        raise InvalidHeaderError("an unsubscribe URL must be percent-encoded ASCII on one line")
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise InvalidHeaderError("an unsubscribe URL must be a URL") from exc
    if parts.scheme != "https" or not parts.hostname:
        raise InvalidHeaderError("an unsubscribe URL must be https (RFC 8058, section 3.1)")


@dataclass(frozen=True, kw_only=True)
class OutgoingEmail:
    """One e-mail; the arguments of ``EmailUtils.send`` as a value, for ``send_many`` and hooks."""

    to: Address | Iterable[Address]
    """One address, or several as a list; a string never holds two."""
    subject: str
    body: str = field(default="", repr=False)
    """The text; empty makes it of ``html``."""
    html: str | None = field(default=None, repr=False)
    cc: Iterable[Address] = ()
    bcc: Iterable[Address] = ()
    """They get it; no header says so."""
    reply_to: Address | Iterable[Address] | None = None
    from_addr: Address | None = None
    """None takes the one that the sender was made with."""
    attachments: Iterable[File] = ()
    inline: Mapping[str, File] = field(default_factory=dict[str, File])
    """Images by the name that ``<img src="cid:name">`` uses (RFC 2392)."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    unsubscribe: Unsubscribe | None = None
    key: str | None = field(default=None, repr=False)
    """An idempotency key, 1 to 1000 characters: a second e-mail with it is not sent."""


def addresses(given: Address | Iterable[Address] | None) -> tuple[EmailAddress, ...]:
    """What an argument that takes one address or several holds.

    Raises:
        InvalidAddressError: one of them is not an address.
    """
    if given is None:
        return ()
    if isinstance(given, (str, EmailAddress)):
        return (EmailAddress.parse(given),)
    return tuple(map(EmailAddress.parse, given))
