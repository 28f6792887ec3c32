"""Passwords, tokens, users and access control for FastAPI services."""

from tijolo.auth._compat import COMPAT as _COMPAT
from tijolo.auth._version import __version__
from tijolo.core.compat import enforce as _enforce

_enforce(_COMPAT, __version__)

from tijolo.auth.auth_deps import AuthDeps, build_auth_deps
from tijolo.auth.authenticator import Authenticator, RequestAuthenticator, TokenAuthenticator
from tijolo.auth.challenges import (
    InsufficientAuthenticationException,
    InsufficientPermissionException,
    InsufficientRoleException,
    InsufficientScopeException,
    InvalidRequestException,
)
from tijolo.auth.check import (
    AuthProblem,
    InsecureAuthSettingsError,
    check_auth_settings,
    make_auth_validator,
)
from tijolo.auth.cookie_tokens import CookieTransport, CrossSiteRequestException
from tijolo.auth.dependencies import (
    AccessDependency,
    bearer_token,
    make_bearer_token_dependency,
    make_jwt_user_dependency,
)
from tijolo.auth.fetching import Fetch, FetchError, FetchRequest, FetchResponse, ThreadedFetch
from tijolo.auth.forms import InvalidFormException
from tijolo.auth.hashing import HashingBusyException, HashService
from tijolo.auth.introspection import make_introspection_router, make_revocation_router
from tijolo.auth.jwks import JWKSClient, KeysUnavailableException, make_jwks_router, read_jwks
from tijolo.auth.jwt_utils import JWTUtils
from tijolo.auth.key_ring import KeyRing, KeySource
from tijolo.auth.keys import (
    ALGORITHMS,
    InvalidKeyError,
    KeySchedule,
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
from tijolo.auth.remote_revocation import RemoteRevocationClient
from tijolo.auth.requirements import (
    make_permission_dependency,
    make_recent_auth_dependency,
    make_role_dependency,
    make_scope_dependency,
)
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
from tijolo.auth.throttle import (
    AttemptThrottle,
    LoginThrottle,
    LoginThrottleSettings,
    MailThrottle,
    ThrottleBackend,
    ThrottleStatus,
)
from tijolo.auth.token_issuer import AccessToken, TokenIssuer
from tijolo.auth.token_verifier import TokenVerifier
from tijolo.auth.user_settings import AuthSettings
from tijolo.auth.x_token import TokenDependency, make_token_dependency, require_x_token

__all__ = [
    "ALGORITHMS",
    "MAX_PASSWORD_BYTES",
    "ROLE_HIERARCHY",
    "AccessDependency",
    "AccessToken",
    "AttemptThrottle",
    "AuthDeps",
    "AuthProblem",
    "AuthSettings",
    "Authenticator",
    "CookieTransport",
    "CrossSiteRequestException",
    "FailureMode",
    "Fetch",
    "FetchError",
    "FetchRequest",
    "FetchResponse",
    "GuardedChecker",
    "HashService",
    "HashingBusyException",
    "InsecureAuthSettingsError",
    "InsufficientAuthenticationException",
    "InsufficientPermissionException",
    "InsufficientRoleException",
    "InsufficientScopeException",
    "InvalidFormException",
    "InvalidKeyError",
    "InvalidRequestException",
    "JWKSClient",
    "JWTKeySettings",
    "JWTSettings",
    "JWTUtils",
    "KeyRing",
    "KeySchedule",
    "KeySource",
    "KeyStage",
    "KeysUnavailableException",
    "LoginThrottle",
    "LoginThrottleSettings",
    "MailThrottle",
    "MemoryRevocationStore",
    "PasswordPolicy",
    "PasswordScheme",
    "PasswordTooLongError",
    "PasswordUtils",
    "Principal",
    "RemoteRevocationClient",
    "RequestAuthenticator",
    "RevocationChecker",
    "RevocationStore",
    "RevocationStoreFullException",
    "RevocationUnavailableException",
    "RoleHierarchy",
    "RoleType",
    "ThreadedFetch",
    "ThrottleBackend",
    "ThrottleStatus",
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
    "build_auth_deps",
    "check_auth_settings",
    "make_auth_validator",
    "make_bearer_token_dependency",
    "make_introspection_router",
    "make_jwks_router",
    "make_jwt_user_dependency",
    "make_permission_dependency",
    "make_recent_auth_dependency",
    "make_revocation_router",
    "make_role_dependency",
    "make_scope_dependency",
    "make_token_dependency",
    "read_jwks",
    "require_x_token",
]
