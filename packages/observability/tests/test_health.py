from __future__ import annotations

import asyncio
import json
import time

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from tijolo.core import Resource
from tijolo.observability import (
    HealthAggregatePolicy,
    HealthCheckResult,
    HealthConfig,
    HealthMonitor,
    HealthStatus,
    Readiness,
    make_health_router,
)


async def works() -> bool:
    return True


async def fails() -> bool:
    return False


async def hangs() -> bool:
    await asyncio.Event().wait()
    return True


async def unknown() -> HealthCheckResult:
    return HealthCheckResult(name="who", status=HealthStatus.UNKNOWN)


async def degraded() -> HealthCheckResult:
    return HealthCheckResult(name="slow", status=HealthStatus.DEGRADED)


def raising(error: BaseException):
    async def check() -> bool:
        raise error

    return check


async def test_liveness_never_runs_a_check(probe):
    runs = []

    async def check():
        runs.append(1)
        return False

    response = await probe(make_health_router(checks={"db": check}), "/health/liveness")
    assert (response.status_code, response.json(), runs) == (200, {"status": "ok"}, [])


@pytest.mark.parametrize(
    ("check", "status", "body"),
    [
        (works, 200, "ok"),
        (degraded, 200, "degraded"),
        (unknown, 200, "unknown"),
        (fails, 503, "fail"),
    ],
)
@pytest.mark.parametrize("path", ["/health", "/health/readiness"])
async def test_an_anonymous_probe_gets_the_true_status_and_nothing_else(
    probe, path, check, status, body
):
    router = make_health_router(checks={"db": check, "cache": works}, version="1.2.3")
    response = await probe(router, path)
    assert (response.status_code, response.json()) == (status, {"status": body})


async def test_three_hung_checks_are_a_503_within_the_timeout_and_a_little(probe):
    config = HealthConfig(checks={"a": hangs, "b": hangs, "c": hangs}, timeout=0.2)
    started = time.perf_counter()
    response = await probe(
        make_health_router(config=config, expose_checks=True), "/health/readiness"
    )
    assert time.perf_counter() - started < 3 * 0.2, "the checks waited for each other"
    assert response.status_code == 503
    assert [c["error"] for c in response.json()["checks"]] == ["no answer within 0.2 s"] * 3


async def test_a_check_that_swallows_its_cancellation_holds_nobody_and_is_not_started_again():
    started, release = [], asyncio.Event()

    async def stubborn():
        started.append(1)
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return True

    config = HealthConfig(checks={"db": stubborn}, timeout=0.01, cache_ttl=0)
    monitor = HealthMonitor(config)
    reports = [await monitor.check() for _ in range(5)]
    assert {report.status for report in reports} == {HealthStatus.FAIL}
    assert len(started) == 1
    release.set()
    await monitor.check()
    assert (await monitor.check()).status is HealthStatus.OK


async def test_probes_at_the_same_time_share_one_run_and_one_that_hangs_up_does_not_end_it():
    runs, go = [], asyncio.Event()

    async def check():
        runs.append(1)
        await go.wait()
        return True

    monitor = HealthMonitor(HealthConfig(checks={"db": check}, timeout=5, cache_ttl=0))
    probes = [asyncio.create_task(monitor.check()) for _ in range(10)]
    await asyncio.sleep(0)
    probes[0].cancel()
    go.set()
    reports = await asyncio.gather(*probes[1:])
    assert len(runs) == 1
    assert {report.status for report in reports} == {HealthStatus.OK}


async def test_a_report_is_reused_while_it_is_fresh():
    runs, now = [], [100.0]

    async def check():
        runs.append(1)
        return True

    config = HealthConfig(checks={"db": check}, cache_ttl=2)
    monitor = HealthMonitor(config, clock=lambda: now[0])
    for now[0] in (100.0, 101.9, 102.1):
        await monitor.check()
    assert len(runs) == 2


def test_a_monitor_outlives_its_event_loop():
    async def cancelled_halfway():
        task = asyncio.create_task(monitor.check())
        await asyncio.sleep(0)
        task.cancel()

    monitor = HealthMonitor(HealthConfig(checks={"db": hangs}, timeout=0.01, cache_ttl=0))
    asyncio.run(cancelled_halfway())
    assert asyncio.run(monitor.check()).status is HealthStatus.FAIL


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        SystemExit(1),
        asyncio.CancelledError(),
        GeneratorExit(),
        BaseException("x"),
    ],
)
async def test_a_check_that_raises_anything_fails_and_nothing_else_does(probe, error):
    router = make_health_router(checks={"bad": raising(error), "good": works}, expose_checks=True)
    response = await probe(router, "/health/readiness")
    assert response.status_code == 503
    assert [c["status"] for c in response.json()["checks"]] == ["fail", "ok"]


