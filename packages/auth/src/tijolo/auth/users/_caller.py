"""The user behind a principal, for routes about their own account."""

# No `from __future__ import annotations`: the dependency's annotations are local names.
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.principal import Principal
from tijolo.auth.users.models import BaseUserModel
from tijolo.core import InvalidTokenException


class Caller(NamedTuple):
    """Who asks, in the unit of work of the request."""

    session: AsyncSession
    user: BaseUserModel


CallerDependency = Callable[..., Awaitable[Caller]]


def make_caller_dependency(
    access: Callable[..., Any],
    *,
    session_factory: Callable[..., Any],
    user_model: type[BaseUserModel],
) -> CallerDependency:
    """A dependency that gives the user of the principal that ``access`` lets pass.

    They are as the table says now: what changes an account believes no cache.
    """

    check_session_factory(session_factory)

    async def caller(
        session: Annotated[AsyncSession, Depends(session_factory)],
        principal: Annotated[Principal, Depends(access)],
    ) -> Caller:
        return Caller(session, await calling_user(session, user_model, principal))

    return caller


def check_session_factory(given: object) -> None:
    """Refuse what is no dependency; FastAPI would name neither the argument nor the remedy.

    Raises:
        TypeError: ``given`` is not callable.
    """
    if not callable(given):
        raise TypeError(
            f"session_factory must be a dependency, got {given!r}; did you mean"
            " db.session_dependency?"
        )


async def calling_user(
    session: AsyncSession, user_model: type[BaseUserModel], principal: Principal
) -> BaseUserModel:
    """The user of ``principal``.

    Raises:
        InvalidTokenException: There is none who may be here, or what the token stands for ended.
    """
    try:
        user = await session.get(user_model, UUID(principal.subject), populate_existing=True)
    except ValueError:
        user = None
    if user is None or not user.may_log_in or user.auth_epoch > principal.epoch:
        raise InvalidTokenException("The token was revoked", code="TOKEN_REVOKED")
    return user
