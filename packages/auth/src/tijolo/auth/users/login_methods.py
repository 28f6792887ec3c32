"""How logins begin, go on and end."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.revocation import RevocationChecker
from tijolo.auth.users.composition import Composition
from tijolo.auth.users.epoch import EpochChecker
from tijolo.auth.users.models import BaseUserModel
from tijolo.auth.users.results import (
    MfaChallenge,
    TokenPair,
)


class LoginMethods(Composition):
    """What ``UserAuthService`` does about logins."""

    async def authenticate(
        self, session: AsyncSession, *, email: str, password: SecretStr | str
    ) -> BaseUserModel:
        """The user whose address and password these are: the one verifier of credentials.

        Raises:
            InvalidCredentialsException: They are nobody's who may log in; it is not said why.
            HashingBusyException: Too many want to log in at once.
        """
        return await self._credentials.authenticate(session, email=email, password=password)

    async def login(
        self, session: AsyncSession, *, email: str, password: SecretStr | str
    ) -> TokenPair | MfaChallenge:
        """Log in with a password: a token pair, or a challenge where a second factor is asked for.

        Raises:
            InvalidCredentialsException: As :meth:`authenticate`.
            HashingBusyException: Too many want to log in at once.
        """
        return await self._logins.login(session, email=email, password=password)

    async def complete_login(self, session: AsyncSession, *, token: str, code: str) -> TokenPair:
        """Answer an :class:`MfaChallenge`.

        Raises:
            InvalidCodeException: The code proves nothing. The challenge takes
                ``AUTH_MFA_MAX_ATTEMPTS``; each counts, however many come at once.
            OneTimeTokenException: The challenge is used, expired or spent; log in again.
        """
        return await self._logins.complete(session, token=token, code=code)

    async def begin_login(
        self, session: AsyncSession, user: BaseUserModel, *, amr: Iterable[str]
    ) -> TokenPair | MfaChallenge:
        """Log in who has proved who they are by one thing, such as an identity provider.

        A token pair, or a challenge where a second factor is asked for.

        Args:
            amr: How (RFC 8176).

        Raises:
            InvalidCredentialsException: The account may not be used.
        """
        return await self._logins.begin(session, user, amr=amr)

    async def start_login(
        self, session: AsyncSession, user: BaseUserModel, *, amr: Iterable[str]
    ) -> TokenPair:
        """A token pair for somebody of whom nothing more is asked: no second factor.

        Args:
            amr: How (RFC 8176), such as ``("pwd",)``.

        Raises:
            InvalidCredentialsException: The account may not be used.
        """
        return await self._logins.start(session, user, amr=amr)

    async def issue_jwt_pair(self, session: AsyncSession, user: BaseUserModel) -> tuple[str, str]:
        """The contract's form of :meth:`start_login`: access and refresh token.

        Raises:
            RuntimeError: There is no ``refresh_model``.
        """
        if self.refresh_model is None:
            raise RuntimeError("issue_jwt_pair needs refresh_model; start_login does without")
        pair = await self.start_login(session, user, amr=("pwd",))
        return pair.access_token, pair.refresh_token or ""

    async def refresh(self, session: AsyncSession, *, token: str) -> TokenPair:
        """Continue a login: a new access token, and the successor of the refresh token.

        A token works once. Again within ``AUTH_REFRESH_GRACE_SECONDS`` it gives the same
        successor; after that its family is ended and ``refresh_reused`` is told (RFC 9700,
        section 4.14.2). ``auth_time`` and ``amr`` stay those of the login.

        Raises:
            InvalidTokenException: It is not good, or not any more: log in again.
            ExpiredTokenException: It was not used in time, or the login is too old.
        """
        return await self._logins.refresh(session, token=token)

    async def logout(self, session: AsyncSession, *, refresh_token: str) -> None:
        """End the login of ``refresh_token``; nothing happens for what is none (RFC 7009)."""
        await self._logins.logout(session, refresh_token=refresh_token)

    async def logout_everywhere(self, session: AsyncSession, user: BaseUserModel) -> None:
        """End every login of ``user``, this one included."""
        await self.end_everything(session, user, reason="logout everywhere")

    async def end_everything(
        self, session: AsyncSession, user: BaseUserModel, *, reason: str = "asked for"
    ) -> None:
        """Raise ``auth_epoch``: tokens, refresh families and sessions made before are over."""
        await self.kill_switch.end_everything(session, user, reason=reason)

    def make_epoch_checker(self, *, also: RevocationChecker | None = None) -> EpochChecker:
        """What refuses access tokens that are over: for ``build_auth_deps(revocation=...)``.

        In this process it knows at once what this service ended, in others within
        ``AUTH_EPOCH_CACHE_SECONDS``.

        Args:
            also: Asked first, such as a store of single logins that were ended.
        """
        seconds = self.auth_settings.AUTH_EPOCH_CACHE_SECONDS
        checker = EpochChecker(self.db, self.user_model, cache_seconds=seconds, also=also)
        self.kill_switch.forget.append(checker.forget)
        return checker
