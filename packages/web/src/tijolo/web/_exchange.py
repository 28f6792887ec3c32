"""How far the response of one HTTP request has come; shared by the layers that need to know."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from itertools import chain

from starlette.types import Message, Send

EXCHANGE_KEY = "tijolo.exchange"
"""Where an outer layer that keeps account of the response leaves it in the scope."""

_FILE_MESSAGES = {"http.response.pathsend", "http.response.zerocopysend"}


class Exchange:
    """The response so far: its status (0 before the start), its bytes, whether it is complete."""

    __slots__ = ("finished", "size", "status")

    def __init__(self) -> None:
        self.status = 0
        self.size = 0
        self.finished = False

    def note(self, message: Message) -> None:
        """Take account of what is sent.

        Raises:
            ValueError: for a header with a line break or NUL (RFC 9110, section 5.5).
        """
        kind = message["type"]
        if kind == "http.response.start":
            refuse_line_breaks(message.get("headers", ()))
            self.status = message["status"]
        elif kind == "http.response.body":
            self.size += len(message.get("body", b""))
            self.finished = not message.get("more_body", False)
        elif kind in _FILE_MESSAGES:
            self.finished = not message.get("more_body", False)

    def watch(self, send: Send) -> Send:
        """A ``send`` whose messages are noted."""

        def watched_send(message: Message) -> Awaitable[None]:
            self.note(message)
            return send(message)

        return watched_send


def refuse_line_breaks(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise ``ValueError`` for a header that would end before its value does."""
    text = b"".join(chain.from_iterable(headers))
    if b"\n" in text or b"\r" in text or b"\0" in text:
        name = next((n for n, v in headers if not {10, 13, 0}.isdisjoint(n + v)), b"")
        raise ValueError(f"response header {name!r} contains a line break or NUL")
