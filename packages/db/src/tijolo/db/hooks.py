"""What must happen only if a transaction commits, or only if it does not."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

Hook = Callable[[], Awaitable[Any] | Any]

BOUNDARY = "tijolo_boundary"
_COMMIT = "tijolo_on_commit"
_ROLLBACK = "tijolo_on_rollback"
_logger = logging.getLogger("tijolo.db")


def on_commit(session: AsyncSession, hook: Hook) -> None:
    """Call ``hook`` once the transaction of ``session`` is committed: e-mails, events, tasks.

    Hooks run in order, after COMMIT and before the response. The data is saved by then, so one
    that raises is logged and does not fail the request; one in which the request is given up ends
    there, and those after it run. A hook that was registered inside a :func:`savepoint` which
    rolled back is forgotten.

    Raises:
        RuntimeError: The session has no boundary that could run it.
    """
    _register(session, _COMMIT, hook)


def on_rollback(session: AsyncSession, hook: Hook) -> None:
    """Call ``hook`` if the transaction of ``session`` is rolled back: undo what SQL cannot.

    Registered inside a :func:`savepoint`, it runs also when that one rolls back. When the
    connection is lost at COMMIT (``COMMIT_OUTCOME_UNKNOWN``), or the request is given up there, no
    hook runs: the data may be saved.
    """
    _register(session, _ROLLBACK, hook)


def _register(session: AsyncSession, kind: str, hook: Hook) -> None:
    if not session.info.get(BOUNDARY):
        raise RuntimeError(
            "this session has no boundary to run hooks; take it from session_dependency or"
            " db.transaction()"
        )
    session.info.setdefault(kind, []).append(hook)


async def run_hooks(session: AsyncSession, *, committed: bool) -> None:
    """Run, and forget, the hooks of the outcome."""
    after_commit = session.info.pop(_COMMIT, [])
    after_rollback = session.info.pop(_ROLLBACK, [])
    await _run(*((after_commit, "commit") if committed else (after_rollback, "rollback")))


async def _run(hooks: list[Hook], outcome_name: str) -> None:
    given_up: asyncio.CancelledError | None = None
    for hook in hooks:
        try:
            outcome = hook()
            if inspect.isawaitable(outcome):
                await outcome
        except asyncio.CancelledError as cancelled:
            given_up = cancelled
        except Exception:
            _logger.exception("a hook after %s failed", outcome_name)
    if given_up is not None:
        raise given_up


@asynccontextmanager
async def savepoint(session: AsyncSession) -> AsyncGenerator[AsyncSession, None]:
    """Undo what happens inside, and nothing else, when the block raises."""
    after_commit = len(session.info.get(_COMMIT, ()))
    after_rollback = len(session.info.get(_ROLLBACK, ()))
    try:
        async with session.begin_nested():
            yield session
    except BaseException:
        del session.info.get(_COMMIT, [])[after_commit:]
        undone: list[Hook] = session.info.get(_ROLLBACK, [])
        inner = undone[after_rollback:]
        del undone[after_rollback:]
        await _run(inner, "rollback")
        raise
