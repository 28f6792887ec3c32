"""Accounts and logins of a service, in one object."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.check import InsecureAuthSettingsError
from tijolo.auth.hashing import HashService
from tijolo.auth.jwt_utils import JWTUtils
from tijolo.auth.password_policy import PasswordPolicy
from tijolo.auth.passwords import PasswordUtils
from tijolo.auth.revocation import RevocationChecker, RevocationStore
from tijolo.auth.settings import JWTSettings
from tijolo.auth.token_issuer import TokenIssuer
from tijolo.auth.user_settings import AuthSettings
from tijolo.auth.users.accounts import Accounts
from tijolo.auth.users.addresses import normalize_email_or_none
from tijolo.auth.users.administration import Administration
from tijolo.auth.users.credentials import Credentials
from tijolo.auth.users.epoch import EpochChecker
from tijolo.auth.users.errors import OneTimeTokenException
from tijolo.auth.users.events import Events, OnEvent
from tijolo.auth.users.kill_switch import KillSwitch
from tijolo.auth.users.logins import Logins
from tijolo.auth.users.mails import AuthMailer, MailKind, Mails
from tijolo.auth.users.models import BaseUserModel, UserStatus
from tijolo.auth.users.one_time import OneTimeTokens
from tijolo.auth.users.outbox import Outbox
from tijolo.auth.users.parts import AuthParts
from tijolo.auth.users.recovery import Recovery
from tijolo.auth.users.refresh_families import RefreshFamilies
from tijolo.auth.users.results import (
    ActivationToken,
    MfaChallenge,
    OneTimeLink,
    PasswordResetToken,
    TokenPair,
)
from tijolo.auth.users.second_factor import SecondFactor
from tijolo.auth.users.token_models import (
    BaseRefreshTokenModel,
    BaseUserTokenModel,
    UserTokenPurpose,
)
from tijolo.core import BaseAppSettings, Environment, utcnow
from tijolo.db import AsyncDatabaseManager

if TYPE_CHECKING:
    from tijolo.email import EmailUtils


class UserAuthService:
    """Sign-up, activation, login, refresh, recovery and administration of users. A ``Resource``.

    Every method takes the session of the caller's unit of work first and only flushes; e-mails,
    events and revocations follow the commit. Nothing that it answers, nor the time it takes, says
    whether an address has an account.

    Args:
        user_model: The service's own, derived from ``BaseUserModel``.
        token_model: Of ``make_user_token_model``.
        auth_settings: Lifetimes, links, policy.
        jwt_settings: What signs the access tokens, and how long refresh tokens live.
        db: For what must be saved although a request is refused, and what follows an answer.
        email: An ``EmailUtils`` of tijolo-email (extra ``email``), or any ``AuthMailer``.
        passwords: What makes hashes; as ``auth_settings`` say unless it is given.
        jwt: For claims of the service's own.
        refresh_model: Of ``make_refresh_token_model``; None for logins that nothing continues.
        hashing: Threads for ``passwords``; it stays the caller's to disconnect.
        issuer: Instead of the one that ``jwt_settings`` describe.
        revocation: Told what ended, for those who check tokens and do not see the table.
        policy: Which passwords are accepted.
        second_factor: Asked after the password.
        throttle: Attempts at logins; the router asks it.
        on_event: Told of every :class:`AuthEvent`.
        clock: The time.

    Raises:
        InsecureAuthSettingsError: There is no ``email``, or tokens would be handed out in answers
            outside development.
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
        on_event: OnEvent | None = None,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        _refuse_unsafe(auth_settings, db, has_mailer=email is not None)
        self.user_model = user_model
        self.token_model = token_model
        self.refresh_model = refresh_model
        self.auth_settings = auth_settings
        self.jwt_settings = jwt_settings
        self.db = db
        self.email = email
        rounds = auth_settings.AUTH_PASSWORD_ROUNDS
        self.passwords = passwords or (
            hashing.passwords if hashing else PasswordUtils(rounds=rounds)
        )
        self.jwt = jwt or JWTUtils.from_settings(jwt_settings)
        self.hashing = hashing or HashService(self.passwords)
        self._owns_hashing = hashing is None
        self.issuer = issuer or TokenIssuer.from_settings(jwt_settings)
        self.revocation = revocation
        self.policy = policy or PasswordPolicy(min_length=auth_settings.AUTH_PASSWORD_MIN_LENGTH)
        self.second_factor = second_factor
        self.throttle = throttle
        self.outbox = Outbox(limit=auth_settings.AUTH_MAIL_QUEUE_LIMIT)
        self.tokens = OneTimeTokens(token_model, clock=clock)
        self.events = Events(on_event, clock=clock)
        self.parts = AuthParts(
            user_model=user_model,
            db=db,
            settings=auth_settings,
            hashing=self.hashing,
            policy=self.policy,
            tokens=self.tokens,
            mails=Mails(
                _mailer(email, auth_settings),
                self.outbox,
                locale=auth_settings.AUTH_MAIL_LOCALE,
            ),
            events=self.events,
            endings=Outbox(limit=auth_settings.AUTH_MAIL_QUEUE_LIMIT),
            clock=clock,
        )
        self.families = self._make_families(clock)
        self._compose()

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
        e-mail: ``async (session, user) -> ["google"]``. ``OAuthAccounts`` adds its own."""
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
        """Start the threads that hash."""
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

    async def authenticate(
        self, session: AsyncSession, *, email: str, password: SecretStr | str
    ) -> BaseUserModel:
        """The user whose address and password these are: the one verifier of credentials.

        Raises:
            InvalidCredentialsException: They are nobody's who may log in; it is not said why.
            HashingBusyException: Too many want to log in at once.
        """
        return await self._credentials.authenticate(session, email=email, password=password)

    async def login(
        self, session: AsyncSession, *, email: str, password: SecretStr | str
    ) -> TokenPair | MfaChallenge:
        """Log in with a password: a token pair, or a challenge where a second factor is asked for.

        Raises:
            InvalidCredentialsException: As :meth:`authenticate`.
            HashingBusyException: Too many want to log in at once.
        """
        return await self._logins.login(session, email=email, password=password)

    async def complete_login(self, session: AsyncSession, *, token: str, code: str) -> TokenPair:
        """Answer an :class:`MfaChallenge`.

        Raises:
            InvalidCodeException: The code proves nothing. The challenge takes
                ``AUTH_MFA_MAX_ATTEMPTS``; each counts, however many come at once.
            OneTimeTokenException: The challenge is used, expired or spent; log in again.
        """
        return await self._logins.complete(session, token=token, code=code)

    async def begin_login(
        self, session: AsyncSession, user: BaseUserModel, *, amr: Iterable[str]
    ) -> TokenPair | MfaChallenge:
        """Log in who has proved who they are by one thing, such as an identity provider.

        A token pair, or a challenge where a second factor is asked for.

        Args:
            amr: How (RFC 8176).

        Raises:
            InvalidCredentialsException: The account may not be used.
        """
        return await self._logins.begin(session, user, amr=amr)

    async def start_login(
        self, session: AsyncSession, user: BaseUserModel, *, amr: Iterable[str]
    ) -> TokenPair:
        """A token pair for somebody of whom nothing more is asked: no second factor.

        Args:
            amr: How (RFC 8176), such as ``("pwd",)``.

        Raises:
            InvalidCredentialsException: The account may not be used.
        """
        return await self._logins.start(session, user, amr=amr)

    async def issue_jwt_pair(self, session: AsyncSession, user: BaseUserModel) -> tuple[str, str]:
        """The contract's form of :meth:`start_login`: access and refresh token.

        Raises:
            RuntimeError: There is no ``refresh_model``.
        """
        if self.refresh_model is None:
            raise RuntimeError("issue_jwt_pair needs refresh_model; start_login does without")
        pair = await self.start_login(session, user, amr=("pwd",))
        return pair.access_token, pair.refresh_token or ""

    async def refresh(self, session: AsyncSession, *, token: str) -> TokenPair:
        """Continue a login: a new access token, and the successor of the refresh token.

        A token works once. Again within ``AUTH_REFRESH_GRACE_SECONDS`` it gives the same
        successor; after that its family is ended and ``refresh_reused`` is told (RFC 9700,
        section 4.14.2). ``auth_time`` and ``amr`` stay those of the login.

        Raises:
            InvalidTokenException: It is not good, or not any more: log in again.
            ExpiredTokenException: It was not used in time, or the login is too old.
        """
        return await self._logins.refresh(session, token=token)

    async def logout(self, session: AsyncSession, *, refresh_token: str) -> None:
        """End the login of ``refresh_token``; nothing happens for what is none (RFC 7009)."""
        await self._logins.logout(session, refresh_token=refresh_token)

    async def logout_everywhere(self, session: AsyncSession, user: BaseUserModel) -> None:
        """End every login of ``user``, this one included."""
        await self.end_everything(session, user, reason="logout everywhere")

    async def end_everything(
        self, session: AsyncSession, user: BaseUserModel, *, reason: str = "asked for"
    ) -> None:
        """Raise ``auth_epoch``: tokens, refresh families and sessions made before are over."""
        await self.kill_switch.end_everything(session, user, reason=reason)

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
        """
        await self._recovery.change(
            session, user, current_password=current_password, new_password=new_password
        )

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
        """
        await self._administration.set_roles(session, user, roles, is_admin=is_admin)

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

    def make_epoch_checker(self, *, also: RevocationChecker | None = None) -> EpochChecker:
        """What refuses access tokens that are over: for ``build_auth_deps(revocation=...)``.

        In this process it knows at once what this service ended, in others within
        ``AUTH_EPOCH_CACHE_SECONDS``.

        Args:
            also: Asked first, such as a store of single logins that were ended.
        """
        seconds = self.auth_settings.AUTH_EPOCH_CACHE_SECONDS
        checker = EpochChecker(self.db, self.user_model, cache_seconds=seconds, also=also)
        self.kill_switch.forget.append(checker.forget)
        return checker

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


def _mailer(email: EmailUtils | AuthMailer | None, settings: AuthSettings) -> AuthMailer | None:
    if email is None or isinstance(email, AuthMailer):
        return email
    from tijolo.auth.users.email import TemplateMailer  # the extra email

    names = {
        MailKind.ACTIVATION: settings.AUTH_ACTIVATION_TEMPLATE.removesuffix(".html"),
        MailKind.PASSWORD_RESET: settings.AUTH_PASSWORD_RESET_TEMPLATE.removesuffix(".html"),
    }
    return TemplateMailer(email, names=names)


def _refuse_unsafe(settings: AuthSettings, db: AsyncDatabaseManager, *, has_mailer: bool) -> None:
    known = settings.ENVIRONMENT if isinstance(settings, BaseAppSettings) else db.environment
    in_development = Environment(known).is_development
    if settings.AUTH_RETURN_TOKEN_IN_RESPONSE and not in_development:
        raise InsecureAuthSettingsError(
            "AUTH_RETURN_TOKEN_IN_RESPONSE hands accounts to whoever asks; it is for development"
        )
    if not has_mailer and not settings.AUTH_RETURN_TOKEN_IN_RESPONSE:
        raise InsecureAuthSettingsError(
            "UserAuthService needs email=...: without it no link reaches its owner. In"
            " development, AUTH_RETURN_TOKEN_IN_RESPONSE shows them in the answer instead"
        )
