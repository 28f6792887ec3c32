"""A rate limit as a value, and the arithmetic that decides with it.

Everything is counted in whole microseconds, so that a limit is exact: no float is ever added to
another. The memory store calls these functions; the Redis script says the same in Lua.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Algorithm = Literal["gcra", "sliding_window"]

MAX_QUOTA = 1_000_000_000
MAX_WINDOW_SECONDS = 366 * 86_400

_UNITS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_SYNTAX = re.compile(
    r"([1-9][0-9]{0,9})/([1-9][0-9]{0,7})?(s|m|h|d|seconds?|minutes?|hours?|days?)", re.ASCII
)
_NAME = re.compile(r"[ !#-\[\]-~]{1,64}")  # an sf-string that needs no escapes (RFC 9651)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``quota`` units for each ``window_seconds``.

    Args:
        quota: Units; a request costs one, unless its limiter says otherwise.
        window_seconds: Length of the window.
        name: Identifies the policy in ``RateLimit`` and ``RateLimit-Policy``; default is what
            :meth:`parse` reads, such as ``100/minute``.
        algorithm: ``gcra``: the whole quota may be used at once and comes back unit by unit, one
            every ``window_seconds / quota``. ``sliding_window``: the units of this window and of
            the last one, weighted by how much of it still lies in the past ``window_seconds``;
            windows begin with a caller's first request. Both keep a state of constant size.

    Raises:
        ValueError: for a quota or window that is not positive or too large, more than a million
            units a second, or a name that a header cannot carry.
    """

    quota: int
    window_seconds: float
    name: str = ""
    algorithm: Algorithm = "gcra"
    window_us: int = field(init=False, repr=False, compare=False)
    interval_us: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        quota, window = self.quota, self.window_seconds
        if type(quota) is not int or not 1 <= quota <= MAX_QUOTA:
            raise ValueError(f"quota must be a whole number from 1 to {MAX_QUOTA}, got {quota!r}")
        if not 0 < window <= MAX_WINDOW_SECONDS:
            raise ValueError(
                f"window_seconds must be over 0 and at most {MAX_WINDOW_SECONDS}, got {window!r}"
            )
        if self.algorithm not in ("gcra", "sliding_window"):
            raise ValueError(f"algorithm {self.algorithm!r}: use 'gcra' or 'sliding_window'")
        window_us = round(window * 1_000_000)
        if window_us < quota:
            raise ValueError(f"{quota} units in {window} seconds: at most one a microsecond")
        # rounded up: never more units than the limit says
        interval_us = -(-window_us // quota)
        if self.algorithm == "gcra":
            window_us = interval_us * quota
        object.__setattr__(self, "window_us", window_us)
        object.__setattr__(self, "interval_us", interval_us)
        object.__setattr__(self, "name", self.name or _text(quota, window))
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"name {self.name!r}: 1 to 64 printable ASCII characters without quote or backslash"
            )

    @classmethod
    def parse(cls, text: str, *, algorithm: Algorithm = "gcra") -> RateLimit:
        """Read ``100/minute``, ``10/s``, ``5/15minutes``: quota, slash, number of units, unit.

        Raises:
            ValueError: for anything else, spaces included.
        """
        match = _SYNTAX.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text[:64]!r} is no rate limit; write quota and window (second, minute, hour,"
                " day), such as '100/minute', '10/second' or '5/15minutes'"
            )
        quota, count, unit = match.groups()
        seconds = next(s for name, s in _UNITS.items() if name.startswith(unit.rstrip("s") or "s"))
        return cls(int(quota), int(count or 1) * seconds, algorithm=algorithm)


RateLimits = str | RateLimit | Iterable[str | RateLimit]
"""One limit or several, each as a value or as :meth:`RateLimit.parse` reads it; a string may hold
several, separated by commas."""


def rate_limits(given: RateLimits, *, algorithm: Algorithm = "gcra") -> tuple[RateLimit, ...]:
    """Make the tuple of limits that all hold at once, shortest window first.

    Raises:
        ValueError: for no limit at all, a text that is none, or two of one name or of one window.
    """
    if isinstance(given, str):
        given = [part.strip(" ") for part in given.split(",")]
    members = [given] if isinstance(given, RateLimit) else given
    limits = [
        RateLimit.parse(each, algorithm=algorithm) if isinstance(each, str) else each
        for each in members
    ]
    if not limits:
        raise ValueError("no rate limit given; write one such as '100/minute'")
    for what in ("name", "window_seconds"):
        values = [getattr(limit, what) for limit in limits]
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise ValueError(f"two rate limits with {what} {twice!r}; one of them has no effect")
    return tuple(sorted(limits, key=lambda limit: limit.window_seconds))


