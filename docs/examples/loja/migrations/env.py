"""Alembic runs this file for every command."""

from loja.models import BaseModel

from tijolo.db.migrations import (
    compose_hooks,
    refuse_empty_revisions,
    reorder_base_columns_first,
    run_migrations,
)

run_migrations(
    BaseModel,
    process_revision_directives=compose_hooks(reorder_base_columns_first, refuse_empty_revisions),
)
