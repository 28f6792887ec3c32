"""The endpoints that a Prometheus server scrapes."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from tijolo.core import NotFoundException, OpsAccess, ServiceUnavailableException
from tijolo.observability.one_thread import BusyError, OneThread
from tijolo.observability.prometheus._client import CollectorRegistry
from tijolo.observability.prometheus.exposition import Exposition, accepts_gzip
from tijolo.observability.prometheus.hub import Metrics

_WAITING = 8
"""Scrapes that may wait for their turn."""
_GZIP_FROM = 1_024  # bytes; less does not get smaller
_GZIP_LEVEL = 4  # metrics repeat themselves: more effort saves a few per cent
_PREFIX = Path(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=200)
_HEADERS = {"Cache-Control": "no-store", "Vary": "Accept, Accept-Encoding"}


def make_metrics_router(
    metrics: Metrics,
    *,
    access: OpsAccess,
    path: str = "/metrics",
    compress: bool = True,
) -> APIRouter:
    """`GET <path>` with all metrics, `GET <path>/{prefix}` with those whose names begin so.

    The format follows `Accept`: OpenMetrics 1.0, with exemplars, or the text format 0.0.4. It is
    written in a thread of the router's own, one scrape at a time, so that requests neither wait
    for it nor keep it waiting. A prefix that no metric has is a 404; where eight scrapes wait
    already, for a collector that hangs, a further one is a 503 ``METRICS_BUSY``.

    Args:
        access: who may scrape.
        compress: answer with gzip to who accepts it.
    """
    return _router(metrics, path, [Depends(access)], compress=compress)


def make_prometheus_router(
    *,
    registry: CollectorRegistry,
    path: str = "/metrics",
    dependencies: Sequence[Callable[..., Any]] | None = None,
    access: OpsAccess | None = None,
) -> APIRouter:
    """`make_metrics_router` for a registry; `dependencies` guard it, or `access` does.

    Raises:
        ValueError: nothing guards it.
    """
    guards: list[Callable[..., Any]] = [*(dependencies or ()), *([access] if access else [])]
    if not guards:
        raise ValueError(
            "make_prometheus_router needs access= or dependencies=, or it would show the"
            " metrics to everybody; OpsAccess(allow_anonymous=True) says that this is meant"
        )
    return _router(Metrics.of(registry), path, [Depends(guard) for guard in guards], compress=True)


def _router(metrics: Metrics, path: str, guards: Sequence[Any], *, compress: bool) -> APIRouter:
    router = APIRouter(dependencies=guards, include_in_schema=False)
    # of its own: the loop's pool may be full of the very work that the metrics are to explain
    thread = OneThread("tijolo-metrics", waiting=_WAITING)

    async def scrape(request: Request) -> Response:
        return await answer(request, "")

    async def scrape_group(request: Request, prefix: Annotated[str, _PREFIX]) -> Response:
        return await answer(request, prefix)

    async def answer(request: Request, prefix: str) -> Response:
        metrics.sample()
        headers = request.headers
        zipped = compress and accepts_gzip(headers.get("accept-encoding", ""))
        accept = headers.get("accept", "")
        try:
            shown, content, encoding = await thread.run(
                lambda: _write(metrics, accept, prefix, zipped)
            )
        except BusyError as exc:
            raise ServiceUnavailableException(
                "Too many scrapes are waiting", code="METRICS_BUSY", retry_after_seconds=1
            ) from exc
        if prefix and not shown.families:
            raise NotFoundException(f"No metric begins with {prefix!r}", code="UNKNOWN_METRICS")
        return Response(content, media_type=shown.content_type, headers={**_HEADERS, **encoding})

    router.add_api_route(path, scrape)
    router.add_api_route(f"{path}/{{prefix}}", scrape_group)
    return router


def _write(
    metrics: Metrics, accept: str, prefix: str, zipped: bool
) -> tuple[Exposition, bytes, dict[str, str]]:
    shown = metrics.render(accept=accept, prefix=prefix)
    if not zipped or len(shown.content) < _GZIP_FROM:
        return shown, shown.content, {}
    content = gzip.compress(shown.content, compresslevel=_GZIP_LEVEL, mtime=0)
    return shown, content, {"Content-Encoding": "gzip"}
