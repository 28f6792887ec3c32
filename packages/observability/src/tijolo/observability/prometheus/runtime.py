"""What is measured from time to time instead of at each event."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic

from tijolo.observability.prometheus.hub import Metrics


class RuntimeMonitor:
    """Watches the event loop and keeps sampled gauges fresh; a `Resource`.

    ``event_loop_lag_seconds`` is the longest time by which the loop was late in the last
    `window_seconds`: how long a request may have waited because something blocked.

    In multi-process mode this is also what keeps the sampled gauges of each worker fresh, those of
    its process and garbage collector among them, and what clears away the files of dead workers
    when a new one starts.

    Args:
        metrics: where the gauges are, and the samplers.
        interval_seconds: time between two looks at the loop.
        sample_seconds: time between two runs of the samplers.
        window_seconds: how long a lag is remembered; longer than the scrape interval.
        clock: monotonic seconds.
        sleep: what waits.

    Raises:
        ValueError: for a time that is not positive.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        interval_seconds: float = 0.5,
        sample_seconds: float = 5.0,
        window_seconds: float = 60.0,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not min(interval_seconds, sample_seconds, window_seconds) > 0:
            raise ValueError("interval_seconds, sample_seconds and window_seconds are above 0")
        self.metrics = metrics
        self._interval = interval_seconds
        self._sample = sample_seconds
        self._window = window_seconds
        self._clock = clock
        self._sleep = sleep
        self._lags: deque[tuple[float, float]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._lag = metrics.gauge(
            "event_loop_lag_seconds",
            "The longest time by which the event loop was late, lately.",
            multiprocess_mode="livemax",
        )

    async def connect(self) -> None:
        """Start to watch; a second call does nothing."""
        if self._runs():
            return
        await asyncio.to_thread(self.metrics.forget_dead_workers)
        if not self._runs():  # somebody else may have started it meanwhile
            self._task = asyncio.create_task(self._watch(), name="tijolo-metrics-monitor")

    async def disconnect(self) -> None:
        """Stop; does nothing where nothing runs."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def health_check(self) -> bool:
        """Whether it runs."""
        return self._runs()

    def _runs(self) -> bool:
        return self._task is not None and not self._task.done()

    async def _watch(self) -> None:
        sampled_at = -self._sample
        while True:
            before = self._clock()
            if before - sampled_at >= self._sample:
                sampled_at = before
                self.metrics.sample()
            started = self._clock()
            await self._sleep(self._interval)
            now = self._clock()
            self._note(now, max(0.0, now - started - self._interval))

    def _note(self, now: float, lag: float) -> None:
        """Keep only lags that no later one exceeds: the first is the longest."""
        lags = self._lags
        while lags and lags[-1][1] <= lag:
            lags.pop()
        lags.append((now, lag))
        while now - lags[0][0] > self._window:
            lags.popleft()
        self._lag.set(lags[0][1])