class LimitState(NamedTuple):
    """What a caller has left of one limit."""

    limit: RateLimit
    remaining: int
    """Whole units that could be used now."""
    wait_us: int
    """Microseconds until the units that were refused will be there; 0 if they were not refused,
    -1 if they never will be, because the cost is more than the quota."""
    reset_us: int
    """Microseconds until the whole quota is there again, if nothing is used."""


class Spending(NamedTuple):
    """The answer of one limit: its caller's state, and what to store if all limits allow it."""

    allowed: bool
    left: LimitState
    stored: tuple[int, ...]


def check_units(cost: int) -> None:
    """Refuse a cost that no request can have."""
    if type(cost) is not int or cost < 0:
        raise ValueError(f"cost must be a whole number of units, 0 or more, got {cost!r}")


def spend(limit: RateLimit, stored: tuple[int, ...], now: int, cost: int) -> Spending:
    """Take ``cost`` units at ``now`` (microseconds); ``stored`` is empty for a new caller."""
    if limit.algorithm == "gcra":
        return _spend_gcra(limit, stored[0] if stored else 0, now, cost)
    return _spend_sliding(limit, stored or (now, 0, 0), now, cost)


def give_back(limit: RateLimit, stored: tuple[int, ...], now: int, cost: int) -> tuple[int, ...]:
    """``stored`` with ``cost`` units less used; never more than the quota free."""
    if limit.algorithm == "gcra":
        return (max(now, stored[0] - cost * limit.interval_us),)
    start, used, before = _windows(limit, stored, now)
    return (start, max(0, used - cost), before)


def ends_us(limit: RateLimit, stored: tuple[int, ...]) -> int:
    """When ``stored`` says no more than nothing would: the moment from which it can be dropped."""
    if limit.algorithm == "gcra":
        return stored[0]
    start, used, before = stored
    return start + limit.window_us * (2 if used else 1 if before else 0)


def _spend_gcra(limit: RateLimit, full_at: int, now: int, cost: int) -> Spending:
    """``full_at`` is the theoretical arrival time: when the whole quota is there again."""
    window, interval = limit.window_us, limit.interval_us
    # the clock may have gone back, as on another Redis server after a failover
    full_at = min(max(full_at, now), now + window)
    after = full_at + cost * interval
    wait = after - now - window
    if wait <= 0:
        return Spending(True, LimitState(limit, -wait // interval, 0, after - now), (after,))
    remaining = (now + window - full_at) // interval
    refused = LimitState(limit, remaining, wait if cost <= limit.quota else -1, full_at - now)
    return Spending(False, refused, (full_at,))


def _windows(limit: RateLimit, stored: tuple[int, ...], now: int) -> tuple[int, int, int]:
    """Begin of the current window, units used in it, units used in the one before."""
    start, used, before = stored
    window = limit.window_us
    passed = (now - start) // window
    if passed < 0:
        return now, used, before
    if passed == 0:
        return start, used, before
    if passed == 1:
        return start + window, 0, used
    return now, 0, 0


def _spend_sliding(limit: RateLimit, stored: tuple[int, ...], now: int, cost: int) -> Spending:
    start, used, before = _windows(limit, stored, now)
    window, quota = limit.window_us, limit.quota
    # every product below stays a whole number: units times microseconds
    weighted = before * (start + window - now)
    free = (quota - used) * window - weighted
    if cost * window <= free:
        used += cost
        left = (free - cost * window) // window
        reset = start + window * (2 if used else 1 if before else 0) - now
        return Spending(True, LimitState(limit, left, 0, max(0, reset)), (start, used, before))
    wait = _sliding_wait(limit, start, used, before, now, cost)
    reset = start + window * (2 if used else 1) - now
    state = LimitState(limit, max(0, free // window), wait, reset)
    return Spending(False, state, (start, used, before))


def _sliding_wait(limit: RateLimit, start: int, used: int, before: int, now: int, cost: int) -> int:
    """Until the windows have moved far enough for ``cost`` units."""
    window, room = limit.window_us, limit.quota - cost
    if room < 0:
        return -1
    if used <= room:  # in this window, when enough of the one before has left
        return start + window - (room - used) * window // before - now
    # in the next window, where what is used now is what was used before
    return start + 2 * window - room * window // used - now


def _text(quota: int, window: float) -> str:
    for name, seconds in reversed(_UNITS.items()):
        if window % seconds == 0:
            count = int(window // seconds)
            return f"{quota}/{name}" if count == 1 else f"{quota}/{count}{name}s"
    return f"{quota}/{window:g}s"
