"""Tell the end of a request's own task from the end of something that it waited for."""

from __future__ import annotations

import asyncio
from typing import cast

_OF_THE_PROCESS = (KeyboardInterrupt, SystemExit, GeneratorExit)


def ends_the_task(exc: BaseException) -> bool:
    """Whether ``exc`` must go on to whoever runs the current task.

    True while the task itself is being cancelled, and for what ends the process. An awaited task
    that somebody else cancelled raises the same ``CancelledError``, and is an error like any other.
    """
    if isinstance(exc, Exception):
        return False
    if isinstance(exc, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", exc)
        return any(ends_the_task(member) for member in group.exceptions)
    return isinstance(exc, _OF_THE_PROCESS) or _is_being_cancelled()


def _is_being_cancelled() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return True  # another event loop, whose way to cancel we do not know
    return task is None or task.cancelling() > 0
