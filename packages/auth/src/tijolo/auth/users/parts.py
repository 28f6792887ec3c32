"""What the parts of the service share."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.hashing import HashService
from tijolo.auth.password_policy import PasswordPolicy
from tijolo.auth.roles import RoleHierarchy
from tijolo.auth.user_settings import AuthSettings
from tijolo.auth.users.addresses import normalize_email, normalize_public_email
from tijolo.auth.users.errors import OneTimeTokenException
from tijolo.auth.users.events import Events
from tijolo.auth.users.mails import Mails
from tijolo.auth.users.models import BaseUserModel
from tijolo.auth.users.one_time import OneTimeTokens
from tijolo.auth.users.outbox import Outbox
from tijolo.auth.users.token_models import BaseUserTokenModel
from tijolo.core import InvalidTokenException, NotFoundException
from tijolo.db import AsyncDatabaseManager


async def lock_as_read(session: AsyncSession, user: BaseUserModel) -> BaseUserModel:
    """``user``, locked until the end of the transaction, if what let them in still holds.

    Whatever checks who asks and then writes does it by this: a password takes long to check, and
    what the account was asked meanwhile, such as a reset, must not be outlived by what came before.

    Args:
        user: As they were read when they were let in, by any session.

    Raises:
        NotFoundException: They are gone.
        InvalidTokenException: Their epoch, their password, or whether they may log in is not what
            was read.
    """
    model, read = type(user), _standing(user)
    query = select(model).where(model.id == user.id).with_for_update()
    now = await session.scalar(query.execution_options(populate_existing=True))
    if now is None:
        raise NotFoundException
    if _standing(now) != read:
        raise InvalidTokenException("The token was revoked", code="TOKEN_REVOKED")
    return now


def _standing(user: BaseUserModel) -> tuple[int, str | None, bool]:
    return user.auth_epoch, user.hashed_password, user.may_log_in


@dataclass(frozen=True, kw_only=True)
class AuthParts:
    """Collaborators of everything that deals with accounts."""

    user_model: type[BaseUserModel]
    db: AsyncDatabaseManager
    settings: AuthSettings
    hashing: HashService
    policy: PasswordPolicy
    tokens: OneTimeTokens
    mails: Mails
    events: Events
    endings: Outbox
    """Where what must end is ended: apart from the e-mails, which may wait for their server."""
    clock: Callable[[], datetime]
    hierarchy: RoleHierarchy | None = None
    """The roles that there are, where the service has said so."""

    @asynccontextmanager
    async def reading(self, session: AsyncSession) -> AsyncGenerator[AsyncSession, None]:
        """A session to look something up before a password is hashed.

        It is given back before that: otherwise a flood of logins would hold every connection
        while it waits for the processor. One that has begun is used as it is, for it may hold
        what is not committed yet.
        """
        if session.in_transaction():
            yield session
            return
        async with self.db.read_only() as own:
            yield own

    async def find(
        self, session: AsyncSession, email: str, *, fresh: bool = False
    ) -> BaseUserModel | None:
        """The user of a normalised address.

        Args:
            fresh: See what others have committed since this transaction began.
        """
        query = select(self.user_model).where(self.user_model.email == email)
        if fresh:
            # shared: several that lost a race to insert must not wait for each other
            query = query.with_for_update(read=True).execution_options(populate_existing=True)
        return await session.scalar(query)

    async def own(self, session: AsyncSession, user: BaseUserModel) -> BaseUserModel:
        """``user`` as an object of ``session``: a dependency may have read them by another one.

        Raises:
            NotFoundException: They are gone.
        """
        if user in session:
            return user
        found = await session.get(self.user_model, user.id)
        if found is None:
            raise NotFoundException
        return found

    async def lock(self, session: AsyncSession, user_id: UUID) -> BaseUserModel | None:
        """The user as they are now, until the end of the transaction.

        Whatever writes both an account and its tokens takes the account first: two that took them
        the other way round would wait for each other, until the database ends one of them.
        """
        return await session.scalar(
            select(self.user_model)
            .where(self.user_model.id == user_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )

    async def lock_own(self, session: AsyncSession, user: BaseUserModel) -> BaseUserModel:
        """:meth:`own`, as they are now, locked.

        Raises:
            NotFoundException: They are gone.
        """
        found = await self.lock(session, user.id)
        if found is None:
            raise NotFoundException
        return found

    async def redeem(
        self, session: AsyncSession, token: str, purpose: str
    ) -> tuple[BaseUserTokenModel, BaseUserModel]:
        """Use a one-time token up; its row, and its user, locked.

        Raises:
            OneTimeTokenException: It is used, expired, burnt or unknown, or its user is gone.
        """
        async with self.reading(session) as reading:
            owner = (await self.tokens.peek(reading, token, purpose)).user_id
        user = await self.lock(session, owner)
        if user is None:
            raise OneTimeTokenException
        return await self.tokens.consume(session, token, purpose), user

    def new_address(self, email: str) -> str:
        """The form of an address that somebody wants to have here.

        Raises:
            InvalidEmailException: It is none, or no e-mail from outside could reach it, which
                does not matter where links are shown on this machine.
        """
        if self.settings.AUTH_RETURN_TOKEN_IN_RESPONSE:
            return normalize_email(email)
        return normalize_public_email(email)
