"""Async SQLAlchemy for services: unit of work, repositories, pagination, migrations."""

from __future__ import annotations

from tijolo.core.compat import enforce as _enforce
from tijolo.db._compat import COMPAT as _COMPAT
from tijolo.db._version import __version__

_enforce(_COMPAT, __version__)

from typing import TYPE_CHECKING

from tijolo.db._repository_core import ForUpdate
from tijolo.db.controller import BaseController
from tijolo.db.cursors import InvalidCursorException
from tijolo.db.errors import (
    DatabaseFailure,
    RowLimitExceededError,
    StaleVersionException,
    TransactionConflictException,
)
from tijolo.db.filters import UNSET, InvalidFilterError, UnknownFilterError
from tijolo.db.hooks import on_commit, on_rollback, savepoint
from tijolo.db.identifiers import uuid7
from tijolo.db.manager import AsyncDatabaseManager
from tijolo.db.mixins import AuditMixin, TimestampMixin, VersionMixin
from tijolo.db.model import NAMING_CONVENTION, BaseModel
from tijolo.db.observing import PoolStatus, QueryObserver
from tijolo.db.ordering import UnknownOrderError
from tijolo.db.pagination import CountPolicy, CursorPage, InvalidPageError, Page
from tijolo.db.repository import BaseRepository
from tijolo.db.service import BaseService
from tijolo.db.settings import DatabaseSettings
from tijolo.db.soft_delete import SoftDeleteMixin, unique_when_alive
from tijolo.db.sync_manager import DatabaseManager
from tijolo.db.types import UtcDateTime, utc_now
from tijolo.db.waiting import wait_for_database

if TYPE_CHECKING:
    from tijolo.db.migrations import (
        BASE_COLUMN_ORDER,
        AlembicHelper,
        ProcessRevisionDirectives,
        compose_hooks,
        reorder_base_columns_first,
    )

__all__ = [
    "BASE_COLUMN_ORDER",
    "NAMING_CONVENTION",
    "UNSET",
    "AlembicHelper",
    "AsyncDatabaseManager",
    "AuditMixin",
    "BaseController",
    "BaseModel",
    "BaseRepository",
    "BaseService",
    "CountPolicy",
    "CursorPage",
    "DatabaseFailure",
    "DatabaseManager",
    "DatabaseSettings",
    "ForUpdate",
    "InvalidCursorException",
    "InvalidFilterError",
    "InvalidPageError",
    "Page",
    "PoolStatus",
    "ProcessRevisionDirectives",
    "QueryObserver",
    "RowLimitExceededError",
    "SoftDeleteMixin",
    "StaleVersionException",
    "TimestampMixin",
    "TransactionConflictException",
    "UnknownFilterError",
    "UnknownOrderError",
    "UtcDateTime",
    "VersionMixin",
    "__version__",
    "compose_hooks",
    "on_commit",
    "on_rollback",
    "reorder_base_columns_first",
    "savepoint",
    "unique_when_alive",
    "utc_now",
    "uuid7",
    "wait_for_database",
]

_MIGRATIONS = frozenset(
    {
        "BASE_COLUMN_ORDER",
        "AlembicHelper",
        "ProcessRevisionDirectives",
        "compose_hooks",
        "reorder_base_columns_first",
    }
)


def __getattr__(name: str) -> object:
    """Import Alembic when a migration's name is first asked for: a service at work needs none."""
    if name not in _MIGRATIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tijolo.db import migrations

    return getattr(migrations, name)
