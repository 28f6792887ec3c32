"""Where rate limits keep what each caller has used: the protocol, and the store in memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple, Protocol, runtime_checkable

from tijolo.web.rate_limits import (
    LimitState,
    RateLimit,
    Spending,
    check_units,
    ends_us,
    give_back,
    spend,
)

_SECOND_CHANCES = 64
Limits = tuple[RateLimit, ...]
_Record = tuple[Limits, tuple[tuple[int, ...], ...]]


class Reservation(NamedTuple):
    """Whether the units were taken, and what is left of each limit."""

    allowed: bool
    states: tuple[LimitState, ...]
    """In the order of the limits."""


@runtime_checkable
class RateLimitStore(Protocol):
    """What has been used, by key. Each method is one atomic step and ends in bounded time.

    A key that was never used, or not for long enough, is free. Every record ends by itself.
    """

    async def reserve(self, key: str, limits: Limits, cost: int = 1) -> Reservation:
        """Take ``cost`` units of every limit, or of none if one of them has too few left.

        ``cost`` 0 takes nothing and tells what is left.
        """
        ...

    async def refund(self, key: str, limits: Limits, cost: int = 1) -> None:
        """Give ``cost`` units back, as after an attempt that should not have counted."""
        ...

    async def reset(self, key: str) -> None:
        """Forget what ``key`` has used."""
        ...


class MemoryRateLimitStore:
    """The store of one process: nothing to install, nothing to wait for, nothing shared.

    It holds ``max_keys`` keys at most, about 350 bytes each. For a new key beyond them one goes
    that is free again; else one that still has units left, the longest unused first; one that is
    blocked only when nothing but blocked keys is found among the 64 longest unused. So a
    blocked caller is not forgotten because others came.

    Args:
        max_keys: Keys held at once.
        clock: Seconds; must never go back.
    """

    def __init__(
        self, *, max_keys: int = 100_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if max_keys < 1:
            raise ValueError(f"max_keys must be 1 or more, got {max_keys}")
        self.max_keys = max_keys
        self._clock = clock
        # by last use, the longest unused first
        self._used: OrderedDict[str, _Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._used)

    def taker(self, limits: Limits) -> Callable[[str], tuple[int, int] | None]:
        """Build the function that takes one unit of the only limit, which is of ``gcra``.

        The common case of :meth:`reserve_now` for a quarter of its time: what ``spend`` does,
        without the objects. It returns the units left and the microseconds until all are there
        again; None, and nothing taken, if there is no unit left or another limit used the key.
        """
        (limit,) = limits
        interval, window = limit.interval_us, limit.window_us
        used, clock = self._used, self._clock
        find, touch = used.get, used.move_to_end

        def take(key: str) -> tuple[int, int] | None:
            now = int(clock() * 1_000_000)
            record = find(key)
            if record is None:
                if len(used) >= self.max_keys:
                    self._make_room(now)
                full_at = now + interval
            elif record[0] is limits:
                touch(key)
                full_at = record[1][0][0]
                full_at = interval + (max(now, full_at))
            else:
                return None
            reset = full_at - now
            if reset > window:
                return None
            used[key] = (limits, ((full_at,),))
            return (window - reset) // interval, reset

        return take

    def reserve_now(self, key: str, limits: Limits, cost: int = 1) -> Reservation:
        """:meth:`reserve`, without a coroutine."""
        check_units(cost)
        now = int(self._clock() * 1_000_000)
        found = self._used.get(key)
        stored = _stored(found, limits)
        spendings = [spend(limit, s, now, cost) for limit, s in zip(limits, stored, strict=True)]
        allowed = all(spending.allowed for spending in spendings)
        if found is not None:
            self._used.move_to_end(key)
        if allowed and cost:
            if found is None and len(self._used) >= self.max_keys:
                self._make_room(now)
            self._used[key] = _beside(
                found, limits, tuple([spending.stored for spending in spendings]), now
            )
        elif not allowed and len(spendings) > 1:
            spendings = _untouched(limits, stored, now, spendings)
        return Reservation(allowed, tuple([spending.left for spending in spendings]))

    async def reserve(self, key: str, limits: Limits, cost: int = 1) -> Reservation:
        """See :class:`RateLimitStore`."""
        return self.reserve_now(key, limits, cost)

    async def refund(self, key: str, limits: Limits, cost: int = 1) -> None:
        """See :class:`RateLimitStore`."""
        check_units(cost)
        found = self._used.get(key)
        if found is None:
            return
        now = int(self._clock() * 1_000_000)
        stored = [
            give_back(limit, used, now, cost) if limit in limits else used
            for limit, used in zip(*found, strict=True)
        ]
        self._used[key] = (found[0], tuple(stored))

    async def reset(self, key: str) -> None:
        """See :class:`RateLimitStore`."""
        self._used.pop(key, None)

    def _make_room(self, now: int) -> None:
        blocked: list[tuple[str, _Record]] = []
        goes: str | None = None
        for key, record in islice(self._used.items(), _SECOND_CHANCES):
            if not _is_blocked(record, now):
                goes = key
                break
            blocked.append((key, record))
        if goes is None:
            goes = min(blocked, key=lambda item: _ends(item[1]))[0]
        for key, _ in blocked:  # the next search does not meet them again
            self._used.move_to_end(key)
        del self._used[goes]


def _stored(found: _Record | None, limits: Limits) -> tuple[tuple[int, ...], ...]:
    """What was used of each of ``limits``; nothing of one that is new."""
    if found is None:
        return ((),) * len(limits)
    if found[0] == limits:
        return found[1]
    known = dict(zip(*found, strict=True))
    return tuple([known.get(limit, ()) for limit in limits])


def _beside(
    found: _Record | None, limits: Limits, stored: tuple[tuple[int, ...], ...], now: int
) -> _Record:
    """The record with ``stored``, and with what other limits still hold of the same key."""
    if found is None or found[0] == limits:
        return limits, stored
    pairs = zip(*found, strict=True)
    others = [(o, used) for o, used in pairs if o not in limits and ends_us(o, used) > now]
    if not others:
        return limits, stored
    return (*limits, *[o for o, _ in others]), (*stored, *[used for _, used in others])


def _untouched(
    limits: Limits, stored: tuple[tuple[int, ...], ...], now: int, spendings: list[Spending]
) -> list[Spending]:
    """What is left where nothing was taken, because another limit refused."""
    return [
        spend(limit, s, now, 0) if spending.allowed else spending
        for limit, s, spending in zip(limits, stored, spendings, strict=True)
    ]


def _is_blocked(record: _Record, now: int) -> bool:
    pairs = zip(*record, strict=True)
    return any(not spend(limit, stored, now, 1).allowed for limit, stored in pairs)


def _ends(record: _Record) -> int:
    return max(ends_us(limit, stored) for limit, stored in zip(*record, strict=True))
