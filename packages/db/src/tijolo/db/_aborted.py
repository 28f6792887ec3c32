"""Transactions that the server gave up, although whoever sent the statement caught its error.

PostgreSQL answers COMMIT of an aborted transaction with a silent ROLLBACK; MariaDB rolls back at
a deadlock, goes on in a new transaction, and COMMIT saves the second half. Neither is an error to
the driver, therefore the engine remembers the failed statement and refuses the COMMIT.
"""

from __future__ import annotations

from sqlalchemy import Connection, Engine, event
from sqlalchemy import exc as sa
from sqlalchemy.engine import ExceptionContext

from tijolo.db._sqlstates import error_code
from tijolo.db.errors import commit_failed, raise_scrubbed

_FAILED = "tijolo_failed_statement"
# deadlock, row changed under innodb_snapshot_isolation, lock table full: all of it is rolled back
_MYSQL_ABORTS = {"1213", "1020", "1206"}
_MYSQL_LOCK_TIMEOUT = "1205"


def refuse_aborted_commits(engine: Engine) -> None:
    """Make COMMIT of a transaction that the server has aborted raise COMMIT_FAILED."""
    if engine.dialect.name == "sqlite":
        return  # COMMIT raises there when the transaction is gone
    event.listen(engine, "handle_error", _remember)
    event.listen(engine, "begin", _forget)
    event.listen(engine, "commit", _refuse)


def _remember(context: ExceptionContext) -> None:
    connection = context.connection
    if connection is None or context.is_disconnect:
        return
    code = error_code(context.original_exception) or ""
    if connection.dialect.name == "postgresql" or code in _MYSQL_ABORTS:
        connection.info[_FAILED] = code
    elif code == _MYSQL_LOCK_TIMEOUT:
        connection.info.setdefault(_FAILED, code)


def _forget(connection: Connection) -> None:
    connection.info.pop(_FAILED, None)


def _refuse(connection: Connection) -> None:
    code = connection.info.get(_FAILED)
    if code is not None and _is_aborted(connection, code):
        raise commit_failed()


def _is_aborted(connection: Connection, code: str) -> bool:
    if connection.dialect.name != "postgresql":
        return code in _MYSQL_ABORTS or bool(
            connection.exec_driver_sql("SELECT @@innodb_rollback_on_timeout").scalar()
        )
    try:  # the error may lie in a savepoint that was rolled back, or in the driver alone
        connection.exec_driver_sql("SELECT 1")
    except sa.DBAPIError as exc:
        if exc.connection_invalidated:
            raise
        raise_scrubbed(commit_failed(), exc, debug=False)
    return False
