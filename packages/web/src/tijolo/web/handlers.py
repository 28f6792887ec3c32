"""Exception handlers that answer problem documents, and log what the service got wrong.

``create_app`` installs them. On an application of your own, ``register_exception_handlers(app)``
does; the ``make_*`` factories build them one by one.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler, Scope

from tijolo.core import HTTP_500_MARKER, AppException, route_template
from tijolo.web._logging import with_request_id
from tijolo.web._unanswerable import blame_of_input
from tijolo.web._validation import MAX_ERRORS, public_errors
from tijolo.web.problems import problem_response

AppExceptionHandler = Callable[[Request, AppException], Awaitable[Response]]
HTTPExceptionHandler = Callable[[Request, HTTPException], Awaitable[Response]]
UnhandledExceptionHandler = Callable[[Request, Exception], Awaitable[Response]]

MALFORMED_JSON = "MALFORMED_JSON"
INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"
INTERNAL_DETAIL = "An unexpected error occurred; quote the request_id when you report it."

_log = with_request_id(logging.getLogger("tijolo.web.errors"))
_UNREADABLE = "There was an error parsing the body"  # how FastAPI says it
_WITHOUT_BODY = {204, 205, 304}


async def app_exception_handler(request: Request, exc: AppException) -> Response:
    """Answer an ``AppException`` with its status, code, details and headers."""
    return _app_problem(request.scope, exc)


def make_app_exception_handler(*, log_level: int = logging.INFO) -> AppExceptionHandler:
    """Build the handler of ``AppException``.

    Args:
        log_level: Level for 4xx; a 5xx is logged as ERROR, with its traceback unless it is a 503.
    """

    async def handler(request: Request, exc: AppException) -> Response:
        status = _status_of(exc)
        if status >= 500:
            log_failure(request.scope, exc, status=status)
        elif _log.isEnabledFor(log_level):
            _log.log(log_level, "%d %s", exc.status_code, exc.code, extra=_where(request.scope))
        return _app_problem(request.scope, exc)

    return handler


def make_http_exception_handler(
    *, log_traceback: bool = True, log_level: int = logging.ERROR
) -> HTTPExceptionHandler:
    """Build the handler of Starlette's ``HTTPException``: the same envelope, its headers kept.

    Args:
        log_traceback: Whether the record of a 5xx carries the traceback.
        log_level: Level for 5xx; a 4xx is the caller's and is not logged.
    """

    async def handler(request: Request, exc: HTTPException) -> Response:
        status = _status_of(exc)
        if status >= 500:
            log_failure(
                request.scope,
                exc,
                status=status,
                level=log_level,
                with_traceback=log_traceback,
            )
        return _http_problem(request.scope, exc)

    return handler


async def validation_exception_handler(request: Request, exc: RequestValidationError) -> Response:
    """Answer refused input: 400 for a body that is not JSON, else 422 naming the fields."""
    return _validation_problem(request.scope, exc)


def make_unhandled_exception_handler(
    *,
    log_traceback: bool = True,
    include_traceback: bool = False,
    log_level: int = logging.ERROR,
) -> UnhandledExceptionHandler:
    """Build the handler of everything else: logged once, answered without a word about it.

    Args:
        log_traceback: Whether the log record carries the traceback.
        include_traceback: Put the traceback into ``details.traceback``. For development only: it
            shows paths, SQL and values.
        log_level: Level of the log record.
    """

    async def handler(request: Request, exc: Exception) -> Response:
        blame = blame_of_input(request.scope, exc)
        if blame is not None:
            code, detail = blame
            _log.warning("%s in a request", code, exc_info=exc, extra=_where(request.scope))
            return problem_response(request.scope, 422, code=code, detail=detail)
        log_failure(request.scope, exc, level=log_level, with_traceback=log_traceback)
        details = {"traceback": _format(exc)} if include_traceback else None
        return problem_response(request.scope, 500, detail=INTERNAL_DETAIL, details=details)

    return handler


def register_exception_handlers(
    app: FastAPI,
    *,
    log_traceback: bool = True,
    include_traceback: bool = False,
    log_level: int = logging.ERROR,
) -> None:
    """Install every handler of this module on ``app``.

    ``create_app`` does more: there the 500 also passes through CORS and security headers.
    """
    on_http = make_http_exception_handler(log_traceback=log_traceback, log_level=log_level)
    on_error = make_unhandled_exception_handler(
        log_traceback=log_traceback, include_traceback=include_traceback, log_level=log_level
    )
    handlers: list[tuple[type[Exception], object]] = [
        (AppException, make_app_exception_handler()),
        (HTTPException, on_http),
        (RequestValidationError, validation_exception_handler),
        (Exception, on_error),
    ]
    for kind, handler in handlers:
        app.add_exception_handler(kind, cast("ExceptionHandler", handler))


def known_problem(scope: Scope, exc: BaseException) -> Response | None:
    """The answer to an error that says itself what it is; None for one nobody foresaw."""
    if isinstance(exc, AppException):
        return _app_problem(scope, exc)
    if isinstance(exc, HTTPException):
        return _http_problem(scope, exc)
    if isinstance(exc, RequestValidationError):
        return _validation_problem(scope, exc)
    return None


def log_failure(
    scope: Scope,
    exc: BaseException,
    *,
    status: int = 500,
    level: int = logging.ERROR,
    with_traceback: bool = True,
    message: str = "unhandled %s in %s %s",
) -> None:
    """Log ``exc`` once, marked with ``HTTP_500_MARKER`` and with the request's id.

    A 503 that was raised on purpose is one line: while something is down, each request has one.
    """
    shown, name = _without_values(exc), type(exc).__name__
    if isinstance(exc, AppException) and status == 503:
        # the cause's type alone: its text may hold an address with a password
        cause = "" if exc.__cause__ is None else f" ({type(exc.__cause__).__name__})"
        name, with_traceback = f"503 {exc.code}{cause}", False
        message = message.removeprefix("unhandled ")
    _log.log(
        level,
        message,
        name,
        scope.get("method", "WEBSOCKET"),
        route_template(scope),
        exc_info=(type(shown), shown, shown.__traceback__) if with_traceback else None,
        extra={HTTP_500_MARKER: True, "status": status, **_where(scope)},
    )


def _status_of(exc: HTTPException) -> int:
    """The status to answer; 500 for one that HTTP does not have, or an error cannot."""
    status, lowest = exc.status_code, 400 if isinstance(exc, AppException) else 200
    return status if lowest <= status <= 599 or status in _WITHOUT_BODY else 500


def _special_answer(scope: Scope, exc: HTTPException) -> Response | None:
    """The answer to a status that cannot have a document of its own."""
    status = _status_of(exc)
    if status != exc.status_code:
        return problem_response(scope, status, detail=INTERNAL_DETAIL)
    bare = status in _WITHOUT_BODY or 200 <= status < 300  # a success is no problem document
    return Response(status_code=status, headers=exc.headers) if bare else None


def _app_problem(scope: Scope, exc: AppException) -> Response:
    return _special_answer(scope, exc) or problem_response(
        scope,
        exc.status_code,
        code=exc.code,
        detail=exc.message,
        details=exc.details,
        headers=exc.headers,
    )


def _http_problem(scope: Scope, exc: HTTPException) -> Response:
    special = _special_answer(scope, exc)
    if special is not None:
        return special
    given = cast("object", exc.detail)
    return problem_response(
        scope,
        exc.status_code,
        code=MALFORMED_JSON if _is_unreadable_body(exc) else None,
        detail=_as_text(given),
        details=_as_details(given),
        headers=exc.headers,
    )


def _as_text(given: object) -> str | None:
    return given if isinstance(given, str) else None


def _as_details(given: object) -> dict[str, Any] | None:
    """FastAPI allows any JSON as ``detail``; RFC 9457 wants a string there."""
    if isinstance(given, str) or given is None:
        return None
    if isinstance(given, Mapping):
        return {str(key): value for key, value in cast("Mapping[object, Any]", given).items()}
    return {"detail": given}


def _is_unreadable_body(exc: HTTPException) -> bool:
    """FastAPI answers 400 for JSON too deep, numbers too long, or bytes that are no UTF-8."""
    return exc.status_code == 400 and exc.detail == _UNREADABLE


def _validation_problem(scope: Scope, exc: RequestValidationError) -> Response:
    if isinstance(exc.__cause__, json.JSONDecodeError):
        cause = exc.__cause__
        return problem_response(
            scope,
            400,
            code=MALFORMED_JSON,
            detail=f"The request body is not JSON: {cause.msg}.",
            details={"line": cause.lineno, "column": cause.colno},
        )
    errors = exc.errors()
    total = len(errors)
    return problem_response(
        scope,
        422,
        detail=f"The request was refused: {total} {'error' if total == 1 else 'errors'}.",
        details={"errors_total": total} if total > MAX_ERRORS else None,
        errors=public_errors(errors),
    )


def _without_values(exc: BaseException) -> BaseException:
    """FastAPI's response error prints the whole response, password hashes included."""
    if not isinstance(exc, ResponseValidationError):
        return exc
    clean = ResponseValidationError(public_errors(exc.errors()))
    place = {key: value for key, value in vars(exc).items() if key.startswith("endpoint_")}
    vars(clean).update(place)  # where it happened, where FastAPI tells it
    return clean.with_traceback(exc.__traceback__)


def _where(scope: Scope) -> dict[str, Any]:
    return {"route": route_template(scope)}


def _format(exc: Exception) -> list[str]:
    return traceback.format_exception(_without_values(exc))
