"""How accounts begin, change and end."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.users.addresses import normalize_email_or_none
from tijolo.auth.users.composition import Composition
from tijolo.auth.users.models import BaseUserModel, UserStatus
from tijolo.auth.users.results import (
    ActivationToken,
    OneTimeLink,
)


class AccountMethods(Composition):
    """What ``UserAuthService`` does about accounts."""

    async def signup(
        self,
        session: AsyncSession,
        *,
        email: str,
        password: SecretStr | str,
        name: str | None = None,
        locale: str | None = None,
    ) -> tuple[BaseUserModel | None, ActivationToken | None]:
        """Make a pending account and mail its activation link.

        For an address that has an account already nothing is made, its owner is told by e-mail,
        and the caller gets ``(None, ...)``: answer both alike, and show neither.

        Args:
            locale: Language of the e-mail, such as ``pt-BR``.

        Raises:
            InvalidEmailException: It is no address that an account can have.
            WeakPasswordException: The policy refuses the password.
            ServiceUnavailableException: Too many passwords or e-mails are waiting.
        """
        return await self._accounts.signup(
            session, email=email, password=password, name=name, locale=locale
        )

    async def activate(self, session: AsyncSession, *, token: str) -> BaseUserModel:
        """Open the pending account that ``token`` was mailed for. It does not log in.

        Raises:
            OneTimeTokenException: The token is not good, or the account is not pending.
        """
        return await self._accounts.activate(session, token=token)

    async def resend_activation(
        self, session: AsyncSession, *, email: str, locale: str | None = None
    ) -> None:
        """Mail one more activation link, if there is a pending account; nobody is told."""
        await self._accounts.resend_activation(session, email=email, locale=locale)

    async def create_user(
        self,
        session: AsyncSession,
        *,
        email: str,
        password: SecretStr | str | None = None,
        name: str | None = None,
        status: UserStatus = UserStatus.ACTIVE,
        is_admin: bool = False,
        roles: Iterable[str] = (),
    ) -> BaseUserModel:
        """Make an account in the name of an operator or of an identity provider; no e-mail.

        Raises:
            EmailTakenException: There is one with that address.
            InvalidEmailException: It is no address that an account can have.
            WeakPasswordException: The policy refuses the password.
            ValidationException: A role is empty, too long, or not in the service's ``hierarchy``.
        """
        return await self._accounts.create(
            session,
            email=email,
            password=password,
            name=name,
            status=status,
            is_admin=is_admin,
            roles=roles,
        )

    @staticmethod
    def account_name(email: str) -> str:
        """One name for all spellings of an address that lead to one account, to count by."""
        return normalize_email_or_none(email) or email.strip().casefold()

    async def set_status(
        self, session: AsyncSession, user: BaseUserModel, status: UserStatus
    ) -> None:
        """Suspend, reopen or delete an account; its links are burnt and everything ends."""
        await self._administration.set_status(session, user, status)

    async def set_roles(
        self,
        session: AsyncSession,
        user: BaseUserModel,
        roles: Iterable[str],
        *,
        is_admin: bool | None = None,
    ) -> None:
        """Give ``user`` these roles instead of those before; everything ends if they differ.

        Args:
            is_admin: None leaves it as it is.

        Raises:
            TypeError: ``roles`` is one text, or a role is none.
            ValidationException: A new one is empty, too long, or not in the service's
                ``hierarchy`` (``INVALID_ROLE``).
        """
        await self._administration.set_roles(session, user, roles, is_admin=is_admin)

    async def request_email_change(
        self,
        session: AsyncSession,
        user: BaseUserModel,
        *,
        new_email: str,
        password: SecretStr | str | None = None,
        locale: str | None = None,
    ) -> OneTimeLink:
        """Mail a link to the new address, and a notice to the old one.

        An address that has an account gets no link, and whoever asks is not told.

        Args:
            password: The current one, asked for where the user has one.

        Raises:
            WrongPasswordException: It is not theirs.
            InvalidEmailException: It is no address that an account can have.
            InvalidTokenException: What let ``user`` in has ended since they were read.
        """
        return await self._administration.request_email_change(
            session, user, new_email=new_email, password=password, locale=locale
        )

    async def confirm_email_change(self, session: AsyncSession, *, token: str) -> BaseUserModel:
        """Store the new address, burn the links that went to the old one, and tell it.

        Raises:
            OneTimeTokenException: The token is not good, or the account may not be used.
            EmailTakenException: Another account took the address meanwhile.
        """
        return await self._administration.confirm_email_change(session, token=token)

    async def purge_pending(
        self, session: AsyncSession, *, older_than_days: int, limit: int = 1000
    ) -> int:
        """Delete accounts that nobody has opened in that time; call it now and then.

        One with a link that still works stays. Delete first what tables of your own refer to.

        Args:
            older_than_days: At least 1.
            limit: How many at most; call it again while there are that many.

        Returns:
            How many are gone.
        """
        return await self._administration.purge_pending(
            session, older_than_days=older_than_days, limit=limit
        )
