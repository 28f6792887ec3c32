"""Passwords that are forgotten, and passwords that are changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.users.addresses import normalize_email_or_none
from tijolo.auth.users.credentials import Credentials
from tijolo.auth.users.errors import OneTimeTokenException
from tijolo.auth.users.events import AuthEventKind
from tijolo.auth.users.kill_switch import KillSwitch
from tijolo.auth.users.mails import MailKind
from tijolo.auth.users.models import BaseUserModel, UserStatus
from tijolo.auth.users.parts import AuthParts, lock_as_read
from tijolo.auth.users.results import PasswordResetToken
from tijolo.auth.users.token_models import UserTokenPurpose
from tijolo.db import on_commit

OnReset = Callable[[AsyncSession, BaseUserModel], Awaitable[Iterable[str]]]


class Recovery:
    """Gives people a new password, and ends what was made with the old one."""

    def __init__(self, parts: AuthParts, credentials: Credentials, switch: KillSwitch) -> None:
        self._parts = parts
        self._credentials = credentials
        self._switch = switch
        self.on_reset: list[OnReset] = []

    async def request_reset(
        self, session: AsyncSession, *, email: str, locale: str | None
    ) -> PasswordResetToken | None:
        """As ``UserAuthService.request_password_reset``."""
        address = normalize_email_or_none(email)
        outbox = self._parts.mails.outbox
        outbox.check_room()
        if self._parts.settings.AUTH_RETURN_TOKEN_IN_RESPONSE:
            return await self._issue(session, address, locale)
        # nothing is looked up before the answer: there is nothing to be measured
        on_commit(session, lambda: outbox.put(lambda: self._issue_later(address, locale)))
        return None

    async def send_reset(
        self, session: AsyncSession, user: BaseUserModel, *, locale: str | None = None
    ) -> PasswordResetToken:
        """A new link for somebody who is known; older ones are burnt."""
        settings = self._parts.settings
        await self._parts.lock(session, user.id)
        issued = await self._parts.tokens.issue(
            session,
            user.id,
            UserTokenPurpose.PASSWORD_RESET,
            ttl_seconds=settings.AUTH_PASSWORD_RESET_TTL_SECONDS,
        )
        url = settings.AUTH_PASSWORD_RESET_URL_TEMPLATE.replace("{token}", issued.token)
        self._parts.mails.after_commit(
            session,
            MailKind.PASSWORD_RESET,
            user.email,
            locale=locale,
            url=url,
            expires_at=issued.expires_at,
        )
        self._parts.events.after_commit(session, AuthEventKind.PASSWORD_RESET_REQUESTED, user.id)
        return PasswordResetToken(
            user_id=user.id, token=issued.token, url=url, expires_at=issued.expires_at
        )

    async def confirm_reset(
        self, session: AsyncSession, *, token: str, new_password: SecretStr | str
    ) -> BaseUserModel:
        """As ``UserAuthService.confirm_password_reset``."""
        parts = self._parts
        async with parts.reading(session) as reading:
            row = await parts.tokens.peek(reading, token, UserTokenPurpose.PASSWORD_RESET)
            known = await reading.get(parts.user_model, row.user_id)
        if known is None:
            raise OneTimeTokenException
        # a password that is refused leaves the link as it was
        parts.policy.check(new_password, personal=[known.email, known.name])
        hashed = await parts.hashing.hash(new_password)
        _, user = await parts.redeem(session, token, UserTokenPurpose.PASSWORD_RESET)
        if not _may_recover(user):
            raise OneTimeTokenException
        user.hashed_password = hashed
        if user.status is UserStatus.PENDING:
            user.status, user.activated_at = UserStatus.ACTIVE, parts.clock()
            parts.events.after_commit(session, AuthEventKind.ACTIVATED, user.id)
        # before the address counts as proved: some end only what was made without that
        unlinked = [name for end in self.on_reset for name in await end(session, user)]
        user.email_verified_at = parts.clock()  # the link has shown that the address is theirs
        await self._changed(session, user, AuthEventKind.PASSWORD_RESET, unlinked)
        return user

    async def change(
        self,
        session: AsyncSession,
        user: BaseUserModel,
        *,
        current_password: SecretStr | str,
        new_password: SecretStr | str,
    ) -> None:
        """As ``UserAuthService.change_password``."""
        parts = self._parts
        await self._credentials.check_own(session, user, current_password)
        parts.policy.check(new_password, personal=[user.email, user.name])
        hashed = await parts.hashing.hash(new_password)
        user = await lock_as_read(session, user)
        user.hashed_password = hashed
        await self._changed(session, user, AuthEventKind.PASSWORD_CHANGED)

    async def _changed(
        self,
        session: AsyncSession,
        user: BaseUserModel,
        kind: AuthEventKind,
        unlinked: Sequence[str] = (),
    ) -> None:
        await self._parts.tokens.burn(session, user.id)
        await self._switch.end_everything(session, user, reason=str(kind))
        self._parts.mails.after_commit(
            session, MailKind.PASSWORD_CHANGED, user.email, unlinked=unlinked
        )
        self._parts.events.after_commit(session, kind, user.id)

    async def _issue_later(self, address: str | None, locale: str | None) -> None:
        await self._parts.db.run_in_transaction(
            lambda session: self._issue(session, address, locale)
        )

    async def _issue(
        self, session: AsyncSession, address: str | None, locale: str | None
    ) -> PasswordResetToken | None:
        user = None if address is None else await self._parts.find(session, address)
        if user is None or not _may_recover(user):
            return None
        return await self.send_reset(session, user, locale=locale)


def _may_recover(user: BaseUserModel) -> bool:
    """A pending account as well: whoever owns the address may have lost the first link, and must
    not be led to activate the password of a stranger who signed up with it.
    """
    return user.may_log_in or user.status is UserStatus.PENDING
