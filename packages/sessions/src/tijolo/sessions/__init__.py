"""Sessions on the server for FastAPI services: revoked means gone."""

from tijolo.core.compat import enforce as _enforce
from tijolo.sessions._compat import COMPAT as _COMPAT
from tijolo.sessions._version import __version__

_enforce(_COMPAT, __version__)

from tijolo.sessions.credentials import CredentialVerifier, LoginThrottle, SecondFactor, SessionUser
from tijolo.sessions.current import RequestSession, request_session
from tijolo.sessions.dependencies import (
    CurrentRequestSession,
    CurrentSession,
    CurrentUserId,
    OptionalSession,
    SessionDependency,
    make_session_dependency,
)
from tijolo.sessions.errors import SessionDataTooLargeException, SessionStoreUnavailableException
from tijolo.sessions.events import (
    LoadOutcome,
    OnSessionEvent,
    SessionEvent,
    SessionEventKind,
    SessionMetrics,
)
from tijolo.sessions.keys import SessionKey
from tijolo.sessions.memory import MemorySessionStore
from tijolo.sessions.middleware import SessionMiddleware
from tijolo.sessions.reading import OutagePolicy
from tijolo.sessions.refusals import (
    CrossSiteSessionException,
    InvalidCredentialsException,
    ReauthenticationRequiredException,
    SecondFactorRequiredException,
    SessionNotFoundException,
    SessionRequiredException,
)
from tijolo.sessions.router import make_session_router
from tijolo.sessions.schemas import (
    RevokedSessionsSchema,
    SessionLoginSchema,
    SessionResponseSchema,
    SessionSummarySchema,
)
from tijolo.sessions.service import SessionAuth
from tijolo.sessions.session import Session, new_session_id
from tijolo.sessions.settings import Lifetime, RoleLifetime, SessionSettings
from tijolo.sessions.sign_in import Attempt
from tijolo.sessions.store import MAX_DATA_BYTES, SessionStore
from tijolo.sessions.user_check import UserCheck

__all__ = [
    "MAX_DATA_BYTES",
    "Attempt",
    "CredentialVerifier",
    "CrossSiteSessionException",
    "CurrentRequestSession",
    "CurrentSession",
    "CurrentUserId",
    "InvalidCredentialsException",
    "Lifetime",
    "LoadOutcome",
    "LoginThrottle",
    "MemorySessionStore",
    "OnSessionEvent",
    "OptionalSession",
    "OutagePolicy",
    "ReauthenticationRequiredException",
    "RequestSession",
    "RevokedSessionsSchema",
    "RoleLifetime",
    "SecondFactor",
    "SecondFactorRequiredException",
    "Session",
    "SessionAuth",
    "SessionDataTooLargeException",
    "SessionDependency",
    "SessionEvent",
    "SessionEventKind",
    "SessionKey",
    "SessionLoginSchema",
    "SessionMetrics",
    "SessionMiddleware",
    "SessionNotFoundException",
    "SessionRequiredException",
    "SessionResponseSchema",
    "SessionSettings",
    "SessionStore",
    "SessionStoreUnavailableException",
    "SessionSummarySchema",
    "SessionUser",
    "UserCheck",
    "__version__",
    "make_session_dependency",
    "make_session_router",
    "new_session_id",
    "request_session",
]
