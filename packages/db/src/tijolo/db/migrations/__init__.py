"""Schema migrations: Alembic on async drivers, with a lock, a check and portable revisions."""

from __future__ import annotations

from tijolo.db.migrations.enums import drop_enum
from tijolo.db.migrations.environment import run_migrations
from tijolo.db.migrations.errors import (
    EmptyRevisionError,
    MigrationError,
    MigrationLockTimeoutError,
    MultipleHeadsError,
    SchemaAheadError,
)
from tijolo.db.migrations.helper import AlembicHelper
from tijolo.db.migrations.hooks import (
    BASE_COLUMN_ORDER,
    ProcessRevisionDirectives,
    compose_hooks,
    refuse_empty_revisions,
    reorder_base_columns_first,
)
from tijolo.db.migrations.report import SchemaReport, SchemaStatus

__all__ = [
    "BASE_COLUMN_ORDER",
    "AlembicHelper",
    "EmptyRevisionError",
    "MigrationError",
    "MigrationLockTimeoutError",
    "MultipleHeadsError",
    "ProcessRevisionDirectives",
    "SchemaAheadError",
    "SchemaReport",
    "SchemaStatus",
    "compose_hooks",
    "drop_enum",
    "refuse_empty_revisions",
    "reorder_base_columns_first",
    "run_migrations",
]
