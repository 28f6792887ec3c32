"""One computation at a time for each key of this process; the others wait for its outcome."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType


class Ended(enum.Enum):
    """How a flight ended that has nothing to share."""

    ABANDONED = "its leader was cancelled: another may lead"
    OUTDATED = "something was invalidated meanwhile: ask again"
    FOUND = "there is an entry, which may have gone since it was read: read it again"
    PRIVATE = "the result is its leader's alone: compute your own"


@dataclass(frozen=True, slots=True)
class Landed:
    """A result for all who waited: bytes, so that each gets an object of their own."""

    data: bytes
    stored_at: float
    fresh_until: float


@dataclass(frozen=True, slots=True)
class Crashed:
    """The computation raised."""

    error: Exception
    trace: TracebackType | None = None
    """Where it was raised; each who raises it again adds to the exception's own."""


Outcome = Ended | Landed | Crashed


class Flight:
    """A computation that is under way."""

    __slots__ = ("_outcome", "invalidated", "tags", "waiting")

    def __init__(self, tags: Sequence[str]) -> None:
        self.tags = frozenset(tags)
        self.invalidated = False
        self.waiting = 0
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def end(self, outcome: Outcome) -> None:
        """Tell those who wait."""
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    async def wait(self) -> Outcome:
        """The outcome; one who is cancelled while waiting takes nobody along."""
        self.waiting += 1
        try:
            return await asyncio.shield(self._outcome)
        finally:
            self.waiting -= 1


class Flights:
    """The flights of one cache, by key; there are as many as there are callers at most.

    One event loop's callers cannot wait for another's.
    """

    def __init__(self) -> None:
        self._by_key: dict[tuple[str, asyncio.AbstractEventLoop], Flight] = {}

    def get(self, key: str) -> Flight | None:
        """The flight to join, if there is one."""
        return self._by_key.get(_here(key))

    def start(self, key: str, tags: Sequence[str]) -> Flight:
        """Lead a flight."""
        flight = self._by_key[_here(key)] = Flight(tags)
        return flight

    def finish_joining(self, key: str, flight: Flight) -> None:
        """Nobody joins from here on; the next caller starts another."""
        place = _here(key)
        if self._by_key.get(place) is flight:
            del self._by_key[place]

    def finish(self, key: str, flight: Flight, outcome: Outcome) -> None:
        """End it."""
        self.finish_joining(key, flight)
        flight.end(
            Ended.OUTDATED if flight.invalidated and isinstance(outcome, Landed) else outcome
        )

    def invalidate(self, keys: Iterable[str], tags: Iterable[str]) -> None:
        """Later callers do not join what was under way, and those who wait ask again."""
        named, gone = frozenset(keys), frozenset(tags)
        for place, flight in list(self._by_key.items()):
            if place[0] in named or not gone.isdisjoint(flight.tags):
                flight.invalidated = True
                del self._by_key[place]


def _here(key: str) -> tuple[str, asyncio.AbstractEventLoop]:
    return key, asyncio.get_running_loop()


class Leading:
    """A computation that the current task, or one that started it, is in the middle of."""

    __slots__ = ("active", "key", "of")

    def __init__(self, of: object, key: str) -> None:
        self.of, self.key, self.active = of, key, True


leading: ContextVar[tuple[Leading, ...]] = ContextVar("tijolo_cache_leading", default=())
"""What the running computation is for: waiting for oneself would never end."""
