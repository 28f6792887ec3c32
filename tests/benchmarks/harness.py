"""Interleaved benchmarks that print ratios to a stated baseline.

Absolute times drift by half on a shared machine; the ratio of two slices taken next to each
other does not. So every round runs one slice of every contender, and what is printed is the
median over the rounds of contender / baseline. A group without a baseline is held against its
fastest peer.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

Operation = Callable[[int], None] | Callable[[int], Awaitable[None]]
Role = Literal["baseline", "peer", "subject", "limit"]


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way to do the measured thing: ``run(n)`` does it ``n`` times (sync or async)."""

    name: str
    run: Operation
    role: Role = "subject"
    goal: float | None = None
    """Highest ratio to the baseline that meets the goal; None where there is no goal."""


@dataclass(kw_only=True)
class Group:
    """Contenders that do the same thing, measured in the same interleaved rounds."""

    row: str
    """The row of the goals table, or a name of its own."""
    title: str
    contenders: list[Contender]
    rounds: int = 40
    slice_seconds: float = 0.01
    clock: Callable[[], float] = time.perf_counter
    """``time.thread_time`` for work that never waits; the default where a server is involved."""
    setup: Callable[[], Awaitable[None]] | None = None
    teardown: Callable[[], Awaitable[None]] | None = None


@dataclass
class Result:
    """What one contender took: seconds per operation of each round, and ratios to the baseline."""

    contender: Contender
    samples: list[float] = field(default_factory=list)
    ratio: float = 1.0
    quartiles: tuple[float, float] = (1.0, 1.0)
    error: str | None = None

    @property
    def median(self) -> float:
        """Median seconds per operation."""
        return statistics.median(self.samples) if self.samples else float("nan")

    @property
    def verdict(self) -> str:
        """``met``, ``MISSED`` or empty where there is no goal."""
        goal = self.contender.goal
        if goal is None or self.error:
            return ""
        return "met" if self.ratio <= goal else "MISSED"


async def _slice(contender: Contender, count: int, clock: Callable[[], float]) -> float:
    started = clock()
    outcome = contender.run(count)
    if inspect.isawaitable(outcome):
        await outcome
    return clock() - started


async def _calibrate(contender: Contender, group: Group) -> int:
    count = 1
    await _slice(contender, 1, group.clock)  # first call pays for lazily built tables
    while True:
        spent = await _slice(contender, count, group.clock)
        if spent >= group.slice_seconds / 2 or count >= 1_000_000:
            return max(1, round(count * group.slice_seconds / max(spent, 1e-9)))
        count *= 4


async def measure(group: Group) -> list[Result]:
    """Run every round of ``group``; a contender that raises is reported and left out."""
    results = [Result(contender) for contender in group.contenders]
    counts: dict[int, int] = {}
    for result in results:
        try:
            counts[id(result)] = await _calibrate(result.contender, group)
        except Exception as exc:
            result.error = f"{type(exc).__name__}: {exc}"[:80]
    alive = [r for r in results if r.error is None]
    for round_number in range(group.rounds):
        turn = round_number % len(alive)
        for result in alive[turn:] + alive[:turn]:
            count = counts[id(result)]
            spent = await _slice(result.contender, count, group.clock)
            result.samples.append(spent / count)
    _fill_ratios(alive)
    return results


def _fill_ratios(results: list[Result]) -> None:
    base = next((r for r in results if r.contender.role == "baseline"), None)
    if base is None:
        peers = [r for r in results if r.contender.role == "peer"] or results
        base = min(peers, key=lambda r: r.median)
    for result in results:
        ratios = [a / b for a, b in zip(result.samples, base.samples, strict=True)]
        result.ratio = statistics.median(ratios)
        if len(ratios) > 1:
            low, _, high = statistics.quantiles(ratios, n=4)
            result.quartiles = (low, high)


def _duration(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def show(group: Group, results: Iterable[Result]) -> None:
    """Print one group as a table."""
    print(f"\n{group.row}  {group.title}")
    print(f"  {'contender':<44}{'median':>10}{'ratio':>9}  {'q25..q75':<16}{'goal':>7}")
    for result in results:
        if result.error:
            print(f"  {result.contender.name:<44}FAILS {result.error}")
            continue
        low, high = result.quartiles
        goal = "" if result.contender.goal is None else f"{result.contender.goal:g}"
        print(
            f"  {result.contender.name:<44}{_duration(result.median):>10}{result.ratio:>9.3f}"
            f"  {f'{low:.3f}..{high:.3f}':<16}{goal:>7} {result.verdict}"
        )


async def run_group(group: Group) -> list[Result]:
    """Set up, measure, tear down and print one group."""
    if group.setup is not None:
        await group.setup()
    try:
        results = await measure(group)
    finally:
        if group.teardown is not None:
            await group.teardown()
    show(group, results)
    return results


def run(groups: Iterable[Group], *, json_path: str | None = None) -> bool:
    """Measure ``groups`` on one event loop; True when every stated goal was met."""

    async def everything() -> list[tuple[Group, list[Result]]]:
        return [(group, await run_group(group)) for group in groups]

    measured = asyncio.run(everything())
    if json_path:
        rows = [
            {
                "row": group.row,
                "contender": r.contender.name,
                "median_seconds": r.median,
                "ratio": r.ratio,
                "goal": r.contender.goal,
                "verdict": r.verdict,
                "error": r.error,
            }
            for group, results in measured
            for r in results
        ]
        with open(json_path, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(rows, file, indent=2)
    missed = [r for _, results in measured for r in results if r.verdict == "MISSED"]
    print(f"\n{len(missed)} goal(s) missed" if missed else "\nevery goal met")
    return not missed
