"""Whether the database has the tables of the accounts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from sqlalchemy import Connection, Table, inspect

from tijolo.auth.users.service import UserAuthService


async def what_is_lacking(service: UserAuthService) -> str | None:
    """The first table or column that is not there; None where everything is."""
    models = (service.user_model, service.token_model, service.refresh_model)
    tables = [cast("Table[Any]", model.__table__) for model in models if model is not None]
    async with service.db.engine.connect() as connection:
        return await connection.run_sync(_first_lacking, tables)


def _first_lacking(connection: Connection, tables: Iterable[Table[Any]]) -> str | None:
    there = inspect(connection)
    for table in tables:
        if not there.has_table(table.name, schema=table.schema):
            return f"no table {table.fullname!r}"
        columns = {column["name"] for column in there.get_columns(table.name, schema=table.schema)}
        for column in table.columns:
            if column.name not in columns:
                return f"no column {column.name!r} in table {table.fullname!r}"
    return None
