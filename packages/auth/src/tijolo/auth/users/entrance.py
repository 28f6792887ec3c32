"""What stands before the service where strangers come in: who they are, and how often they try."""

# No `from __future__ import annotations`: the dependency's annotations are local names.

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from tijolo.auth.authenticator import TokenAuthenticator
from tijolo.auth.challenges import InsufficientAuthenticationException
from tijolo.auth.cookie_tokens import CookieTransport
from tijolo.auth.dependencies import AccessDependency
from tijolo.auth.principal import Principal
from tijolo.auth.revocation import GuardedChecker
from tijolo.auth.throttle import LoginThrottle, MailThrottle
from tijolo.auth.token_verifier import TokenVerifier
from tijolo.auth.users._caller import calling_user
from tijolo.auth.users.echo import is_on_this_machine
from tijolo.auth.users.locales import wanted_locale
from tijolo.auth.users.models import BaseUserModel
from tijolo.auth.users.results import MfaChallenge, OneTimeLink, TokenPair
from tijolo.auth.users.service import UserAuthService
from tijolo.core import AppException, BaseStrEnum, ServiceUnavailableException
from tijolo.web import MemoryRateLimitStore, get_client_ip


class MailBudget(BaseStrEnum):
    """What e-mails to one address are counted apart for."""

    SIGNUP = "signup"
    RESET = "reset"
    """Else strangers who sign up with an address keep its owner from a new password."""
    NEW_ADDRESS = "new_address"


class Entrance:
    """Counts attempts before they reach ``service``.

    Args:
        service: Its ``throttle`` counts log-ins; in this process alone where it has none.
        mail_throttle: Counts what ends in an e-mail; the same.
    """

    def __init__(self, service: UserAuthService, mail_throttle: MailThrottle | None) -> None:
        self.service = service
        self.logins: LoginThrottle = service.throttle or LoginThrottle(MemoryRateLimitStore())
        self.mails = mail_throttle or MailThrottle(MemoryRateLimitStore())

    async def login(
        self, request: Request, session: AsyncSession, email: str, password: Any
    ) -> TokenPair | MfaChallenge:
        """As ``UserAuthService.login``.

        A right password whose second factor is still to come counts as an attempt: else whoever
        has the password could guess codes without end.
        """
        account = UserAuthService.account_name(email)
        await self.logins.reserve(account, address=get_client_ip(request))
        try:
            outcome = await self.service.login(session, email=email, password=password)
        except ServiceUnavailableException:
            await self.logins.refund(account)
            raise
        if isinstance(outcome, TokenPair):
            await self.logins.succeeded(account)
        return outcome

    async def complete_login(self, session: AsyncSession, token: str, code: str) -> TokenPair:
        """As ``UserAuthService.complete_login``, which counts the codes of each challenge."""
        pair = await self.service.complete_login(session, token=token, code=code)
        user = await session.get(self.service.user_model, pair.user_id)
        if user is not None:
            await self.logins.succeeded(user.email)
        return pair

    @asynccontextmanager
    async def password_of(self, request: Request, user: BaseUserModel) -> AsyncGenerator[None]:
        """Count an attempt at the password of somebody who is logged in, or stole their login."""
        await self.logins.reserve(user.email, address=get_client_ip(request))
        try:
            yield
        except ServiceUnavailableException:
            await self.logins.refund(user.email)
            raise
        await self.logins.succeeded(user.email)

    def check_proof(self, user: BaseUserModel, principal: Principal) -> None:
        """Refuse who has no password to give again and did not log in a moment ago.

        Raises:
            InsufficientAuthenticationException: The login is too old (RFC 9470).
        """
        longest = self.service.auth_settings.AUTH_RECENT_AUTH_SECONDS
        oldest = self.service.parts.clock().timestamp() - longest
        if user.hashed_password is None and (principal.auth_time or 0) < oldest:
            raise InsufficientAuthenticationException(max_age_seconds=longest)

    @asynccontextmanager
    async def mail_to(
        self, request: Request, email: str, budget: MailBudget
    ) -> AsyncGenerator[None]:
        """Count an e-mail that a stranger has sent to ``email``; what is refused sends none."""
        # the name of the budget comes first: no text that somebody typed is another budget's
        account = f"{budget} {UserAuthService.account_name(email)}"
        await self.mails.reserve(account, address=get_client_ip(request))
        try:
            yield
        except AppException:
            await self.mails.refund(account)
            raise

    def locale(self, request: Request) -> str | None:
        """The reader's language, of those that the service has; None where it has none of them."""
        header = request.headers.get("accept-language", "")
        return wanted_locale(header, self.service.auth_settings.AUTH_LOCALES)

    def shown_url(self, request: Request, link: OneTimeLink | None) -> str | None:
        """The link for the answer: in development, on this machine; None anywhere else."""
        echoes = self.service.auth_settings.AUTH_RETURN_TOKEN_IN_RESPONSE
        return link.url if link and echoes and is_on_this_machine(request) else None


def make_current_user(
    service: UserAuthService,
    access: Callable[..., Awaitable[Principal]],
) -> Callable[..., Awaitable[BaseUserModel]]:
    """A dependency that gives the user of ``access`` as the database has them now."""

    async def current_user(
        principal: Annotated[Principal, Depends(access)],
    ) -> BaseUserModel:
        # not by the request's session: what that reads before it locks is old by then, and
        # MariaDB refuses to lock what has changed since (innodb_snapshot_isolation)
        async with service.db.read_only() as session:
            return await calling_user(session, service.user_model, principal)

    return current_user


def make_access(service: UserAuthService, cookie: CookieTransport | None) -> AccessDependency:
    """A dependency for those who show a token that ``service`` issued."""
    issuer, settings = service.issuer, service.jwt_settings
    verifier = TokenVerifier(
        issuer.keys,
        issuer=issuer.issuer,
        audience=issuer.audience,
        leeway_seconds=settings.JWT_LEEWAY_SECONDS,
    )
    checker = service.revocation and GuardedChecker(
        service.revocation, failure_mode=settings.ACCESS_REVOCATION_FAILURE_MODE
    )
    return AccessDependency(TokenAuthenticator(verifier, revocation=checker), cookie=cookie)
