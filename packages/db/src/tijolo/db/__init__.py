"""Async SQLAlchemy for services: unit of work, repositories, pagination, migrations."""

from __future__ import annotations

from tijolo.db._version import __version__
from tijolo.db.hooks import on_commit, on_rollback, savepoint
from tijolo.db.manager import AsyncDatabaseManager
from tijolo.db.mixins import AuditMixin, TimestampMixin, VersionMixin
from tijolo.db.model import NAMING_CONVENTION, BaseModel
from tijolo.db.soft_delete import SoftDeleteMixin, unique_when_alive

__all__ = [
    "NAMING_CONVENTION",
    "AsyncDatabaseManager",
    "AuditMixin",
    "BaseModel",
    "SoftDeleteMixin",
    "TimestampMixin",
    "VersionMixin",
    "__version__",
    "on_commit",
    "on_rollback",
    "savepoint",
    "unique_when_alive",
]
