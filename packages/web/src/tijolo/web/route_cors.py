"""Cross-origin rules of single endpoints and routers, beside those of the application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from fastapi import Depends, FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tijolo.core import REQUEST_ID_HEADER
from tijolo.web._routes import every_route, found_by_router
from tijolo.web.settings import CORSSettings

_ATTRIBUTE = "__tijolo_cors__"
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class CORSPolicy:
    """Who may call an endpoint from another origin; made by :func:`cors`, and ``no_cors``.

    Put it on an endpoint as a decorator, below the route's; put it on a router, or on everything
    that ``include_router`` brings, with ``dependencies=[policy.as_dependency]``. The nearest one
    counts: endpoint, route, router, application.
    """

    def __init__(self, settings: CORSSettings, methods: Sequence[str] | None) -> None:
        self._settings = settings
        self._methods = methods
        self._made: dict[frozenset[str], CORSMiddleware] = {}

    def __repr__(self) -> str:
        return f"CORSPolicy(allow_origins={self._settings.CORS_ORIGINS})"

    def __call__(self, endpoint: Endpoint) -> Endpoint:
        """Put the policy on ``endpoint``.

        Raises:
            TypeError: for a router, which takes ``as_dependency``.
        """
        if isinstance(endpoint, Router):
            raise TypeError(
                "a router is no endpoint; give it dependencies=[cors(...).as_dependency]"
            )
        setattr(endpoint, _ATTRIBUTE, self)
        return endpoint

    @property
    def as_dependency(self) -> Any:
        """The policy as a dependency, which does nothing but lie where the middleware finds it."""
        return Depends(_Marker(self))

    @property
    def allows_nobody(self) -> bool:
        """Whether this is ``no_cors``."""
        return not self._settings.CORS_ORIGINS

    def answering(self, methods: Iterable[str]) -> CORSMiddleware:
        """Starlette's rules for a route with ``methods``, which are what is allowed by default."""
        key = frozenset(methods if self._methods is None else self._methods)
        if key not in self._made:
            self._made[key] = starlette_cors(self._settings, sorted(key))
        return self._made[key]


class _Marker:
    def __init__(self, policy: CORSPolicy) -> None:
        self.policy = policy

    async def __call__(self) -> None:
        """Nothing: the middleware has done it."""


def cors(
    *,
    allow_origins: Sequence[str],
    allow_methods: Sequence[str] | None = None,
    allow_headers: Sequence[str] = ("*",),
    expose_headers: Sequence[str] = (REQUEST_ID_HEADER,),
    allow_credentials: bool = False,
    max_age: int = 600,
) -> CORSPolicy:
    """A policy that stands for itself: nothing of the application's rules is added to it.

    Args:
        allow_origins: Whose pages may call, as ``scheme://host[:port]``; ``["*"]`` for all.
        allow_methods: Default: those of the route.
        allow_headers: Request headers that pages may set.
        expose_headers: Response headers that pages may read.
        allow_credentials: Whether cookies come along; refused together with ``*``.
        max_age: Seconds for which a browser may keep a preflight's answer.

    Raises:
        ValueError: for no origin, one that is none, or ``*`` with credentials.
    """
    if not allow_origins:
        raise ValueError("cors() needs allow_origins; no_cors closes an endpoint")
    settings = CORSSettings(
        CORS_ORIGINS=list(allow_origins),
        CORS_ALLOW_CREDENTIALS=allow_credentials,
        CORS_ALLOW_METHODS=list(allow_methods or ["*"]),
        CORS_ALLOW_HEADERS=list(allow_headers),
        CORS_EXPOSE_HEADERS=list(expose_headers),
        CORS_MAX_AGE=max_age,
    )
    return CORSPolicy(settings, allow_methods)


no_cors = CORSPolicy(CORSSettings.model_construct(CORS_ORIGINS=[]), ())
"""Closes an endpoint, or a router, to other origins that the application lets in."""


