"""How long a request took: a header for the caller, one structured record for the log."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from time import perf_counter
from typing import Any, Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tijolo.core import route_template
from tijolo.web._logging import with_request_id
from tijolo.web.client_ip import get_client_ip_from_scope

TimingHeader = Literal["Server-Timing", "X-Process-Time", "both", "none"]

CLIENT_LEFT = 499
"""Status in the access log of a request whose client left before it was answered."""

_access_log = with_request_id(logging.getLogger("tijolo.web.access"))
_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
_SCOPE_KEY = "tijolo.timed"


class RequestTimingMiddleware:
    """Measure each HTTP request; tell the caller in a header and the log in one record.

    The header holds the time until the response started; the record (logger
    ``tijolo.web.access``, level INFO) the time until it ended, the method, route template, status,
    body bytes and client address. It holds no path, query or header: those carry secrets.

    Args:
        header: ``Server-Timing`` (milliseconds, W3C), ``X-Process-Time`` (seconds), both or none.
        access_log: Whether to write the record.
    """

    def __init__(
        self, app: ASGIApp, *, header: TimingHeader = "Server-Timing", access_log: bool = True
    ) -> None:
        self.app = app
        self.access_log = access_log
        self._server_timing = header in ("Server-Timing", "both")
        self._process_time = header in ("X-Process-Time", "both")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application against the clock."""
        if scope["type"] != "http" or _SCOPE_KEY in scope:
            await self.app(scope, receive, send)
            return
        scope[_SCOPE_KEY] = True
        started = perf_counter()
        if not (self.access_log and _access_log.isEnabledFor(logging.INFO)):

            def send_with_header(message: Message) -> Awaitable[None]:
                if message["type"] == "http.response.start":
                    self._add_headers(message, perf_counter() - started)
                return send(message)

            await self.app(scope, receive, send_with_header)
            return
        status, size = 0, 0

        def counting_send(message: Message) -> Awaitable[None]:
            nonlocal status, size
            kind = message["type"]
            if kind == "http.response.start":
                status = message["status"]
                self._add_headers(message, perf_counter() - started)
            elif kind == "http.response.body":
                size += len(message.get("body", b""))
            return send(message)

        failed = False
        try:
            await self.app(scope, receive, counting_send)
        except Exception:
            failed = True
            raise
        finally:
            status = status or (500 if failed else CLIENT_LEFT)
            _write(scope, status, size, perf_counter() - started)

    def _add_headers(self, message: Message, seconds: float) -> None:
        headers = list(message.get("headers", ()))
        if self._server_timing:
            headers.append((b"server-timing", b"app;dur=%.2f" % (seconds * 1000)))
        if self._process_time:
            headers.append((b"x-process-time", b"%.6f" % seconds))
        message["headers"] = headers


def _write(scope: Scope, status: int, size: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
    route = route_template(scope)
    fields: dict[str, Any] = {
        "method": method,
        "route": route,
        "status": status,
        "duration_ms": round(seconds * 1000, 3),
        "response_bytes": size,
        "client_ip": get_client_ip_from_scope(scope),
    }
    _access_log.info("%s %s %d", method, route, status, extra=fields)
