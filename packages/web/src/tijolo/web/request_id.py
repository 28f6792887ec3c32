"""One id for each request: in its context, its scope, its response and every log line."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from random import getrandbits as _random_bits

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tijolo.core import REQUEST_ID_HEADER, request_id_ctx

SCOPE_KEY = "tijolo.request_id"
_ACCEPTABLE = re.compile(rb"[A-Za-z0-9._-]{1,128}").fullmatch
_FIRST_MESSAGES = {"http.response.start", "websocket.accept", "websocket.http.response.start"}


class RequestIDMiddleware:
    """Give the request an id and echo it in the response.

    The caller's own id is kept if it is at most 128 letters, digits, dots, hyphens and
    underscores; anything else could forge log lines or headers, and is replaced by 32 random hex
    digits. An application mounted inside another keeps the id of the outer one.

    Args:
        header_name: The header to read and to write.
    """

    def __init__(self, app: ASGIApp, header_name: str = REQUEST_ID_HEADER) -> None:
        self.app = app
        self.header_name = header_name
        self._raw_name = header_name.lower().encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the id for as long as the application runs."""
        if scope["type"] not in ("http", "websocket") or SCOPE_KEY in scope:
            await self.app(scope, receive, send)
            return
        name = self._raw_name
        request_id = assign_request_id(scope, name)
        echoed = (name, request_id.encode())

        # a plain function that returns the awaitable: one coroutine fewer for each message
        def send_with_id(message: Message) -> Awaitable[None]:
            if message["type"] in _FIRST_MESSAGES:
                headers = [pair for pair in message.get("headers", ()) if pair[0] != name]
                headers.append(echoed)
                message["headers"] = headers
            return send(message)

        token = request_id_ctx.set(request_id)
        try:
            await self.app(scope, receive, send_with_id)
        finally:
            request_id_ctx.reset(token)


def assign_request_id(scope: Scope, name: bytes) -> str:
    """Choose the id of the request, note it in its scope and return it."""
    request_id = None
    for key, value in scope["headers"]:
        if key == name:
            request_id = value.decode() if _ACCEPTABLE(value) else None
            break
    if request_id is None:
        # names a request and guards nothing; costs no system call as the system's source does,
        # and a forked worker seeds it again, which a generator of our own would not
        request_id = _random_bits(128).to_bytes(16).hex()
    scope[SCOPE_KEY] = scope.setdefault("state", {})["request_id"] = request_id
    return request_id
