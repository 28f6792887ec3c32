"""The outermost catch: whatever escapes the application becomes one problem document."""

from __future__ import annotations

import inspect
import logging
from typing import cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, ExceptionHandler, Receive, Scope, Send

from tijolo.web._cancellation import ends_the_task
from tijolo.web._exchange import EXCHANGE_KEY, Exchange
from tijolo.web.handlers import INTERNAL_DETAIL, known_problem, log_failure
from tijolo.web.handlers import make_unhandled_exception_handler as _make_default
from tijolo.web.problems import problem_response

_log = logging.getLogger("tijolo.web.errors")


class ResponseAbortedError(RuntimeError):
    """Raised to the server so that it closes a connection whose response cannot be completed.

    The cause is already in the log, once, with its traceback and the request's id.
    """


class ErrorBoundaryMiddleware:
    """Answer every exception that escapes ``app`` with one problem document, and log it once.

    It takes the place of Starlette's ``ServerErrorMiddleware``. Once the response has started,
    nothing can be answered any more: the server is told to abort the connection. A client that
    left is no error, nor is the cancellation of the request's own task; that of a task which a
    handler waits for is one. A header with a line break or NUL never reaches the
    wire (RFC 9110, section 5.5): it is an error like any other.

    Args:
        handler: Makes the response to what nobody foresaw; default
            :func:`make_unhandled_exception_handler`.
    """

    def __init__(self, app: ASGIApp, *, handler: ExceptionHandler | None = None) -> None:
        self.app = app
        self.handler: ExceptionHandler = handler or _make_default()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application and catch what it lets go."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange: Exchange | None = scope.get(EXCHANGE_KEY)
        if exchange is None:
            exchange = Exchange()
            send = exchange.watch(send)
        try:
            await self.app(scope, receive, send)
        except BaseException as exc:
            if ends_the_task(exc):
                raise
            cause = _only_member(exc)
            if isinstance(cause, ClientDisconnect):
                _log.debug("the client left before the response was complete")
            elif not exchange.status:
                response = await self._response(Request(scope, receive), cause, exchange)
                await _send_response(response, scope, receive, send)
            elif exchange.finished:
                exchange.error = cause
                log_failure(scope, cause, message="%s after the response of %s %s")
            else:
                exchange.error = cause
                log_failure(scope, cause, message="%s in the middle of the response of %s %s")
                raise ResponseAbortedError(f"response aborted: {type(cause).__name__}") from None

    async def _response(self, request: Request, exc: BaseException, exchange: Exchange) -> Response:
        try:
            known = known_problem(request.scope, exc)
            if known is not None:
                if known.status_code >= 500:
                    log_failure(request.scope, exc, status=known.status_code)
                return known
            exchange.error = exc
            return await _call(self.handler, request, exc)
        except Exception as again:
            log_failure(request.scope, again)
            return problem_response(request.scope, 500, detail=INTERNAL_DETAIL)


def _only_member(exc: BaseException) -> BaseException:
    """What a group of one holds: a task group wraps the error of its only failed task."""
    if isinstance(exc, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", exc)
        return _only_member(group.exceptions[0]) if len(group.exceptions) == 1 else group
    return exc


async def _call(handler: ExceptionHandler, request: Request, exc: BaseException) -> Response:
    if not inspect.iscoroutinefunction(handler):
        made = await run_in_threadpool(handler, request, exc)  # type: ignore[arg-type]
        return await made if inspect.isawaitable(made) else made  # type: ignore[return-value]
    response: Response = await handler(request, exc)  # type: ignore[arg-type]
    return response


async def _send_response(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send ``response``, or a plain 500 where its own headers cannot be sent."""
    try:
        await response(scope, receive, send)
    except ValueError as exc:
        log_failure(scope, exc)
        await problem_response(scope, 500, detail=INTERNAL_DETAIL)(scope, receive, send)
