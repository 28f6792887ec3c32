"""What the routes of accounts share."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.dependencies import AccessDependency
from tijolo.auth.users.delivery import TokenDelivery
from tijolo.auth.users.entrance import Entrance
from tijolo.auth.users.service import UserAuthService

SessionFactory = Callable[..., AsyncIterator[AsyncSession]] | Callable[..., Any]
_ERRORS = {
    400: "No JSON; or the link is not valid any more; or tokens cannot be delivered so.",
    401: "Nobody is logged in, or what was shown is not good.",
    403: "Another site's page made the request.",
    409: "Another account took the address meanwhile.",
    422: "What was sent is not what the route takes; a weak password says why.",
    429: "Too many attempts; ``Retry-After`` says when to try again.",
    503: "Too many passwords or e-mails are waiting, or a store is down; try again.",
}


@dataclass(frozen=True, kw_only=True)
class RouteParts:
    """What the routes share."""

    service: UserAuthService
    entrance: Entrance
    delivery: TokenDelivery
    session: SessionFactory
    access: AccessDependency
    user: Callable[..., Any]


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says about errors; ``describe_problems`` adds their form."""
    return {status: {"description": _ERRORS[status]} for status in statuses}
