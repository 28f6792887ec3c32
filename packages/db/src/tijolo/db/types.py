"""Column types that behave alike on every database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware going in, aware and in UTC coming out, microseconds kept.

    A naive datetime is refused with ``ValueError`` rather than guessed. PostgreSQL stores
    ``timestamptz``; MariaDB and MySQL ``DATETIME(6)``, SQLite text, both in UTC.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """``datetime``."""
        return datetime

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column type of ``dialect``."""
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """UTC, without its zone where the database has no type for one."""
        if value is None:
            return None
        # a bool-ish duck is not a datetime: the driver's own error would show the value
        if value.tzinfo is None or value.utcoffset() is None:
            raise ValueError("a naive datetime is not an instant; give it a tzinfo, such as UTC")
        moment = value.astimezone(UTC)
        return moment if dialect.name == "postgresql" else moment.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def process_literal_param(self, value: datetime | None, dialect: Dialect) -> str:
        """An ISO literal, for offline SQL."""
        bound = self.process_bind_param(value, dialect)
        return "NULL" if bound is None else f"'{bound.isoformat(sep=' ')}'"


class utc_now(GenericFunction[datetime]):  # noqa: N801 - it is written like func.now()
    """The database's clock in the form that :class:`UtcDateTime` stores, microseconds included.

    ``CURRENT_TIMESTAMP`` has whole seconds on SQLite and MariaDB, and text or values with and
    without a fraction do not sort as the instants they mean.
    """

    type = UtcDateTime()
    inherit_cache = True


@compiles(utc_now)
def _standard(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    return "CURRENT_TIMESTAMP"


@compiles(utc_now, "sqlite")
def _sqlite(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    return "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"


@compiles(utc_now, "mysql")
@compiles(utc_now, "mariadb")
def _mysql(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    return "(UTC_TIMESTAMP(6))"
