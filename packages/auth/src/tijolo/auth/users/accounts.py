"""Accounts begin: sign-up, activation, and accounts that operators make."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.users.addresses import normalize_email, normalize_email_or_none
from tijolo.auth.users.errors import EmailTakenException, OneTimeTokenException
from tijolo.auth.users.events import AuthEventKind
from tijolo.auth.users.mails import MailKind
from tijolo.auth.users.models import BaseUserModel, UserStatus
from tijolo.auth.users.names import clean_name
from tijolo.auth.users.parts import AuthParts
from tijolo.auth.users.results import ActivationToken
from tijolo.auth.users.role_names import checked_roles
from tijolo.auth.users.token_models import UserTokenPurpose
from tijolo.db import on_commit, savepoint


class Accounts:
    """Makes accounts, and opens those whose owner has shown that the address is theirs."""

    def __init__(self, parts: AuthParts) -> None:
        self._parts = parts

    async def signup(
        self,
        session: AsyncSession,
        *,
        email: str,
        password: SecretStr | str,
        name: str | None,
        locale: str | None,
    ) -> tuple[BaseUserModel | None, ActivationToken | None]:
        """As ``UserAuthService.signup``."""
        parts = self._parts
        address, name = parts.new_address(email), clean_name(name)
        parts.policy.check(password, personal=[address, name])
        parts.mails.outbox.check_room()
        hashed = await parts.hashing.hash(password)
        async with parts.reading(session) as reading:
            owner = await parts.find(reading, address)
        if owner is None:
            user = self._new(email=address, hashed_password=hashed, name=name)
            if parts.settings.AUTH_AUTO_ACTIVATE:
                self._open(user, proved=False)
            owner = await self._insert(session, user)
            if owner is user:
                parts.events.after_commit(session, AuthEventKind.SIGNUP, user.id)
                if user.status is UserStatus.ACTIVE:
                    return user, None
                return user, await self.send_activation(session, user, locale=locale)
        token = await self._taken(session, owner, hashed=hashed, name=name, locale=locale)
        return None, token

    async def activate(self, session: AsyncSession, *, token: str) -> BaseUserModel:
        """As ``UserAuthService.activate``."""
        parts = self._parts
        row, user = await parts.redeem(session, token, UserTokenPurpose.ACTIVATION)
        if user.status is not UserStatus.PENDING:
            raise OneTimeTokenException
        if "hashed_password" in row.data:  # as it was when this link was made
            user.hashed_password = row.data["hashed_password"]
            user.name = row.data["name"]
        self._open(user, proved=True)
        await parts.tokens.burn(session, user.id, UserTokenPurpose.ACTIVATION)
        await session.flush()
        parts.events.after_commit(session, AuthEventKind.ACTIVATED, user.id)
        return user

    async def resend_activation(
        self, session: AsyncSession, *, email: str, locale: str | None
    ) -> None:
        """As ``UserAuthService.resend_activation``."""
        parts = self._parts
        address = normalize_email_or_none(email)
        parts.mails.outbox.check_room()
        on_commit(session, lambda: parts.mails.outbox.put(lambda: self._resend(address, locale)))

    async def create(
        self,
        session: AsyncSession,
        *,
        email: str,
        password: SecretStr | str | None,
        name: str | None,
        status: UserStatus,
        is_admin: bool,
        roles: Iterable[str],
    ) -> BaseUserModel:
        """As ``UserAuthService.create_user``."""
        parts = self._parts
        address, name = normalize_email(email), clean_name(name)
        given = checked_roles(roles, parts.hierarchy)
        hashed = None
        if password is not None:
            parts.policy.check(password, personal=[address, name])
            hashed = await parts.hashing.hash(password)
        user = self._new(email=address, hashed_password=hashed, name=name)
        user.status, user.is_admin, user.roles = status, is_admin, given
        if status is UserStatus.ACTIVE:
            self._open(user, proved=True)
        taken = await parts.find(session, address) is not None
        if taken or await self._insert(session, user) is not user:
            raise EmailTakenException
        parts.events.after_commit(session, AuthEventKind.USER_CREATED, user.id)
        return user

    async def send_activation(
        self, session: AsyncSession, user: BaseUserModel, *, locale: str | None = None
    ) -> ActivationToken:
        """One more link for somebody whose account is pending.

        Older ones stay good: each carries the password that the account had when it was made.
        """
        data = {"hashed_password": user.hashed_password, "name": user.name}
        return await self._send(session, user, data, locale=locale)

    async def _resend(self, address: str | None, locale: str | None) -> None:
        if address is None:
            return

        async def work(session: AsyncSession) -> None:
            user = await self._parts.find(session, address)
            if user is not None and user.status is UserStatus.PENDING:
                await self.send_activation(session, user, locale=locale)

        await self._parts.db.run_in_transaction(work)

    async def _send(
        self,
        session: AsyncSession,
        user: BaseUserModel,
        data: dict[str, str | None],
        *,
        locale: str | None,
    ) -> ActivationToken:
        settings = self._parts.settings
        issued = await self._parts.tokens.issue(
            session,
            user.id,
            UserTokenPurpose.ACTIVATION,
            ttl_seconds=settings.AUTH_ACTIVATION_TTL_SECONDS,
            data=data,
            keep_older=True,
        )
        url = settings.AUTH_ACTIVATION_URL_TEMPLATE.replace("{token}", issued.token)
        self._parts.mails.after_commit(
            session,
            MailKind.ACTIVATION,
            user.email,
            locale=locale,
            url=url,
            expires_at=issued.expires_at,
        )
        return ActivationToken(
            user_id=user.id, token=issued.token, url=url, expires_at=issued.expires_at
        )

    async def _taken(
        self,
        session: AsyncSession,
        owner: BaseUserModel,
        *,
        hashed: str,
        name: str | None,
        locale: str | None,
    ) -> ActivationToken | None:
        """Tell the owner of the address, with as much work as a new account takes."""
        parts = self._parts
        parts.events.after_commit(session, AuthEventKind.SIGNUP_TAKEN, owner.id)
        if owner.status is UserStatus.PENDING:
            # Nobody has shown yet whose the address is. Each link carries the password of its
            # own sign-up, so that nobody can plant theirs before the owner comes; one that is
            # asked for later cannot know whose to carry, and carries none.
            user_id, outbox = owner.id, parts.mails.outbox
            on_commit(session, lambda: outbox.put(lambda: self._forget_password(user_id)))
            data = {"hashed_password": hashed, "name": name}
            return await self._send(session, owner, data, locale=locale)
        await parts.tokens.issue(
            session, owner.id, UserTokenPurpose.SIGNUP_NOTICE, ttl_seconds=60, keep_older=True
        )
        if owner.status is UserStatus.ACTIVE:
            parts.mails.after_commit(
                session,
                MailKind.ACCOUNT_EXISTS,
                owner.email,
                locale=locale,
                login_url=parts.settings.AUTH_LOGIN_URL,
            )
        return None

    async def _forget_password(self, user_id: UUID) -> None:
        """Unless it was opened meanwhile: then the password is its owner's.

        In a transaction of its own: those that lost a race to sign up share a lock of the row.
        """
        model = self._parts.user_model

        async def work(session: AsyncSession) -> None:
            await session.execute(
                update(model)
                .where(model.id == user_id, model.status == UserStatus.PENDING)
                .values(hashed_password=None, name=None),
                execution_options={"synchronize_session": False},
            )

        await self._parts.db.run_in_transaction(work)

    def _new(self, **values: str | None) -> BaseUserModel:
        return self._parts.user_model(**values)

    def _open(self, user: BaseUserModel, *, proved: bool) -> None:
        user.status, user.activated_at = UserStatus.ACTIVE, self._parts.clock()
        user.email_verified_at = user.activated_at if proved else None

    async def _insert(self, session: AsyncSession, user: BaseUserModel) -> BaseUserModel:
        """``user``, or the owner of the address where somebody was faster."""
        address = user.email
        try:
            async with savepoint(session):
                session.add(user)
                await session.flush()
        except IntegrityError:
            owner = await self._parts.find(session, address, fresh=True)
            if owner is None:  # it was another constraint of the service's own table
                raise
            return owner
        return user
