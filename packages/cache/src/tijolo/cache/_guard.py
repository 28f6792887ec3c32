"""Between the cache and its backend: a short time limit, and a breaker for one that is down."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tijolo.cache.errors import BackendRefusedError, BackendUnavailableError, NotConnectedError

T = TypeVar("T")
FAILURES_TO_OPEN = 3
_logger = logging.getLogger("tijolo.cache")


class Guard:
    """Lets operations through while the backend answers, and one probe at a time when it did not.

    ``on_change(up, reason)`` is called once for each change of state.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout_seconds: float | None,
        retry_seconds: float,
        on_change: Callable[[bool, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._timeout, self._retry = name, timeout_seconds, retry_seconds
        self._on_change, self._clock = on_change, clock
        self._failures = 0
        self._open_until: float | None = None
        self._probing = False
        self._failed_while_down = 0
        self._refusing = False

    @property
    def is_open(self) -> bool:
        """Whether the backend counts as down."""
        return self._open_until is not None

    async def call(self, operation: Callable[[], Awaitable[T]], *, anyway: bool = False) -> T:
        """The operation's result; ``anyway`` tries it even while the backend is left alone.

        Raises:
            BackendUnavailableError: it failed, took too long, or was not tried.
            NotConnectedError: from the operation; a mistake of the programmer is no outage.
        """
        if self._timeout is None:
            return await operation()
        probe = not anyway and self._open_until is not None and self._admit_probe()
        try:
            async with asyncio.timeout(self._timeout):
                result = await operation()
        except NotConnectedError:
            raise
        except BackendRefusedError as exc:
            self._answered()
            self._note_refusal(exc)
            raise BackendUnavailableError(str(exc)) from exc
        except Exception as exc:
            self._failed(exc)
            raise BackendUnavailableError(type(exc).__name__) from exc
        finally:
            if probe:
                self._probing = False
        self._answered()
        return result

    async def quietly(self, operation: Callable[[], Awaitable[object]]) -> bool:
        """Whether it worked: for what may as well fail, and says nothing about the backend.

        Not tried while the backend is left alone; a failure is neither counted nor logged.
        """
        if self.is_open:
            return False
        try:
            async with asyncio.timeout(self._timeout):
                await operation()
        except Exception:
            return False
        return True

    def _admit_probe(self) -> bool:
        if self._probing or (self._open_until or 0) > self._clock():
            self._failed_while_down += 1
            raise BackendUnavailableError("left alone for a moment, because it did not answer")
        self._probing = True
        return True

    def _failed(self, exc: Exception) -> None:
        self._failures += 1
        was_open = self.is_open
        if was_open:
            self._failed_while_down += 1
        if was_open or self._failures >= FAILURES_TO_OPEN:
            pause = self._retry * random.uniform(0.75, 1.25)  # noqa: S311, replicas spread
            self._open_until = self._clock() + pause
        if self.is_open and not was_open:
            reason = type(exc).__name__  # its text may hold an address with a password
            _logger.warning("%s is down (%s); results are computed each time", self._name, reason)
            self._on_change(False, reason)

    def _answered(self) -> None:
        self._failures = 0
        if self._open_until is None:
            return
        self._open_until = None
        _logger.warning(
            "%s answers again; %d operations did without it", self._name, self._failed_while_down
        )
        self._failed_while_down = 0
        self._on_change(True, "")

    def _note_refusal(self, exc: BackendRefusedError) -> None:
        if not self._refusing:
            self._refusing = True
            _logger.warning("%s refuses operations: %s; logged once", self._name, exc)
