"""Passwords, tokens, users and access control for FastAPI services."""

from tijolo.auth._compat import COMPAT as _COMPAT
from tijolo.auth._version import __version__
from tijolo.core.compat import enforce as _enforce

_enforce(_COMPAT, __version__)

from tijolo.auth.access_tokens import (
    ACCESS_TOKEN_TYPE,
    REQUIRED_CLAIMS,
    AccessToken,
    TokenIssuer,
    TokenVerifier,
)
from tijolo.auth.authenticator import Authenticator, TokenAuthenticator
from tijolo.auth.challenges import (
    InsufficientAuthenticationException,
    InsufficientPermissionException,
    InsufficientRoleException,
    InsufficientScopeException,
    InvalidRequestException,
)
from tijolo.auth.cookie_tokens import CookieTransport, CrossSiteRequestException
from tijolo.auth.dependencies import (
    AccessDependency,
    bearer_token,
    make_bearer_token_dependency,
    make_jwt_user_dependency,
    make_permission_dependency,
    make_recent_auth_dependency,
    make_role_dependency,
    make_scope_dependency,
)
from tijolo.auth.hashing import HashingBusyException, HashService
from tijolo.auth.jwt_utils import JWTUtils
from tijolo.auth.keys import (
    ALGORITHMS,
    InvalidKeyError,
    KeyRing,
    KeySchedule,
    KeySource,
    KeyStage,
    TokenKey,
)
from tijolo.auth.password_policy import PasswordPolicy, WeakPasswordException, WeakReason
from tijolo.auth.passwords import (
    MAX_PASSWORD_BYTES,
    PasswordScheme,
    PasswordTooLongError,
    PasswordUtils,
)
from tijolo.auth.principal import Principal
from tijolo.auth.revocation import (
    FailureMode,
    GuardedChecker,
    MemoryRevocationStore,
    RevocationChecker,
    RevocationStore,
    RevocationStoreFullException,
    RevocationUnavailableException,
    TokenMode,
)
from tijolo.auth.roles import ROLE_HIERARCHY, RoleHierarchy, RoleType
from tijolo.auth.settings import JWTKeySettings, JWTSettings, TokenSettings
from tijolo.auth.x_token import TokenDependency, make_token_dependency, require_x_token

__all__ = [
    "ACCESS_TOKEN_TYPE",
    "ALGORITHMS",
    "MAX_PASSWORD_BYTES",
    "REQUIRED_CLAIMS",
    "ROLE_HIERARCHY",
    "AccessDependency",
    "AccessToken",
    "Authenticator",
    "CookieTransport",
    "CrossSiteRequestException",
    "FailureMode",
    "GuardedChecker",
    "HashService",
    "HashingBusyException",
    "InsufficientAuthenticationException",
    "InsufficientPermissionException",
    "InsufficientRoleException",
    "InsufficientScopeException",
    "InvalidKeyError",
    "InvalidRequestException",
    "JWTKeySettings",
    "JWTSettings",
    "JWTUtils",
    "KeyRing",
    "KeySchedule",
    "KeySource",
    "KeyStage",
    "MemoryRevocationStore",
    "PasswordPolicy",
    "PasswordScheme",
    "PasswordTooLongError",
    "PasswordUtils",
    "Principal",
    "RevocationChecker",
    "RevocationStore",
    "RevocationStoreFullException",
    "RevocationUnavailableException",
    "RoleHierarchy",
    "RoleType",
    "TokenAuthenticator",
    "TokenDependency",
    "TokenIssuer",
    "TokenKey",
    "TokenMode",
    "TokenSettings",
    "TokenVerifier",
    "WeakPasswordException",
    "WeakReason",
    "__version__",
    "bearer_token",
    "make_bearer_token_dependency",
    "make_jwt_user_dependency",
    "make_permission_dependency",
    "make_recent_auth_dependency",
    "make_role_dependency",
    "make_scope_dependency",
    "make_token_dependency",
    "require_x_token",
]