async def test_a_check_that_is_not_async_or_returns_something_else_fails(probe):
    async def none():
        return None

    checks = {"sync": lambda: True, "none": none}
    response = await probe(
        make_health_router(checks=checks, expose_checks=True), "/health/readiness"
    )
    assert response.status_code == 503
    assert [c["status"] for c in response.json()["checks"]] == ["fail", "fail"]


async def test_an_exception_whose_text_cannot_be_had_is_named_by_its_type():
    class NastyError(Exception):
        def __str__(self):
            raise RuntimeError

    report = await HealthMonitor(HealthConfig(checks={"db": raising(NastyError())})).check()
    assert report.checks[0].error == "NastyError: <unprintable NastyError object>"


@pytest.mark.parametrize(
    ("policy", "check", "expected"),
    [
        (HealthAggregatePolicy.LENIENT, unknown, HealthStatus.UNKNOWN),
        (HealthAggregatePolicy.STRICT, unknown, HealthStatus.FAIL),
        (HealthAggregatePolicy.STRICT, degraded, HealthStatus.DEGRADED),
        (HealthAggregatePolicy.LENIENT, fails, HealthStatus.FAIL),
    ],
)
async def test_the_policy_decides_about_unknown(policy, check, expected):
    config = HealthConfig(checks={"a": works, "b": check}, policy=policy)
    assert (await HealthMonitor(config).check()).status is expected


@pytest.mark.parametrize("check", [fails, unknown, hangs, raising(OSError())])
async def test_an_optional_check_only_degrades(check):
    config = HealthConfig(
        checks={"mail": check, "db": works},
        optional=frozenset({"mail"}),
        policy=HealthAggregatePolicy.STRICT,
        timeout=0.02,
    )
    assert (await HealthMonitor(config).check()).status is HealthStatus.DEGRADED


async def test_start_up_and_drain_are_503_without_running_checks(probe):
    runs = []

    async def check():
        runs.append(1)
        return True

    ready = Readiness()
    router = make_health_router(checks={"db": check}, ready=ready)
    seen = []
    for step in (lambda: None, ready.set_ready, ready.drain):
        step()
        response = await probe(router, "/health/readiness")
        seen.append((response.status_code, response.json()["status"], len(runs)))
    assert seen == [(503, "initializing", 0), (200, "ok", 1), (503, "draining", 1)]


async def test_a_plain_ready_callable_will_do(probe):
    flag = [False]
    router = make_health_router(ready=lambda: flag[0])
    seen = []
    for flag[0] in (False, True, False):
        seen.append((await probe(router, "/health/readiness")).json()["status"])
    assert seen == ["initializing", "ok", "draining"]


class Database:
    async def connect(self) -> None: ...

    async def disconnect(self) -> None: ...

    async def health_check(self) -> bool:
        return False


async def test_any_resource_serves_as_db(probe):
    assert isinstance(Database(), Resource)
    response = await probe(
        make_health_router(db=Database(), expose_checks=True), "/health/readiness"
    )
    assert response.status_code == 503
    assert response.json()["checks"][0]["name"] == "database"


def detail_config(**options) -> HealthConfig:
    return HealthConfig(checks={"db": works}, **options)


@pytest.mark.parametrize(
    ("config", "headers", "shown"),
    [
        (detail_config(), {"X-Internal-Token": ""}, False),
        (detail_config(detail_secret=""), {"X-Internal-Token": ""}, False),
        (detail_config(detail_secret=SecretStr("")), {}, False),
        (detail_config(detail_secret="café-" * 8), {"X-Internal-Token": "no"}, False),
        (detail_config(detail_secret="s3cret"), {"X-Internal-Token": b"caf\xe9"}, False),
        (detail_config(detail_secret="s3cret"), {"X-Internal-Token": "s3cret"}, True),
        (detail_config(detail_secret="café"), {"X-Internal-Token": "café".encode()}, True),
        (
            detail_config(detail_secret=SecretStr("s3cret"), detail_header="X-Ops"),
            {"X-Ops": "s3cret"},
            True,
        ),
        (detail_config(detail_public=True), {}, True),
        (
            detail_config(detail_authorizer=lambda request: "X-Ok" in request.headers),
            {"X-Ok": "1"},
            True,
        ),
        (detail_config(detail_authorizer=lambda request: False), {}, False),
        (detail_config(detail_authorizer=lambda request: 1 / 0), {}, False),
    ],
)
async def test_details_are_for_those_who_may_see_them(probe, config, headers, shown):
    response = await probe(make_health_router(config=config), "/health/readiness", headers=headers)
    assert response.status_code == 200
    assert ("checks" in response.json()) is shown


