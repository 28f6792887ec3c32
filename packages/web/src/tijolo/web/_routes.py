"""Every route of an application, with those that FastAPI keeps below others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def every_route(routes: Iterable[Any]) -> Iterator[Any]:
    """The routes, those of included routers and those of mounted applications."""
    for route in flat(routes):
        yield route
        inner = getattr(route, "starlette_route", None) or route
        yield from every_route(getattr(inner, "routes", None) or ())


def flat(routes: Iterable[Any]) -> Iterator[Any]:
    """The routes, with those of included routers, which FastAPI keeps as one route since 0.137."""
    for route in routes:
        if hasattr(route, "effective_route_contexts"):
            yield from route.effective_route_contexts()
        else:
            yield route
