"""Waiting for what may never answer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

R = TypeVar("R")
_given_up: set[asyncio.Task[Any]] = set()  # the event loop itself keeps no task alive


async def within(seconds: float, call: Coroutine[Any, Any, R]) -> R:
    """The outcome of ``call``; it is cancelled when it takes longer, and nobody waits for that.

    ``asyncio.timeout`` would: closing a connection whose server is silent may take minutes.

    Raises:
        TimeoutError: It took longer.
    """
    task = asyncio.ensure_future(call)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _give_up(task)
        raise
    if not done:
        _give_up(task)
        raise TimeoutError(f"no answer within {seconds:g} s")
    return task.result()


def _give_up(task: asyncio.Task[Any]) -> None:
    _given_up.add(task)
    task.add_done_callback(_forget)
    task.cancel()


def _forget(task: asyncio.Task[Any]) -> None:
    _given_up.discard(task)
    if not task.cancelled():
        task.exception()  # nobody is left to be told
