"""Row counts from the database's statistics instead of from the rows."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Executable, Select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

from tijolo.db._mapping import table_of


class _Explain(Executable, ClauseElement):
    """``EXPLAIN (FORMAT JSON)`` of a statement."""

    inherit_cache = False

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement


@compiles(_Explain, "postgresql")
def _explain(element: _Explain, compiler: SQLCompiler, **kw: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **kw)}"


async def estimate(
    session: AsyncSession, model: type[Any], rows: Select[Any], *, plain: bool
) -> int | None:
    """About how many rows there are, or None where no statistics can say.

    Args:
        plain: There are no conditions, so that the table's own statistics do.
    """
    dialect = session.get_bind().dialect.name
    if dialect == "postgresql":
        connection = await session.connection()
        found = await connection.scalar(_Explain(rows))
        plan = json.loads(found) if isinstance(found, str) else found
        return int(plan[0]["Plan"]["Plan Rows"])
    if dialect in {"mysql", "mariadb"} and plain:
        statement = text(
            "SELECT table_rows FROM information_schema.tables"
            " WHERE table_schema = DATABASE() AND table_name = :name"
        )
        found = await session.scalar(statement, {"name": table_of(model).name})
        return None if found is None else int(found)
    return None
