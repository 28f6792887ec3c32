"""The dashboard and the alerts ask for metrics and labels that a service really exports."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import yaml
from fastapi import FastAPI, Response, WebSocket
from fastapi.responses import StreamingResponse
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from tijolo.core import OpsAccess
from tijolo.observability.prometheus import (
    CacheMetrics,
    DatabaseMetrics,
    HTTPClientMetrics,
    JobMetrics,
    Metrics,
    PrometheusMiddleware,
    RuntimeMonitor,
    make_metrics_router,
)
from tijolo.observability.prometheus.gpu import GPUCollector
from tijolo.observability.prometheus.system import SystemCollector
from tijolo.observability.readings import GPUMetrics

GRAFANA = Path(__file__).parents[2] / "docs" / "grafana"
# Prometheus adds these to every series that it scrapes.
TARGET_LABELS = {"job", "instance"}
DASHBOARD = json.loads((GRAFANA / "service.json").read_text())
ALERTS = yaml.safe_load((GRAFANA / "alerts.yml").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [
    *((panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]),
    *((rule["alert"], rule["expr"]) for group in ALERTS["groups"] for rule in group["rules"]),
]
WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
OPERATORS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}


def service():
    """A service in which everything that has metrics happened once."""
    metrics = Metrics()
    app = FastAPI()
    app.add_middleware(PrometheusMiddleware, metrics=metrics)
    app.include_router(make_metrics_router(metrics, access=OpsAccess(allow_anonymous=True)))
    jobs, database = JobMetrics(metrics), DatabaseMetrics(metrics)
    client, cache = HTTPClientMetrics(metrics), CacheMetrics(metrics)

    @app.get("/works")
    async def works() -> Response:
        return Response("ok")

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError

    @app.get("/stops")
    async def stops() -> StreamingResponse:
        async def body():
            yield b"a"

        return StreamingResponse(body())

    @app.websocket("/ws")
    async def ws(socket: WebSocket) -> None:
        await socket.accept()

    jobs.declare("mail")
    database.observe_query("SELECT", 0.01, False)
    database.watch_pool(lambda: {"size": 5, "max_size": 10, "in_use": 1, "idle": 4})
    call = SimpleNamespace(
        origin="https://pay", method="GET", route="/p", status=200, error=None, seconds=0.1
    )
    client.on_call(call)
    client.on_attempt(call)
    client.on_circuit("https://pay", "closed", "open")
    cache(SimpleNamespace(kind="miss", name="prices", seconds=0.1))
    metrics.counter("full_total", "Full.", ["x"], max_series=1).labels("a").inc()
    metrics.counter("full_total", "Full.", ["x"], max_series=1).labels("b").inc()
    RuntimeMonitor(metrics)
    metrics.add_collector(SystemCollector())
    gpu = GPUMetrics(0, "A100", 100, 40, 60, 25.0, 61.0)
    metrics.add_collector(
        GPUCollector(SimpleNamespace(read=lambda: [gpu], failed={}, problem=None))
    )
    return app, metrics


@pytest.fixture(scope="module")
def exposition():
    app, metrics = service()
    with TestClient(app, raise_server_exceptions=False) as client:
        client.get("/works")
        client.get("/fails")
        with client.websocket_connect("/ws"):
            pass
        http = PrometheusMiddleware(app, metrics=metrics).http
        left = {"type": "http", "method": "GET", "path": "/"}
        http.begin(left)
        http.observe(left, 0, 0.1, disconnected=True)
        answer = client.get("/metrics", headers={"accept": "text/plain"})
    assert answer.status_code == httpx.codes.OK
    return answer.text


@pytest.fixture(scope="module")
def exported(exposition):
    """The labels of every sample by its name."""
    found: dict[str, set[str]] = defaultdict(set)
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            found[sample.name] |= set(sample.labels)
    return dict(found)


def parse(query):
    """The metrics of a query with the labels that select them, and the labels it groups by."""
    query = re.sub(r"\[[^\]]*\]", "", query)
    grouped: set[str] = set()

    def take(match):
        grouped.update(re.findall(r"\w+", match[2]))
        return " "

    query = re.sub(rf"\b({'|'.join(WORDS)})\s*\(([^)]*)\)", take, query)
    metrics: dict[str, set[str]] = defaultdict(set)
    for match in re.finditer(r"(?<![\w.])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(\s*\()?", query):
        name, selector, call = match.groups()
        if call is None and name not in OPERATORS:
            metrics[name] |= set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector or ""))
    return dict(metrics), grouped


@pytest.mark.parametrize(("title", "query"), QUERIES, ids=[title for title, _ in QUERIES])
def test_every_query_asks_for_what_is_exported(title, query, exported):
    metrics, grouped = parse(query)
    assert metrics, f"no metric found in {query}"
    for name, labels in metrics.items():
        assert name in exported, f"{title}: nobody exports {name}"
        assert labels <= exported[name] | TARGET_LABELS, f"{title}: {name} has {exported[name]}"
    known = set().union(*(exported[name] for name in metrics)) | TARGET_LABELS
    assert grouped <= known, f"{title}: groups by {grouped - known}"


def test_the_parser_of_queries_would_notice():
    metrics, grouped = parse(
        'histogram_quantile(0.9, sum by (le, who) (rate(a_bucket{x=~"y", z!="1"}[5m])))'
        " / on (q) b_total > 0.5 and c offset 5m"
    )
    assert metrics == {"a_bucket": {"x", "z"}, "b_total": set(), "c": set()}
    assert grouped == {"le", "who", "q"}


def test_legends_and_annotations_use_labels_that_the_query_keeps():
    for panel in PANELS:
        for target in panel["targets"]:
            shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert shown <= parse(target["expr"])[1], panel["title"]
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            texts = " ".join(rule["annotations"].values())
            shown = set(re.findall(r"\$labels\.(\w+)", texts))
            assert shown <= parse(rule["expr"])[1], rule["alert"]


def test_everything_that_we_export_is_on_the_dashboard(exported):
    asked = {name for _, query in QUERIES for name in parse(query)[0]}
    asked = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    ours = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for name in exported
        if name.startswith(("http_", "websocket_", "db_", "cache_", "background_", "gpu_"))
    }
    assert ours - asked == {"gpu_monitoring_up"}


def test_panels_do_not_overlap_and_ids_are_unique():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not taken & cells
        taken |= cells


@pytest.fixture
def promtool():
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool (of the package prometheus) is not installed")

    def run(*args, stdin=None):
        return subprocess.run([found, *args], input=stdin, capture_output=True, text=True)

    return run


def test_prometheus_itself_takes_the_rules_and_the_panels_queries(promtool, tmp_path):
    assert (found := promtool("check", "rules", str(GRAFANA / "alerts.yml"))).returncode == 0, found
    rules = [
        {
            "record": f"panel_{number}",
            "expr": query.replace("$__rate_interval", "5m").replace("$job", ".*"),
        }
        for number, (_, query) in enumerate(QUERIES)
    ]
    (tmp_path / "panels.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]})
    )
    found = promtool("check", "rules", str(tmp_path / "panels.yml"))
    assert found.returncode == 0, found


def test_prometheus_finds_nothing_to_complain_of_in_our_names(promtool, exposition):
    found = promtool("check", "metrics", stdin=exposition)
    complaints = [
        line
        for line in (found.stdout + found.stderr).splitlines()
        if not line.startswith(("python_", "process_"))  # the client's own
    ]
    assert complaints == []


ALERT_TESTS = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: http_requests_total{{job="shop",route="/x",status="200"}}
        values: 0+90x30
      - series: http_requests_total{{job="shop",route="/x",status="500"}}
        values: 0+10x30
      - series: background_job_last_success_timestamp_seconds{{job="shop",job_name="never"}}
        values: 0x30
      - series: event_loop_lag_seconds{{job="shop",instance="a"}}
        values: 0.7x30
      - series: system_memory_used_bytes{{job="shop",instance="a"}}
        values: 95x30
      - series: system_memory_limit_bytes{{job="shop",instance="a"}}
        values: 100x30
    alert_rule_test:
      - eval_time: 20m
        alertname: HTTPErrors
        exp_alerts:
          - exp_labels: {{severity: critical, job: shop}}
            exp_annotations:
              summary: "shop answers 10% of its requests with an error"
              description: "Look at the panels under Reliability for the routes and exceptions."
      - eval_time: 20m
        alertname: JobDoesNotSucceed
        exp_alerts: []
      - eval_time: 20m
        alertname: MemoryNearLimit
        exp_alerts:
          - exp_labels: {{severity: critical, job: shop, instance: a}}
            exp_annotations:
              summary: "a has used 95% of its memory"
              description: "At the limit of its cgroup the kernel kills it."
"""


def test_alerts_fire_when_they_should(promtool, tmp_path):
    (tmp_path / "test.yml").write_text(ALERT_TESTS.format(rules=GRAFANA / "alerts.yml"))
    found = promtool("test", "rules", str(tmp_path / "test.yml"))
    assert found.returncode == 0, found.stdout + found.stderr
