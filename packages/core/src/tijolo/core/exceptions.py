"""Errors that an HTTP caller can act on.

    AppException (500)
    ├── BadRequestException 400
    ├── UnauthorizedException 401
    │   ├── InvalidTokenException
    │   └── ExpiredTokenException
    ├── ForbiddenException 403
    ├── NotFoundException 404
    ├── ConflictException 409
    ├── PreconditionFailedException 412
    ├── FileTooLargeException 413
    ├── InvalidFileTypeException 415
    ├── ValidationException 422
    ├── TooManyRequestsException 429
    └── ServiceUnavailableException 503

Each is a Starlette ``HTTPException``, so that it answers with its status even where
tijolo-web's handlers are not installed; with them it becomes an RFC 9457 problem document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from starlette.exceptions import HTTPException


class AppException(HTTPException):
    """An error with a status, a stable machine-readable ``code`` and structured ``details``.

    A 401 carries ``WWW-Authenticate`` (RFC 9110, section 15.5.2): ``challenge``, unless
    ``headers`` has another. Subclasses set ``status_code``, ``code`` and ``message`` as class
    attributes; a constructor argument overrides them on that instance alone.

    Args:
        message: One sentence for people; it reaches the caller, so no secret belongs in it.
        code: Stable identifier in SCREAMING_SNAKE_CASE that clients branch on.
        details: JSON-serialisable context; reaches the caller too.
        headers: Extra response headers.
    """

    status_code: int = 500
    code: str = "INTERNAL_SERVER_ERROR"
    message: str = "Internal server error"
    challenge: ClassVar[str] = "Bearer"

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        status_code: int | None = None,
        details: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        cls = type(self)
        text = cls.message if message is None else message
        status = cls.status_code if status_code is None else status_code
        given = None if headers is None else dict(headers)
        if status == 401 and not _has(given, "www-authenticate"):
            given = {**(given or {}), "WWW-Authenticate": cls.challenge}
        super().__init__(status_code=status, detail=text, headers=given)
        self.message = text
        self.code = cls.code if code is None else code
        self.details: dict[str, Any] = {} if details is None else dict(details)

    def __str__(self) -> str:
        return f"{self.status_code} {self.code}: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        # a subclass may need arguments that Exception does not keep
        return _revive, (type(self), self.args), self.__dict__.copy()

    def __repr__(self) -> str:
        # details may carry a person's data; a repr ends in logs
        return f"{type(self).__name__}(status_code={self.status_code}, code={self.code!r})"


def _revive(cls: type[AppException], args: tuple[Any, ...]) -> AppException:
    error = cls.__new__(cls)
    error.args = args
    return error


def _has(headers: Mapping[str, str] | None, name: str) -> bool:
    return any(given.lower() == name for given in headers or ())


class BadRequestException(AppException):
    """The request cannot be understood (RFC 9110, section 15.5.1)."""

    status_code = 400
    code = "BAD_REQUEST"
    message = "Bad request"


class UnauthorizedException(AppException):
    """The caller has not proved who they are (RFC 9110, section 15.5.2)."""

    status_code = 401
    code = "UNAUTHORIZED"
    message = "Unauthorized"


class InvalidTokenException(UnauthorizedException):
    """A token whose signature or claims do not hold (RFC 6750, section 3.1)."""

    code = "INVALID_TOKEN"
    message = "Invalid token"
    challenge = 'Bearer error="invalid_token"'


class ExpiredTokenException(UnauthorizedException):
    """A token that was good once (RFC 6750, section 3.1)."""

    code = "TOKEN_EXPIRED"
    message = "Token expired"
    challenge = 'Bearer error="invalid_token", error_description="The token expired"'


class ForbiddenException(AppException):
    """The caller is known and may not do this."""

    status_code = 403
    code = "FORBIDDEN"
    message = "Forbidden"


class NotFoundException(AppException):
    """A single resource does not exist; an empty collection is ``[]``, not this."""

    status_code = 404
    code = "NOT_FOUND"
    message = "Resource not found"


class ConflictException(AppException):
    """The write clashes with the stored state (uniqueness, references, concurrent change)."""

    status_code = 409
    code = "CONFLICT"
    message = "Resource conflict"


class PreconditionFailedException(AppException):
    """The version the caller has seen is no longer the stored one (RFC 9110, section 15.5.13)."""

    status_code = 412
    code = "PRECONDITION_FAILED"
    message = "The resource has changed since it was read"


class FileTooLargeException(AppException):
    """An uploaded file is over its limit."""

    status_code = 413
    code = "FILE_TOO_LARGE"
    message = "File too large"


class InvalidFileTypeException(AppException):
    """An uploaded file's extension or content type is not allowed."""

    status_code = 415
    code = "INVALID_FILE_TYPE"
    message = "Invalid file type"


class ValidationException(AppException):
    """Input that has the right shape and breaks a rule only the service can check."""

    status_code = 422
    code = "VALIDATION_ERROR"
    message = "Validation error"


class _RetryLaterException(AppException):
    """Base of the errors that tell the caller when to come back."""

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after_seconds: int | None = None,
        code: str | None = None,
        status_code: int | None = None,
        details: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        _check_seconds(retry_after_seconds)
        given, context = dict(headers or {}), dict(details or {})
        if retry_after_seconds is not None:
            if not _has(given, "retry-after"):
                given["Retry-After"] = str(retry_after_seconds)
            context.setdefault("retry_after_seconds", retry_after_seconds)
        super().__init__(
            message, code=code, status_code=status_code, details=context, headers=given
        )
        self.retry_after_seconds = retry_after_seconds


def _check_seconds(seconds: object) -> None:
    if seconds is None:
        return
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 0:
        raise ValueError(f"retry_after_seconds must be 0 or more whole seconds, got {seconds!r}")


class TooManyRequestsException(_RetryLaterException):
    """The caller is over a limit (RFC 6585, section 4).

    Args:
        retry_after_seconds: Whole seconds until it is worth trying again; sent as
            ``Retry-After`` and as ``details["retry_after_seconds"]``.
    """

    status_code = 429
    code = "TOO_MANY_REQUESTS"
    message = "Too many requests"


class ServiceUnavailableException(_RetryLaterException):
    """Something the service depends on is down, slow or full (RFC 9110, section 15.6.4).

    Args:
        retry_after_seconds: Whole seconds until it is worth trying again.
    """

    status_code = 503
    code = "SERVICE_UNAVAILABLE"
    message = "Service temporarily unavailable"
