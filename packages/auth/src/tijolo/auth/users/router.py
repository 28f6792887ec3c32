"""The routes of accounts: sign-up, activation, log-in, refresh, log-out, recovery."""

# No `from __future__ import annotations`: the routes name local dependencies.

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.dependencies import AccessDependency
from tijolo.auth.principal import Principal
from tijolo.auth.throttle import MailThrottle
from tijolo.auth.users.delivery import TokenCookies, TokenDelivery
from tijolo.auth.users.entrance import Entrance, MailBudget, make_access, make_current_user
from tijolo.auth.users.models import BaseUserModel
from tijolo.auth.users.no_store import NoStoreRoute
from tijolo.auth.users.schemas import (
    AcceptedResponseSchema,
    ActivationResponseSchema,
    EmailChangeRequestSchema,
    EmailSchema,
    LoginResponseSchema,
    LoginSchema,
    MeResponseSchema,
    MfaChallengeResponseSchema,
    MfaSchema,
    OneTimeTokenSchema,
    PasswordChangeSchema,
    PasswordResetConfirmSchema,
    PasswordResetRequestSchema,
    PasswordResetResponseSchema,
    RefreshSchema,
    SignupResponseSchema,
    SignupSchema,
)
from tijolo.auth.users.service import UserAuthService
from tijolo.core import UnauthorizedException

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
    access = make_access(service, cookies.access if cookies else None)
    parts = _Parts(
        service=service,
        entrance=Entrance(service, mail_throttle),
        delivery=TokenDelivery(cookies),
        session=session_factory,
        access=access,
        user=make_current_user(service, access, session_factory),
    )
    router = APIRouter(prefix=prefix, tags=list(tags or ["auth"]), route_class=NoStoreRoute)
    _add_signup(router, parts)
    _add_login(router, parts)
    if service.second_factor is not None:
        _add_mfa(router, parts)
    if service.refresh_model is not None:
        _add_refresh(router, parts)
    _add_reset(router, parts)
    _add_own_account(router, parts)
    _add_email_change(router, parts)
    if service.auth_settings.AUTH_BACKEND_LINKS:
        from tijolo.auth.users.pages import make_auth_pages_router

        pages = make_auth_pages_router(
            service, name=prefix, template_dir=template_dir, logins=parts.entrance.logins
        )
        router.include_router(pages, prefix="/pages")
    return router


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """What the routes share."""

    service: UserAuthService
    entrance: Entrance
    delivery: TokenDelivery
    session: SessionFactory
    access: AccessDependency
    user: Callable[..., Any]


def _add_signup(router: APIRouter, parts: _Parts) -> None:
    service, entrance = parts.service, parts.entrance

    @router.post("/signup", status_code=202, responses=_errors(400, 422, 429, 503))
    async def signup(
        payload: SignupSchema,
        request: Request,
        session: Annotated[AsyncSession, Depends(parts.session)],
    ) -> SignupResponseSchema:
        """Ask for an account. The answer is the same for an address that has one already."""
        async with entrance.mail_to(request, payload.email, MailBudget.SIGNUP):
            _, link = await service.signup(
                session,
                email=payload.email,
                password=payload.password,
                name=payload.name,
                locale=entrance.locale(request),
            )
        return SignupResponseSchema(
            activation_required=not service.auth_settings.AUTH_AUTO_ACTIVATE,
            activation_url=entrance.shown_url(request, link),
        )

    @router.post("/activate", responses=_errors(400, 422))
    async def activate(
        payload: OneTimeTokenSchema, session: Annotated[AsyncSession, Depends(parts.session)]
    ) -> ActivationResponseSchema:
        """Open the account whose link was mailed. It does not log in."""
        user = await service.activate(session, token=payload.token.get_secret_value())
        return ActivationResponseSchema(user_id=user.id)

    @router.post("/activation/resend", status_code=202, responses=_errors(400, 422, 429, 503))
    async def resend_activation(
        payload: EmailSchema,
        request: Request,
        session: Annotated[AsyncSession, Depends(parts.session)],
    ) -> AcceptedResponseSchema:
        """Mail the activation link again, if there is an account that waits for it."""
        async with entrance.mail_to(request, payload.email, MailBudget.SIGNUP):
            await service.resend_activation(
                session, email=payload.email, locale=entrance.locale(request)
            )
        return AcceptedResponseSchema()


def _add_login(router: APIRouter, parts: _Parts) -> None:
    entrance, delivery = parts.entrance, parts.delivery

    @router.post("/login", responses=_errors(400, 401, 403, 422, 429, 503))
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


