"""Whether the database has what the models say: where migrations did not run, it has not."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from sqlalchemy import Connection, Table, inspect

_logger = logging.getLogger("tijolo.db")


def what_is_lacking(connection: Connection, tables: Iterable[Table]) -> str | None:
    """The first table or column that is not there; None where everything is."""
    there = inspect(connection)
    for table in tables:
        if not there.has_table(table.name, schema=table.schema):
            return f"no table {table.fullname!r}"
        columns = {column["name"] for column in there.get_columns(table.name, schema=table.schema)}
        for column in table.columns:
            if column.name not in columns:
                return f"no column {column.name!r} in table {table.fullname!r}"
    return None


def advice(database: object, lacking: str | None) -> str | None:
    """What to do about it, in a sentence that names models and no values."""
    if lacking is None:
        return None
    return (
        f"{database!r} has {lacking}: its migrations have not run, or it is another database"
        " than the service's. Run them, such as by: python -m tijolo.db upgrade"
    )


def log(found: str | None) -> None:
    """For whoever develops: the error itself carries no name."""
    if found is not None:
        _logger.error("%s", found)
