"""What goes wrong in a login at another service.

    OAuthError 502 OAUTH_ERROR               it answered what it must not
    ├── OAuthStateError 400 OAUTH_STATE       not begun in this browser, over, or used already
    ├── OAuthDeniedError 403 OAUTH_DENIED     the user, or the service, said no
    ├── OAuthUnavailableError 503             it does not answer
    └── IDTokenError 502 OAUTH_ID_TOKEN       its ID token does not hold

What the other service sent is in none of them: not in the answer, not in ``str(error)`` for logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tijolo.core import AppException

__all__ = [
    "IDTokenError",
    "OAuthDeniedError",
    "OAuthError",
    "OAuthStateError",
    "OAuthUnavailableError",
]


class OAuthError(AppException):
    """A login at another service failed.

    Args:
        message: One sentence for people; it reaches the caller.
        reason: What happened, in our own words, for logs alone.
        code: As of ``AppException``.
        status_code: The same.
        details: The same.
        headers: The same.
    """

    status_code = 502
    code = "OAUTH_ERROR"
    message = "The login at the other service failed; try again"

    def __init__(
        self,
        message: str | None = None,
        *,
        reason: str = "",
        code: str | None = None,
        status_code: int | None = None,
        details: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            message, code=code, status_code=status_code, details=details, headers=headers
        )
        self.reason = reason

    def __str__(self) -> str:
        return f"{super().__str__()} ({self.reason})" if self.reason else super().__str__()


class OAuthStateError(OAuthError):
    """The answer belongs to no login that this browser began (RFC 6749, section 10.12)."""

    status_code = 400
    code = "OAUTH_STATE"
    message = "This login was not begun in this browser, took too long, or is done; begin again"


class OAuthDeniedError(OAuthError):
    """The user or the other service said no (RFC 6749, section 4.1.2.1)."""

    status_code = 403
    code = "OAUTH_DENIED"
    message = "The login was refused at the other service"


class OAuthUnavailableError(OAuthError):
    """The other service does not answer; nothing can be said about the user."""

    status_code = 503
    code = "OAUTH_UNAVAILABLE"
    message = "The other service does not answer; try again later"


class IDTokenError(OAuthError):
    """What the other service says of the user does not hold (OpenID Connect Core, 3.1.3.7)."""

    code = "OAUTH_ID_TOKEN"
    message = "The other service's statement about the user is not valid"
