"""Refuse request bodies that are too long, before or while they are read."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tijolo.core import AppException
from tijolo.web._paths import PathSet, path_below_root
from tijolo.web.problems import problem_response

_FRAMED_VERSIONS = {"1.0", "1.1"}


class RequestBodyTooLargeException(AppException):
    """The request body is longer than the service reads (RFC 9110, section 15.5.14)."""

    status_code = 413
    code = "REQUEST_BODY_TOO_LARGE"
    message = "The request body is too large"


class BodySizeLimitMiddleware:
    """Answer 413 ``REQUEST_BODY_TOO_LARGE`` to a body of more than ``max_bytes``.

    A declared length is refused before the application runs. A body without one is counted as it
    arrives, never kept: reading past the limit raises :class:`RequestBodyTooLargeException` in
    the application, whose own error handling makes it the 413.

    Args:
        max_bytes: Most bytes of a body.
        exclude_paths: Paths without a limit, each with everything below it: ``/upload`` exempts
            ``/upload/a`` and not ``/uploads``.
    """

    def __init__(
        self, app: ASGIApp, *, max_bytes: int, exclude_paths: tuple[str, ...] = ()
    ) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes must be 0 or more, got {max_bytes}")
        self.app = app
        self.max_bytes = max_bytes
        self.exclude_paths = exclude_paths
        self._excluded = PathSet(exclude_paths) if exclude_paths else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, count or pass on the body of an HTTP request."""
        await self.dispatch(scope, receive, send)

    def dispatch(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """The same, without a coroutine of its own where there is nothing to do."""
        if scope["type"] != "http" or (self._excluded and path_below_root(scope) in self._excluded):
            return self.app(scope, receive, send)
        headers = dict(scope["headers"])
        length: bytes | None = headers.get(b"content-length")
        if length is not None and _exceeds(length, self.max_bytes):
            return self._refuse(scope, receive, send)
        if b"transfer-encoding" in headers or scope["http_version"] not in _FRAMED_VERSIONS:
            return self._count(scope, receive, send)
        # The server holds a client of HTTP/1 to its Content-Length, and no framing header means
        # no body there (RFC 9112, section 6.3). HTTP/2 and 3 may send one without any.
        return self.app(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        details = {"max_bytes": self.max_bytes}
        exc = RequestBodyTooLargeException
        response = problem_response(
            scope, exc.status_code, code=exc.code, detail=exc.message, details=details
        )
        await response(scope, receive, send)

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        total = 0
        started = False

        async def counting_receive() -> Message:
            nonlocal total
            message = await receive()
            if message["type"] == "http.request":
                total += len(message.get("body", b""))
                if total > self.max_bytes:
                    raise RequestBodyTooLargeException(details={"max_bytes": self.max_bytes})
            return message

        def watching_send(message: Message) -> Awaitable[None]:
            nonlocal started
            started = True
            return send(message)

        try:
            await self.app(scope, counting_receive, watching_send)
        except RequestBodyTooLargeException:
            if started:
                raise
            await self._refuse(scope, receive, send)


def _exceeds(length: bytes, limit: int) -> bool:
    """Whether a Content-Length says more than ``limit``; what is no number says more."""
    digits = length.lstrip(b"0") or b"0"
    # a number of thousands of digits is too long to be worth parsing
    return not digits.isdigit() or len(digits) > 19 or int(digits) > limit
