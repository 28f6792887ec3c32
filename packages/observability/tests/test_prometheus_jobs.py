from __future__ import annotations

import asyncio
import inspect
from types import SimpleNamespace

import pytest

pytest.importorskip("prometheus_client")

from prometheus_client import CollectorRegistry

from tijolo.observability.prometheus import (
    CacheMetrics,
    DatabaseMetrics,
    HTTPClientMetrics,
    JobMetrics,
    Metrics,
    RuntimeMonitor,
    SessionMetrics,
)


@pytest.fixture
def metrics():
    return Metrics(CollectorRegistry())


@pytest.fixture
def value(metrics):
    def read(name, /, **labels):
        return metrics.registry.get_sample_value(name, labels)

    return read


@pytest.fixture
def jobs(metrics):
    return JobMetrics(metrics, clock=lambda: 1_800_000_000.0)


async def test_an_async_job_is_counted_and_returns_what_it_returns(jobs, value):
    seen = []

    @jobs.observe_job("mail")
    async def send(count: int, *, fail: bool = False) -> int:
        """Send."""
        seen.append(value("background_jobs_in_progress", job_name="mail"))
        if fail:
            raise OSError("no route")
        return count

    assert value("background_job_runs_total", job_name="mail") == 0
    assert value("background_job_last_success_timestamp_seconds", job_name="mail") == 0
    with pytest.raises(OSError, match="no route"):
        await send(1, fail=True)
    assert value("background_job_last_success_timestamp_seconds", job_name="mail") == 0
    assert await send(5) == 5

    assert seen == [1, 1]
    assert value("background_jobs_in_progress", job_name="mail") == 0
    assert value("background_job_runs_total", job_name="mail") == 2
    assert value("background_job_failures_total", job_name="mail") == 1
    assert value("background_job_duration_seconds_count", job_name="mail") == 2
    assert value("background_job_last_success_timestamp_seconds", job_name="mail") == 1_800_000_000
    assert (send.__name__, send.__doc__) == ("send", "Send.")
    assert inspect.iscoroutinefunction(send)
    assert list(inspect.signature(send).parameters) == ["count", "fail"]


def test_a_sync_job_is_counted(jobs, value):
    @jobs.observe_job("report")
    def report(fail: bool) -> str:
        if fail:
            raise SystemExit(3)
        return "done"

    assert report(False) == "done"
    with pytest.raises(SystemExit):
        report(True)
    assert value("background_job_runs_total", job_name="report") == 2
    assert value("background_job_failures_total", job_name="report") == 1


async def test_a_cancelled_job_is_neither_a_success_nor_a_failure(jobs, value):
    started = asyncio.Event()

    @jobs.observe_job("sync")
    async def forever() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(forever())
    await started.wait()
    assert value("background_jobs_in_progress", job_name="sync") == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert value("background_jobs_in_progress", job_name="sync") == 0
    assert value("background_job_cancellations_total", job_name="sync") == 1
    assert value("background_job_failures_total", job_name="sync") == 0
    assert value("background_job_last_success_timestamp_seconds", job_name="sync") == 0


async def test_thirty_runs_at_once_are_all_counted(jobs, value):
    @jobs.observe_job("many")
    async def job() -> None:
        await asyncio.sleep(0)

    await asyncio.gather(*(job() for _ in range(30)))
    assert value("background_job_runs_total", job_name="many") == 30
    assert value("background_jobs_in_progress", job_name="many") == 0


def test_a_block_and_a_foreign_hook_count_too(jobs, value):
    with jobs.running("import"):
        pass
    jobs.observe("import", 2.0, "failure")
    assert value("background_job_runs_total", job_name="import") == 2
    assert value("background_job_failures_total", job_name="import") == 1
    assert value("background_job_duration_seconds_sum", job_name="import") >= 2


def test_the_hooks_of_a_database_fit(metrics, value):
    database = DatabaseMetrics(metrics, database="main")
    hook = database.observe_query
    hook("select", 0.004, True)
    hook("INSERT", 0.1, False)
    pool = SimpleNamespace(size=5, max_size=None, in_use=2, idle=3)
    database.watch_pool(lambda: pool)
    metrics.sample()

    labels = {"database": "main"}
    assert value("db_query_duration_seconds_count", **labels, operation="SELECT") == 1
    assert value("db_query_errors_total", **labels, operation="INSERT") == 1
    assert value("db_query_errors_total", **labels, operation="SELECT") is None
    assert (value("db_pool_size", **labels), value("db_pool_in_use", **labels)) == (5, 2)
    assert value("db_pool_idle", **labels) == 3
    assert value("db_pool_max_size", **labels) is None

    DatabaseMetrics(metrics, database="replica").watch_pool(lambda: {"in_use": 1})
    DatabaseMetrics(metrics, database="later").watch_pool(lambda: None)
    metrics.sample()
    assert value("db_pool_in_use", database="replica") == 1
    assert value("db_pool_size", database="replica") is None


