"""Before a service starts: wait until its database answers, and not for ever."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from tijolo.core import ServiceUnavailableException
from tijolo.db.manager import AsyncDatabaseManager

_logger = logging.getLogger("tijolo.db")


async def wait_for_database(
    db: AsyncDatabaseManager,
    *,
    timeout: float = 60.0,  # noqa: ASYNC109 - a budget of attempts, not a cancellation
    interval: float = 1.0,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> int:
    """Ask until the database answers; how often it took.

    Args:
        timeout: Seconds after which no further attempt begins.
        interval: Seconds between attempts.

    Raises:
        ServiceUnavailableException: It never answered.
    """
    if timeout < 0 or interval <= 0:
        raise ValueError(f"timeout and interval must be positive, got {timeout} and {interval}")
    deadline = time.monotonic() + timeout
    attempts = 0
    while True:
        attempts += 1
        if await db.health_check():
            return attempts
        if time.monotonic() + interval > deadline:
            raise ServiceUnavailableException(
                f"the database did not answer within {timeout:g} s ({attempts} attempts):"
                f" {db.db_url_safe}",
                code="DATABASE_UNAVAILABLE",
            )
        _logger.info("waiting for %s", db.db_url_safe)
        await sleep(interval)
