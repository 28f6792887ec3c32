"""The routes that end in an e-mail, and those of its link: sign-up, reset, a new address."""

# No `from __future__ import annotations`: the routes name local dependencies.

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.principal import Principal
from tijolo.auth.users.entrance import MailBudget
from tijolo.auth.users.models import BaseUserModel
from tijolo.auth.users.route_parts import RouteParts, error_responses
from tijolo.auth.users.schemas import (
    AcceptedResponseSchema,
    ActivationResponseSchema,
    EmailChangeRequestSchema,
    EmailSchema,
    OneTimeTokenSchema,
    PasswordResetConfirmSchema,
    PasswordResetRequestSchema,
    PasswordResetResponseSchema,
    SignupResponseSchema,
    SignupSchema,
)


def add_signup(router: APIRouter, parts: RouteParts) -> None:
    """``/signup``, ``/activate``, ``/activation/resend``."""
    service, entrance = parts.service, parts.entrance

    @router.post("/signup", status_code=202, responses=error_responses(400, 422, 429, 503))
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

    @router.post("/activate", responses=error_responses(400, 422))
    async def activate(
        payload: OneTimeTokenSchema, session: Annotated[AsyncSession, Depends(parts.session)]
    ) -> ActivationResponseSchema:
        """Open the account whose link was mailed. It does not log in."""
        user = await service.activate(session, token=payload.token.get_secret_value())
        return ActivationResponseSchema(user_id=user.id)

    @router.post(
        "/activation/resend", status_code=202, responses=error_responses(400, 422, 429, 503)
    )
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


def add_reset(router: APIRouter, parts: RouteParts) -> None:
    """``/password-reset/...``."""
    service, entrance = parts.service, parts.entrance

    @router.post(
        "/password-reset/request", status_code=202, responses=error_responses(400, 422, 429, 503)
    )
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

    @router.post(
        "/password-reset/confirm", status_code=204, responses=error_responses(400, 422, 503)
    )
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


def add_email_change(router: APIRouter, parts: RouteParts) -> None:
    """``/email-change/...``."""
    service, entrance = parts.service, parts.entrance

    @router.post(
        "/email-change/request",
        status_code=202,
        responses=error_responses(400, 401, 403, 422, 429, 503),
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

    @router.post("/email-change/confirm", status_code=204, responses=error_responses(400, 409, 422))
    async def confirm_email_change(
        payload: OneTimeTokenSchema, session: Annotated[AsyncSession, Depends(parts.session)]
    ) -> None:
        """Use the new address from now on."""
        await service.confirm_email_change(session, token=payload.token.get_secret_value())
