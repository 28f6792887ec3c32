"""How far the response of one HTTP request has come; shared by the layers that need to know."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterable
from itertools import chain

from starlette.types import Message, Send

EXCHANGE_KEY = "tijolo.exchange"
"""Where an outer layer that keeps account of the response leaves it in the scope."""

_FILE_MESSAGES = {"http.response.pathsend", "http.response.zerocopysend"}


class Exchange:
    """The response so far: its status (0 before the start), its bytes, whether it is complete."""

    # of the class until they change: one call fewer for each request
    status = 0
    size = 0
    finished = False
    first_byte: float | None = None
    """Seconds until the response started, where somebody holds a clock."""
    error: BaseException | None = None
    """What nobody foresaw, and the error boundary turned into an answer."""

    def note(self, message: Message) -> None:
        """Take account of what is sent.

        Raises:
            ValueError: for a header with a line break or NUL (RFC 9110, section 5.5).
        """
        kind = message["type"]
        if kind == "http.response.start":
            headers: Iterable[tuple[bytes, bytes]] = message.get("headers", ())
            if not isinstance(headers, (list, tuple)):
                # ASGI allows any iterable, also one that can be read only once
                headers = message["headers"] = list(headers)
            if has_line_break(b"".join(chain.from_iterable(headers))):
                raise line_break_in(headers)
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


def line_break_in(headers: Iterable[tuple[bytes, bytes]]) -> ValueError:
    """The error about the header that would end before its value does."""
    name = next((n for n, v in headers if has_line_break(n + v)), b"")
    return ValueError(f"response header {name!r} contains a line break or NUL")


has_line_break = re.compile(rb"[\n\r\0]").search
"""Whether a header of these bytes would end early: a line break or NUL."""
