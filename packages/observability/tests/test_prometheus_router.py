from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import time

import pytest

pytest.importorskip("prometheus_client")

import httpx
import prometheus_client
from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tijolo.core import AppException, BaseAppSettings, OpsAccess
from tijolo.core.testing import assert_settings_read
from tijolo.observability.prometheus import (
    Metrics,
    MetricsSettings,
    install_metrics,
    make_metrics_router,
    make_prometheus_router,
)

ANYBODY = OpsAccess(allow_anonymous=True)
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# as Prometheus 3 sends it
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.fixture
def metrics():
    metrics = Metrics(CollectorRegistry())
    metrics.counter("shop_orders_total", "Orders.").inc()
    metrics.gauge("shop_stock", "Stock.").set(3)
    return metrics


@pytest.fixture
def scrape(metrics, probe):
    async def get(path="/metrics", access=ANYBODY, **options):
        options.setdefault("headers", {"accept-encoding": "identity"})
        return await probe(make_metrics_router(metrics, access=access), path, **options)

    return get


def names(text, parse=parse_text):
    return {family.name for family in parse(text)}


async def test_a_scrape_is_text_unless_openmetrics_is_preferred(scrape):
    for accept, expected in {
        "": TEXT,
        "*/*": TEXT,
        "text/html": TEXT,
        PROMETHEUS: OPENMETRICS,
        "application/openmetrics-text": OPENMETRICS,
        "application/openmetrics-text; version=2.0.0, text/plain;q=0.1": TEXT,
        "application/openmetrics-text;q=0.2,text/plain;q=0.9": TEXT,
        "application/openmetrics-text;q=0": TEXT,
        "application/openmetrics-text;q=nonsense;;=,": TEXT,
    }.items():
        answer = await scrape(headers={"accept": accept, "accept-encoding": "identity"})
        assert (answer.status_code, answer.headers["content-type"]) == (200, expected), accept
        assert answer.headers["cache-control"] == "no-store"
        parse = parse_openmetrics if expected == OPENMETRICS else parse_text
        assert "shop_stock" in names(answer.text, parse)
        assert answer.text.endswith("# EOF\n") == (expected == OPENMETRICS)


async def test_a_group_is_what_begins_with_its_prefix(scrape, metrics):
    metrics.histogram("http_wait_seconds", "Wait.").observe(1)
    answer = await scrape("/metrics/shop_")
    assert names(answer.text) == {"shop_orders", "shop_stock"}
    assert names((await scrape("/metrics/shop_orders_total")).text) == {"shop_orders"}
    assert (await scrape("/metrics/nothing")).status_code == 404
    for hostile in ("a-b", "%0A", "%F0%9F%98%80", "a" * 5_000):
        assert (await scrape(f"/metrics/{hostile}")).status_code == 422


async def test_metrics_of_other_libraries_are_shown_too(scrape, metrics):
    prometheus_client.Summary("their_size", "S.", registry=metrics.registry).observe(2)
    prometheus_client.Info("their_build", "B.", registry=metrics.registry).info({"v": "1"})
    prometheus_client.Enum("their_state", "E.", states=["a"], registry=metrics.registry)

    answer = await scrape()
    assert "their_size_sum 2.0" in answer.text
    assert 'their_build_info{v="1"} 1.0' in answer.text
    answer = await scrape(headers={"accept": "application/openmetrics-text"})
    assert {"their_size", "their_build", "their_state"} <= names(answer.text, parse_openmetrics)


