"""Which columns an integrity error is about, per dialect, without the values in its text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from sqlalchemy import MetaData, Table
from sqlalchemy.exc import DBAPIError, IntegrityError

Reason = Literal["unique", "foreign_key", "not_null", "check", "unknown"]


@dataclass(frozen=True)
class Violation:
    """What was violated, and by which columns (none where the database does not say)."""

    reason: Reason
    fields: tuple[str, ...] = ()
    constraint: str | None = None


_POSTGRES: dict[str, Reason] = {
    "23505": "unique",
    "23503": "foreign_key",
    "23502": "not_null",
    "23514": "check",
    "23P01": "unique",
}
# the part before "=(": what follows it are values
_POSTGRES_KEY = re.compile(r"Key \((.*?)\)=\(")
_SQLITE: dict[str, Reason] = {
    "UNIQUE": "unique",
    "FOREIGN KEY": "foreign_key",
    "NOT NULL": "not_null",
    "CHECK": "check",
}
_SQLITE_TEXT = re.compile(r"^(UNIQUE|FOREIGN KEY|NOT NULL|CHECK) constraint failed(?:: (.*))?$")
_MYSQL: dict[int, tuple[Reason, re.Pattern[str]]] = {
    1062: ("unique", re.compile(r"for key '(?:[^'.]*\.)?([^'.]+)'$")),
    1048: ("not_null", re.compile(r"^Column '([^']+)'")),
    1364: ("not_null", re.compile(r"^Field '([^']+)'")),
    1451: ("foreign_key", re.compile(r"FOREIGN KEY \(([^)]*)\)")),
    1452: ("foreign_key", re.compile(r"FOREIGN KEY \(([^)]*)\)")),
    3819: ("check", re.compile(r"constraint '([^']+)'")),
    4025: ("check", re.compile(r"CONSTRAINT `([^`]+)`")),
}


def is_integrity_error(exc: BaseException) -> TypeGuard[DBAPIError]:
    """Whether a constraint was violated; MariaDB's drivers call a CHECK an operational error."""
    if isinstance(exc, IntegrityError):
        return True
    args: tuple[Any, ...] = getattr(getattr(exc, "orig", None), "args", ())
    return isinstance(exc, DBAPIError) and bool(args) and args[0] in _MYSQL


def find_violation(exc: DBAPIError, metadata: MetaData | None = None) -> Violation:
    """Read the violation out of the driver's error.

    Args:
        metadata: Where to look up the columns of a constraint that is only named.
    """
    orig: Any = exc.orig
    if orig is None:
        return Violation("unknown")
    if orig.args and isinstance(orig.args[0], int):  # before SQLSTATE, which it also has
        return _mysql(orig, metadata)
    state = getattr(orig, "sqlstate", None) or getattr(orig, "pgcode", None)
    if isinstance(state, str):
        return _postgres(orig, state, metadata)
    return _sqlite(str(orig), metadata)


def _postgres(orig: Any, state: str, metadata: MetaData | None) -> Violation:
    source = getattr(orig, "diag", None) or orig.__cause__ or orig
    name = getattr(source, "constraint_name", None)
    column = getattr(source, "column_name", None)
    detail = getattr(source, "detail", None) or getattr(source, "message_detail", None) or ""
    reason = _POSTGRES.get(state, "unknown")
    if column:
        return Violation(reason, (column,), name)
    found = _POSTGRES_KEY.search(detail)
    if found and "(" not in found[1]:
        return Violation(reason, tuple(_names(found[1])), name)
    return Violation(reason, _columns_of(name, metadata), name)


def _sqlite(text: str, metadata: MetaData | None) -> Violation:
    found = _SQLITE_TEXT.match(text)
    if not found:
        return Violation("unknown")
    reason, what = _SQLITE[found[1]], found[2] or ""
    if what.startswith("index "):
        name = what.removeprefix("index ").strip("'")
        return Violation(reason, _columns_of(name, metadata), name)
    if reason == "check":
        return Violation(reason, _columns_of(what, metadata), what)
    return Violation(reason, tuple(part.rpartition(".")[2] for part in _names(what)))


def _mysql(orig: Any, metadata: MetaData | None) -> Violation:
    if orig.args[0] not in _MYSQL:
        return Violation("unknown")
    reason, pattern = _MYSQL[orig.args[0]]
    found = pattern.search(str(orig.args[1]) if len(orig.args) > 1 else "")
    if not found:
        return Violation(reason)
    if reason in {"not_null", "foreign_key"}:
        return Violation(reason, tuple(_names(found[1])))
    return Violation(reason, _columns_of(found[1], metadata), found[1])


def _names(text: str) -> Iterable[str]:
    return (part.strip().strip('`"') for part in text.split(",") if part.strip())


def _columns_of(name: str | None, metadata: MetaData | None) -> tuple[str, ...]:
    """The columns of the constraint or index called ``name`` in ``metadata``."""
    if not name or metadata is None:
        return ()
    for table in metadata.tables.values():
        for item in _constraints(table):
            if str(item.name) == name:
                return tuple(column.name for column in item.columns)
    return ()


def _constraints(table: Table) -> Iterable[Any]:
    found: list[Any] = [*table.constraints, *table.indexes]
    return [item for item in found if item.name is not None]
