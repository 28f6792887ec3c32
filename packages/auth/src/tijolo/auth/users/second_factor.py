"""What the service asks of a second factor; ``tijolo.auth.mfa`` has one."""

from __future__ import annotations

from typing import Protocol

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
