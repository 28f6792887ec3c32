from __future__ import annotations

import subprocess
import sys

import tijolo.auth

PUBLIC = """
    ALGORITHMS MAX_PASSWORD_BYTES ROLE_HIERARCHY AccessDependency AccessToken
    AttemptThrottle AuthDeps AuthProblem AuthSettings Authenticator CookieTransport
    CrossSiteRequestException FailureMode Fetch FetchError FetchRequest FetchResponse
    GuardedChecker HashService HashingBusyException InsecureAuthSettingsError
    InsufficientAuthenticationException InsufficientPermissionException
    InsufficientRoleException InsufficientScopeException InvalidFormException
    InvalidKeyError InvalidRequestException JWKSClient JWTKeySettings JWTSettings JWTUtils
    KeyRing KeySchedule KeySource KeyStage KeysUnavailableException LoginThrottle
    LoginThrottleSettings MailThrottle MemoryRevocationStore PasswordPolicy PasswordScheme
    PasswordTooLongError PasswordUtils Principal RemoteRevocationClient RequestAuthenticator
    RevocationChecker RevocationStore RevocationStoreFullException
    RevocationUnavailableException RoleHierarchy RoleType ThreadedFetch ThrottleBackend
    ThrottleStatus TokenAuthenticator TokenDependency TokenIssuer TokenKey TokenMode
    TokenSettings TokenVerifier WeakPasswordException WeakReason __version__ bearer_token
    build_auth_deps check_auth_settings make_auth_validator make_bearer_token_dependency
    make_introspection_router make_jwks_router make_jwt_user_dependency
    make_permission_dependency make_recent_auth_dependency make_revocation_router
    make_role_dependency make_scope_dependency make_token_dependency read_jwks
    require_x_token
"""


def test_the_public_names_are_these() -> None:
    """Losing one is a diff that somebody signs."""
    assert tijolo.auth.__all__ == PUBLIC.split()
    assert all(hasattr(tijolo.auth, name) for name in PUBLIC.split())


def test_the_package_imports_no_extra() -> None:
    code = (
        "import sys, tijolo.auth;"
        "found = {'argon2', 'sqlalchemy', 'httpx', 'jinja2', 'redis'} & set(sys.modules);"
        "sys.exit(str(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
