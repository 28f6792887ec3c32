"""The applications of ``bench_server``, for uvicorn to serve."""

from __future__ import annotations

import logging

from fastapi import FastAPI

from tests.benchmarks.bench_web import full_stack, layered
from tijolo.observability import configure_logging


def bare() -> FastAPI:
    """FastAPI alone."""
    return layered()


def full() -> FastAPI:
    """Everything that ``create_app`` puts around it, without the log line of each request."""
    logging.getLogger("tijolo.web.access").setLevel(logging.WARNING)
    return full_stack()


def full_with_access_log() -> FastAPI:
    """The same with a JSON line for each request, written to nowhere by the queue's thread."""
    configure_logging("INFO")
    return full_stack()
