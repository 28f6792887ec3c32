"""Error codes of the databases, sorted by what a caller can do about them."""

from __future__ import annotations

from enum import Enum, auto

from sqlalchemy import exc as sa


class Kind(Enum):
    """What kind of failure a database error is."""

    CONFLICT = auto()
    TIMEOUT = auto()
    UNAVAILABLE = auto()
    POOL = auto()
    REJECTED = auto()
    OTHER = auto()


# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRES = {
    "40001": Kind.CONFLICT,
    "40P01": Kind.CONFLICT,
    "55P03": Kind.TIMEOUT,
    "57014": Kind.TIMEOUT,
    "25P03": Kind.TIMEOUT,
    "25P04": Kind.TIMEOUT,
}
_POSTGRES_CLASSES = {
    "08": Kind.UNAVAILABLE,
    "53": Kind.UNAVAILABLE,
    "57": Kind.UNAVAILABLE,
    "58": Kind.UNAVAILABLE,
    "28": Kind.UNAVAILABLE,
    "22": Kind.REJECTED,
}
# https://mariadb.com/kb/en/mariadb-error-codes/
_MYSQL = {
    1213: Kind.CONFLICT,
    1020: Kind.CONFLICT,
    1205: Kind.TIMEOUT,
    1969: Kind.TIMEOUT,
    3024: Kind.TIMEOUT,
    1317: Kind.TIMEOUT,
    1040: Kind.UNAVAILABLE,
    1044: Kind.UNAVAILABLE,
    1045: Kind.UNAVAILABLE,
    1049: Kind.UNAVAILABLE,
    1053: Kind.UNAVAILABLE,
    1203: Kind.UNAVAILABLE,
    2002: Kind.UNAVAILABLE,
    2003: Kind.UNAVAILABLE,
    2006: Kind.UNAVAILABLE,
    2013: Kind.UNAVAILABLE,
    1264: Kind.REJECTED,
    1292: Kind.REJECTED,
    1366: Kind.REJECTED,
    1406: Kind.REJECTED,
}
_NO_SAVEPOINT = "1305"
_SQLITE = {
    "is locked": Kind.CONFLICT,
    "unable to open": Kind.UNAVAILABLE,
    "disk i/o error": Kind.UNAVAILABLE,
    "is full": Kind.UNAVAILABLE,
    "malformed": Kind.UNAVAILABLE,
    "not a database": Kind.UNAVAILABLE,
}


def error_code(exc: BaseException) -> str | None:
    """SQLSTATE of PostgreSQL or error number of MariaDB; None where there is none."""
    orig = getattr(exc, "orig", None) or exc
    if orig.args and isinstance(orig.args[0], int):  # MariaDB's number says more than its state
        return str(orig.args[0])
    state = getattr(orig, "sqlstate", None) or getattr(orig, "pgcode", None)
    return state if isinstance(state, str) else None


def kind_of(exc: BaseException) -> Kind | None:
    """The kind of ``exc``; None when it did not come from the database."""
    if isinstance(exc, sa.TimeoutError):
        return Kind.POOL
    if isinstance(exc, TimeoutError) and _passed_asyncpg(exc):
        return Kind.TIMEOUT  # its own clock: a frozen server does not keep statement_timeout
    if not isinstance(exc, sa.DBAPIError):
        return None
    if exc.connection_invalidated:
        return Kind.UNAVAILABLE
    if error_code(exc) == _NO_SAVEPOINT and (first := _error_before(exc)) is not None:
        return kind_of(first)
    known = _by_code(error_code(exc)) or _by_text(exc)
    if known is not None:
        return known
    return Kind.REJECTED if isinstance(exc, sa.DataError) or _refused_argument(exc) else Kind.OTHER


def _passed_asyncpg(exc: BaseException) -> bool:
    """Whether the driver raised it: a time limit of the caller's own has no such frame."""
    trace = exc.__traceback__
    while trace is not None:
        if "asyncpg" in trace.tb_frame.f_globals.get("__name__", ""):
            return True
        trace = trace.tb_next
    return False


def _error_before(exc: BaseException) -> sa.DBAPIError | None:
    """Why MariaDB has no savepoint to go back to: a deadlock took it with the transaction."""
    seen = {exc}
    before = exc.__context__
    while before is not None and before not in seen:
        if isinstance(before, sa.DBAPIError) and error_code(before) != _NO_SAVEPOINT:
            return before
        seen.add(before)
        before = before.__context__
    return None


def _by_code(code: str | None) -> Kind | None:
    if code is None:
        return None
    if len(code) == 4 and code.isdigit():
        return _MYSQL.get(int(code))
    return _POSTGRES.get(code) or _POSTGRES_CLASSES.get(code[:2])


def _by_text(exc: sa.DBAPIError) -> Kind | None:
    """SQLite's errors before Python 3.11's ``sqlite_errorcode`` survive no adapter; read them."""
    if not isinstance(exc, sa.OperationalError):
        return None
    text = str(exc.orig).lower()
    return next((kind for part, kind in _SQLITE.items() if part in text), None)


def _refused_argument(exc: sa.DBAPIError) -> bool:
    """asyncpg checks values before it sends them, and calls that an interface error."""
    cause = exc.orig.__cause__ if exc.orig is not None else None
    return cause is not None and type(cause).__name__ == "DataError"
