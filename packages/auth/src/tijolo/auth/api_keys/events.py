"""What happened to API keys."""

from __future__ import annotations

from tijolo.core import BaseStrEnum


class ApiKeyEventKind(BaseStrEnum):
    """The kinds of ``AuthEvent`` that this package tells of; ``details`` name key and owner."""

    CREATED = "api_key_created"
    ROTATED = "api_key_rotated"
    REVOKED = "api_key_revoked"
    LEAKED = "api_key_leaked"
    """An alarm: somebody found the key and reported it. It is revoked."""
