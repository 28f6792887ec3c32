"""An answer as it is kept: status, headers and body, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_VERSION = b"1"


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """What :class:`~tijolo.web.IdempotencyMiddleware` keeps of a response.

    Args:
        status_code: Its status.
        headers: Its headers as the application sent them, in order, duplicates included.
        body: All of its body.
    """

    status_code: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    @property
    def media_type(self) -> str | None:
        """``Content-Type``; None without one."""
        found = (v for name, v in self.headers if name.lower() == b"content-type")
        value = next(found, None)
        return None if value is None else value.decode("latin-1")

    def encode(self) -> bytes:
        """The bytes that a store keeps.

        Raises:
            ValueError: for a header that HTTP could not carry either.
        """
        return encode_answer(self.status_code, self.headers, self.body)

    @classmethod
    def decode(cls, stored: bytes) -> CachedResponse:
        """What :meth:`encode` made bytes of.

        Raises:
            ValueError: for bytes that it did not make.
        """
        return cls(*decode_answer(stored))


def encode_answer(status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bytes:
    """See :meth:`CachedResponse.encode`."""
    lines = [b"%b %d" % (_VERSION, status)]
    lines += [name + b":" + value for name, value in headers]
    head = b"\n".join(lines)
    if head.count(b"\n") != len(headers) or b":" in b"".join([name for name, _ in headers]):
        raise ValueError("a response header holds what ends it, and cannot be kept")
    return b"%b\n\n%b" % (head, body)


def decode_answer(stored: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """See :meth:`CachedResponse.decode`."""
    head, found, body = stored.partition(b"\n\n")
    lines = head.split(b"\n")
    version, _, status = lines[0].partition(b" ")
    if version != _VERSION or not found:
        raise ValueError("not an answer of this version")
    headers: list[tuple[bytes, bytes]] = []
    for line in lines[1:]:
        end = line.index(b":")
        headers.append((line[:end], line[end + 1 :]))
    return int(status), headers, body
