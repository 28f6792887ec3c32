"""What changes about an account after it began: address, status, roles; and its end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from pydantic import SecretStr
from sqlalchemy import delete, exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.users.credentials import Credentials
from tijolo.auth.users.errors import EmailTakenException, OneTimeTokenException
from tijolo.auth.users.events import AuthEventKind
from tijolo.auth.users.kill_switch import KillSwitch
from tijolo.auth.users.mails import MailKind
from tijolo.auth.users.models import BaseUserModel, UserStatus
from tijolo.auth.users.parts import AuthParts, lock_as_read
from tijolo.auth.users.results import OneTimeLink
from tijolo.auth.users.role_names import checked_roles
from tijolo.auth.users.token_models import UserTokenPurpose
from tijolo.db import savepoint


class Administration:
    """Changes accounts, and ends what said otherwise."""

    def __init__(self, parts: AuthParts, credentials: Credentials, switch: KillSwitch) -> None:
        self._parts = parts
        self._credentials = credentials
        self._switch = switch

    async def request_email_change(
        self,
        session: AsyncSession,
        user: BaseUserModel,
        *,
        new_email: str,
        password: SecretStr | str | None,
        locale: str | None,
    ) -> OneTimeLink:
        """As ``UserAuthService.request_email_change``."""
        parts, settings = self._parts, self._parts.settings
        address = parts.new_address(new_email)
        parts.mails.outbox.check_room()
        if user.hashed_password is not None:
            await self._credentials.check_own(session, user, password or "")
        user = await lock_as_read(session, user)
        taken = await parts.find(session, address) is not None
        issued = await parts.tokens.issue(
            session,
            user.id,
            UserTokenPurpose.EMAIL_VERIFICATION,
            ttl_seconds=settings.AUTH_EMAIL_CHANGE_TTL_SECONDS,
            data={"email": address},
        )
        url = settings.AUTH_EMAIL_CHANGE_URL_TEMPLATE.replace("{token}", issued.token)
        mails, expires_at = parts.mails, issued.expires_at
        if not taken:  # whoever asks is not told: the answer is the same
            mails.after_commit(
                session,
                MailKind.EMAIL_CHANGE,
                address,
                locale=locale,
                url=url,
                expires_at=expires_at,
            )
        mails.after_commit(session, MailKind.EMAIL_CHANGE_NOTICE, user.email, locale=locale)
        parts.events.after_commit(session, AuthEventKind.EMAIL_CHANGE_REQUESTED, user.id)
        return OneTimeLink(user_id=user.id, token=issued.token, url=url, expires_at=expires_at)

    async def confirm_email_change(self, session: AsyncSession, *, token: str) -> BaseUserModel:
        """As ``UserAuthService.confirm_email_change``."""
        parts = self._parts
        row, user = await parts.redeem(session, token, UserTokenPurpose.EMAIL_VERIFICATION)
        address = str(row.data["email"])
        if not user.may_log_in:
            raise OneTimeTokenException
        old = user.email
        try:
            async with savepoint(session):
                user.email, user.email_verified_at = address, parts.clock()
                await session.flush()
        except IntegrityError:
            raise EmailTakenException from None
        # links that were mailed to the old address are no proof any more
        await parts.tokens.burn(session, user.id)
        parts.mails.after_commit(session, MailKind.EMAIL_CHANGED, old)
        parts.events.after_commit(session, AuthEventKind.EMAIL_CHANGED, user.id)
        return user

    async def set_status(
        self, session: AsyncSession, user: BaseUserModel, status: UserStatus
    ) -> None:
        """As ``UserAuthService.set_status``."""
        parts, new = self._parts, UserStatus(status)
        await session.flush()
        current = await parts.lock(session, user.id)
        if current is None or current.status is new:
            return
        old, current.status = current.status, new
        if new is UserStatus.ACTIVE and current.activated_at is None:
            current.activated_at = parts.clock()
        await parts.tokens.burn(session, current.id)
        await self._switch.end_everything(session, current, reason=f"status {new}")
        parts.events.after_commit(
            session, AuthEventKind.STATUS_CHANGED, current.id, old=str(old), new=str(new)
        )

    async def purge_pending(
        self, session: AsyncSession, *, older_than_days: int, limit: int
    ) -> int:
        """As ``UserAuthService.purge_pending``."""
        if older_than_days < 1 or limit < 1:
            raise ValueError("older_than_days and limit must be 1 or more")
        parts, user, token = self._parts, self._parts.user_model, self._parts.tokens.model
        now = parts.clock()
        forgotten = (
            user.status == UserStatus.PENDING,
            user.created_at < now - timedelta(days=older_than_days),
            ~exists().where(
                token.user_id == user.id,
                token.purpose.in_([UserTokenPurpose.ACTIVATION, UserTokenPurpose.PASSWORD_RESET]),
                token.used_at.is_(None),
                token.expires_at > now,
            ),
        )
        some = select(user.id).where(*forgotten).order_by(user.id).limit(limit)
        chosen = user.id.in_(list(await session.scalars(some)))
        # locked by key, and asked again: nobody gets a link or opens one in between
        await session.execute(select(user.id).where(chosen).order_by(user.id).with_for_update())
        done: Any = await session.execute(
            delete(user).where(chosen, *forgotten),
            execution_options={"synchronize_session": False},
        )
        return int(done.rowcount)

    async def set_roles(
        self,
        session: AsyncSession,
        user: BaseUserModel,
        roles: Iterable[str],
        *,
        is_admin: bool | None,
    ) -> None:
        """As ``UserAuthService.set_roles``."""
        parts = self._parts
        await session.flush()
        current = await parts.lock(session, user.id)
        if current is None:
            return
        before = current.role_names
        current.roles = checked_roles(roles, parts.hierarchy, held=current.roles)
        current.is_admin = current.is_admin if is_admin is None else is_admin
        if current.role_names == before:
            return
        await self._switch.end_everything(session, current, reason="roles")
        changed = sorted(current.role_names ^ before)
        parts.events.after_commit(session, AuthEventKind.ROLES_CHANGED, current.id, changed=changed)
