"""Sessions on the server for FastAPI services: revoked means gone."""

from tijolo.core.compat import enforce as _enforce
from tijolo.sessions._compat import COMPAT as _COMPAT
from tijolo.sessions._version import __version__

_enforce(_COMPAT, __version__)

from tijolo.sessions.errors import (
    SessionDataTooLargeException,
    SessionStoreUnavailableException,
)
from tijolo.sessions.memory import MemorySessionStore
from tijolo.sessions.session import Session, new_session_id
from tijolo.sessions.store import MAX_DATA_BYTES, SessionStore

__all__ = [
    "MAX_DATA_BYTES",
    "MemorySessionStore",
    "Session",
    "SessionDataTooLargeException",
    "SessionStore",
    "SessionStoreUnavailableException",
    "__version__",
    "new_session_id",
]
