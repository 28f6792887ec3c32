"""Sessions in the service's own database (extra ``db``): SQLite, PostgreSQL, MariaDB."""

from __future__ import annotations

from tijolo.sessions.db.model import BaseSessionModel, make_session_model
from tijolo.sessions.db.store import DatabaseSessionStore

__all__ = ["BaseSessionModel", "DatabaseSessionStore", "make_session_model"]
