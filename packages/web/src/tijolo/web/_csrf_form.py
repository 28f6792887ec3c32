"""Find one field at the head of a form, in bounded memory, and give the body back untouched."""

from __future__ import annotations

import re
from collections import deque
from urllib.parse import unquote_plus

from starlette.types import Message, Receive

URLENCODED = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data"
_BOUNDARY = re.compile(rb"""boundary=(?:"([^"\r\n]{1,70})"|([^\s;,"]{1,70}))""", re.IGNORECASE)


class ReplayedBody:
    """A ``receive`` that first gives again what was read ahead."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: deque[Message] = deque()
        self.left = False
        """Whether the client left while the body was read ahead."""

    async def read_ahead(self, limit: int) -> tuple[bytes, bool]:
        """The first bytes, at least ``limit`` if there are that many, and whether they are all."""
        head = bytearray()
        while len(head) < limit:
            message = await self._receive()
            self._kept.append(message)
            if message["type"] != "http.request":
                self.left = True
                return bytes(head), False
            head += message.get("body", b"")
            if not message.get("more_body", False):
                return bytes(head), True
        return bytes(head), False

    async def __call__(self) -> Message:
        """The next message."""
        return self._kept.popleft() if self._kept else await self._receive()


def form_field(content_type: bytes, head: bytes, name: bytes, *, complete: bool) -> bytes | None:
    """The value of the field ``name`` if it lies whole in ``head``; None otherwise."""
    kind = content_type.partition(b";")[0].strip().lower()
    if kind == URLENCODED:
        return _urlencoded_field(head, name, complete=complete)
    boundary = _BOUNDARY.search(content_type) if kind == MULTIPART else None
    if boundary is None:
        return None
    return _multipart_field(head, name, boundary[1] or boundary[2])


def _urlencoded_field(head: bytes, name: bytes, *, complete: bool) -> bytes | None:
    pairs = head.split(b"&")
    if not complete:
        pairs.pop()  # may be cut in the middle
    for pair in pairs:
        key, _, value = pair.partition(b"=")
        if key == name:
            return unquote_plus(value.decode("latin-1"), "latin-1").encode("latin-1")
    return None


def _multipart_field(head: bytes, name: bytes, boundary: bytes) -> bytes | None:
    wanted = re.compile(
        rb'content-disposition:\s*form-data;(?:[^\r\n]*;)?\s*name="' + re.escape(name) + rb'"\s*',
        re.IGNORECASE,
    )
    # the last piece has no end, or is what follows the closing boundary
    for part in (b"\r\n" + head).split(b"\r\n--" + boundary)[1:-1]:
        headers, separator, value = part.partition(b"\r\n\r\n")
        lines = headers.split(b"\r\n")
        if separator and any(wanted.fullmatch(line) for line in lines):
            return value
    return None
