"""Routes where users enrol an app, renew their recovery codes, and part with both."""

# No `from __future__ import annotations`: the routes' annotations are local names.
from collections.abc import Callable, Iterable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from tijolo.auth.auth_deps import AuthDeps
from tijolo.auth.dependencies import make_bearer_token_dependency
from tijolo.auth.mfa.events import MfaEventKind
from tijolo.auth.mfa.schemas import (
    MfaStatusSchema,
    RecoveryCodesSchema,
    TotpConfirmSchema,
    TotpDisableSchema,
    TotpEnrolmentSchema,
)
from tijolo.auth.mfa.second_factor import OTP, RECOVERY
from tijolo.auth.mfa.service import MfaService
from tijolo.auth.users import UserAuthService
from tijolo.auth.users._caller import Caller, CallerDependency, make_caller_dependency
from tijolo.auth.users.no_store import NoStoreRoute


def make_mfa_router(
    service: MfaService,
    *,
    users: UserAuthService,
    auth: AuthDeps,
    session_factory: Callable[..., Any],
    prefix: str = "/auth/mfa",
    tags: list[str] | None = None,
    strong_amr: Iterable[str] = (OTP, RECOVERY),
) -> APIRouter:
    """The routes of the second factor, for who is logged in.

    Everything but the status asks for a login of the last ``MFA_RECENT_AUTH_SECONDS``, and what
    weakens the second factor for one that used it; the 401 says so (RFC 9470).

    Args:
        service: Does it.
        users: Whose accounts they are.
        auth: Who is logged in. Not API keys: these have no login.
        session_factory: The dependency that gives the unit of work: ``db.session_dependency``.
        prefix: Of every path.
        tags: For OpenAPI; default ``["mfa"]``.
        strong_amr: Methods, one of which the login must have used to disable the second factor.
    """
    recent = service.settings.MFA_RECENT_AUTH_SECONDS
    dependency = partial(
        make_caller_dependency, session_factory=session_factory, user_model=users.user_model
    )
    anybody = dependency(make_bearer_token_dependency(auth.authenticator, cookie=auth.cookie))
    fresh = dependency(auth.require_recent_auth(max_age_seconds=recent))
    strong = dependency(auth.require_recent_auth(max_age_seconds=recent, amr=strong_amr))
    router = APIRouter(prefix=prefix, tags=list(tags or ["mfa"]), route_class=NoStoreRoute)
    _add_status(router, service, anybody)
    _add_enrolment(router, service, users, fresh)
    _add_weakening(router, service, users, strong)
    return router


def _add_status(router: APIRouter, service: MfaService, anybody: CallerDependency) -> None:
    @router.get("")
    async def mfa_status(me: Annotated[Caller, Depends(anybody)]) -> MfaStatusSchema:
        status = await service.status(me.session, me.user)
        return MfaStatusSchema(
            enabled=status.enabled_at is not None,
            enabled_at=status.enabled_at,
            recovery_codes_left=status.recovery_codes_left,
        )


def _add_enrolment(
    router: APIRouter, service: MfaService, users: UserAuthService, fresh: CallerDependency
) -> None:
    @router.post("/totp/enrol")
    async def enrol_totp(me: Annotated[Caller, Depends(fresh)]) -> TotpEnrolmentSchema:
        made = await service.enrol(me.session, me.user)
        return TotpEnrolmentSchema(
            secret=made.secret,
            otpauth_uri=made.uri,
            qr_svg=made.qr_svg,
            expires_at=made.expires_at,
        )

    @router.post("/totp/confirm")
    async def confirm_totp(
        body: TotpConfirmSchema, me: Annotated[Caller, Depends(fresh)]
    ) -> RecoveryCodesSchema:
        codes = await service.confirm(me.session, me.user, body.code.get_secret_value())
        users.tell_of_change(me.session, me.user, MfaEventKind.ENABLED)
        if body.log_out_everywhere:
            await users.end_everything(me.session, me.user, reason="mfa enabled")
        return RecoveryCodesSchema(recovery_codes=codes)


def _add_weakening(
    router: APIRouter, service: MfaService, users: UserAuthService, strong: CallerDependency
) -> None:
    @router.post("/totp/disable", status_code=204)
    async def disable_totp(body: TotpDisableSchema, me: Annotated[Caller, Depends(strong)]) -> None:
        await service.disable(me.session, me.user)
        users.tell_of_change(me.session, me.user, MfaEventKind.DISABLED)
        if body.log_out_everywhere:
            await users.end_everything(me.session, me.user, reason="mfa disabled")

    @router.post("/recovery-codes")
    async def renew_recovery_codes(
        me: Annotated[Caller, Depends(strong)],
    ) -> RecoveryCodesSchema:
        codes = await service.regenerate_recovery_codes(me.session, me.user)
        users.tell_of_change(me.session, me.user, MfaEventKind.RECOVERY_CODES_RENEWED)
        return RecoveryCodesSchema(recovery_codes=codes)
