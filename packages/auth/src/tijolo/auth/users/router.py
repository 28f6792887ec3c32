"""The routes of accounts: log-in, refresh, log-out, one's own, and those that end in e-mails."""

# No `from __future__ import annotations`: the routes name local dependencies.

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.throttle import MailThrottle
from tijolo.auth.users._caller import check_session_factory
from tijolo.auth.users.delivery import TokenCookies, TokenDelivery
from tijolo.auth.users.entrance import Entrance, make_access, make_current_user
from tijolo.auth.users.mail_routes import add_email_change, add_reset, add_signup
from tijolo.auth.users.models import BaseUserModel
from tijolo.auth.users.no_store import NoStoreRoute
from tijolo.auth.users.route_parts import RouteParts, SessionFactory, error_responses
from tijolo.auth.users.schemas import (
    LoginResponseSchema,
    LoginSchema,
    MeResponseSchema,
    MfaChallengeResponseSchema,
    MfaSchema,
    PasswordChangeSchema,
    RefreshSchema,
)
from tijolo.auth.users.service import UserAuthService
from tijolo.core import UnauthorizedException


def make_auth_router(
    service: UserAuthService,
    *,
    session_factory: SessionFactory,
    prefix: str = "/auth",
    tags: list[str] | None = None,
    template_dir: str | None = None,
    cookies: TokenCookies | None = None,
    mail_throttle: MailThrottle | None = None,
) -> APIRouter:
    """A router with all that a front end needs; with ``AUTH_BACKEND_LINKS`` its pages, too.

    ``/mfa`` is there where ``service`` has a second factor, ``/refresh`` and ``/logout`` where it
    has refresh tokens.

    Nothing that it answers says whether an address has an account. No token is ever part of a
    path or a query, so none is in an access log. Every answer is ``no-store``.

    Args:
        service: Does the work; its ``throttle`` counts log-ins, in memory where it has none.
        session_factory: The unit of work of a request: ``db.session_dependency``.
        prefix: Where.
        tags: For OpenAPI.
        template_dir: Pages of the service's own, which go before ours of the same name.
        cookies: For browsers that keep no token themselves; None puts tokens into bodies only.
        mail_throttle: Counts e-mails that strangers can have sent; in memory without one.

    Raises:
        ValueError: ``AUTH_BACKEND_LINKS`` with links whose token is not in the fragment.
        MissingExtraError: Pages without Jinja.
    """
    check_session_factory(session_factory)
    access = make_access(service, cookies.access if cookies else None)
    parts = RouteParts(
        service=service,
        entrance=Entrance(service, mail_throttle),
        delivery=TokenDelivery(cookies),
        session=session_factory,
        access=access,
        user=make_current_user(service, access),
    )
    router = APIRouter(prefix=prefix, tags=list(tags or ["auth"]), route_class=NoStoreRoute)
    add_signup(router, parts)
    _add_login(router, parts)
    if service.second_factor is not None:
        _add_mfa(router, parts)
    if service.refresh_model is not None:
        _add_refresh(router, parts)
    add_reset(router, parts)
    _add_own_account(router, parts)
    add_email_change(router, parts)
    if service.auth_settings.AUTH_BACKEND_LINKS:
        from tijolo.auth.users.pages import make_auth_pages_router

        pages = make_auth_pages_router(
            service, name=prefix, template_dir=template_dir, logins=parts.entrance.logins
        )
        router.include_router(pages, prefix="/pages")
    return router


def _add_login(router: APIRouter, parts: RouteParts) -> None:
    entrance, delivery = parts.entrance, parts.delivery

    @router.post("/login", responses=error_responses(400, 401, 403, 422, 429, 503))
    async def login(
        payload: LoginSchema,
        request: Request,
        response: Response,
        session: Annotated[AsyncSession, Depends(parts.session)],
    ) -> LoginResponseSchema | MfaChallengeResponseSchema:
        """Log in with a password; where a second factor is asked for, ``POST /mfa`` is next."""
        delivery.check(request, payload.delivery)
        outcome = await entrance.login(request, session, payload.email, payload.password)
        return delivery.answer(response, outcome, payload.delivery)