async def test_gzip_is_for_who_accepts_it_and_worth_it(scrape, metrics, probe):
    assert "content-encoding" not in (await scrape(headers={"accept-encoding": "gzip"})).headers
    counter = metrics.counter("many_total", "Many.", ["x"])
    for number in range(200):
        counter.labels(number).inc()
    for accepts, zipped in {
        "gzip": True,
        "br;q=1, gzip;q=0.5": True,
        "gzip;q=0": False,
        "identity": False,
        "": False,
    }.items():
        answer = await scrape(headers={"accept-encoding": accepts})
        assert (answer.headers.get("content-encoding") == "gzip") == zipped
        assert answer.headers["vary"] == "Accept, Accept-Encoding"
        assert "many_total" in answer.text
    plain = make_metrics_router(metrics, access=ANYBODY, compress=False)
    answer = await probe(plain, "/metrics", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers


async def test_a_scrape_without_the_token_sees_nothing(metrics):
    app = FastAPI()
    app.include_router(make_metrics_router(metrics, access=OpsAccess(token="s3cret")))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        for headers in ({}, {"X-Ops-Token": "wrong"}, {"X-Ops-Token": b"\xe9"}):
            for path in ("/metrics", "/metrics/shop", "/metrics/nothing"):
                answer = await client.get(path, headers=headers)
                assert (answer.status_code, "shop" in answer.text) == (401, False)
        answer = await client.get("/metrics", headers={"Authorization": "Bearer s3cret"})
        assert answer.status_code == 200


async def test_the_page_is_not_in_the_openapi_document(metrics):
    app = FastAPI()
    app.include_router(make_metrics_router(metrics, access=ANYBODY))
    assert app.openapi()["paths"] == {}


async def test_the_router_of_a_registry_is_closed_unless_something_guards_it(metrics, probe):
    with pytest.raises(ValueError, match="access= or dependencies="):
        make_prometheus_router(registry=metrics.registry)

    async def refuse():
        raise HTTPException(403)

    closed = make_prometheus_router(registry=metrics.registry, dependencies=[refuse])
    assert (await probe(closed, "/metrics")).status_code == 403
    opened = make_prometheus_router(registry=metrics.registry, path="/m", access=ANYBODY)
    assert "shop_stock" in (await probe(opened, "/m")).text


async def test_writing_happens_off_the_event_loop_and_one_at_a_time(metrics, probe):
    threads, running, most = [], 0, 0
    lock = threading.Lock()

    class Slow:
        def collect(self):
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            threads.append(threading.current_thread())
            time.sleep(0.02)
            with lock:
                running -= 1
            return []

    metrics.add_collector(Slow())
    threads.clear()
    router, ticks = make_metrics_router(metrics, access=ANYBODY), 0

    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.001)

    ticking = asyncio.create_task(tick())
    await asyncio.gather(*(probe(router, "/metrics") for _ in range(5)))
    ticking.cancel()
    assert threading.main_thread() not in threads
    assert (len(threads), most) == (5, 1)
    assert ticks > 10


class Hanging:
    def __init__(self):
        self.gate = threading.Event()

    def describe(self):
        return []

    def collect(self):
        self.gate.wait(30)
        return []


async def test_scrapes_of_a_collector_that_hangs_do_not_pile_up(metrics):
    hanging = Hanging()
    metrics.add_collector(hanging)
    app = FastAPI()
    app.include_router(make_metrics_router(metrics, access=ANYBODY))

    @app.exception_handler(AppException)
    async def answer(request, exc):
        return JSONResponse({"code": exc.code}, status_code=exc.status_code)

    scrapes = [asyncio.create_task(get(app, "/metrics")) for _ in range(50)]
    async with asyncio.timeout(10):
        while sum(scrape.done() for scrape in scrapes) < 42:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
    waiting = [scrape for scrape in scrapes if not scrape.done()]
    assert {scrape.result().status_code for scrape in scrapes if scrape.done()} == {503}
    for scrape in waiting[4:]:  # clients that leave make no room for more that wait
        scrape.cancel()
    await asyncio.sleep(0)
    assert (await get(app, "/metrics")).status_code == 503
    hanging.gate.set()
    assert {(await scrape).status_code for scrape in waiting[:4]} == {200}
    assert (await get(app, "/metrics")).status_code == 200


