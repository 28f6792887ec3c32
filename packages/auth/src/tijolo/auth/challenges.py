"""Refusals that tell a client what would help (RFC 6750, section 3; RFC 9470)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tijolo.core import BadRequestException, ForbiddenException, UnauthorizedException

_QUOTABLE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")


class InvalidRequestException(BadRequestException):
    """Credentials that were sent twice, or in two ways (RFC 6750, section 3.1)."""

    code = "INVALID_REQUEST"
    message = "Send one access token, in one place"

    def __init__(self) -> None:
        super().__init__(headers=_header("invalid_request"))


class InsufficientScopeException(ForbiddenException):
    """The token is good, and may not do this (RFC 6750, section 3.1).

    Args:
        scopes: What it would take.
        message: For people.
    """

    code = "INSUFFICIENT_SCOPE"
    message = "The access token has not the scope for this"

    def __init__(self, scopes: Iterable[str] = (), message: str | None = None) -> None:
        names = " ".join(sorted(scopes))
        parameters = {"scope": names} if names else {}
        super().__init__(message, headers=_header("insufficient_scope", **parameters))


class InsufficientRoleException(ForbiddenException):
    """The user has not the role."""

    code = "INSUFFICIENT_ROLE"
    message = "Insufficient role for this operation"


class InsufficientPermissionException(ForbiddenException):
    """The user has not the permission."""

    code = "INSUFFICIENT_PERMISSION"
    message = "Insufficient permissions for this operation"


class InsufficientAuthenticationException(UnauthorizedException):
    """The user must prove again, or better, who they are (RFC 9470, section 3).

    Args:
        max_age_seconds: How long ago the proof may be.
        acr_values: How good it must be, in the issuer's words.
        amr_values: By which methods, one of which is enough.
    """

    code = "INSUFFICIENT_USER_AUTHENTICATION"
    message = "Log in again to do this"

    def __init__(
        self,
        *,
        max_age_seconds: int | None = None,
        acr_values: Iterable[str] = (),
        amr_values: Iterable[str] = (),
    ) -> None:
        acr, amr = " ".join(acr_values), sorted(amr_values)
        parameters: dict[str, str] = {}
        details: dict[str, Any] = {}
        if max_age_seconds is not None:
            parameters["max_age"] = str(max_age_seconds)
            details["max_age_seconds"] = max_age_seconds
        if acr:
            parameters["acr_values"] = acr
            details["acr_values"] = acr.split(" ")
        if amr:
            details["amr_values"] = amr
        super().__init__(
            details=details,
            headers=_header(
                "insufficient_user_authentication",
                error_description="A more recent or stronger authentication is required",
                **parameters,
            ),
        )


def _header(error: str, **parameters: str) -> dict[str, str]:
    """One challenge; what cannot be quoted is left out rather than sent broken."""
    fields = [f'error="{error}"']
    fields += [f'{name}="{text}"' for name, text in parameters.items() if _QUOTABLE.fullmatch(text)]
    return {"WWW-Authenticate": "Bearer " + ", ".join(fields)}
