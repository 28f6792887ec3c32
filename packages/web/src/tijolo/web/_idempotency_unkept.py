"""Answers that the store has not taken yet, so that their requests are not carried out again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

MAX_ENTRIES, MAX_BYTES = 1_000, 16 * 1024 * 1024


class UnkeptAnswer(NamedTuple):
    """What was answered, and until when it counts."""

    fingerprint: str
    answer: bytes
    ends: float


class UnkeptAnswers:
    """By key, while the store is away; beyond either bound the oldest are forgotten.

    Args:
        clock: Seconds; must never go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._held: OrderedDict[str, UnkeptAnswer] = OrderedDict()
        self._bytes = 0

    def add(self, key: str, fingerprint: str, answer: bytes, ttl_seconds: float) -> None:
        """Hold ``answer`` for ``ttl_seconds``."""
        self.drop(key)
        self._held[key] = UnkeptAnswer(fingerprint, answer, self._clock() + ttl_seconds)
        self._bytes += len(answer)
        while len(self._held) > MAX_ENTRIES or self._bytes > MAX_BYTES:
            self.drop(next(iter(self._held)))

    def find(self, key: str) -> UnkeptAnswer | None:
        """The answer of ``key``; None if the store has it, or its time is over."""
        held = self._held.get(key)
        if held is not None and held.ends <= self._clock():
            self.drop(key)
            return None
        return held

    def drop(self, key: str) -> None:
        """Forget ``key``."""
        held = self._held.pop(key, None)
        if held is not None:
            self._bytes -= len(held.answer)