HANGS = """
    import asyncio, threading
    import httpx
    from fastapi import FastAPI
    from tijolo.core import OpsAccess
    from tijolo.observability.prometheus import Metrics, make_metrics_router

    class Hanging:
        describe = list

        def collect(self):
            threading.Event().wait()

    metrics = Metrics()
    metrics.add_collector(Hanging())
    app = FastAPI()
    app.include_router(make_metrics_router(metrics, access=OpsAccess(allow_anonymous=True)))

    async def main():
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://shop"
        ) as client:
            try:
                await asyncio.wait_for(client.get("/metrics"), 0.1)
            except TimeoutError:
                print("left")

    asyncio.run(main())
"""


def test_a_collector_that_hangs_does_not_keep_the_process_from_ending():
    command = [sys.executable, "-c", textwrap.dedent(HANGS)]
    ended = subprocess.run(command, capture_output=True, check=True, timeout=20)
    assert ended.stdout == b"left\n"


async def test_a_collector_that_fails_hides_no_other_and_is_logged_once(scrape, metrics, caplog):
    class Broken:
        works = False

        def describe(self):
            return [Metric("their_gauge", "Theirs.", "gauge")]

        def collect(self):
            if not self.works:
                raise OSError("no such device")
            return self.describe()

    broken = Broken()
    metrics.add_collector(broken)
    for works in (False, False, True, False):
        broken.works = works
        answer = await scrape()
        assert answer.status_code == 200
        assert "shop_stock 3.0" in answer.text
    ours = [record for record in caplog.records if record.name.startswith("tijolo")]
    assert [record.message.split(":")[0] for record in ours] == ["A metrics collector fails"] * 2
    with pytest.raises(ValueError, match="uplicated"):
        metrics.add_collector(broken)


async def test_samplers_run_before_a_scrape(scrape, metrics):
    gauge = metrics.gauge("queue_length", "Q.")
    metrics.add_sampler(lambda: gauge.set(7))
    assert "queue_length 7.0" in (await scrape()).text


class Settings(MetricsSettings, BaseAppSettings, env_file=None):
    pass


async def get(app, path, **headers):
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        return await client.get(path, headers=headers)


async def test_settings_install_everything_and_every_field_is_read():
    app = FastAPI()
    with assert_settings_read(MetricsSettings, by="tijolo.observability"):
        settings = Settings(
            METRICS_ENABLED=True,
            METRICS_PATH="/ops/metrics",
            METRICS_TOKEN="s3cret",
            METRICS_NETWORKS=["10.0.0.0/8"],
            METRICS_GROUPS="traffic, reliability",
            METRICS_MAX_SERIES=7,
        )
        metrics = install_metrics(app, settings)
    await get(app, "/nowhere")
    await get(app, "/ops/metrics", Authorization="Bearer s3cret")
    answer = await get(app, "/ops/metrics", Authorization="Bearer s3cret")
    assert 'http_requests_total{method="GET",route="__unmatched__",status="404"} 1.0' in answer.text
    assert "http_request_duration_seconds" not in answer.text
    assert "process_resident_memory_bytes" in answer.text
    assert "/ops/metrics" not in answer.text
    assert metrics.max_series == 7
    assert (await get(app, "/ops/metrics")).status_code == 401


async def test_disabled_metrics_can_be_counted_and_are_not_shown():
    app = FastAPI()
    metrics = install_metrics(app, Settings())
    metrics.counter("c_total", "C.").inc()
    assert (await get(app, "/metrics")).status_code == 404
    assert app.user_middleware == []


def test_enabled_metrics_without_a_guard_are_refused():
    with pytest.raises(ValueError, match="METRICS_ENABLED needs METRICS_TOKEN, METRICS_NETWORKS"):
        install_metrics(FastAPI(), Settings(METRICS_ENABLED=True))
    with pytest.raises(ValueError, match="unknown group 'trafic'"):
        Settings(METRICS_GROUPS="trafic")
