"""Logins: begun, continued by refresh tokens, ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from uuid import UUID, uuid4

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.token_issuer import AccessToken, TokenIssuer
from tijolo.auth.users.afterwards import after_transaction
from tijolo.auth.users.credentials import Credentials
from tijolo.auth.users.errors import (
    InvalidCodeException,
    InvalidCredentialsException,
    OneTimeTokenException,
)
from tijolo.auth.users.events import AuthEventKind
from tijolo.auth.users.kill_switch import KillSwitch
from tijolo.auth.users.models import BaseUserModel
from tijolo.auth.users.parts import AuthParts, lock_as_read
from tijolo.auth.users.refresh_families import (
    RefreshFamilies,
    ReusedTokenException,
    Rotation,
)
from tijolo.auth.users.results import MfaChallenge, TokenPair
from tijolo.auth.users.second_factor import SecondFactor
from tijolo.auth.users.token_models import UserTokenPurpose
from tijolo.core import InvalidTokenException


class Logins:
    """Hands out token pairs to those who have proved who they are."""

    def __init__(
        self,
        parts: AuthParts,
        credentials: Credentials,
        switch: KillSwitch,
        *,
        issuer: TokenIssuer,
        families: RefreshFamilies | None,
        second_factor: SecondFactor | None,
    ) -> None:
        self._parts = parts
        self._credentials = credentials
        self._switch = switch
        self._issuer = issuer
        self._families = families
        self._second_factor = second_factor

    async def login(
        self, session: AsyncSession, *, email: str, password: SecretStr | str
    ) -> TokenPair | MfaChallenge:
        """As ``UserAuthService.login``."""
        user = await self._credentials.authenticate(session, email=email, password=password)
        return await self.begin(session, user, amr=("pwd",))

    async def begin(
        self, session: AsyncSession, user: BaseUserModel, *, amr: Iterable[str]
    ) -> TokenPair | MfaChallenge:
        """As ``UserAuthService.begin_login``."""
        user, factor, proved = await self._parts.own(session, user), self._second_factor, [*amr]
        if not user.may_log_in:
            raise InvalidCredentialsException
        if factor is not None and await factor.is_required(session, user):
            return await self._challenge(session, user, amr=proved)
        return await self.start(session, user, amr=proved)

    async def complete(self, session: AsyncSession, *, token: str, code: str) -> TokenPair:
        """As ``UserAuthService.complete_login``."""
        parts, purpose = self._parts, UserTokenPurpose.MFA_CHALLENGE
        if self._second_factor is None:
            raise RuntimeError("UserAuthService has no second_factor")
        # committed before the code is looked at: a guess counts however the request ends
        async with parts.db.transaction() as own:
            limit = parts.settings.AUTH_MFA_MAX_ATTEMPTS
            row = await parts.tokens.claim_attempt(own, token, purpose, limit=limit)
        user = await parts.lock(session, row.user_id)
        if user is None or not user.may_log_in or user.auth_epoch != row.data["epoch"]:
            raise OneTimeTokenException
        proved = await self._second_factor.verify(session, user, code)
        if proved is None:
            parts.events.of_refusal(session, AuthEventKind.MFA_FAILED, user.id)
            raise InvalidCodeException
        await parts.tokens.consume(session, token, purpose)
        return await self.start(session, user, amr=(*row.data["amr"], proved, "mfa"))

    async def start(
        self, session: AsyncSession, user: BaseUserModel, *, amr: Iterable[str]
    ) -> TokenPair:
        """As ``UserAuthService.start_login``."""
        user = await self._parts.own(session, user)
        if not user.may_log_in:
            raise InvalidCredentialsException
        methods, now = sorted({*amr}), self._parts.clock()
        user.last_login_at = now
        await session.flush()  # the account before its tokens: see AuthParts.lock
        rotation = None
        if self._families is not None:
            rotation = await self._families.start(
                session, user.id, auth_epoch=user.auth_epoch, amr=methods
            )
        await session.flush()
        family_id = rotation.row.family_id if rotation else uuid4()
        access = self._access(user, family_id, auth_time=now, amr=methods)
        self._parts.events.after_commit(
            session, AuthEventKind.LOGIN, user.id, amr=methods, session_id=str(family_id)
        )
        return _pair(user, family_id, access, rotation)

    async def refresh(self, session: AsyncSession, *, token: str) -> TokenPair:
        """As ``UserAuthService.refresh``."""
        if self._families is None:
            raise RuntimeError("UserAuthService has no refresh_model")
        try:
            rotation = await self._families.rotate(session, token)
        except ReusedTokenException as reused:
            # the refusal rolls this transaction back, and nothing may keep the family alive
            end = partial(self._end_family, reused.family_id, reused.user_id)
            after_transaction(session, self._parts.endings, end)
            raise InvalidTokenException from None  # no caller is told that it was a copy
        row = rotation.row
        user = await session.get(self._parts.user_model, row.user_id, populate_existing=True)
        if user is None or not user.may_log_in or user.auth_epoch != row.auth_epoch:
            raise InvalidTokenException
        access = self._access(user, row.family_id, auth_time=row.auth_time, amr=row.amr)
        return _pair(user, row.family_id, access, rotation)

    async def logout(self, session: AsyncSession, *, refresh_token: str) -> None:
        """As ``UserAuthService.logout``."""
        if self._families is None:
            raise RuntimeError("UserAuthService has no refresh_model")
        family_id = await self._families.family_of(session, refresh_token)
        if family_id is None:
            return
        row = await session.get(self._families.model, family_id)
        if row is not None and await self._families.revoke(session, family_id, reason="logout"):
            after_transaction(session, self._parts.endings, partial(self._tell_ended, family_id))
            self._parts.events.after_commit(
                session, AuthEventKind.LOGOUT, row.user_id, session_id=str(family_id)
            )

    async def _challenge(
        self, session: AsyncSession, user: BaseUserModel, *, amr: list[str]
    ) -> MfaChallenge:
        try:
            user = await lock_as_read(session, user)
        except InvalidTokenException:  # the password that let them in is not theirs any more
            raise InvalidCredentialsException from None
        issued = await self._parts.tokens.issue(
            session,
            user.id,
            UserTokenPurpose.MFA_CHALLENGE,
            ttl_seconds=self._parts.settings.AUTH_MFA_CHALLENGE_TTL_SECONDS,
            data={"epoch": user.auth_epoch, "amr": amr},
        )
        self._parts.events.after_commit(session, AuthEventKind.MFA_REQUIRED, user.id)
        return MfaChallenge(token=issued.token, expires_at=issued.expires_at)

    def _access(
        self, user: BaseUserModel, family_id: UUID, *, auth_time: datetime, amr: Iterable[str]
    ) -> AccessToken:
        return self._issuer.issue(
            str(user.id),
            session_id=str(family_id),
            roles=user.role_names,
            epoch=user.auth_epoch,
            auth_time=auth_time,
            amr=amr,
        )

    async def _tell_ended(self, family_id: UUID) -> None:
        """Of a family whose end was asked for: only the table knows whether it was saved."""
        assert self._families is not None  # noqa: S101 - they ended it
        if await self._parts.db.run_in_transaction(
            partial(self._families.is_revoked, family_id=family_id)
        ):
            await self._switch.end_session(str(family_id))

    async def _end_family(self, family_id: UUID, user_id: UUID) -> None:
        assert self._families is not None  # noqa: S101 - it found the copy
        revoke = partial(self._families.revoke, family_id=family_id, reason="reused")
        if await self._parts.db.run_in_transaction(revoke):
            kind, family = AuthEventKind.REFRESH_REUSED, str(family_id)
            await self._parts.events.now(kind, user_id, session_id=family)
            await self._switch.end_session(family)


def _pair(
    user: BaseUserModel, family_id: UUID, access: AccessToken, rotation: Rotation | None
) -> TokenPair:
    return TokenPair(
        user_id=user.id,
        access_token=access.token,
        refresh_token=rotation.token if rotation else None,
        session_id=str(family_id),
        expires_at=access.expires_at,
        expires_in_seconds=access.expires_in_seconds,
        refresh_expires_at=rotation.row.expires_at if rotation else None,
    )
