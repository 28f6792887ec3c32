"""What a database error means to the caller, in words that carry no SQL and no values.

    IntegrityError                        409 CONFLICT, details.fields and details.reason
    StaleDataError                        409 STALE_VERSION
    a value the database refuses          422 VALUE_REJECTED
    serialization failure, deadlock       503 TRANSACTION_CONFLICT (worth trying again)
    statement or lock timeout             503 DATABASE_TIMEOUT
    no connection, server going away      503 DATABASE_UNAVAILABLE
    no free connection in the pool        503 DATABASE_POOL_EXHAUSTED
    an earlier error that was swallowed   500 COMMIT_FAILED
    anything else                         500 DATABASE_ERROR

Drivers put the offending values into their messages; therefore the original error is chained
only in debug mode, and otherwise a :class:`DatabaseFailure` that names its class and SQLSTATE.
"""

from __future__ import annotations

import logging
from typing import NoReturn

from sqlalchemy import exc as sa
from sqlalchemy.orm.exc import StaleDataError

from tijolo.core import (
    AppException,
    ConflictException,
    ServiceUnavailableException,
    ValidationException,
)
from tijolo.db._sqlstates import Kind, error_code, kind_of
from tijolo.db._violations import Violation, find_violation, is_integrity_error

_logger = logging.getLogger("tijolo.db")

RETRY_AFTER_SECONDS = 1
OUTCOME_UNKNOWN = "COMMIT_OUTCOME_UNKNOWN"


class DatabaseFailure(Exception):  # noqa: N818 - it stands beside HTTP exceptions as their cause
    """A database error without its SQL, parameters and values: class, code and constraint."""


class TransactionConflictException(ServiceUnavailableException):
    """Two transactions got in each other's way; the same request may well succeed now."""

    code = "TRANSACTION_CONFLICT"
    message = "The operation clashed with another one; try again"


class StaleVersionException(ConflictException):
    """The row was changed by somebody else between its reading and its writing."""

    code = "STALE_VERSION"
    message = "The resource was changed by someone else; read it again"


class RowLimitExceededError(RuntimeError):
    """A multi-row write touched more (or other) rows than its caller said; it was undone."""


_UNAVAILABLE = {
    Kind.TIMEOUT: ("DATABASE_TIMEOUT", "The database took too long"),
    Kind.UNAVAILABLE: ("DATABASE_UNAVAILABLE", "The database is not available"),
    Kind.POOL: ("DATABASE_POOL_EXHAUSTED", "Every database connection is in use"),
}


def summary(exc: BaseException) -> DatabaseFailure:
    """``exc`` in a form that is fit for a log."""
    driver_error = getattr(exc, "orig", None) or exc
    cause = driver_error.__cause__ or driver_error
    code = error_code(exc)
    return DatabaseFailure(type(cause).__name__ + (f" ({code})" if code else ""))


def conflict(violation: Violation, message: str | None = None) -> ConflictException:
    """The 409 that tells which fields clash, never with what."""
    return ConflictException(
        message or "The data clashes with what is stored",
        details={"fields": list(violation.fields), "reason": violation.reason},
    )


def translate(exc: BaseException, *, message: str | None = None) -> AppException | None:
    """The HTTP-facing form of a database error, or None when ``exc`` is not one.

    Args:
        message: The sentence of a 409.
    """
    if isinstance(exc, sa.PendingRollbackError):  # the first error was caught, not mended
        return commit_failed()
    if is_integrity_error(exc):
        return conflict(find_violation(exc), message)
    if isinstance(exc, StaleDataError):
        return StaleVersionException()
    kind = kind_of(exc)
    if kind is None:
        return None
    if kind is Kind.CONFLICT:
        return TransactionConflictException(retry_after_seconds=RETRY_AFTER_SECONDS)
    if kind is Kind.REJECTED:
        return ValidationException(
            "A value is not one the database can hold", code="VALUE_REJECTED"
        )
    if kind is Kind.OTHER:
        return AppException("The database refused the operation", code="DATABASE_ERROR")
    code, text = _UNAVAILABLE[kind]
    _logger.warning("%s: %s", code, summary(exc))
    return ServiceUnavailableException(text, code=code, retry_after_seconds=RETRY_AFTER_SECONDS)


def is_unexplained(exc: BaseException) -> bool:
    """Whether ``exc`` is a 500 ``DATABASE_ERROR``: a table that is missing, for instance."""
    return kind_of(exc) is Kind.OTHER and not is_integrity_error(exc)


def raise_translated(exc: BaseException, *, debug: bool, message: str | None = None) -> None:
    """Raise what :func:`translate` makes of ``exc``; return when it is no database error."""
    translated = translate(exc, message=message)
    if translated is not None:
        raise_scrubbed(translated, exc, debug=debug)


def raise_scrubbed(found: AppException, exc: BaseException, *, debug: bool) -> NoReturn:
    """Raise ``found`` because of ``exc``, which goes with it in debug mode only."""
    found.__cause__ = exc if debug else summary(exc)
    found.__suppress_context__ = True
    try:
        raise found
    finally:
        # `from None` would keep the driver's error there, where error reporters look
        if not debug:
            found.__context__ = None


def commit_failed() -> AppException:
    """The 500 of changes that were not saved."""
    return AppException("The changes could not be saved", code="COMMIT_FAILED")


def commit_error(exc: BaseException) -> AppException | None:
    """A COMMIT that failed is never the caller's 4xx: the handler had already said yes."""
    kind = kind_of(exc)
    if isinstance(exc, sa.PendingRollbackError) or is_integrity_error(exc):
        return commit_failed()
    if kind in {Kind.UNAVAILABLE, Kind.TIMEOUT}:
        return ServiceUnavailableException(
            "The connection was lost while saving; the outcome is unknown",
            code=OUTCOME_UNKNOWN,
        )
    if kind is Kind.CONFLICT:
        return TransactionConflictException(retry_after_seconds=RETRY_AFTER_SECONDS)
    if kind is None:
        return None
    return commit_failed()
