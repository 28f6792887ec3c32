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
        lines = [name + b":" + value for name, value in self.headers]
        for (name, _), line in zip(self.headers, lines, strict=True):
            if b"\n" in line or b":" in name:
                raise ValueError(f"response header {name!r} cannot be kept")
        head = b"\n".join([b"%b %d" % (_VERSION, self.status_code), *lines])
        return head + b"\n\n" + self.body

    @classmethod
    def decode(cls, stored: bytes) -> CachedResponse:
        """What :meth:`encode` made bytes of.

        Raises:
            ValueError: for bytes that it did not make.
        """
        head, found, body = stored.partition(b"\n\n")
        first, *lines = head.split(b"\n")
        version, _, status = first.partition(b" ")
        if version != _VERSION or not found:
            raise ValueError("not an answer of this version")
        headers: list[tuple[bytes, bytes]] = []
        for line in lines:
            name, _, value = line.partition(b":")
            headers.append((name, value))
        return cls(int(status), headers, body)
