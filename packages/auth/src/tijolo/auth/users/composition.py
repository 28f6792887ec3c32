"""What a ``UserAuthService`` is made of."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tijolo.auth.check import InsecureAuthSettingsError, check_auth_settings
from tijolo.auth.hashing import HashService
from tijolo.auth.jwt_utils import JWTUtils
from tijolo.auth.password_policy import PasswordPolicy
from tijolo.auth.passwords import PasswordUtils
from tijolo.auth.revocation import RevocationStore
from tijolo.auth.roles import RoleHierarchy
from tijolo.auth.settings import JWTSettings
from tijolo.auth.token_issuer import TokenIssuer
from tijolo.auth.user_settings import AuthSettings
from tijolo.auth.users.accounts import Accounts
from tijolo.auth.users.administration import Administration
from tijolo.auth.users.credentials import Credentials
from tijolo.auth.users.events import Events, OnEvent
from tijolo.auth.users.kill_switch import KillSwitch
from tijolo.auth.users.logins import Logins
from tijolo.auth.users.mails import AuthMailer, MailKind, Mails
from tijolo.auth.users.models import BaseUserModel
from tijolo.auth.users.one_time import OneTimeTokens
from tijolo.auth.users.outbox import Outbox
from tijolo.auth.users.parts import AuthParts
from tijolo.auth.users.recovery import Recovery
from tijolo.auth.users.refresh_families import RefreshFamilies
from tijolo.auth.users.second_factor import EndsUnproved, SecondFactor
from tijolo.auth.users.token_models import (
    BaseRefreshTokenModel,
    BaseUserTokenModel,
)
from tijolo.core import BaseAppSettings, Environment, utcnow
from tijolo.db import AsyncDatabaseManager

if TYPE_CHECKING:
    from tijolo.email import EmailUtils

_log = logging.getLogger("tijolo.auth.users")


class Composition:
    """The parts of a service, put together; a ``Resource``. For the arguments see
    ``UserAuthService``.
    """

    def __init__(
        self,
        *,
        user_model: type[BaseUserModel],
        token_model: type[BaseUserTokenModel],
        auth_settings: AuthSettings,
        jwt_settings: JWTSettings,
        db: AsyncDatabaseManager,
        email: EmailUtils | AuthMailer | None = None,
        passwords: PasswordUtils | None = None,
        jwt: JWTUtils | None = None,
        refresh_model: type[BaseRefreshTokenModel] | None = None,
        hashing: HashService | None = None,
        issuer: TokenIssuer | None = None,
        revocation: RevocationStore | None = None,
        policy: PasswordPolicy | None = None,
        second_factor: SecondFactor | None = None,
        throttle: Any | None = None,
        hierarchy: RoleHierarchy | None = None,
        on_event: OnEvent | None = None,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        self._in_development = _in_development(auth_settings, db)
        _refuse_unsafe(auth_settings, email, in_development=self._in_development)
        self.user_model = user_model
        self.token_model = token_model
        self.refresh_model = refresh_model
        self.auth_settings = auth_settings
        self.jwt_settings = jwt_settings
        self.db = db
        self.email = email
        if passwords is None and hashing is not None:
            passwords = hashing.passwords
        self.passwords = passwords or PasswordUtils(rounds=auth_settings.AUTH_PASSWORD_ROUNDS)
        self.jwt = jwt or JWTUtils.from_settings(jwt_settings)
        self.hashing = hashing or HashService(self.passwords)
        self._owns_hashing = hashing is None
        self.issuer = issuer or TokenIssuer.from_settings(jwt_settings)
        self.revocation = revocation
        self.policy = policy or PasswordPolicy(min_length=auth_settings.AUTH_PASSWORD_MIN_LENGTH)
        self.second_factor = second_factor
        self.throttle = throttle
        self.hierarchy = hierarchy
        self.outbox = Outbox(limit=auth_settings.AUTH_MAIL_QUEUE_LIMIT)
        self.tokens = OneTimeTokens(token_model, clock=clock)
        self.events = Events(on_event, clock=clock)
        self.parts = self._make_parts(clock)
        self.families = self._make_families(clock)
        self._compose()

    def _make_parts(self, clock: Callable[[], datetime]) -> AuthParts:
        settings = self.auth_settings
        mailer = _mailer(self.email, settings)
        return AuthParts(
            user_model=self.user_model,
            db=self.db,
            settings=settings,
            hashing=self.hashing,
            policy=self.policy,
            tokens=self.tokens,
            mails=Mails(mailer, self.outbox, locale=settings.AUTH_MAIL_LOCALE),
            events=self.events,
            endings=Outbox(limit=settings.AUTH_MAIL_QUEUE_LIMIT),
            clock=clock,
            hierarchy=self.hierarchy,
        )

    def _make_families(self, clock: Callable[[], datetime]) -> RefreshFamilies | None:
        if self.refresh_model is None:
            return None
        return RefreshFamilies(
            self.refresh_model,
            ttl_seconds=self.jwt_settings.JWT_REFRESH_TTL_SECONDS,
            absolute_ttl_seconds=self.auth_settings.AUTH_REFRESH_ABSOLUTE_TTL_SECONDS,
            grace_seconds=self.auth_settings.AUTH_REFRESH_GRACE_SECONDS,
            clock=clock,
        )

    def _compose(self) -> None:
        keep = self.issuer.ttl_seconds + self.jwt_settings.JWT_LEEWAY_SECONDS
        self.kill_switch = KillSwitch(self.parts, revocation=self.revocation, keep_seconds=keep)
        self._credentials = Credentials(self.parts)
        self._accounts = Accounts(self.parts)
        self._recovery = Recovery(self.parts, self._credentials, self.kill_switch)
        self.on_reset = self._recovery.on_reset
        """Each takes away what a reset ends, in its transaction, and gives the names for the
        e-mail: ``async (session, user) -> ["google"]``. ``OAuthAccounts`` adds its own. As it is
        called, ``user.email_verified_at`` is what it was before the reset."""
        if isinstance(self.second_factor, EndsUnproved):
            self.on_reset.append(self.second_factor.end_unproved)
        self._administration = Administration(self.parts, self._credentials, self.kill_switch)
        self._logins = Logins(
            self.parts,
            self._credentials,
            self.kill_switch,
            issuer=self.issuer,
            families=self.families,
            second_factor=self.second_factor,
        )

    async def connect(self) -> None:
        """Start the threads that hash; outside development, warn of links that lead nowhere."""
        if not self._in_development:
            for problem in check_auth_settings(self.auth_settings):
                if problem.code == "LOCAL_LINK":
                    _log.warning("%s: %s", problem.code, problem.message)
        await self.hashing.connect()

    async def disconnect(self) -> None:
        """End what is being ended, send the e-mails that wait, then stop."""
        await self.parts.endings.disconnect()
        await self.outbox.disconnect()
        if self._owns_hashing:
            await self.hashing.disconnect()

    async def health_check(self) -> bool:
        """False while no password can be hashed or no e-mail queued."""
        return await self.hashing.health_check() and len(self.outbox) < self.outbox.limit


def _mailer(email: EmailUtils | AuthMailer | None, settings: AuthSettings) -> AuthMailer | None:
    if email is None or isinstance(email, AuthMailer):
        return email
    from tijolo.auth.users.email import TemplateMailer  # the extra email

    names = {
        MailKind.ACTIVATION: settings.AUTH_ACTIVATION_TEMPLATE.removesuffix(".html"),
        MailKind.PASSWORD_RESET: settings.AUTH_PASSWORD_RESET_TEMPLATE.removesuffix(".html"),
    }
    return TemplateMailer(email, names=names)


def _in_development(settings: AuthSettings, db: AsyncDatabaseManager) -> bool:
    known = settings.ENVIRONMENT if isinstance(settings, BaseAppSettings) else db.environment
    return Environment(known).is_development


def _refuse_unsafe(
    settings: AuthSettings, email: EmailUtils | AuthMailer | None, *, in_development: bool
) -> None:
    if settings.AUTH_RETURN_TOKEN_IN_RESPONSE and not in_development:
        raise InsecureAuthSettingsError(
            "AUTH_RETURN_TOKEN_IN_RESPONSE hands accounts to whoever asks; it is for development"
        )
    if email is None and not settings.AUTH_RETURN_TOKEN_IN_RESPONSE:
        raise InsecureAuthSettingsError(
            "UserAuthService needs email=...: without it no link reaches its owner. In"
            " development, AUTH_RETURN_TOKEN_IN_RESPONSE shows them in the answer instead"
        )
    if not in_development and _goes_to_the_console(email):
        raise InsecureAuthSettingsError(
            "UserAuthService(email=...) has a ConsoleBackend, which is for development: the links"
            " of e-mails would be in the log, and open accounts to its readers. Set SMTP_HOST and"
            " give EmailUtils.from_settings(settings), or set ENVIRONMENT=development"
        )


def _goes_to_the_console(email: EmailUtils | AuthMailer | None) -> bool:
    if email is None or isinstance(email, AuthMailer):
        return False
    from tijolo.email import ConsoleBackend  # the extra email

    return isinstance(email.backend, ConsoleBackend)
