"""The boundary of a unit of work: the only place that commits."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.core import Environment
from tijolo.db._lacking import log
from tijolo.db.errors import (
    OUTCOME_UNKNOWN,
    commit_error,
    is_unexplained,
    raise_scrubbed,
    raise_translated,
    summary,
)
from tijolo.db.hooks import BOUNDARY, run_hooks

DEBUG = "tijolo_debug"
READ_ONLY = "tijolo_read_only"
LACKING = "tijolo_lacking"
"""In development: what says which table or column of the models is not there."""
_logger = logging.getLogger("tijolo.db")


@asynccontextmanager
async def boundary(session: AsyncSession) -> AsyncGenerator[AsyncSession, None]:
    """Commit ``session`` when the block ends well, roll it back when it raises, then close it.

    Database errors leave as :class:`~tijolo.core.AppException`; a COMMIT that fails is a 5xx.
    A session used after its boundary raises: nothing would commit what it did.
    """
    session.info[BOUNDARY] = True
    async with session:  # closes, shielded from cancellation
        try:
            yield session
            await session.flush()
        except BaseException as exc:
            await _abandon(session)
            await _say_what_is_lacking(session, exc)
            raise_translated(exc, debug=_debug(session))
            raise
        if not session.info.get(READ_ONLY):
            await _commit(session)
    await run_hooks(session, committed=True)


async def _commit(session: AsyncSession) -> None:
    try:
        await session.commit()
    except BaseException as exc:
        translated = commit_error(exc)
        # who gives up in the middle of a COMMIT knows no more than who lost the connection
        known = isinstance(exc, Exception) and getattr(translated, "code", "") != OUTCOME_UNKNOWN
        await _abandon(session, known=known)
        if translated is None:
            raise
        raise_scrubbed(translated, exc, debug=_debug(session))


async def _abandon(session: AsyncSession, *, known: bool = True) -> None:
    """Roll back; a connection that is gone must not hide why.

    Args:
        known: Whether nothing was saved; hooks that undo things must not run on a guess.
    """
    try:
        await session.rollback()
    except Exception as exc:
        _logger.warning("rollback failed: %s", summary(exc))
    finally:
        if known:  # also where the request is given up meanwhile
            await run_hooks(session, committed=False)


async def _say_what_is_lacking(session: AsyncSession, exc: BaseException) -> None:
    ask: Callable[[], Awaitable[str | None]] | None = session.info.get(LACKING)
    if ask is None or not is_unexplained(exc):
        return
    with suppress(Exception):  # it only adds to the error that is on its way
        log(await ask())


def _debug(session: AsyncSession) -> bool:
    return bool(session.info.get(DEBUG))


def refuse_outside_development(what: str, environment: Environment) -> None:
    """RuntimeError unless ``environment`` is a development one."""
    if not environment.is_development:
        raise RuntimeError(
            f"{what} destroys data and is refused with environment={environment.value!r};"
            " it works with 'local', 'development' and 'test'"
        )
