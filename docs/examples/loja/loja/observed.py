"""What is watched while the shop serves: its log, its database, its traces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from loja.settings import Settings
from tijolo.db import AsyncDatabaseManager
from tijolo.observability import LogBuffer, configure_logging_from_settings, stop_logging
from tijolo.observability.prometheus import DatabaseMetrics

if TYPE_CHECKING:
    from tijolo.observability.otel import Tracing

Extra = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def make_observed(
    settings: Settings, db: AsyncDatabaseManager, database: DatabaseMetrics, log: LogBuffer
) -> Extra:
    """The log and the counters, from the first request to the last."""

    @asynccontextmanager
    async def observed(_: FastAPI) -> AsyncIterator[None]:
        configure_logging_from_settings(settings, sinks=[log])
        database.watch_pool(db.pool_status)
        end = db.observe(database.observe_query)
        yield
        end()
        stop_logging()

    return observed


def make_traced(tracing: Tracing, db: AsyncDatabaseManager) -> Extra:
    """A span for each query, below that of its request, which FastAPI makes."""
    from tijolo.observability.otel import instrument, uninstrument  # where tracing is on

    @asynccontextmanager
    async def traced(_: FastAPI) -> AsyncIterator[None]:
        instrument(tracing, "sqlalchemy", engines=[db.engine])
        yield
        uninstrument("sqlalchemy")

    return traced


def give_spans_their_request_id(tracing: Tracing, app: FastAPI) -> None:
    """The id of a request's log lines, on its span."""
    from tijolo.observability.otel import instrument

    instrument(tracing, app=app)
