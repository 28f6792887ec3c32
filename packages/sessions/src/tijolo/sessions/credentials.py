"""Who proves that somebody is who they say: whatever the service verifies credentials with."""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID


class SessionUser(Protocol):
    """Somebody who can sign in.

    ``auth_epoch: int`` and ``role_names: Iterable[str]`` are read too, where the user has them.
    """

    @property
    def id(self) -> UUID:
        """Whose the session will be."""
        ...


class CredentialVerifier(Protocol):
    """Verifies an e-mail address and a password: ``tijolo.auth.users.UserAuthService``, or yours.

    It must take as long for an address that it does not know as for one that it knows, and must
    not hash on the event loop (OWASP Authentication Cheat Sheet). Where several spellings of an
    address find one account it has ``account_name(email) -> str``, one name for all of them: what
    attempts are counted by.
    """

    async def authenticate(self, session: Any, *, email: str, password: str) -> SessionUser | None:
        """The user; None when the credentials are not theirs.

        Args:
            session: What the router's ``session_factory`` gives: a database session, or None.
            email: As it was typed.
            password: As it was typed.

        Raises:
            UnauthorizedException: Instead of None.
        """
        ...


class SecondFactor(Protocol):
    """What somebody must show beside the password: ``tijolo.auth.users`` has the same protocol."""

    async def is_required(self, session: Any, user: Any) -> bool:
        """Whether ``user`` has one."""
        ...

    async def verify(self, session: Any, user: Any, code: str) -> str | None:
        """How it was proved (RFC 8176, such as ``"otp"``); None when the code is not good.

        A code must be good once.
        """
        ...


class LoginThrottle(Protocol):
    """Limits guesses: ``tijolo.auth.throttle.LoginThrottle``, or yours."""

    async def reserve(self, account: str, *, address: str | None = None) -> None:
        """Take one attempt before it is made.

        Args:
            account: What was typed as the address, in one form for all its spellings.
            address: The client's; None where nobody knows it.

        Raises:
            TooManyRequestsException: There is none left.
        """
        ...

    async def succeeded(self, account: str) -> object:
        """The attempt was good."""
        ...
