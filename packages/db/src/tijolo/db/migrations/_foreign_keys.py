"""Rows that a migration on SQLite, which runs without foreign keys, left without their parent."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import Connection

from tijolo.db.migrations.errors import MigrationError


class ForeignKeyCheck:
    """Called by Alembic after each revision, before its commit; raising undoes the revision.

    Orphans that were there before are no reason to refuse. They are counted per pair of tables:
    batch mode gives rows new numbers.
    """

    def __init__(self, connection: Connection) -> None:
        began = not connection.in_transaction()
        self._known = _orphans(connection)
        if began:
            connection.rollback()

    def __call__(self, *, ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
        found = _orphans(ctx.connection)
        new = {pair: count for pair, count in found.items() if count > self._known[pair]}
        if new:
            raise MigrationError(
                f"revision {step.up_revision_id!r} leaves rows without their parent:"
                f" {'; '.join(f'{t!r} -> {parent!r}: {n}' for (t, parent), n in new.items())}."
                " It was undone. Foreign keys are off while SQLite migrates, so that cascades do"
                " not run: delete or repoint the rows in the revision itself"
            )
        self._known = found


def _orphans(connection: Connection) -> Counter[tuple[str, str]]:
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return Counter((table, parent) for table, _rowid, parent, _key in rows)