def _add_mfa(router: APIRouter, parts: RouteParts) -> None:
    entrance, delivery = parts.entrance, parts.delivery

    @router.post("/mfa", responses=error_responses(400, 401, 403, 422, 503))
    async def mfa(
        payload: MfaSchema,
        request: Request,
        response: Response,
        session: Annotated[AsyncSession, Depends(parts.session)],
    ) -> LoginResponseSchema:
        """Complete a log-in with the second factor."""
        delivery.check(request, payload.delivery)
        token, code = payload.mfa_token.get_secret_value(), payload.code.get_secret_value()
        pair = await entrance.complete_login(session, token, code)
        return delivery.hand_out(response, pair, payload.delivery)


def _add_refresh(router: APIRouter, parts: RouteParts) -> None:
    service, delivery = parts.service, parts.delivery

    @router.post("/refresh", responses=error_responses(400, 401, 403, 422))
    async def refresh(
        request: Request,
        response: Response,
        session: Annotated[AsyncSession, Depends(parts.session)],
        payload: Annotated[RefreshSchema | None, Body()] = None,
    ) -> LoginResponseSchema:
        """Continue a login. What came in the body goes back in the body, a cookie in a cookie."""
        if payload is not None:
            shown = payload.refresh_token.get_secret_value()
            return delivery.hand_out(response, await service.refresh(session, token=shown), "body")
        token = delivery.refresh_token(request)
        if token is None:
            raise UnauthorizedException("There is no refresh token")
        pair = await service.refresh(session, token=token)
        return delivery.hand_out(response, pair, "cookie")

    @router.post("/logout", status_code=204, responses=error_responses(400, 403, 422))
    async def logout(
        request: Request,
        response: Response,
        session: Annotated[AsyncSession, Depends(parts.session)],
        payload: Annotated[RefreshSchema | None, Body()] = None,
    ) -> None:
        """End the login of a refresh token; one that is unknown is a 204 as well."""
        if delivery.cookies is not None and payload is None:
            # another site's form brings no strict cookie, and would take them back all the same
            delivery.check(request, None)
        token = delivery.refresh_token(request)
        if payload is not None:
            token = payload.refresh_token.get_secret_value()
        if token is not None:
            await service.logout(session, refresh_token=token)
        if delivery.cookies is not None and payload is None:
            delivery.cookies.clear(response)


def _add_own_account(router: APIRouter, parts: RouteParts) -> None:
    service, entrance, delivery = parts.service, parts.entrance, parts.delivery

    @router.get("/me", responses=error_responses(401))
    async def me(user: Annotated[BaseUserModel, Depends(parts.user)]) -> MeResponseSchema:
        """Who is logged in."""
        return MeResponseSchema(
            id=user.id,
            email=user.email,
            name=user.name,
            status=user.status,
            roles=sorted(user.role_names),
            created_at=user.created_at,
            last_login_at=user.last_login_at,
        )

    @router.post("/logout-everywhere", status_code=204, responses=error_responses(401, 403))
    async def logout_everywhere(
        response: Response,
        session: Annotated[AsyncSession, Depends(parts.session)],
        user: Annotated[BaseUserModel, Depends(parts.user)],
    ) -> None:
        """End every login of the account, this one included."""
        await service.logout_everywhere(session, user)
        if delivery.cookies is not None:
            delivery.cookies.clear(response)

    @router.post("/password-change", responses=error_responses(400, 401, 403, 422, 429, 503))
    async def change_password(
        payload: PasswordChangeSchema,
        request: Request,
        response: Response,
        session: Annotated[AsyncSession, Depends(parts.session)],
        user: Annotated[BaseUserModel, Depends(parts.user)],
    ) -> LoginResponseSchema:
        """Store a new password and end every login; this one goes on with new tokens."""
        delivery.check(request, payload.delivery)
        async with entrance.password_of(request, user):
            await service.change_password(
                session,
                user,
                current_password=payload.current_password,
                new_password=payload.new_password,
            )
        # the token's other methods were proved at another time than auth_time will say
        pair = await service.start_login(session, user, amr=("pwd",))
        return delivery.hand_out(response, pair, payload.delivery)
