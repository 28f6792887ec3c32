"""How long the parts of a call, and the whole of it, may take."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_scope: ContextVar[float | None] = ContextVar("tijolo_http_deadline", default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeouts:
    """Seconds for the parts of one attempt, and for all attempts together.

    Raises:
        ValueError: for a time that is not positive.
    """

    connect: float = 5.0
    """TCP and TLS."""
    read: float = 10.0
    """Between two pieces of the response."""
    write: float = 10.0
    """For each piece of the request."""
    pool: float = 10.0
    """Waiting for a free connection."""
    deadline: float | None = 30.0
    """From the first attempt to the last byte, waits included; None for no such limit."""

    def __post_init__(self) -> None:
        for name in ("connect", "read", "write", "pool", "deadline"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"the {name} timeout must be positive, got {value}")

    def narrowed(self, timeout: float | None) -> Timeouts:
        """These, with ``timeout`` for read, write and pool, and as a bound for connect."""
        if timeout is None:
            return self
        return Timeouts(
            connect=min(self.connect, timeout),
            read=timeout,
            write=timeout,
            pool=timeout,
            deadline=self.deadline,
        )

    def extension(self) -> dict[str, float | None]:
        """As httpx hands them to its transports."""
        return {
            "connect": self.connect,
            "read": self.read,
            "write": self.write,
            "pool": self.pool,
        }


@contextmanager
def deadline_scope(
    seconds: float, *, clock: Callable[[], float] = time.monotonic
) -> Generator[None]:
    """No call inside the block, its retries included, lasts beyond ``seconds`` from now.

    Scopes nest; the earliest end counts. Tasks that are started inside inherit it. It bounds what
    this client does, not the block: use ``asyncio.timeout`` for that.
    """
    end = clock() + seconds
    outer = _scope.get()
    token = _scope.set(end if outer is None else min(outer, end))
    try:
        yield
    finally:
        _scope.reset(token)


class Deadline:
    """The end of one call: what it was given, or the end of the caller's scope."""

    __slots__ = ("_at", "_clock", "own", "seconds")

    def __init__(self, seconds: float | None, clock: Callable[[], float]) -> None:
        scope = _scope.get()
        at = None if seconds is None else clock() + seconds
        self.own = scope is None or (at is not None and at <= scope)
        """Whether the call's own time ends first."""
        self.seconds = seconds if self.own else None
        self._at = at if self.own else scope
        self._clock = clock

    def remaining(self) -> float | None:
        """Seconds that are left; None for no end."""
        return None if self._at is None else self._at - self._clock()

    def allows(self, wait: float) -> bool:
        """Whether there is time left after waiting ``wait`` seconds."""
        remaining = self.remaining()
        return remaining is None or wait < remaining
