"""From what somebody typed to who they are: throttle, password, second factor."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

from tijolo.core import UnauthorizedException
from tijolo.sessions.credentials import (
    CredentialVerifier,
    LoginThrottle,
    SecondFactor,
    SessionUser,
)
from tijolo.sessions.events import SessionEventKind, SessionReporter
from tijolo.sessions.refusals import InvalidCredentialsException, SecondFactorRequiredException


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try to sign in."""

    email: str
    password: str
    code: str | None = None
    ip: str | None = None
    user_agent: str | None = None

    @property
    def account(self) -> str:
        """The address in one form for all its spellings, to count by."""
        return unicodedata.normalize("NFKC", self.email).strip().casefold()

    def __repr__(self) -> str:
        return "Attempt(...)"


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """Asks those who know, in the order that tells a guesser least."""

    verifier: CredentialVerifier | None
    second_factor: SecondFactor | None
    throttle: LoginThrottle | None
    report: SessionReporter

    async def authenticate(self, session: Any, *, email: str, password: str) -> SessionUser:
        """The user with these credentials."""
        if self.verifier is None:
            raise RuntimeError("SessionAuth has no verifier; give it verifier=... to sign users in")
        user = await self.verifier.authenticate(session, email=email, password=password)
        if user is None:
            raise InvalidCredentialsException
        return user

    async def run(self, session: Any, attempt: Attempt) -> tuple[SessionUser, tuple[str, ...]]:
        """The user, and how they proved it."""
        address, account = attempt.ip, self._account(attempt)
        if self.throttle is not None:
            await self.throttle.reserve(account, address=address)
        try:
            user = await self.authenticate(session, email=attempt.email, password=attempt.password)
            amr = ("pwd", *await self._second_factor(session, user, attempt.code))
        except UnauthorizedException as error:
            await self.report(
                SessionEventKind.LOGIN_FAILED,
                ip=address,
                user_agent=attempt.user_agent,
                details={"code": error.code},
            )
            raise
        if self.throttle is not None:
            await self.throttle.succeeded(account)
        return user, amr

    def _account(self, attempt: Attempt) -> str:
        # only who finds the account knows which spellings find it
        name = getattr(self.verifier, "account_name", None)
        return attempt.account if name is None else name(attempt.email)

    async def _second_factor(
        self, session: Any, user: SessionUser, code: str | None
    ) -> tuple[str, ...]:
        factor = self.second_factor
        if factor is None or not await factor.is_required(session, user):
            return ()
        if code is None:
            raise SecondFactorRequiredException
        proved = await factor.verify(session, user, code)
        if proved is None:
            raise InvalidCredentialsException
        return (proved, "mfa")
