from __future__ import annotations

import subprocess
import sys

import tijolo.sessions

PUBLIC = """
    MAX_DATA_BYTES Attempt CredentialVerifier CrossSiteSessionException CurrentRequestSession
    CurrentSession CurrentUserId InvalidCredentialsException Lifetime LoadOutcome LoginThrottle
    MemorySessionStore OnSessionEvent OptionalSession OutagePolicy
    ReauthenticationRequiredException RequestSession RevokedSessionsSchema RoleLifetime
    SecondFactor SecondFactorRequiredException Session SessionAuth SessionDataTooLargeException
    SessionDependency SessionEvent SessionEventKind SessionKey SessionLoginSchema
    SessionMetrics SessionMiddleware SessionNotFoundException SessionRequiredException
    SessionResponseSchema SessionSettings SessionStore SessionStoreUnavailableException
    SessionSummarySchema SessionUser UserCheck __version__ make_session_dependency
    make_session_router new_session_id request_session
"""


def test_the_public_names_are_these() -> None:
    """Losing one is a diff that somebody signs."""
    assert tijolo.sessions.__all__ == PUBLIC.split()
    assert all(hasattr(tijolo.sessions, name) for name in PUBLIC.split())


def test_the_package_imports_no_extra() -> None:
    code = (
        "import sys, tijolo.sessions;"
        "found = {'sqlalchemy', 'redis', 'pytest', 'tijolo.auth'} & set(sys.modules);"
        "sys.exit(str(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