class RouteCORSMiddleware:
    """Starlette's CORS rules, chosen for each route.

    A preflight is answered by the policy of the route that the announced request would reach;
    where there is none, and for responses that no route made, by the application's. Policies are
    looked for once, when the application starts: without any, this costs what Starlette's own
    middleware does, and nothing where the application has no rules either.

    Args:
        routes_of: The application whose routes decide.
        default: The application's own rules; None, or no origins, for none.
    """

    def __init__(
        self, app: ASGIApp, *, routes_of: FastAPI, default: CORSSettings | None = None
    ) -> None:
        self.app = app
        self._routes_of = routes_of
        self._default: CORSMiddleware | None = None
        if default is not None and default.CORS_ORIGINS:
            self._default = starlette_cors(default, default.CORS_ALLOW_METHODS, app)
        self.dispatch: ASGIApp = self._default or app
        if _has_policies(routes_of):
            self.dispatch = self._by_route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or mark the response."""
        await self.dispatch(scope, receive, send)

    async def _by_route(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        asked = headers.get("access-control-request-method")
        if origin is not None and asked is not None and scope["method"] == "OPTIONS":
            rules = self._rules_for_preflight(scope, asked)
            if rules is not None:
                await rules.preflight_response(headers)(scope, receive, send)
                return

        def marking_send(message: Message) -> Awaitable[None]:
            if message["type"] != "http.response.start":
                return send(message)
            return self._mark(scope, message, send, headers)

        await self.app(scope, receive, marking_send)

    def _rules_for_preflight(self, scope: Scope, method: str) -> CORSMiddleware | None:
        try:
            found = found_by_router(self._routes_of.routes, {**scope, "method": method})
        except Exception:
            # a path that its convertor cannot read, such as a number too long: the request itself
            # is an error, which the error boundary answers; out here nothing would
            return self._default
        policy = policy_of(found.get("endpoint"), found.get("route"))
        if policy is None:
            return self._default
        return policy.answering(_methods_of(found["route"]))

    async def _mark(self, scope: Scope, message: Message, send: Send, headers: Headers) -> None:
        fastapi: Mapping[str, Any] = scope.get("fastapi") or {}
        route: Any = fastapi.get("effective_route_context") or scope.get("route")
        policy = policy_of(scope.get("endpoint"), route)
        rules = self._default
        if policy is not None:
            rules = None if policy.allows_nobody else policy.answering(_methods_of(route))
        if rules is None:
            await send(message)
            return
        message.setdefault("headers", [])
        # a cache must not give one origin's answer to another, nor to who has none
        MutableHeaders(scope=message).add_vary_header("Origin")
        if "origin" in headers:
            await rules.send(message, send=_once(send), request_headers=headers)
        else:
            await send(message)


def starlette_cors(
    settings: CORSSettings, methods: Sequence[str], app: ASGIApp | None = None
) -> CORSMiddleware:
    """Starlette's middleware with the rules of ``settings``."""
    return CORSMiddleware(
        cast("ASGIApp", app),
        allow_origins=settings.CORS_ORIGINS,
        allow_credentials=settings.CORS_ALLOW_CREDENTIALS,
        allow_methods=methods,
        allow_headers=settings.CORS_ALLOW_HEADERS,
        expose_headers=settings.CORS_EXPOSE_HEADERS,
        max_age=settings.CORS_MAX_AGE,
    )


def policy_of(endpoint: object, route: object) -> CORSPolicy | None:
    """The nearest policy: of the endpoint, else the last among the route's dependencies."""
    own: CORSPolicy | None = getattr(endpoint, _ATTRIBUTE, None)
    if own is not None:
        return own
    # FastAPI lists those of the router that was included first, the route's own last
    for depends in reversed(getattr(route, "dependencies", None) or []):
        marker = getattr(depends, "dependency", None)
        if isinstance(marker, _Marker):
            return marker.policy
    return None


def _once(send: Send) -> Send:
    """A ``send`` that tells each member of ``Vary`` once, which Starlette adds again."""

    async def send_without_repetition(message: Message) -> None:
        headers = MutableHeaders(scope=message)
        members = [m.strip() for line in headers.getlist("vary") for m in line.split(",")]
        headers["vary"] = ", ".join(dict.fromkeys(member for member in members if member))
        await send(message)

    return send_without_repetition


def _has_policies(app: FastAPI) -> bool:
    return any(policy_of(getattr(r, "endpoint", None), r) for r in every_route(app.routes))


def _methods_of(route: object) -> Iterable[str]:
    inner = getattr(route, "starlette_route", None) or route
    methods: Iterable[str] | None = getattr(inner, "methods", None)
    return methods or ["*"]
