"""The cookie of a session, read from and written to raw headers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.responses import Response

from tijolo.sessions.settings import SessionSettings
from tijolo.web import clear_cookie, set_cookie

_LENGTH = 43  # of 256 bits in base64
Header = tuple[bytes, bytes]


class SessionCookie:
    """Name and attributes of the cookie, the same when it is set and when it is cleared.

    Args:
        settings: Where they come from.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self.name = settings.session_cookie_name
        self._attributes = {
            "path": settings.SESSION_COOKIE_PATH,
            "domain": settings.SESSION_COOKIE_DOMAIN,
            "secure": settings.SESSION_COOKIE_SECURE,
            "samesite": settings.SESSION_COOKIE_SAMESITE,
        }
        name = re.escape(self.name.encode("ascii"))
        # of a value that cannot be ours nothing is captured, so that it counts all the same
        value = rb"=(?:([A-Za-z0-9_-]{43})(?![^;\s])|)"
        self._pattern = re.compile(rb"(?:^|;)[ \t]*" + name + value)
        self.cleared_header()  # refused now, not at the first response

    def read(self, headers: Iterable[Header]) -> str | None:
        """The value that the request sent.

        None for what cannot be one of ours, and where there are two: a subdomain may have planted
        the other.
        """
        line = b""
        for name, value in headers:
            if name == b"cookie":
                line = line + b";" + value if line else value
        if not line:
            return None
        found: list[bytes] = self._pattern.findall(line)
        return found[0].decode("ascii") if len(found) == 1 and len(found[0]) == _LENGTH else None

    def set_header(self, value: str, max_age: int) -> Header:
        """``Set-Cookie`` with the value, for ``max_age`` seconds."""
        response = Response()
        set_cookie(response, self.name, value, max_age=max_age, **self._attributes)  # type: ignore[arg-type]
        return response.raw_headers[-1]

    def cleared_header(self) -> Header:
        """``Set-Cookie`` that makes the browser forget it."""
        response = Response()
        clear_cookie(response, self.name, **self._attributes)  # type: ignore[arg-type]
        return response.raw_headers[-1]
