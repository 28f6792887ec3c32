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

_UNKNOWN_MOUNT = "/{mount}"


def route_template(scope: MutableMapping[str, Any]) -> str:
    """Full template of the matched route, such as ``/api/v1/items/{id}``.

    Call it after the application ran (a middleware, after ``await self.app(...)``): the router
    fills the scope. Routes of a mounted application carry the mount's path; what is served
    below a mount without routes (static files) is ``<mount>/{path}``. Nothing that the caller
    sent is ever part of the label.
    """
    prefix, routes = _mounted_at(scope)
    path = _included_path(scope) or _own_path(scope.get("route"))
    if path is None:
        path = _path_by_endpoint(scope, routes)
    if path is not None:
        return prefix + path
    below_mount = prefix or _is_mount(scope.get("route"))
    return f"{prefix}/{{path}}" if below_mount and "endpoint" in scope else UNMATCHED_ROUTE


def _included_path(scope: Mapping[str, Any]) -> str | None:
    """The path with the prefixes of ``include_router``, where FastAPI keeps it beside the route."""
    fastapi: Mapping[str, Any] = scope.get("fastapi") or {}
    context = fastapi.get("effective_route_context")
    path = getattr(context, "path", None)
    return path if isinstance(path, str) and path else _own_path(_starlette_route(context))


def _starlette_route(context: object) -> object:
    return getattr(context, "starlette_route", None)


def _is_mount(route: object) -> bool:
    return hasattr(route, "routes") and hasattr(route, "path_regex")


def _own_path(route: object) -> str | None:
    """The path of a route that answers itself; None for a mount, which hands the request on."""
    path = getattr(route, "path", None)
    return path if isinstance(path, str) and not _is_mount(route) else None


def _mounted_at(scope: Mapping[str, Any]) -> tuple[str, Iterable[Any]]:
    """The templates of the mounts that led to the application, and its routes."""
    root: str = scope.get("root_path", "")
    served_at: str = scope.get("app_root_path", root)
    rest = root.removeprefix(served_at)
    routes: Iterable[Any] = getattr(scope.get("router") or scope.get("app"), "routes", ())
    template = ""
    while rest:
        mount, rest = _matching_mount(routes, rest)
        if mount is None:
            return template + _UNKNOWN_MOUNT, ()
        template += mount.path
        routes = mount.routes or ()
    return template, routes


def _matching_mount(routes: Iterable[Any], path: str) -> tuple[Any, str]:
    """The first mount that takes ``path``, as the router chose it, and what is left of it."""
    for mount in filter(_is_mount, _flat(routes)):
        match = mount.path_regex.match(path if path.endswith("/") else f"{path}/")
        if match and mount.path:
            left = match.groupdict().get("path", "").strip("/")
            return mount, f"/{left}" if left else ""
    return None, ""


def _flat(routes: Iterable[Any]) -> Iterator[Any]:
    """The routes, with those of included routers, which FastAPI keeps as one route since 0.137."""
    for route in routes:
        if hasattr(route, "effective_route_contexts"):
            yield from map(_starlette_route, route.effective_route_contexts())
        else:
            yield route


def _path_by_endpoint(scope: Mapping[str, Any], routes: Iterable[Any]) -> str | None:
    """Starlette before 1.8 leaves only the endpoint of a plain route: find the route by it."""
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return None
    asked_for = str(scope.get("path", "")).removeprefix(scope.get("root_path", ""))
    for route in _flat(routes):
        if getattr(route, "endpoint", None) is endpoint and route.path_regex.match(asked_for):
            return _own_path(route)
    return None
