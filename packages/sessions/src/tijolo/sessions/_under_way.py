"""Questions that were asked and not answered yet, and which answers came too late to be kept."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Asked:
    """One question, however many ask it at once."""

    __slots__ = ("ended_users", "waiting")

    def __init__(self) -> None:
        self.waiting = 0
        self.ended_users: set[object] = set()
        """Whose sessions ended meanwhile."""


class UnderWay(Generic[K]):
    """Questions by what they are about, each for itself: what ends elsewhere outdates no other."""

    def __init__(self) -> None:
        self._asked: dict[K, Asked] = {}

    def begin(self, key: K) -> Asked:
        """Ask; :meth:`end` must follow."""
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = Asked()
        asked.waiting += 1
        return asked

    def end(self, key: K, asked: Asked) -> bool:
        """Whether the answer may be kept."""
        asked.waiting -= 1
        is_current = self._asked.get(key) is asked
        if is_current and not asked.waiting:
            del self._asked[key]
        return is_current

    def outdate(self, key: K) -> None:
        """Keep no answer to what was asked about it before."""
        self._asked.pop(key, None)

    def end_user(self, user_id: object) -> None:
        """Note for all that are under way that a user's sessions ended."""
        for asked in self._asked.values():
            asked.ended_users.add(user_id)
