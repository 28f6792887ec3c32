"""The one place where `prometheus_client` is imported; typed where the client is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from tijolo.core import MissingExtraError

try:
    from prometheus_client import (
        CollectorRegistry,
        GCCollector,
        PlatformCollector,
        ProcessCollector,
        generate_latest,
        metrics,
        mmap_dict,
        multiprocess,
        utils,
        values,
    )
    from prometheus_client.core import GaugeMetricFamily, Metric, Sample
    from prometheus_client.openmetrics import exposition as openmetrics
    from prometheus_client.registry import Collector
    from prometheus_client.samples import Exemplar
except ImportError as exc:
    raise MissingExtraError("tijolo-observability", "prometheus", "prometheus-client") from exc

generate_openmetrics: Callable[[Collector], bytes] = cast("Any", openmetrics).generate_latest
go_float: Callable[[float], str] = cast("Any", utils).floatToGoString
mark_process_dead: Callable[[int, str], None] = cast("Any", multiprocess).mark_process_dead
MmapedDict: Any = cast("Any", mmap_dict).MmapedDict
MultiProcessCollector: Any = cast("Any", multiprocess).MultiProcessCollector

__all__ = [
    "Collector",
    "CollectorRegistry",
    "Exemplar",
    "GCCollector",
    "GaugeMetricFamily",
    "Metric",
    "MmapedDict",
    "MultiProcessCollector",
    "PlatformCollector",
    "ProcessCollector",
    "Sample",
    "generate_latest",
    "generate_openmetrics",
    "go_float",
    "mark_process_dead",
    "metrics",
    "values",
]
