"""Where senders put their signatures, and which bytes they sign."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tijolo.web.webhooks.errors import InvalidWebhookException
from tijolo.web.webhooks.verifier import Claim, Delivery

Encoding = Literal["hex", "base64"]

MAX_SIGNATURE_CHARACTERS = 2048
_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)
_MILLISECONDS = re.compile(r"[0-9]{12,14}", re.ASCII)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, kw_only=True)
class HeaderScheme:
    """One header with the signature of the body, or of a timestamp and the body.

    Raises:
        ValueError: for a name that no header can have, or an unknown encoding.
    """

    header_name: str
    encoding: Encoding = "hex"
    prefix: str = ""
    """What stands before the signature, such as ``sha256=``; a header without it is refused."""
    timestamp_header: str | None = None
    """Header with Unix seconds or milliseconds that is signed together with the body."""
    content_format: bytes = b"{timestamp}.{body}"
    """What is signed where there is a timestamp."""
    key_id_header: str | None = None
    """Header that names the key; only that key is tried."""

    def __post_init__(self) -> None:
        for name in (self.header_name, self.timestamp_header, self.key_id_header):
            if name is not None and not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a header (RFC 9110, section 5.1)")
        if self.encoding not in ("hex", "base64"):
            raise ValueError(f"encoding must be 'hex' or 'base64', got {self.encoding!r}")
        if self.timestamp_header and not (
            b"{timestamp}" in self.content_format and b"{body}" in self.content_format
        ):
            raise ValueError(
                "content_format must have {timestamp} and {body}: a timestamp that is not signed"
                f" protects nothing, got {self.content_format!r}"
            )

    def __call__(self, delivery: Delivery) -> Claim:
        """Read the headers."""
        signature = self.decoded(delivery.header(self.header_name))
        key_id = delivery.header(self.key_id_header) if self.key_id_header else None
        if self.timestamp_header is None:
            return Claim(signatures=[signature], contents=[delivery.body], key_id=key_id)
        stamp = delivery.header(self.timestamp_header)
        timestamp = read_timestamp(stamp)
        # the body last: what it contains must not be taken for a place to fill
        content = self.content_format.replace(b"{timestamp}", stamp.encode("ascii"), 1)
        return Claim(
            signatures=[signature],
            contents=[content.replace(b"{body}", delivery.body, 1)],
            timestamp=timestamp,
            key_id=key_id,
        )

    def decoded(self, value: str) -> bytes:
        """The signature in ``value``."""
        if not value.startswith(self.prefix):
            raise InvalidWebhookException("prefix missing")
        return decode_signature(value[len(self.prefix) :], self.encoding)


def decode_signature(text: str, encoding: Encoding) -> bytes:
    """The bytes of a signature.

    Raises:
        InvalidWebhookException: for anything that is not exactly this encoding.
    """
    if len(text) > MAX_SIGNATURE_CHARACTERS:
        raise InvalidWebhookException("signature too long")
    try:
        raw = text.encode("ascii")
        if encoding == "hex":
            return binascii.unhexlify(raw)
        return base64.b64decode(raw, validate=True)
    except ValueError:  # also what binascii raises, and characters outside ASCII
        raise InvalidWebhookException(f"signature is not {encoding}") from None


def decode_all(texts: Iterable[str], encoding: Encoding) -> list[bytes]:
    """Those of several signatures that can be read; the rest may be of another scheme's making."""
    found: list[bytes] = []
    for text in texts:
        try:
            found.append(decode_signature(text, encoding))
        except InvalidWebhookException:
            continue
    return found


def read_timestamp(text: str) -> float:
    """Seconds since the epoch in ``text``: plain digits, 12 and more of them milliseconds.

    Raises:
        InvalidWebhookException: for anything else, such as other alphabets' digits.
    """
    if _SECONDS.fullmatch(text):
        return float(int(text))
    if _MILLISECONDS.fullmatch(text):
        return int(text) / 1000
    raise InvalidWebhookException("timestamp is no number of seconds or milliseconds")


def read_pairs(value: str, *, maximum: int = 32) -> list[tuple[str, str]]:
    """``t=1,v1=a,v1=b`` as pairs, in order.

    Raises:
        InvalidWebhookException: for more than ``maximum``.
    """
    parts = value.split(",", maximum)
    if len(parts) > maximum:
        raise InvalidWebhookException("too many parts in the signature header")
    pairs = (part.strip().partition("=") for part in parts)
    return [(name.strip(), text.strip()) for name, separator, text in pairs if separator]


def only(pairs: Iterable[tuple[str, str]], name: str) -> str:
    """The value of the one pair called ``name``.

    Raises:
        InvalidWebhookException: when there is none or more than one.
    """
    values = [value for key, value in pairs if key == name]
    if len(values) != 1:
        raise InvalidWebhookException(f"{len(values)} values of {name} in the signature header")
    return values[0]
