"""How long a request took: a header for the caller, one structured record for the log."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tijolo.core import route_template
from tijolo.web._cancellation import ends_the_task
from tijolo.web._exchange import Exchange
from tijolo.web._logging import with_request_id
from tijolo.web.client_ip import get_client_ip_from_scope
from tijolo.web.security_headers import RawHeaders

TimingHeader = Literal["Server-Timing", "X-Process-Time", "both", "none"]

CLIENT_LEFT = 499
"""Status in the access log of a request whose client left before it was answered."""

access_log = with_request_id(logging.getLogger("tijolo.web.access"))
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
        self._stamp = timing_stamp(header)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application against the clock."""
        if scope["type"] != "http" or _SCOPE_KEY in scope:
            await self.app(scope, receive, send)
            return
        scope[_SCOPE_KEY] = True
        stamp, exchange = self._stamp, Exchange()
        watched_send = exchange.watch(send)
        started = perf_counter()

        def timing_send(message: Message) -> Awaitable[None]:
            if stamp is not None and message["type"] == "http.response.start":
                pairs = stamp(perf_counter() - started)
                message["headers"] = [*message.get("headers", ()), *pairs]
            return watched_send(message)

        failed = False
        try:
            await self.app(scope, receive, timing_send)
        except BaseException as exc:
            failed = not ends_the_task(exc)
            raise
        finally:
            if self.access_log and access_log.isEnabledFor(logging.INFO):
                write_access_log(scope, exchange, perf_counter() - started, failed=failed)


def timing_stamp(header: TimingHeader) -> Callable[[float], RawHeaders] | None:
    """Make the function from seconds to the headers that tell them; None for ``none``."""
    if header == "none":
        return None
    if header == "Server-Timing":
        return lambda seconds: [(b"server-timing", b"app;dur=%.2f" % (seconds * 1000))]
    if header == "X-Process-Time":
        return lambda seconds: [(b"x-process-time", b"%.6f" % seconds)]
    if header == "both":
        return lambda seconds: [
            (b"server-timing", b"app;dur=%.2f" % (seconds * 1000)),
            (b"x-process-time", b"%.6f" % seconds),
        ]
    raise ValueError(
        f"timing header {header!r}: use 'Server-Timing', 'X-Process-Time', 'both' or 'none'"
    )


def write_access_log(scope: Scope, exchange: Exchange, seconds: float, *, failed: bool) -> None:
    """Write the record of a request that took ``seconds``."""
    method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
    route = route_template(scope)
    status = exchange.status or (500 if failed else CLIENT_LEFT)
    fields: dict[str, Any] = {
        "method": method,
        "route": route,
        "status": status,
        "duration_ms": round(seconds * 1000, 3),
        "response_bytes": exchange.size,
        "client_ip": get_client_ip_from_scope(scope),
    }
    access_log.info("%s %s %d", method, route, status, extra=fields)
