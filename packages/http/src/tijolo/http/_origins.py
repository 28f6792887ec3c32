"""What is kept for each origin, and the key it is kept under."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx

from tijolo.http.circuit import Circuit
from tijolo.http.retry import RetryBudget

_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: httpx.URL) -> str:
    """``scheme://host[:port]`` in one spelling (RFC 6454): lower case, no default port or dot."""
    scheme = url.scheme
    host = url.raw_host.decode("ascii").lower().rstrip(".")
    if ":" in host:
        host = f"[{host}]"
    port = url.port
    if port is None or port == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{port}"


@dataclass(slots=True)
class Origin:
    """What limits the calls to one origin."""

    circuit: Circuit
    budget: RetryBudget
    places: asyncio.Semaphore | None
    """One for each call that may run; None for any number."""
    calls: int = 0
    """Under way, or waiting for a place."""


class OriginTable:
    """At most ``limit`` origins, and those that are being called. The longest unused one that has
    no failures makes room.

    When every one has failures, the longest unused goes, with what was known about it. One that is
    being called stays: its places would be given out a second time.
    """

    def __init__(self, make: Callable[[str], Origin], limit: int) -> None:
        if limit < 1:
            raise ValueError(f"max_origins must be at least 1, got {limit}")
        self._make = make
        self._limit = limit
        self._origins: OrderedDict[str, Origin] = OrderedDict()

    def get(self, name: str) -> Origin:
        """The origin called ``name``, made where it is not there."""
        origin = self._origins.get(name)
        if origin is not None:
            self._origins.move_to_end(name)
            return origin
        while len(self._origins) >= self._limit and self._make_room():
            pass
        return self._origins.setdefault(name, self._make(name))

    def find(self, name: str) -> Origin | None:
        """The origin called ``name``, or None."""
        return self._origins.get(name)

    def _make_room(self) -> bool:
        free = [name for name, origin in self._origins.items() if not origin.calls]
        if not free:
            return False
        idle = (name for name in free if self._origins[name].circuit.idle)
        del self._origins[next(idle, free[0])]
        return True

    def __iter__(self) -> Iterator[Origin]:
        return iter(tuple(self._origins.values()))

    def __len__(self) -> int:
        return len(self._origins)
