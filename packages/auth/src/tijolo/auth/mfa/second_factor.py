"""The second factor of a login: a code of the app, or a recovery code, each good once."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.mfa.attempts import CodeAttempts
from tijolo.auth.mfa.errors import MfaUnavailableException
from tijolo.auth.mfa.events import MfaEventKind
from tijolo.auth.mfa.models import BaseRecoveryCodeModel, BaseTotpModel
from tijolo.auth.mfa.recovery_codes import read_recovery_code, recovery_code_hash
from tijolo.auth.mfa.sealing import SecretBox, UnreadableSecretError
from tijolo.auth.mfa.settings import MfaSettings
from tijolo.auth.mfa.totp import TotpParameters
from tijolo.auth.users import BaseUserModel
from tijolo.auth.users.events import Events, OnEvent
from tijolo.core import utcnow
from tijolo.web import RateLimitStore

OTP, RECOVERY = "otp", "recovery"
"""What ``amr`` says of a login: a one-time password (RFC 8176, section 2), a recovery code."""

_IGNORED = re.compile(r"[\s-]")
_LONGEST = 64
_log = logging.getLogger("tijolo.auth.mfa")


class _Totp(NamedTuple):
    id: UUID
    sealed_secret: str
    last_step: int


class TotpSecondFactor:
    """Asks users who have an app for one of its codes; the ``SecondFactor`` of a login.

    Args:
        totp_model: From ``make_totp_model``.
        recovery_code_model: From ``make_recovery_code_model``.
        box: Opens the secrets.
        attempts: Bounds the guesses.
        parameters: What the apps were told.
        on_event: Told of ``AuthEvent`` after the commit, as ``UserAuthService`` is.
        clock: The time, aware.
    """

    def __init__(
        self,
        totp_model: type[BaseTotpModel],
        recovery_code_model: type[BaseRecoveryCodeModel],
        *,
        box: SecretBox,
        attempts: CodeAttempts,
        parameters: TotpParameters | None = None,
        on_event: OnEvent | None = None,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        self.totp_model = totp_model
        self.recovery_code_model = recovery_code_model
        self.box = box
        self.attempts = attempts
        self.parameters = parameters or TotpParameters()
        self.clock = clock
        self.events = Events(on_event, clock=clock)
        self._is_otp = re.compile(rf"[0-9]{{{self.parameters.digits}}}").fullmatch

    @classmethod
    def from_settings(
        cls,
        settings: MfaSettings,
        totp_model: type[BaseTotpModel],
        recovery_code_model: type[BaseRecoveryCodeModel],
        *,
        store: RateLimitStore,
        on_event: OnEvent | None = None,
        clock: Callable[[], datetime] = utcnow,
    ) -> TotpSecondFactor:
        """The factor that ``settings`` describe.

        Args:
            store: Counts the guesses: in memory for one process, in Redis for several.
            on_event: Told of what happens.
            clock: The time, aware.
        """
        return cls(
            totp_model,
            recovery_code_model,
            box=settings.secret_box(),
            attempts=CodeAttempts(store, settings.MFA_ATTEMPT_LIMITS),
            parameters=settings.totp_parameters(),
            on_event=on_event,
            clock=clock,
        )

    async def is_required(self, session: AsyncSession, user: BaseUserModel) -> bool:
        """Whether ``user`` has confirmed an app."""
        model = self.totp_model
        confirmed = select(model.id).where(
            model.user_id == user.id, model.confirmed_at.is_not(None)
        )
        return await session.scalar(confirmed) is not None

    async def verify(self, session: AsyncSession, user: BaseUserModel, code: str) -> str | None:
        """What ``code`` proves, as a value of ``amr``; None for nothing. It is used then.

        Spaces and hyphens do not matter. A success gives the attempt back.

        Raises:
            TooManyRequestsException: Too many wrong codes; says when the next may be tried.
            ServiceUnavailableException: The attempts cannot be counted, or the secret not opened.
        """
        digits = _digits(code)
        recovery = read_recovery_code(code)
        if self._is_otp(digits):
            # apart from recovery codes: who is locked out of the app can still use one
            key, method = f"{OTP}:{user.id}", OTP
        elif recovery is not None:
            key, method = f"{RECOVERY}:{user.id}", RECOVERY
        else:
            return None
        await self.attempts.take(key)
        if method == OTP:
            right = await self._use_otp(session, user, digits)
        else:
            right = await self._use_recovery_code(session, user, recovery or "")
        if not right:
            return None
        await self.attempts.give_back(key)
        return method

    async def end_unproved(self, session: AsyncSession, user: BaseUserModel) -> list[str]:
        """At a reset, end what was enrolled while nobody had proved the address.

        It may be of somebody who began with the address of another, whom it would lock out.
        """
        if user.email_verified_at is not None:
            return []
        if await self.is_required(session, user):
            self.events.after_commit(session, MfaEventKind.DISABLED, user.id)
        for model in (self.totp_model, self.recovery_code_model):
            for found in await session.scalars(select(model.id).where(model.user_id == user.id)):
                await session.execute(
                    delete(model).where(model.id == found),
                    execution_options={"synchronize_session": False},
                )
        return []

    async def _use_otp(self, session: AsyncSession, user: BaseUserModel, code: str) -> bool:
        model = self.totp_model
        found = (
            await session.execute(
                select(model.id, model.sealed_secret, model.last_step).where(
                    model.user_id == user.id, model.confirmed_at.is_not(None)
                )
            )
        ).one_or_none()
        if found is None:
            return False
        totp = _Totp(*found)
        secret = self.open(totp.sealed_secret, user)
        step = self.parameters.matching_step(
            secret, code, now=self.clock().timestamp(), after=totp.last_step
        )
        return step is not None and await self._use_step(session, totp, step, secret, user)

    async def _use_step(
        self, session: AsyncSession, totp: _Totp, step: int, secret: bytes, user: BaseUserModel
    ) -> bool:
        """One conditional write: of several with the same code, one wins (RFC 6238, 5.2)."""
        model = self.totp_model
        values: dict[str, Any] = {"last_step": step}
        if self.box.is_stale(totp.sealed_secret):
            values["sealed_secret"] = self.box.seal(secret, owner=user.id)
        still = (model.id == totp.id, model.confirmed_at.is_not(None), model.last_step < step)
        done: Any = await session.execute(
            update(model).where(*still).values(values),
            execution_options={"synchronize_session": False},
        )
        return bool(done.rowcount)

    async def _use_recovery_code(
        self, session: AsyncSession, user: BaseUserModel, code: str
    ) -> bool:
        if not await self.is_required(session, user):
            return False
        model = self.recovery_code_model
        unused = (
            model.user_id == user.id,
            model.code_hash == recovery_code_hash(code, owner=user.id),
            model.used_at.is_(None),
        )
        done: Any = await session.execute(
            update(model).where(*unused).values(used_at=self.clock()),
            execution_options={"synchronize_session": False},
        )
        if done.rowcount:
            self.events.after_commit(session, MfaEventKind.RECOVERY_CODE_USED, user.id)
        return bool(done.rowcount)

    async def check_new(self, user: BaseUserModel, sealed_secret: str, code: str) -> int | None:
        """The step of a code of an app that is not confirmed yet; None for a wrong one.

        Raises:
            TooManyRequestsException: Too many wrong codes.
            MfaUnavailableException: No key opens the secret.
        """
        key, digits = f"enrol:{user.id}", _digits(code)
        if not self._is_otp(digits):
            return None
        await self.attempts.take(key)
        secret = self.open(sealed_secret, user)
        step = self.parameters.matching_step(secret, digits, now=self.clock().timestamp())
        if step is not None:
            await self.attempts.give_back(key)
        return step

    def open(self, sealed_secret: str, user: BaseUserModel) -> bytes:
        """The secret of ``user``'s app.

        Raises:
            MfaUnavailableException: No key opens it; logged, without the secret.
        """
        try:
            return self.box.open(sealed_secret, owner=user.id)
        except UnreadableSecretError as error:
            _log.error("the second factor of user %s cannot be checked: %s", user.id, error)
            raise MfaUnavailableException from error


def _digits(code: str) -> str:
    """``code`` without what people put between its digits."""
    return _IGNORED.sub("", code) if len(code) <= _LONGEST else ""
