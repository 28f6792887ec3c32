"""Inserts and upserts of many plain rows, without objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tijolo.db import _bulk
from tijolo.db._mapping import column_names, suggestion, table_of
from tijolo.db._repository_core import ModelT
from tijolo.db._repository_writes import Writes
from tijolo.db._values import check_moments

Rows = Sequence[dict[str, Any]]


class Bulk(Writes[ModelT]):
    """Bulk writing."""

    async def bulk_create_values(self, rows: Rows) -> int:
        """Insert ``rows``, one mapping of attribute names per row, or none of them.

        Columns that a row does not name get their defaults. Any number of rows: they are sent
        so that no limit on bound parameters is met.

        Raises:
            ValueError: An unknown column, or a datetime without a time zone.
            ConflictException: A clash.
        """
        prepared = _bulk.prepare(self.model, self._known(rows))
        async with self._writing(self.messages.bulk_create_conflict):
            for batch in prepared:
                await _bulk.insert(self.session, table_of(self.model), batch)
        return len(rows)

    async def bulk_upsert(
        self,
        rows: Rows,
        *,
        conflict_columns: Sequence[str],
        update_columns: Sequence[str] | None = None,
    ) -> int:
        """Insert ``rows``, or update those whose ``conflict_columns`` are already stored.

        Of rows that agree in ``conflict_columns`` the last one counts. MariaDB and MySQL look at
        every unique key of the table, whatever ``conflict_columns`` says.

        Args:
            conflict_columns: The columns of a unique index or constraint.
            update_columns: What an existing row gets, as far as its row names it; by default
                all that its row names except the key, ``created_at`` and ``deleted_at``.
                ``updated_at`` and a version always move.

        Returns:
            How many rows were inserted or updated.

        Raises:
            ValueError: ``conflict_columns`` is empty, an unknown column, or a datetime without a
                time zone.
            ConflictException: A clash with another unique key, or a broken reference.
        """
        if not conflict_columns:
            raise ValueError("conflict_columns is empty: name the columns of a unique index")
        self._check_names([*conflict_columns, *(update_columns or ())])
        wanted = _bulk.last_of_each(self._known(rows), conflict_columns)
        prepared = _bulk.prepare(self.model, wanted)
        async with self._writing(self.messages.bulk_create_conflict):
            for batch in prepared:
                changes = _bulk.changes(self.model, batch, conflict_columns, update_columns)
                await _bulk.upsert(self.session, self.model, batch, conflict_columns, changes)
        return len(wanted)

    def _known(self, rows: Rows) -> Rows:
        for names in {frozenset(row) for row in rows}:
            self._check_names(names)
        for row in rows:
            check_moments(self.model, row)
        return rows

    def _check_names(self, wanted: Iterable[str]) -> None:
        names = column_names(self.model)
        for name in wanted:
            if name not in names:
                raise ValueError(
                    f"{self.model.__name__} has no column {name!r}{suggestion(name, names)}"
                )
