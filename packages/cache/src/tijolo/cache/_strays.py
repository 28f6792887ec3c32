"""Leases that this process may hold without knowing it: the answer to asking for one was lost."""

from __future__ import annotations

from collections import OrderedDict

MAX_STRAYS = 1_000
"""Leases that are remembered; older ones end by themselves, as those of a crashed process do."""


class Strays:
    """Leases to give back, by the key that they keep others from.

    A lease stays here after it was given back once, for a server that froze may grant it later,
    until this process holds its key again. ``due`` are those never given back yet.
    """

    def __init__(self) -> None:
        self._all: OrderedDict[tuple[str, str], bool] = OrderedDict()

    @property
    def due(self) -> list[tuple[str, str]]:
        """Key and token of those that may keep another process waiting."""
        return [stray for stray, due in self._all.items() if due]

    def note(self, key: str, token: str) -> None:
        """Whether ``token`` holds ``key`` is not known."""
        self._all[key, token] = True
        while len(self._all) > MAX_STRAYS:
            self._all.popitem(last=False)

    def of(self, key: str) -> list[str]:
        """The tokens that may hold ``key``, and that nobody waits for."""
        return [token for at, token in self._all if at == key]

    def given_back(self, key: str, token: str) -> None:
        """The backend was told."""
        if (key, token) in self._all:
            self._all[key, token] = False

    def forget(self, key: str) -> None:
        """Somebody of this process holds ``key``, so none of these does."""
        for token in self.of(key):
            del self._all[key, token]
