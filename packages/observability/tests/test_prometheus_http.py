from __future__ import annotations

import asyncio
import threading

import pytest

pytest.importorskip("prometheus_client")

import httpx
from fastapi import APIRouter, FastAPI, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from prometheus_client import CollectorRegistry
from starlette.requests import ClientDisconnect
from starlette.staticfiles import StaticFiles

from tijolo.observability.prometheus import (
    MEASURED_KEY,
    OVERFLOW,
    HTTPMetrics,
    Metrics,
    PrometheusMiddleware,
)


@pytest.fixture
def metrics():
    return Metrics(CollectorRegistry())


@pytest.fixture
def value(metrics):
    def read(name, /, **labels):
        return metrics.registry.get_sample_value(name, labels)

    return read


def series(metrics, name):
    """Labels and values of one metric's samples."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    }


def measured(metrics, **options):
    app = FastAPI()
    app.add_middleware(PrometheusMiddleware, metrics=metrics, **options)
    return app


async def ask(app, path, method="GET", **options):
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        return await client.request(method, path, **options)


def http_scope(**more):
    return {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [],
        "query_string": b"",
        **more,
    }


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)


async def nothing():
    return {"type": "http.disconnect"}


async def ignore(message):
    pass


async def test_requests_are_counted_by_method_template_and_status(metrics, value):
    app = measured(metrics)

    @app.get("/items/{item_id}")
    async def read(item_id: int) -> int:
        return item_id

    for item in (1, 2, "x"):
        await ask(app, f"/items/{item}")

    route = {"method": "GET", "route": "/items/{item_id}"}
    assert value("http_requests_total", **route, status="200") == 2
    assert value("http_requests_total", **route, status="422") == 1
    assert value("http_request_duration_seconds_count", **route, status="200") == 2
    assert value("http_time_to_first_byte_seconds_count", **route) == 3
    assert value("http_response_size_bytes_sum", **route) > 2
    assert value("http_requests_in_progress", method="GET") == 0


async def test_routes_keep_the_prefixes_of_routers_mounts_and_sub_applications(metrics):
    router, sub, deep = APIRouter(), FastAPI(), FastAPI()

    @router.get("/items/{item_id}")
    async def read(item_id: int) -> int:
        return item_id

    sub.include_router(router, prefix="/v3")
    deep.include_router(router)
    sub.mount("/deep/{tenant}", deep)
    app = measured(metrics)
    app.include_router(router, prefix="/api/v1")
    app.include_router(router, prefix="/api/v2")
    app.mount("/sub", sub)

    for path in ("/api/v1/items/1", "/api/v2/items/1", "/sub/v3/items/1"):
        for _ in range(2):  # the second takes the short way
            assert (await ask(app, path)).status_code == 200
    for tenant in range(5):
        assert (await ask(app, f"/sub/deep/t{tenant}/items/1")).status_code == 200

    assert series(metrics, "http_requests_total") == {
        ("GET", "/api/v1/items/{item_id}", "200"): 2,
        ("GET", "/api/v2/items/{item_id}", "200"): 2,
        ("GET", "/sub/v3/items/{item_id}", "200"): 2,
        ("GET", "/sub/deep/{tenant}/items/{item_id}", "200"): 5,
    }


@pytest.mark.parametrize("order", ["alone first", "mounted first"])
async def test_a_route_served_alone_and_below_a_mount_has_two_templates(metrics, order):
    http, sub, app = HTTPMetrics(metrics), FastAPI(), FastAPI()
    sub.add_api_route("/x", lambda: "ok")
    app.mount("/sub", sub)
    alone, mounted = PrometheusMiddleware(sub, http=http), PrometheusMiddleware(app, http=http)
    asked = [(alone, "/x"), (mounted, "/sub/x")]
    for layer, path in asked if order == "alone first" else reversed(asked):
        for _ in range(3):
            await ask(layer, path)
    assert series(metrics, "http_requests_total") == {
        ("GET", "/x", "200"): 3,
        ("GET", "/sub/x", "200"): 3,
    }


async def test_unknown_paths_files_and_methods_cannot_grow_the_metrics(metrics, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    app = measured(metrics)
    app.mount("/static", StaticFiles(directory=tmp_path))

    for number in range(60):
        await ask(app, f"/nowhere/{number}")
        await ask(app, "/static/a.txt" if number % 2 else f"/static/{number}")
        await ask(app, "/", method=f"HACK{number}")

    assert series(metrics, "http_requests_total") == {
        ("GET", "__unmatched__", "404"): 60,
        ("GET", "/static/{path}", "200"): 30,
        ("GET", "/static/{path}", "404"): 30,
        ("OTHER", "__unmatched__", "404"): 60,
    }
    assert set(series(metrics, "http_requests_in_progress")) == {("GET",), ("OTHER",)}


async def test_more_routes_than_the_limit_share_the_overflow_series():
    metrics = Metrics(CollectorRegistry(), max_series=10)
    app = measured(metrics)
    for number in range(30):
        app.add_api_route(f"/r{number}", lambda: "ok")
    for number in (*range(30), *range(30)):
        await ask(app, f"/r{number}")

    found = series(metrics, "http_requests_total")
    assert len(found) == 11
    assert found[OVERFLOW, OVERFLOW, OVERFLOW] == 40
    assert sum(found.values()) == 60


async def test_a_stream_is_measured_to_its_end_and_its_first_byte_apart(metrics, value):
    clock = asyncio.Event()
    app = measured(metrics)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def body():
            yield b"a" * 10
            await clock.wait()
            yield b"b" * 20

        return StreamingResponse(body())

    running = asyncio.create_task(ask(app, "/stream"))
    await until(lambda: value("http_requests_in_progress", method="GET") == 1)
    await asyncio.sleep(0.05)
    assert value("http_requests_total", method="GET", route="/stream", status="200") is None
    clock.set()
    await running

    route = {"method": "GET", "route": "/stream"}
    assert value("http_request_duration_seconds_sum", **route, status="200") >= 0.05
    assert value("http_time_to_first_byte_seconds_sum", **route) < 0.05
    assert value("http_response_size_bytes_sum", **route) == 30
    assert value("http_client_disconnects_total", **route) is None


async def test_an_unhandled_exception_is_a_500_with_its_name(metrics, value):
    app = measured(metrics)

    @app.get("/boom")
    async def boom() -> None:
        raise ZeroDivisionError

    assert (await ask(app, "/boom")).status_code == 500
    route = {"method": "GET", "route": "/boom"}
    assert value("http_requests_total", **route, status="500") == 1
    assert value("http_exceptions_total", **route, exception="ZeroDivisionError") == 1
    assert value("http_requests_in_progress", method="GET") == 0


async def test_an_exception_after_the_start_keeps_the_status_that_was_sent(metrics, value):
    app = measured(metrics)

    @app.get("/half")
    async def half() -> StreamingResponse:
        async def body():
            yield b"a"
            raise RuntimeError

        return StreamingResponse(body())

    await ask(app, "/half")
    route = {"method": "GET", "route": "/half"}
    assert value("http_requests_total", **route, status="200") == 1
    assert value("http_exceptions_total", **route, exception="RuntimeError") == 1
    assert value("http_client_disconnects_total", **route) is None


async def run_raw(metrics, app, **more):
    layer = PrometheusMiddleware(app, metrics=metrics)
    await layer(http_scope(**more), nothing, ignore)


async def test_a_client_that_left_before_the_answer_counts_as_499(metrics, value):
    async def gone(scope, receive, send):
        raise ClientDisconnect

    with pytest.raises(ClientDisconnect):
        await run_raw(metrics, gone)
    route = {"method": "GET", "route": "__unmatched__"}
    assert value("http_requests_total", **route, status="499") == 1
    assert value("http_client_disconnects_total", **route) == 1
    assert series(metrics, "http_exceptions_total") == {}


async def test_a_client_that_left_during_the_response_keeps_its_status(metrics, value):
    async def unfinished(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})

    await run_raw(metrics, unfinished)
    route = {"method": "GET", "route": "__unmatched__"}
    assert value("http_requests_total", **route, status="200") == 1
    assert value("http_client_disconnects_total", **route) == 1


async def test_a_request_whose_task_is_cancelled_is_a_disconnect(metrics, value):
    waiting = asyncio.Event()

    async def hang(scope, receive, send):
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(run_raw(metrics, hang))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert value("http_client_disconnects_total", method="GET", route="__unmatched__") == 1
    assert value("http_requests_in_progress", method="GET") == 0


async def test_what_somebody_else_cancelled_is_a_failure(metrics, value):
    async def awaits_a_cancelled_task(scope, receive, send):
        other = asyncio.create_task(asyncio.sleep(10))
        other.cancel()
        await other

    with pytest.raises(asyncio.CancelledError):
        await run_raw(metrics, awaits_a_cancelled_task)
    route = {"method": "GET", "route": "__unmatched__"}
    assert value("http_requests_total", **route, status="500") == 1
    assert value("http_exceptions_total", **route, exception="CancelledError") == 1


async def test_files_and_unknown_messages_pass_and_a_file_ends_its_response(metrics, value):
    sent = []
    messages = [
        {"type": "http.response.early_hint", "links": []},
        {"type": "http.response.start", "status": 200, "headers": iter([])},
        {"type": "http.response.pathsend", "path": "/x"},
        {"type": "http.response.debug", "info": {}},
    ]

    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    async def keep(message):
        sent.append(message)

    await PrometheusMiddleware(app, metrics=metrics)(http_scope(), nothing, keep)
    assert sent == messages
    assert series(metrics, "http_client_disconnects_total") == {}


async def test_one_request_is_measured_once_whatever_the_layers(metrics, value):
    sub = measured(metrics)
    sub.add_api_route("/x", lambda: "ok")
    app = measured(metrics)
    app.mount("/sub", sub)
    await ask(app, "/sub/x")
    assert series(metrics, "http_requests_total") == {("GET", "/sub/x", "200"): 1}

    async def answer(scope, receive, send):
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    await run_raw(metrics, answer, **{MEASURED_KEY: True})
    assert sum(series(metrics, "http_requests_total").values()) == 1


async def test_a_layer_of_ones_own_can_do_the_measuring(metrics, value):
    http = HTTPMetrics(metrics)
    scope = http_scope(method="POST")
    assert http.begin(scope)
    assert not http.begin(scope)
    assert value("http_requests_in_progress", method="POST") == 1
    http.observe(scope, 0, 1.5)
    labels = {"method": "POST", "route": "__unmatched__"}
    assert value("http_requests_total", **labels, status="499") == 1
    assert value("http_time_to_first_byte_seconds_count", **labels) == 0
    assert value("http_requests_in_progress", method="POST") == 0


async def test_excluded_paths_are_whole_segments(metrics):
    app = measured(metrics, exclude_paths=["/metrics", "/health/"])
    for path in ("/metrics", "/metrics/http", "/metricsx", "/health", "/health/live"):
        app.add_api_route(path, lambda: "ok")
    for path in ("/metrics", "/metrics/http", "/metricsx", "/health", "/health/live"):
        await ask(app, path)
    assert series(metrics, "http_requests_total") == {("GET", "/metricsx", "200"): 1}


async def test_groups_switch_off_what_is_not_wanted(metrics):
    app = measured(metrics, groups=["traffic"])
    await ask(app, "/")
    names = {family.name for family in metrics.registry.collect()}
    assert names == {
        "metrics_overflow",
        "http_requests",
        "http_requests_in_progress",
        "websocket_connections",
        "websocket_connections_in_progress",
    }
    with pytest.raises(ValueError, match="unknown group 'trafic'"):
        HTTPMetrics(metrics, groups=["trafic"])


async def test_only_performance_still_ends_what_began(metrics):
    app = measured(metrics, groups=["performance"])
    for _ in range(3):
        await ask(app, "/")
    assert series(metrics, "http_requests_total") == {}
    assert sum(series(metrics, "http_request_duration_seconds_count").values()) == 3


async def test_the_registry_alone_will_do_and_more_than_one_home_is_refused(metrics):
    registry = CollectorRegistry()
    layer = PrometheusMiddleware(ignore, registry=registry, latency_buckets=(0.1, 1))
    assert layer.requests_total.name == "http_requests_total"
    assert layer.request_duration.label_names == ("method", "route", "status")
    for options in ({}, {"registry": registry, "metrics": metrics}):
        with pytest.raises(TypeError, match="one of registry, metrics and http"):
            PrometheusMiddleware(ignore, **options)


async def test_concurrent_requests_are_all_counted(metrics, value):
    release = asyncio.Event()
    app = measured(metrics)

    @app.get("/wait")
    async def wait() -> str:
        await release.wait()
        return "ok"

    tasks = [asyncio.create_task(ask(app, "/wait")) for _ in range(30)]
    await until(lambda: value("http_requests_in_progress", method="GET") == 30)
    release.set()
    await asyncio.gather(*tasks)
    assert value("http_requests_total", method="GET", route="/wait", status="200") == 30
    assert value("http_requests_in_progress", method="GET") == 0


def socket_driver(messages):
    """`receive` that hands out `messages`, `send` that keeps what it gets."""
    waiting, sent = list(messages), []

    async def receive():
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    return receive, send


async def test_websockets_are_counted_while_they_are_open(metrics, value):
    app = measured(metrics)
    seen = []

    @app.websocket("/ws/{room}")
    async def chat(socket: WebSocket, room: str) -> None:
        if room == "private":
            await socket.close()
            return
        if room == "broken":
            raise RuntimeError
        await socket.accept()
        seen.append(value("websocket_connections_in_progress", route="/ws/{room}"))
        await socket.receive()

    async def open_socket(room):
        receive, send = socket_driver(
            [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]
        )
        path = f"/ws/{room}"
        scope = http_scope(path=path, raw_path=path.encode(), subprotocols=[], state={})
        await app({**scope, "type": "websocket", "scheme": "ws"}, receive, send)

    await open_socket("a")
    await open_socket("private")
    with pytest.raises(RuntimeError):
        await open_socket("broken")

    assert seen == [1]
    assert value("websocket_connections_in_progress", route="/ws/{room}") == 0
    assert series(metrics, "websocket_connections_total") == {
        ("/ws/{room}", "accepted"): 1,
        ("/ws/{room}", "rejected"): 1,
        ("/ws/{room}", "failed"): 1,
    }
    assert series(metrics, "http_requests_total") == {}


async def talk(app, path):
    """Open a WebSocket at `path` and leave."""
    receive, send = socket_driver(
        [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]
    )
    scope = http_scope(path=path, raw_path=path.encode(), subprotocols=[], state={})
    await app({**scope, "type": "websocket", "scheme": "ws"}, receive, send)


def chatting(metrics, **options):
    app = measured(metrics, **options)

    @app.websocket("/ws/{room}")
    async def chat(socket: WebSocket, room: str) -> None:
        await socket.accept()
        await socket.receive()

    return app


async def test_a_websocket_below_a_mount_that_measures_too_is_counted_once(metrics):
    outer = measured(metrics)
    outer.mount("/sub", chatting(metrics))
    await talk(outer, "/sub/ws/a")
    assert series(metrics, "websocket_connections_total") == {("/sub/ws/{room}", "accepted"): 1}
    assert series(metrics, "websocket_connections_in_progress") == {("/sub/ws/{room}",): 0}


async def test_excluded_paths_are_excluded_for_websockets_too(metrics):
    await talk(chatting(metrics, exclude_paths=["/ws"]), "/ws/a")
    assert series(metrics, "websocket_connections_total") == {}


async def test_a_websocket_accepted_before_its_route_is_known_leaves_the_gauge_as_it_was(metrics):
    class AcceptsFirst:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            await send({"type": "websocket.accept"})
            await self.app(scope, receive, send)

    app = FastAPI()

    @app.websocket("/ws/{room}")
    async def closes(socket: WebSocket, room: str) -> None:
        await socket.close()

    app.add_middleware(AcceptsFirst)
    app.add_middleware(PrometheusMiddleware, metrics=metrics)
    await talk(app, "/ws/a")
    assert set(series(metrics, "websocket_connections_in_progress").values()) == {0}


@pytest.mark.parametrize("bad", [{"baggage": "x" * 200}, {"no name": "x"}, {"trace_id": 5}, None])
async def test_exemplars_that_fail_cost_neither_the_answer_nor_its_count(metrics, bad, caplog):
    def exemplar():
        if bad is None:
            raise RuntimeError("no baggage")
        return bad

    app = FastAPI()
    app.add_api_route("/x", lambda: "ok")
    app.add_middleware(PrometheusMiddleware, http=HTTPMetrics(metrics, exemplar=exemplar))
    transport = httpx.ASGITransport(app=app)  # raises what the application raises
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        for _ in range(3):
            assert (await client.get("/x")).status_code == 200
    assert series(metrics, "http_requests_total") == {("GET", "/x", "200"): 3}
    assert series(metrics, "http_request_duration_seconds_count") == {("GET", "/x", "200"): 3}
    assert [record.message for record in caplog.records if "exemplars" in record.message][1:] == []
    assert "exemplars" in caplog.text


async def test_lifespan_passes(metrics):
    calls = []

    async def app(scope, receive, send):
        calls.append(scope["type"])

    await PrometheusMiddleware(app, metrics=metrics)({"type": "lifespan"}, nothing, ignore)
    assert calls == ["lifespan"]


async def test_exemplars_are_taken_from_the_source_and_asked_for_less_without_one(metrics):
    asked = []

    def source():
        asked.append(len(asked))
        return {"trace_id": "abc"} if len(asked) == 2 else None

    app = FastAPI()
    app.add_middleware(PrometheusMiddleware, http=HTTPMetrics(metrics, exemplar=source))

    @app.get("/x", response_class=PlainTextResponse)
    async def x() -> str:
        return "ok"

    requests = 0
    while len(asked) < 3 and requests < 1_000:
        await ask(app, "/x")
        requests += 1
    assert len(asked) == 3
    assert 200 < requests < 300  # the 1st, one of the next batch, and the one after it
    shown = metrics.render(accept="application/openmetrics-text").content.decode()
    assert '# {trace_id="abc"}' in shown


async def test_requests_wait_in_batches_and_nobody_who_reads_can_tell(metrics, value):
    app = measured(metrics)
    app.add_api_route("/x", lambda: "ok")
    for number in range(1, 400):
        await ask(app, "/x")
        if number % 37 == 0 or number > 395:
            assert value("http_requests_total", method="GET", route="/x", status="200") == number
            assert value("http_requests_in_progress", method="GET") == 0
    assert b"http_response_size_bytes_count{" in metrics.render().content
    assert (
        value("http_request_duration_seconds_count", method="GET", route="/x", status="200") == 399
    )


async def test_what_threads_count_while_others_read_is_not_lost(metrics, value):
    http = HTTPMetrics(metrics)
    route = object()
    start = threading.Barrier(9)

    def serve():
        start.wait()
        for _ in range(500):
            scope = http_scope(route=route)
            http.begin(scope)
            http.observe(scope, 200, 0.01, 0.01, 5)

    def read():
        start.wait()
        for _ in range(50):
            assert value("http_requests_in_progress", method="GET") in (None, *range(9))

    threads = [threading.Thread(target=serve) for _ in range(8)]
    threads.append(threading.Thread(target=read))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(series(metrics, "http_requests_total").values()) == 4_000
    assert value("http_requests_in_progress", method="GET") == 0
