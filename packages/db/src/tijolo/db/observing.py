"""How long statements take and how full the pool is, for whatever collects metrics."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import QueuePool

Operation = Literal["SELECT", "INSERT", "UPDATE", "DELETE", "OTHER"]
"""The kind of a statement; there are no others, so that it can be a label."""

QueryObserver = Callable[[Operation, float, bool], None]
"""Called with the kind of a statement, its seconds, and whether it ended well."""

_STARTED = "_tijolo_started"
_WORD = re.compile(r"(?:[\s(;]+|--[^\n]*(?:\n|\Z)|/\*.*?(?:\*/|\Z))*+(\w*)", re.DOTALL)
_OPERATIONS: dict[str, Operation] = {
    "SELECT": "SELECT",
    "INSERT": "INSERT",
    "UPDATE": "UPDATE",
    "DELETE": "DELETE",
}
_logger = logging.getLogger("tijolo.db")


@dataclass(frozen=True, kw_only=True)
class PoolStatus:
    """The connections of a pool at one moment."""

    size: int
    """Connections that are kept open at most."""
    max_size: int | None
    """The most there can be when it is busy; None where there is no such limit."""
    in_use: int
    """Connections that somebody holds."""
    idle: int
    """Connections that wait to be used."""


class Observed:
    """What both managers have for metrics; they say which engine and which limits it has."""

    def __init__(self) -> None:
        self._observers: tuple[_Guarded, ...] = ()
        self._watched: Engine | None = None

    def observe(self, observer: QueryObserver) -> Callable[[], None]:
        """Call ``observer`` after each statement, before or after ``connect()``.

        It runs where the statement ran, on the event loop that is: it must be quick, such as
        ``histogram.labels(operation).observe(seconds)``. What it raises is logged once and stops
        nothing. The time is that of the statement, not of fetching rows that are streamed, nor of
        waiting for a connection. ``health_check()`` is not observed.

        Returns:
            What ends it.
        """
        guarded = _Guarded(observer)
        self._observers = (*self._observers, guarded)
        self._watch(self._current_engine())

        def stop() -> None:
            self._observers = tuple(one for one in self._observers if one is not guarded)

        return stop

    def pool_status(self) -> PoolStatus | None:
        """The pool as it is now; None without ``connect()``, and for a pool that has no size.

        Of a database in memory, the connection that keeps it alive is one in use.
        """
        engine = self._current_engine()
        if engine is None or not isinstance(engine.pool, QueuePool):
            return None
        pool = engine.pool
        beyond = self._max_overflow()
        return PoolStatus(
            size=pool.size(),
            max_size=None if beyond < 0 else pool.size() + beyond,
            in_use=pool.checkedout(),
            idle=pool.checkedin(),
        )

    def _current_engine(self) -> Engine | None:
        raise NotImplementedError

    def _max_overflow(self) -> int:
        raise NotImplementedError

    def _watch(self, engine: Engine | None) -> None:
        """Listen to ``engine``, once, if anybody wants to know."""
        if engine is None or engine is self._watched or not self._observers:
            return
        self._watched = engine
        event.listen(engine, "before_cursor_execute", _start)
        event.listen(engine, "after_cursor_execute", self._ended)
        event.listen(engine, "handle_error", self._failed)

    def _ended(
        self,
        connection: Any,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        executemany: bool,
    ) -> None:
        self._tell(context, statement, ok=True)

    def _failed(self, failure: ExceptionContext) -> None:
        if failure.execution_context is not None:
            self._tell(failure.execution_context, failure.statement or "", ok=False)

    def _tell(self, context: Any, statement: str, *, ok: bool) -> None:
        started = getattr(context, _STARTED, None)
        if started is None:
            return  # it failed before it was sent, or was told already
        delattr(context, _STARTED)
        seconds = time.perf_counter() - started
        operation = _operation(context, statement)
        for observer in self._observers:
            observer(operation, seconds, ok)


class _Guarded:
    """An observer whose mistakes are its own."""

    def __init__(self, observer: QueryObserver) -> None:
        self._observer = observer
        self._complained = False

    def __call__(self, operation: Operation, seconds: float, ok: bool) -> None:
        try:
            self._observer(operation, seconds, ok)
        except Exception:
            if not self._complained:
                self._complained = True
                _logger.exception("an observer of database statements failed")


def _start(
    connection: Any,
    cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,
) -> None:
    if context is not None:
        setattr(context, _STARTED, time.perf_counter())


def _operation(context: Any, statement: str) -> Operation:
    """By the compiled statement where there is one: text can begin with anything."""
    if context.isinsert:
        return "INSERT"
    if context.isupdate:
        return "UPDATE"
    if context.isdelete:
        return "DELETE"
    compiled = getattr(context.compiled, "statement", None)
    if getattr(compiled, "is_select", False):
        return "SELECT"
    match = _WORD.match(statement)
    return _OPERATIONS.get(match[1].upper() if match else "", "OTHER")
