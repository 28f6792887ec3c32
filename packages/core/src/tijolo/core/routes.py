"""The one place that knows how a request's route is written in its scope.

Metrics, access logs, rate limits, idempotency and cache keys label requests by route template.
Taking the raw path instead gives unbounded labels; taking ``scope["route"].path`` loses the
prefixes of ``include_router`` since FastAPI 0.137.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any

UNMATCHED_ROUTE = "__unmatched__"
"""The label of a request that no route matched: one for all, whatever was asked for."""


def route_template(scope: MutableMapping[str, Any]) -> str:
    """Full template of the matched route, such as ``/api/v1/items/{id}``.

    Call it after the application ran (a middleware, after ``await self.app(...)``): the router
    fills the scope. Routes of a mounted application carry the mount's path; what is served
    below a mount without routes (static files) is ``<mount>/{path}``.
    """
    prefix = _mount_prefix(scope)
    path = _route_path(scope)
    if path is not None:
        return prefix + path
    return f"{prefix}/{{path}}" if prefix and "endpoint" in scope else UNMATCHED_ROUTE


def _route_path(scope: Mapping[str, Any]) -> str | None:
    fastapi = scope.get("fastapi")
    if isinstance(fastapi, Mapping):
        effective = getattr(fastapi.get("effective_route_context"), "path", None)
        if isinstance(effective, str):
            return effective
    path = _own_path(scope.get("route"))
    return path if path is not None else _path_by_endpoint(scope)


def _path_by_endpoint(scope: Mapping[str, Any]) -> str | None:
    """Starlette before 1.8 leaves only the endpoint of a plain route: find the route by it."""
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return None
    asked_for = str(scope.get("path", "")).removeprefix(scope.get("root_path", ""))
    for route in _leaves(getattr(scope.get("app"), "routes", ())):
        path_regex = getattr(route, "path_regex", None)
        if route.endpoint is endpoint and path_regex and path_regex.match(asked_for):
            return _own_path(route)
    return None


def _leaves(routes: Iterable[Any]) -> Iterator[Any]:
    for route in routes:
        if hasattr(route, "routes"):
            yield from _leaves(route.routes or ())
        elif hasattr(route, "endpoint"):
            yield route


def _own_path(route: object) -> str | None:
    """The path of a route that answers itself; None for a mount, which hands the request on."""
    path = getattr(route, "path", None)
    return path if isinstance(path, str) and not hasattr(route, "routes") else None


def _mount_prefix(scope: Mapping[str, Any]) -> str:
    root: str = scope.get("root_path", "")
    served_at: str = scope.get("app_root_path", root)
    prefix = root.removeprefix(served_at)
    if not prefix:
        return ""
    names = {str(value): f"{{{name}}}" for name, value in scope.get("path_params", {}).items()}
    return "/".join(names.get(part, part) if part else part for part in prefix.split("/"))
