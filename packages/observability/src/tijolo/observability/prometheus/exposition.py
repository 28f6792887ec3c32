"""Writing a registry: in which format, which families, in how many bytes."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast

from tijolo.observability.prometheus._client import (
    Collector,
    Metric,
    generate_latest,
    generate_openmetrics,
)
from tijolo.observability.prometheus._memory import LiveMetric

logger = logging.getLogger(__name__)

Format = Literal["text", "openmetrics"]

CONTENT_TYPES: dict[Format, str] = {
    "text": "text/plain; version=0.0.4; charset=utf-8",
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
_EOF = b"# EOF\n"
_MEDIA_TYPES: dict[str, Format] = {
    "application/openmetrics-text": "openmetrics",
    "application/*": "openmetrics",
    "text/plain": "text",
    "text/*": "text",
    "*/*": "text",
}


@dataclass(frozen=True)
class Exposition:
    """A rendered registry."""

    content: bytes
    content_type: str
    families: int
    """How many families it holds."""


def choose_format(accept: str) -> Format:
    """The format that an `Accept` header prefers; text where it has no preference.

    Weights count (RFC 9110, section 12.5.1). A version of OpenMetrics that we do not write
    counts as not asked for.
    """
    best: Format = "text"
    best_weight = 0.0
    for item in accept.split(","):
        media_type, *parameters = [part.strip().lower() for part in item.split(";")]
        wanted = _MEDIA_TYPES.get(media_type)
        options = dict(_pair(parameter) for parameter in parameters)
        if wanted == "openmetrics" and not options.get("version", "1").startswith(("0.0.1", "1")):
            continue
        weight = _weight(options.get("q", "1"))
        if wanted is not None and weight > best_weight:
            best, best_weight = wanted, weight
    return best


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an `Accept-Encoding` header takes gzip (RFC 9110, section 12.5.3)."""
    weights = {"gzip": 0.0}
    for item in accept_encoding.split(","):
        coding, *parameters = [part.strip().lower() for part in item.split(";")]
        options = dict(_pair(parameter) for parameter in parameters)
        weights[coding] = _weight(options.get("q", "1"))
    return weights["gzip"] > 0


def render(source: Collector, form: Format, prefix: str = "") -> Exposition:
    """The families of `source` whose names begin with `prefix`.

    Families of ours write themselves; those of anybody else are written by the client.
    """
    parts: list[str | bytes] = []
    for metric in source.collect():
        if not _shown_name(metric).startswith(prefix):
            continue
        if isinstance(metric, LiveMetric):
            collector = metric.collector
            parts.append(collector.text() if form == "text" else collector.openmetrics())
        elif metric.samples:
            parts.append(_foreign(metric, form))
    pieces = [part.encode() if isinstance(part, str) else part for part in parts]
    if form == "openmetrics":
        pieces.append(_EOF)
    return Exposition(b"".join(pieces), CONTENT_TYPES[form], len(parts))


class GuardedCollector:
    """A collector whose failure costs its own metrics and not those of everybody."""

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self._works = True
        if hasattr(collector, "describe"):  # or the registry decides whether to read it at once
            self.describe: Any = cast("Any", collector).describe

    def collect(self) -> Iterable[Metric]:
        """What it reads; nothing where it raises."""
        try:
            found = list(self.collector.collect())
        except Exception:
            if self._works:
                logger.warning("A metrics collector fails: %r", self.collector, exc_info=True)
            self._works = False
            return []
        self._works = True
        return found


class _One:
    """One family as a collector."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric

    def collect(self) -> Iterable[Metric]:
        """The family."""
        return [self.metric]


def _foreign(metric: Metric, form: Format) -> bytes:
    if form == "text":
        return generate_latest(_One(metric))
    return generate_openmetrics(_One(metric)).removesuffix(_EOF)


def _shown_name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def _pair(parameter: str) -> tuple[str, str]:
    name, _, value = parameter.partition("=")
    return name.strip(), value.strip().strip('"')


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
