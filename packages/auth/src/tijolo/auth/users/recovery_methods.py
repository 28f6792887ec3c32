"""How people come by a new password, and what they are told."""

from __future__ import annotations

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.users.composition import Composition
from tijolo.auth.users.errors import OneTimeTokenException
from tijolo.auth.users.mails import MailKind
from tijolo.auth.users.models import BaseUserModel
from tijolo.auth.users.results import (
    PasswordResetToken,
)
from tijolo.auth.users.token_models import (
    BaseUserTokenModel,
    UserTokenPurpose,
)


class RecoveryMethods(Composition):
    """What ``UserAuthService`` does about passwords, links and notices."""

    async def request_password_reset(
        self, session: AsyncSession, *, email: str, locale: str | None = None
    ) -> PasswordResetToken | None:
        """Mail a link to choose a new password, if there is an account that is not shut.

        The account is looked for after the answer, so that the time of the answer says nothing.

        Returns:
            None; with ``AUTH_RETURN_TOKEN_IN_RESPONSE``, where there is an account, the token.

        Raises:
            ServiceUnavailableException: Too many e-mails are waiting.
        """
        return await self._recovery.request_reset(session, email=email, locale=locale)

    async def confirm_password_reset(
        self, session: AsyncSession, *, token: str, new_password: SecretStr | str
    ) -> BaseUserModel:
        """Store a new password, burn every link of the user, end everything; it does not log in.

        A pending account becomes active: the link has shown whose the address is. Logins
        elsewhere that were linked are taken away (``on_reset``): one may be the intruder's, and
        who has the address links theirs again.

        Raises:
            OneTimeTokenException: The token is not good, or the account may not be used.
            WeakPasswordException: The policy refuses the password; the token stays good.
        """
        return await self._recovery.confirm_reset(session, token=token, new_password=new_password)

    async def send_password_reset(
        self, session: AsyncSession, user: BaseUserModel, *, locale: str | None = None
    ) -> PasswordResetToken:
        """Mail the link to somebody whom an operator has found: never choose their password."""
        return await self._recovery.send_reset(session, user, locale=locale)

    async def change_password(
        self,
        session: AsyncSession,
        user: BaseUserModel,
        *,
        current_password: SecretStr | str,
        new_password: SecretStr | str,
    ) -> None:
        """Store a new password, burn the user's links, end everything, tell the user by e-mail.

        The login that asked is over as well: give it a new one by :meth:`start_login`.

        Raises:
            WrongPasswordException: ``current_password`` is not theirs.
            WeakPasswordException: The policy refuses the new one.
            InvalidTokenException: What let ``user`` in has ended since they were read.
        """
        await self._recovery.change(
            session, user, current_password=current_password, new_password=new_password
        )

    def tell_of_change(
        self, session: AsyncSession, user: BaseUserModel, change: str, **details: str
    ) -> None:
        """Mail a notice to ``user`` after the commit: another way in was added or taken away.

        Args:
            change: The kind of its event, such as ``mfa_enabled``.
            details: For the template, such as ``provider``.
        """
        self.parts.mails.after_commit(
            session, MailKind.CREDENTIALS_CHANGED, user.email, change=str(change), **details
        )

    async def peek_token(
        self, session: AsyncSession, *, token: str, purpose: UserTokenPurpose
    ) -> tuple[BaseUserTokenModel, BaseUserModel]:
        """A one-time token and its user, without using it up: for pages that show a form.

        Raises:
            OneTimeTokenException: It could not be used now.
        """
        row = await self.tokens.peek(session, token, purpose)
        user = await session.get(self.user_model, row.user_id)
        if user is None:
            raise OneTimeTokenException
        return row, user

    async def delete_expired(self, session: AsyncSession) -> int:
        """Remove one-time tokens and refresh families that have expired; call it now and then."""
        gone = await self.tokens.delete_expired(session)
        return gone + (await self.families.delete_expired(session) if self.families else 0)