def _add_mfa(router: APIRouter, parts: _Parts) -> None:
    entrance, delivery = parts.entrance, parts.delivery

    @router.post("/mfa", responses=_errors(400, 401, 403, 422, 503))
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


def _add_refresh(router: APIRouter, parts: _Parts) -> None:
    service, delivery = parts.service, parts.delivery

    @router.post("/refresh", responses=_errors(400, 401, 403, 422))
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

    @router.post("/logout", status_code=204, responses=_errors(400, 403, 422))
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


def _add_reset(router: APIRouter, parts: _Parts) -> None:
    service, entrance = parts.service, parts.entrance

    @router.post("/password-reset/request", status_code=202, responses=_errors(400, 422, 429, 503))
    async def request_password_reset(
        payload: PasswordResetRequestSchema,
        request: Request,
        session: Annotated[AsyncSession, Depends(parts.session)],
    ) -> PasswordResetResponseSchema:
        """Mail a link to choose a new password, if there is an account that may be used."""
        async with entrance.mail_to(request, payload.email, MailBudget.RESET):
            link = await service.request_password_reset(
                session, email=payload.email, locale=entrance.locale(request)
            )
        return PasswordResetResponseSchema(reset_url=entrance.shown_url(request, link))

    @router.post("/password-reset/confirm", status_code=204, responses=_errors(400, 422, 503))
    async def confirm_password_reset(
        payload: PasswordResetConfirmSchema,
        session: Annotated[AsyncSession, Depends(parts.session)],
    ) -> None:
        """Store a new password and end every login. It does not log in."""
        user = await service.confirm_password_reset(
            session,
            token=payload.token.get_secret_value(),
            new_password=payload.new_password,
        )
        await entrance.logins.reset(user.email)


def _add_own_account(router: APIRouter, parts: _Parts) -> None:
    service, entrance, delivery = parts.service, parts.entrance, parts.delivery

    @router.get("/me", responses=_errors(401))
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

    @router.post("/logout-everywhere", status_code=204, responses=_errors(401, 403))
    async def logout_everywhere(
        response: Response,
        session: Annotated[AsyncSession, Depends(parts.session)],
        user: Annotated[BaseUserModel, Depends(parts.user)],
    ) -> None:
        """End every login of the account, this one included."""
        await service.logout_everywhere(session, user)
        if delivery.cookies is not None:
            delivery.cookies.clear(response)

    @router.post("/password-change", responses=_errors(400, 401, 403, 422, 429, 503))
    async def change_password(
        payload: PasswordChangeSchema,
        request: Request,
        response: Response,
        session: Annotated[AsyncSession, Depends(parts.session)],
        user: Annotated[BaseUserModel, Depends(parts.user)],
        principal: Annotated[Principal, Depends(parts.access)],
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
        pair = await service.start_login(session, user, amr=principal.amr)
        return delivery.hand_out(response, pair, payload.delivery)


def _add_email_change(router: APIRouter, parts: _Parts) -> None:
    service, entrance = parts.service, parts.entrance

    @router.post(
        "/email-change/request", status_code=202, responses=_errors(400, 401, 403, 422, 429, 503)
    )
    async def request_email_change(
        payload: EmailChangeRequestSchema,
        request: Request,
        session: Annotated[AsyncSession, Depends(parts.session)],
        user: Annotated[BaseUserModel, Depends(parts.user)],
        principal: Annotated[Principal, Depends(parts.access)],
    ) -> AcceptedResponseSchema:
        """Mail a link to the new address; the old one stays until that is opened.

        Who has no password to give must have logged in within ``AUTH_RECENT_AUTH_SECONDS``.
        """
        entrance.check_proof(user, principal)
        to_new = entrance.mail_to(request, payload.new_email, MailBudget.NEW_ADDRESS)
        async with to_new, entrance.password_of(request, user):
            await service.request_email_change(
                session,
                user,
                new_email=payload.new_email,
                password=payload.password,
                locale=entrance.locale(request),
            )
        return AcceptedResponseSchema(message="If the address is free, a link is on its way to it")

    @router.post("/email-change/confirm", status_code=204, responses=_errors(400, 409, 422))
    async def confirm_email_change(
        payload: OneTimeTokenSchema, session: Annotated[AsyncSession, Depends(parts.session)]
    ) -> None:
        """Use the new address from now on."""
        await service.confirm_email_change(session, token=payload.token.get_secret_value())


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says about errors; ``describe_problems`` adds their form."""
    return {status: {"description": _ERRORS[status]} for status in statuses}
