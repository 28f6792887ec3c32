"""The one verifier of e-mail and password."""

from __future__ import annotations

from pydantic import SecretStr
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.users.addresses import normalize_email_or_none
from tijolo.auth.users.errors import InvalidCredentialsException, WrongPasswordException
from tijolo.auth.users.events import AuthEventKind
from tijolo.auth.users.models import BaseUserModel
from tijolo.auth.users.parts import AuthParts


class Credentials:
    """Says who gave their password, at the same price whoever it is."""

    def __init__(self, parts: AuthParts) -> None:
        self._parts = parts

    async def authenticate(
        self, session: AsyncSession, *, email: str, password: SecretStr | str
    ) -> BaseUserModel:
        """The user whose address and password these are.

        An address without an account, an account that may not log in, and one without a password
        take as long as a wrong password does, and are told the same.

        Raises:
            InvalidCredentialsException: They are nobody's who may log in.
            HashingBusyException: Too many want to log in at once.
        """
        parts = self._parts
        known = await self._read(session, normalize_email_or_none(email))
        usable = known is not None and known.may_log_in
        stored = known.hashed_password if known is not None and usable else None
        right, better = await parts.hashing.verify_and_update(password, stored)
        user = None
        if right and known is not None:
            user = known if known in session else await session.get(parts.user_model, known.id)
        # what was read while the password was being checked may have changed since
        if user is None or user.hashed_password != stored or not user.may_log_in:
            owner = None if known is None else known.id
            parts.events.of_refusal(session, AuthEventKind.LOGIN_FAILED, owner)
            raise InvalidCredentialsException
        if better is not None:
            await self.replace_hash(session, user, old=stored, new=better)
        return user

    async def check_own(
        self, session: AsyncSession, user: BaseUserModel, password: SecretStr | str
    ) -> None:
        """Refuse who is logged in and did not give their password again.

        Raises:
            WrongPasswordException: It is not theirs, or they have none.
        """
        stored = user.hashed_password
        if not await self._parts.hashing.verify(password, stored) or stored is None:
            raise WrongPasswordException

    async def replace_hash(
        self, session: AsyncSession, user: BaseUserModel, *, old: str | None, new: str
    ) -> None:
        """Store ``new`` if ``old`` is still what is stored."""
        model = self._parts.user_model
        same = model.hashed_password.is_(None) if old is None else model.hashed_password == old
        await session.execute(
            update(model).where(model.id == user.id, same).values(hashed_password=new),
            execution_options={"synchronize_session": False},
        )
        await session.refresh(user)

    async def _read(self, session: AsyncSession, email: str | None) -> BaseUserModel | None:
        async with self._parts.reading(session) as reading:
            # also for what is no address: nobody has an empty one
            return await self._parts.find(reading, email or "")
