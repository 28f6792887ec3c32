"""Users of a service: accounts, logins, recovery. The extra ``users`` installs what it needs."""

from tijolo.auth.user_settings import AuthSettings
from tijolo.auth.users.addresses import InvalidEmailException, normalize_email
from tijolo.auth.users.delivery import NoCookiesException, TokenCookies
from tijolo.auth.users.epoch import EpochChecker
from tijolo.auth.users.errors import (
    EmailTakenException,
    InvalidCodeException,
    InvalidCredentialsException,
    OneTimeTokenException,
    WrongPasswordException,
)
from tijolo.auth.users.events import AuthEvent, AuthEventKind
from tijolo.auth.users.mails import AuthMail, AuthMailer, MailKind
from tijolo.auth.users.models import BaseUserModel, UserStatus
from tijolo.auth.users.results import (
    ActivationToken,
    MfaChallenge,
    OneTimeLink,
    PasswordResetToken,
    TokenPair,
)
from tijolo.auth.users.revocation import DatabaseRevocationStore, make_revocation_table
from tijolo.auth.users.router import make_auth_router
from tijolo.auth.users.schemas import (
    AcceptedResponseSchema,
    ActivationResponseSchema,
    EmailChangeRequestSchema,
    EmailSchema,
    LoginResponseSchema,
    LoginSchema,
    MeResponseSchema,
    MfaChallengeResponseSchema,
    MfaSchema,
    OneTimeTokenSchema,
    PasswordChangeSchema,
    PasswordResetConfirmSchema,
    PasswordResetRequestSchema,
    PasswordResetResponseSchema,
    RefreshSchema,
    SignupResponseSchema,
    SignupSchema,
)
from tijolo.auth.users.second_factor import SecondFactor
from tijolo.auth.users.service import UserAuthService
from tijolo.auth.users.token_models import (
    BaseRefreshTokenModel,
    BaseUserTokenModel,
    UserTokenPurpose,
    make_refresh_token_model,
    make_user_token_model,
)

__all__ = [
    "AcceptedResponseSchema",
    "ActivationResponseSchema",
    "ActivationToken",
    "AuthEvent",
    "AuthEventKind",
    "AuthMail",
    "AuthMailer",
    "AuthSettings",
    "BaseRefreshTokenModel",
    "BaseUserModel",
    "BaseUserTokenModel",
    "DatabaseRevocationStore",
    "EmailChangeRequestSchema",
    "EmailSchema",
    "EmailTakenException",
    "EpochChecker",
    "InvalidCodeException",
    "InvalidCredentialsException",
    "InvalidEmailException",
    "LoginResponseSchema",
    "LoginSchema",
    "MailKind",
    "MeResponseSchema",
    "MfaChallenge",
    "MfaChallengeResponseSchema",
    "MfaSchema",
    "NoCookiesException",
    "OneTimeLink",
    "OneTimeTokenException",
    "OneTimeTokenSchema",
    "PasswordChangeSchema",
    "PasswordResetConfirmSchema",
    "PasswordResetRequestSchema",
    "PasswordResetResponseSchema",
    "PasswordResetToken",
    "RefreshSchema",
    "SecondFactor",
    "SignupResponseSchema",
    "SignupSchema",
    "TokenCookies",
    "TokenPair",
    "UserAuthService",
    "UserStatus",
    "UserTokenPurpose",
    "WrongPasswordException",
    "make_auth_router",
    "make_refresh_token_model",
    "make_revocation_table",
    "make_user_token_model",
    "normalize_email",
]
