"""Every route of an application, and the one that a request would reach."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from starlette.routing import Match
from starlette.types import Scope


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


def found_by_router(routes: Iterable[Any], scope: Scope) -> dict[str, Any]:
    """What the router would add to ``scope``: ``route``, ``endpoint`` and so on; or nothing.

    Raises:
        Exception: for a path that a convertor cannot read, such as a number too long.
    """
    for route in flat(routes):
        match, child = route.matches(scope)
        if match is not Match.FULL:
            continue
        inner = getattr(route, "starlette_route", None) or route
        below = getattr(inner, "routes", None)
        if below:
            return {**child, **found_by_router(below, {**scope, **child})}
        return {**child, "route": route}
    return {}


def name_the_route(scope: Scope) -> None:
    """Leave in ``scope`` what the router would, for a layer that answers in its place.

    Metrics and the access log label the answer by it, and cross-origin rules are chosen by it.
    """
    routes = getattr(scope.get("app"), "routes", None)
    if routes is None or "route" in scope:
        return
    with contextlib.suppress(Exception):  # such a request is an error further in as well
        scope.update(found_by_router(routes, scope))