def test_the_observer_of_an_http_client_fits(metrics, value):
    observer = HTTPClientMetrics(metrics)
    event = SimpleNamespace(
        method="GET", origin="https://pay", route="/p/{id}", status=None, error="Timeout", seconds=2
    )
    observer.on_attempt(event)
    observer.on_attempt(event)
    observer.on_call(SimpleNamespace(**{**vars(event), "status": 200, "error": None}))
    observer.on_circuit("https://pay", "closed", SimpleNamespace(value="open"))

    labels = {"origin": "https://pay", "method": "GET", "route": "/p/{id}"}
    assert value("http_client_attempts_total", **labels, status="Timeout") == 2
    assert value("http_client_request_duration_seconds_count", **labels, status="200") == 1
    assert value("http_client_circuit_changes_total", origin="https://pay", state="open") == 1


def test_the_observer_of_a_cache_fits(metrics, value):
    observer = CacheMetrics(metrics)
    for kind in ("hit", "hit", "miss", "down"):
        observer(SimpleNamespace(kind=kind, name="shop.prices", seconds=0.2))
    assert value("cache_events_total", name="shop.prices", event="hit") == 2
    assert value("cache_computation_duration_seconds_sum", name="shop.prices") == 0.2
    assert value("cache_backend_up") == 0
    observer(SimpleNamespace(kind="up", name="", seconds=0))
    assert value("cache_backend_up") == 1


def test_the_metrics_of_sessions_fit(metrics, value):
    sessions = SessionMetrics(metrics)
    for outcome in ("found", "found", "unavailable"):
        sessions.loaded(outcome, 0.2)
    sessions.happened("login")
    assert value("session_load_duration_seconds_count", outcome="found") == 2
    assert value("session_load_duration_seconds_sum", outcome="unavailable") == 0.2
    assert value("session_events_total", event="login") == 1


class Loop:
    """Time for a monitor: each sleep lasts as long as it should, and as late as `late` says."""

    def __init__(self, *late):
        self.now = 100.0
        self.late = list(late)
        self.done = asyncio.Event()

    async def sleep(self, seconds):
        if not self.late:
            self.done.set()
            await asyncio.Event().wait()
        self.now += seconds + self.late.pop(0)


async def run_monitor(metrics, loop, **options):
    monitor = RuntimeMonitor(metrics, clock=lambda: loop.now, sleep=loop.sleep, **options)
    assert not await monitor.health_check()
    await monitor.connect()
    await monitor.connect()
    await asyncio.wait_for(loop.done.wait(), 2)
    assert await monitor.health_check()
    await monitor.disconnect()
    await monitor.disconnect()
    assert not await monitor.health_check()


async def test_the_longest_lag_of_the_window_is_shown(metrics, value):
    await run_monitor(metrics, Loop(0.0, 0.3, 0.1))
    assert value("event_loop_lag_seconds") == pytest.approx(0.3)


async def test_an_old_lag_is_forgotten(metrics, value):
    await run_monitor(metrics, Loop(0.9, 0.2, 0.0), interval_seconds=5, window_seconds=8)
    assert value("event_loop_lag_seconds") == pytest.approx(0.2)


async def test_samplers_run_as_often_as_asked(metrics):
    calls = []
    metrics.add_sampler(lambda: calls.append(1))
    await run_monitor(metrics, Loop(*[0.0] * 20), interval_seconds=1, sample_seconds=5)
    assert len(calls) == 5


async def test_a_loop_that_blocks_shows_as_lag(metrics, value):
    import time

    monitor = RuntimeMonitor(metrics, interval_seconds=0.01)
    await monitor.connect()
    await asyncio.sleep(0.03)
    time.sleep(0.1)  # noqa: ASYNC251 - this is what is measured
    await asyncio.sleep(0.03)
    await monitor.disconnect()
    assert value("event_loop_lag_seconds") > 0.05


def test_times_must_be_positive(metrics):
    with pytest.raises(ValueError, match="above 0"):
        RuntimeMonitor(metrics, interval_seconds=0)


async def test_a_monitor_that_is_started_by_many_at_once_runs_once(metrics):
    def running():
        return [one for one in asyncio.all_tasks() if one.get_name() == "tijolo-metrics-monitor"]

    monitor = RuntimeMonitor(metrics)
    await asyncio.gather(*(monitor.connect() for _ in range(20)))
    assert len(running()) == 1
    await monitor.disconnect()
    assert running() == []


def test_a_generator_is_no_job_for_it_has_done_nothing_when_it_returns():
    jobs = JobMetrics(Metrics())

    async def pages():
        yield 1

    def lines():
        yield 1

    for generator in (pages, lines):
        with pytest.raises(TypeError, match=f"{generator.__name__} is a generator"):
            jobs.observe_job("read")(generator)
