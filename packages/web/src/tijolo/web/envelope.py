"""Request id, timing and security headers in one pass over the response's headers.

What the three middleware of those names do one inside the other, for less than half their cost:
``create_app`` puts this layer on every service.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from logging import INFO
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tijolo.core import REQUEST_ID_HEADER, request_id_ctx
from tijolo.web.request_id import SCOPE_KEY, RequestIDMiddleware, assign_request_id
from tijolo.web.security_headers import FrozenHeaders, RawHeaders, SecurityPolicy
from tijolo.web.timing import access_log, write_access_log

_ID_NAME = REQUEST_ID_HEADER.lower().encode("ascii")


class EnvelopeMiddleware:
    """Name, time and harden every HTTP exchange; give WebSockets their request id.

    Args:
        policy: The security headers.
        stamp: From seconds to the timing headers; None for none.
        access_log: Whether to write the access log.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        policy: SecurityPolicy,
        stamp: Callable[[float], RawHeaders] | None,
        access_log: bool,
    ) -> None:
        self.app = app
        self.policy = policy
        self.stamp = stamp
        self.access_log = access_log
        self._id_only = RequestIDMiddleware(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application between the two ends of the exchange."""
        if scope["type"] != "http" or SCOPE_KEY in scope:
            await self._id_only(scope, receive, send)
            return
        started = perf_counter()
        request_id = assign_request_id(scope, _ID_NAME)
        echoed = (_ID_NAME, request_id.encode())
        stamp, ours = self.stamp, self.policy.headers_for(scope)
        status, size = 0, 0

        def enveloping_send(message: Message) -> Awaitable[None]:
            nonlocal status, size
            kind = message["type"]
            if kind == "http.response.start":
                status = message["status"]
                headers = _completed(message.get("headers", ()), ours, echoed)
                if stamp is not None:
                    headers += stamp(perf_counter() - started)
                message["headers"] = headers
            elif kind == "http.response.body":
                size += len(message.get("body", b""))
            return send(message)

        token = request_id_ctx.set(request_id)
        failed = False
        try:
            await self.app(scope, receive, enveloping_send)
        except Exception:
            failed = True
            raise
        finally:
            if self.access_log and access_log.isEnabledFor(INFO):
                write_access_log(scope, status, size, started, failed=failed)
            request_id_ctx.reset(token)


def _completed(
    given: Iterable[tuple[bytes, bytes]], ours: FrozenHeaders, echoed: tuple[bytes, bytes]
) -> RawHeaders:
    """The headers with the request's id and those of ours that they lack."""
    pairs, names = ours
    headers = list(given)
    for name, _ in headers:
        if name in names or name == _ID_NAME:
            present = {name for name, _ in headers}
            headers = [pair for pair in headers if pair[0] != _ID_NAME]
            pairs = [pair for pair in pairs if pair[0] not in present]
            break
    headers += pairs
    headers.append(echoed)
    return headers