async def test_an_async_authorizer_decides_and_a_hung_one_means_no(probe):
    async def yes(request):
        return request.url.path == "/health/readiness"

    async def never(request):
        await asyncio.Event().wait()

    for authorizer, shown in ((yes, True), (never, False)):
        config = detail_config(detail_authorizer=authorizer, timeout=0.05)
        response = await probe(make_health_router(config=config), "/health/readiness")
        assert ("checks" in response.json()) is shown


async def test_details_name_service_and_version_and_time_each_check(probe):
    router = make_health_router(
        checks={"db": works}, service="shop", version="1.2.3", expose_checks=True
    )
    body = (await probe(router, "/health")).json()
    latency = body["checks"][0].pop("latency_ms")
    assert latency >= 0
    assert body == {
        "status": "ok",
        "checks": [{"name": "db", "status": "ok", "error": None, "meta": None, "ok": True}],
        "service": "shop",
        "version": "1.2.3",
    }


async def test_secrets_in_errors_and_meta_are_scrubbed_and_bounded(probe):
    async def leaky():
        return HealthCheckResult(
            name="leaky",
            status=HealthStatus.FAIL,
            error="password=hunter2 " + "x" * 100_000,
            meta={"dsn": "postgres://app:hunter2@db/shop", "api_key": "hunter2", "n": float("nan")},
        )

    checks = {
        "url": raising(OSError("cannot reach redis://:hunter2@cache:6379/0")),
        "urlencoded": raising(OSError("amqp://user:hunter2%40@mq/ refused")),
        "leaky": leaky,
    }
    response = await probe(
        make_health_router(checks=checks, expose_checks=True), "/health/readiness"
    )
    assert response.status_code == 503
    assert "hunter2" not in response.text
    assert len(response.text) < 2_000
    assert response.json()["checks"][2]["meta"]["api_key"] == "***"


@pytest.mark.parametrize("path", ["/health", "/health/liveness", "/health/readiness"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_probes_are_never_cached(probe, path, method):
    response = await probe(make_health_router(), path, method=method)
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"


async def test_head_tells_a_failure_too(probe):
    router = make_health_router(checks={"a": fails})
    assert (await probe(router, "/health", method="HEAD")).status_code == 503


def test_openapi_documents_the_503_and_has_unique_operation_ids():
    app = FastAPI()
    app.include_router(make_health_router(prefix="/status"))
    paths = app.openapi()["paths"]
    assert set(paths) == {"/status", "/status/liveness", "/status/readiness"}
    assert set(paths["/status/readiness"]) == {"get"}
    assert set(paths["/status/readiness"]["get"]["responses"]) == {"200", "503"}
    assert set(paths["/status/liveness"]["get"]["responses"]) == {"200"}
    json.dumps(paths)


async def test_a_router_without_prefix_has_the_two_probes(probe):
    assert (await probe(make_health_router(prefix=""), "/readiness")).status_code == 200


async def test_a_list_of_checks_takes_the_functions_names(probe):
    class Disk:
        async def __call__(self):
            return HealthCheckResult.from_bool("disk", True, free=5)

    config = HealthConfig(checks=[works, works, Disk()], detail_public=True)
    body = (await probe(make_health_router(config=config), "/health")).json()
    assert [c["name"] for c in body["checks"]] == ["works", "works-2", "disk"]
    assert body["checks"][2]["meta"] == {"free": 5}


def test_wrong_options_are_refused_with_what_was_given():
    with pytest.raises(ValueError, match=r"timeout must be more than 0 seconds, got 0"):
        HealthConfig(timeout=0)
    with pytest.raises(ValueError, match=r"cache_ttl must be 0 or more, got nan"):
        HealthConfig(cache_ttl=float("nan"))
    with pytest.raises(ValueError, match="Unknown optional check 'mial'; there are: mail"):
        HealthMonitor(HealthConfig(checks={"mail": works}, optional=frozenset({"mial"})))
    with pytest.raises(ValueError, match="Two health checks are named 'db'"):
        make_health_router(checks={"db": works}, config=HealthConfig(checks={"db": works}))
    with pytest.raises(ValueError, match="Two health checks are named 'database'"):
        make_health_router(db=Database(), checks={"database": works})


def test_the_secret_is_not_in_the_repr():
    assert "hunter2" not in repr(HealthConfig(detail_secret="hunter2"))


@pytest.mark.parametrize("latency", [float("nan"), float("inf"), float("-inf")])
def test_a_latency_that_is_no_number_is_left_out(latency):
    result = HealthCheckResult(name="db", status=HealthStatus.OK, latency_ms=latency)
    assert result.latency_ms is None
