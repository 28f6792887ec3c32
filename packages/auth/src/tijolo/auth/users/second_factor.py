"""What the service asks of a second factor; ``tijolo.auth.mfa`` has one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.users.models import BaseUserModel


class SecondFactor(Protocol):
    """Proves who somebody is, beside the password."""

    async def is_required(self, session: AsyncSession, user: BaseUserModel) -> bool:
        """Whether ``user`` must give one."""
        ...

    async def verify(self, session: AsyncSession, user: BaseUserModel, code: str) -> str | None:
        """What ``code`` proves, as an ``amr`` (RFC 8176) such as ``otp``; None for nothing.

        A code works once: it is consumed here, by one statement.
        """
        ...


@runtime_checkable
class EndsUnproved(Protocol):
    """A second factor that a reset ends where it was set up before the address was proved."""

    async def end_unproved(self, session: AsyncSession, user: BaseUserModel) -> Iterable[str]:
        """Called at every reset: end it if ``user.email_verified_at`` is None.

        Whoever began with another person's address would else lock them out for good.

        Returns:
            Names of logins that were taken away, for the e-mail.
        """
        ...
