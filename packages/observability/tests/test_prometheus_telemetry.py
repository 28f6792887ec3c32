from __future__ import annotations

import inspect

import pytest

pytest.importorskip("prometheus_client")
pytest.importorskip("opentelemetry.sdk")

import httpx
from fastapi import FastAPI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tijolo.observability.prometheus import HTTPMetrics, Metrics, PrometheusMiddleware

pytestmark = pytest.mark.skipif(
    "telemetry" not in inspect.signature(FastAPI).parameters,
    reason="this FastAPI has no native telemetry",
)


def application(measures, **telemetry):
    app = FastAPI(telemetry=telemetry)
    app.add_middleware(PrometheusMiddleware, http=HTTPMetrics(measures))

    @app.get("/items/{item_id}")
    async def read(item_id: int) -> int:
        return item_id

    return app


async def ask(app):
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        await client.get("/items/1")


def exemplars(metrics):
    text = metrics.render(accept="application/openmetrics-text").content.decode()
    return [
        sample.exemplar.labels
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.exemplar
    ]


async def test_the_exemplar_of_a_measurement_is_its_trace():
    metrics = Metrics(CollectorRegistry())
    spans = []

    class Keep:
        def on_start(self, span, parent_context=None):
            spans.append(span)

        def on_end(self, span):
            pass

        def _on_ending(self, span):
            pass

        def shutdown(self):
            pass

        def force_flush(self, timeout_millis=0):
            return True

    provider = TracerProvider(sampler=ALWAYS_ON)
    provider.add_span_processor(Keep())
    await ask(application(metrics, tracer_provider=provider))
    found = exemplars(metrics)
    context = spans[0].get_span_context()
    assert len(found) == 3  # count, duration, first byte
    assert {labels["trace_id"] for labels in found} == {f"{context.trace_id:032x}"}
    assert {len(labels["span_id"]) for labels in found} == {16}


async def test_a_trace_that_is_not_sampled_is_no_exemplar():
    metrics = Metrics(CollectorRegistry())
    await ask(application(metrics, tracer_provider=TracerProvider(sampler=ALWAYS_OFF)))
    assert exemplars(metrics) == []


async def test_one_switch_turns_the_native_metrics_off_beside_ours():
    def counted(reader):
        data = reader.get_metrics_data()
        if data is None:
            return []
        return [
            (metric.name, point.count, point.attributes["http.route"])
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
            if metric.name == "http.server.request.duration"
        ]

    for switched_on, expected in (
        (True, [("http.server.request.duration", 1, "/items/{item_id}")]),
        (False, []),
    ):
        metrics, reader = Metrics(CollectorRegistry()), InMemoryMetricReader()
        provider = MeterProvider(metric_readers=[reader])
        await ask(application(metrics, meter_provider=provider, metrics=switched_on))
        assert counted(reader) == expected
        labels = {"method": "GET", "route": "/items/{item_id}", "status": "200"}
        assert metrics.registry.get_sample_value("http_requests_total", labels) == 1
        provider.shutdown()
