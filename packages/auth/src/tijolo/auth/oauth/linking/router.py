"""The routes of logins elsewhere, with the users of this service."""

# No `from __future__ import annotations`: the routes name local dependencies.

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

# house: allow library, the extra users brings it, and the package's __init__ asks for that
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.oauth.linking.accounts import OAuthAccounts
from tijolo.auth.oauth.linking.errors import OAuthAccountClosedError
from tijolo.auth.oauth.logins import OAuthLogin, OAuthLogins
from tijolo.auth.oauth.router import ErrorHandler, Provider, ReturnTo, make_oauth_router
from tijolo.auth.principal import Principal
from tijolo.auth.users import BaseUserModel, MfaChallenge, TokenPair
from tijolo.core import BaseSchema, InvalidTokenException

__all__ = [
    "DeliverLogin",
    "LinkResponseSchema",
    "OAuthIdentitySchema",
    "make_oauth_account_router",
]

DeliverLogin = Callable[[Request, TokenPair | MfaChallenge, str], Awaitable[Response]]
"""Answers the browser of somebody who is let in; the text is the path they want to be at."""
Access = Callable[..., Awaitable[Principal]]


class OAuthIdentitySchema(BaseSchema):
    """An account at a provider that its user logs in with."""

    id: UUID
    provider: str
    email: str | None
    created_at: datetime
    last_used_at: datetime | None


class LinkResponseSchema(BaseSchema):
    """Where to send the browser that got the cookie of this answer."""

    url: str


def make_oauth_account_router(
    logins: OAuthLogins,
    accounts: OAuthAccounts,
    *,
    access: Access,
    recent_access: Access,
    deliver: DeliverLogin | None = None,
    on_error: ErrorHandler | None = None,
    prefix: str = "/auth/oauth",
    tags: list[str] | None = None,
) -> APIRouter:
    """The routes of ``make_oauth_router``, and those with which users link and unlink.

    Args:
        logins: The providers.
        accounts: Finds and makes accounts.
        access: Who is logged in, such as ``auth.get_current_user``.
        recent_access: The same, of a recent login: ``make_recent_auth_dependency``.
        deliver: Hands over a login; by default the tokens are JSON. A browser wants a redirect
            with cookies.
        on_error: Answers an ``OAuthError`` of ``start`` and ``callback`` for people.
        prefix: Before all routes.
        tags: For OpenAPI.
    """
    desk = _Desk(logins, accounts, deliver or _as_json)
    router = make_oauth_router(
        logins, on_login=desk.came_back, on_error=on_error, prefix=prefix, tags=tags
    )

    @router.post("/{provider}/link")
    async def link(
        provider: Provider,
        request: Request,
        response: Response,
        principal: Annotated[Principal, Depends(recent_access)],
        return_to: ReturnTo = "/",
    ) -> LinkResponseSchema:
        """Begin to link an account there to the one that is logged in here."""
        begun_by = await desk.name_of(principal)
        url = await logins.begin(
            request, response, provider, return_to=return_to, begun_by=begun_by
        )
        return LinkResponseSchema(url=url)

    @router.get("/identities")
    async def identities(
        principal: Annotated[Principal, Depends(access)],
    ) -> list[OAuthIdentitySchema]:
        """The accounts elsewhere that the user logs in with."""
        return await desk.identities(principal)

    @router.delete("/identities/{identity_id}", status_code=204)
    async def unlink(
        identity_id: UUID, principal: Annotated[Principal, Depends(recent_access)]
    ) -> None:
        """Take one back; the last way into the account stays."""
        await desk.unlink(principal, identity_id)

    return router


class _Desk:
    """What the routes do, each in a transaction of its own."""

    def __init__(self, logins: OAuthLogins, accounts: OAuthAccounts, deliver: DeliverLogin) -> None:
        self._logins, self._accounts, self._deliver = logins, accounts, deliver
        self._db = accounts.service.db

    async def came_back(self, request: Request, login: OAuthLogin) -> Response:
        if login.begun_by is not None:
            await self._link(login, login.begun_by)
            return RedirectResponse(login.return_to, 303)
        # again, should another tab of the same newcomer get in its way
        outcome = await self._db.run_in_transaction(
            lambda session: self._accounts.log_in(session, login.user)
        )
        return await self._deliver(request, outcome, login.return_to)

    async def name_of(self, principal: Principal) -> str:
        async with self._db.read_only() as session:
            user = await self._user(session, principal)
        return f"{user.id} {user.auth_epoch}"

    async def identities(self, principal: Principal) -> list[OAuthIdentitySchema]:
        async with self._db.read_only() as session:
            user = await self._user(session, principal)
            rows = await self._accounts.identities(session, user)
            return [OAuthIdentitySchema.model_validate(row) for row in rows]

    async def unlink(self, principal: Principal, identity_id: UUID) -> None:
        async def work(session: AsyncSession) -> None:
            user = await self._user(session, principal)
            await self._accounts.unlink(session, user, identity_id)

        await self._db.run_in_transaction(work)

    async def _link(self, login: OAuthLogin, begun_by: str) -> None:
        user_id, _, epoch = begun_by.partition(" ")

        async def work(session: AsyncSession) -> None:
            # logged out everywhere while the browser was away, or at this moment
            user = await self._accounts.service.parts.lock(session, UUID(user_id))
            if user is None or user.auth_epoch != int(epoch):
                raise OAuthAccountClosedError
            await self._accounts.link(session, user, login.user)

        await self._db.run_in_transaction(work)

    async def _user(self, session: AsyncSession, principal: Principal) -> BaseUserModel:
        try:
            user_id = UUID(principal.subject)
        except ValueError:
            raise InvalidTokenException from None
        user = await session.get(self._accounts.service.user_model, user_id)
        if user is None or not user.may_log_in or principal.epoch < user.auth_epoch:
            raise InvalidTokenException("The token was revoked", code="TOKEN_REVOKED")
        return user


async def _as_json(request: Request, outcome: TokenPair | MfaChallenge, path: str) -> Response:
    body: dict[str, Any]
    if isinstance(outcome, MfaChallenge):
        body = {"mfa_token": outcome.token, "expires_at": outcome.expires_at.isoformat()}
    else:
        body = {
            "user_id": str(outcome.user_id),
            "access_token": outcome.access_token,
            "refresh_token": outcome.refresh_token,
            "token_type": outcome.token_type,
            "expires_in": outcome.expires_in_seconds,
        }
    return JSONResponse({**body, "return_to": path})
