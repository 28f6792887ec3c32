from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("prometheus_client")
pytest.importorskip("fcntl")

from prometheus_client.parser import text_string_to_metric_families

SERVICE = """
    import contextlib, os, signal
    from fastapi import FastAPI
    from tijolo.core import OpsAccess
    from tijolo.observability.prometheus import (
        JobMetrics, Metrics, PrometheusMiddleware, RuntimeMonitor, make_metrics_router,
    )

    metrics = Metrics()
    orders = metrics.counter("orders_total", "Orders.", ["channel"], max_series=2)
    jobs = JobMetrics(metrics)
    monitor = RuntimeMonitor(metrics, interval_seconds=0.05, sample_seconds=0.05)

    @contextlib.asynccontextmanager
    async def lifespan(app):
        await monitor.connect()
        yield
        await monitor.disconnect()

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(PrometheusMiddleware, metrics=metrics, exclude_paths=["/metrics", "/pid"])
    app.include_router(make_metrics_router(metrics, access=OpsAccess(allow_anonymous=True)))

    @app.get("/items/{item_id}")
    async def read(item_id: int) -> int:
        orders.labels(item_id).inc()
        with jobs.running("index"):
            return os.getpid()

    @app.get("/pid")
    async def pid() -> int:
        return os.getpid()
"""


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@pytest.fixture
def service(tmp_path):
    (tmp_path / "service.py").write_text(textwrap.dedent(SERVICE))
    (tmp_path / "metrics").mkdir()
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "service:app", "--workers", "2"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--log-level", "warning"],
        cwd=tmp_path,
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")},
    )
    try:
        yield f"http://127.0.0.1:{port}", tmp_path / "metrics"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(10)


def get(url, **headers):
    """What a connection of its own brings: any worker may take it."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.read().decode()
    except OSError:  # the worker that had the connection was killed
        time.sleep(0.1)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.read().decode()


def until(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := condition():
                return found
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{condition} stayed false")


def values(base, name):
    text = get(f"{base}/metrics")
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def workers(base):
    with ThreadPoolExecutor(16) as pool:
        return set(pool.map(lambda _: int(get(f"{base}/pid")), range(48)))


ROUTE = (("method", "GET"), ("route", "/items/{item_id}"), ("status", "200"))


def test_two_workers_are_one_set_of_metrics_and_dead_ones_are_tidied(service):
    base, directory = service
    first = until(lambda: len(found := workers(base)) == 2 and found)
    with ThreadPoolExecutor(16) as pool:
        served = Counter(pool.map(lambda n: int(get(f"{base}/items/{n % 3}")), range(60)))
    assert set(served) == first

    # every worker renders the sum of all
    for _ in range(6):
        assert values(base, "http_requests_total") == {ROUTE: 60}
    assert values(base, "http_request_duration_seconds_count") == {ROUTE: 60}
    assert values(base, "http_requests_in_progress") == {(("method", "GET"),): 0}
    assert values(base, "background_job_runs_total") == {(("job_name", "index"),): 60}
    assert sum(values(base, "orders_total").values()) == 60
    last = values(base, "background_job_last_success_timestamp_seconds")
    assert abs(time.time() - last[("job_name", "index"),]) < 60

    # each worker's own process, and the platform
    memory = until(
        lambda: len(found := values(base, "process_resident_memory_bytes")) == 2 and found
    )
    assert {int(dict(labels)["pid"]) for labels in memory} == first
    assert sum(values(base, "process_cpu_seconds_total").values()) > 0
    assert len(values(base, "python_info")) == 1
    assert len(values(base, "event_loop_lag_seconds")) == 1

    # OpenMetrics and groups work too
    answer = get(f"{base}/metrics/http_", Accept="application/openmetrics-text")
    assert answer.endswith("# EOF\n")
    assert "orders" not in answer

    # a worker that dies: what it counted stays, what it was goes
    killed = min(first)
    os.kill(killed, signal.SIGKILL)
    until(lambda: len(found := workers(base)) == 2 and killed not in found)
    until(
        lambda: (
            not [
                path
                for path in directory.iterdir()
                if f"_{killed}." in path.name
                and re.match("counter|histogram|gauge_live", path.name)
            ]
        )
    )
    assert values(base, "http_requests_total") == {ROUTE: 60}
    assert values(base, "http_request_duration_seconds_count") == {ROUTE: 60}
    pids = {dict(labels)["pid"] for labels in values(base, "process_resident_memory_bytes")}
    assert str(killed) not in pids
    assert (directory / "counter_dead.db").exists()


ONE_WORKER = """
    import sys
    from tijolo.observability.prometheus import JobMetrics, Metrics
    number = int(sys.argv[1])
    metrics = Metrics()
    JobMetrics(metrics, clock=lambda: number).observe("index", 1, "success")
    metrics.gauge("lowest", "L.", multiprocess_mode="min").set(number)
    metrics.gauge("added", "A.", multiprocess_mode="sum").set(number)
    metrics.gauge("latest", "L.", multiprocess_mode="mostrecent").set(number)
    if number == 0:
        metrics.forget_dead_workers()
        print(metrics.render().content.decode())
"""


def work(directory, number):
    """What a worker prints that counts something and ends; number 0 tidies and renders."""
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ONE_WORKER), str(number)],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)},
        capture_output=True,
        check=True,
        timeout=30,
    )
    samples = {}
    for family in text_string_to_metric_families(answer.stdout.decode()):
        for sample in family.samples:
            samples.setdefault(sample.name, sample.value)
    return samples


def test_workers_that_ended_leave_one_file_of_each_kind_and_what_their_gauges_said(tmp_path):
    for number in (3, 5):
        work(tmp_path, number)
    for _ in range(2):  # the first finds workers, the second what was made of them
        samples = work(tmp_path, 0)
        assert samples["background_job_last_success_timestamp_seconds"] == 5
        assert samples["lowest"] == 0
        assert samples["added"] == 8
        assert samples["latest"] == 0
    assert samples["background_job_runs_total"] == 4
    # of those that ended, and of the one that tidied last
    gauges = [path.name for path in tmp_path.glob("gauge_*.db")]
    assert len([name for name in gauges if not name.endswith("_dead.db")]) <= 5
    assert len(list(tmp_path.iterdir())) <= 17


@pytest.mark.parametrize(
    "left",
    [b"", b"\x40\0\0\0\0\0\0\0\x05\0\0\0ab", b"\x30" * 64],
    ids=["empty", "cut off", "noise"],
)
def test_a_file_that_its_worker_did_not_live_to_write_hides_no_other(tmp_path, left):
    work(tmp_path, 3)
    for pid in (1, 4_194_999):  # one that lives and one that cannot
        for kind in ("counter", "gauge_max", "gauge_livesum"):
            (tmp_path / f"{kind}_{pid}.db").write_bytes(left)
    samples = work(tmp_path, 0)
    assert samples["background_job_runs_total"] == 2
    assert samples["background_job_last_success_timestamp_seconds"] == 3
    assert not list(tmp_path.glob("*_4194999.db"))
