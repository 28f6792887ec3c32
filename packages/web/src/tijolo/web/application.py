"""One call from settings and routers to a service that is fit for production."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp

from tijolo.core import BaseAppSettings, Environment
from tijolo.observability import HealthConfig, make_health_router
from tijolo.web._limits import Limits
from tijolo.web._metrics import Measured
from tijolo.web._outer import add_inner_middleware, add_middleware, add_outer_middleware
from tijolo.web.body_limit import BodySizeLimitMiddleware
from tijolo.web.client_ip import TrustedProxyMiddleware
from tijolo.web.cors import cors_layer
from tijolo.web.csrf import CSRFMiddleware
from tijolo.web.csrf_settings import CSRFSettings, csrf_options
from tijolo.web.envelope import EnvelopeMiddleware
from tijolo.web.error_boundary import ErrorBoundaryMiddleware
from tijolo.web.handlers import register_exception_handlers
from tijolo.web.idempotency_store import IdempotencyStore
from tijolo.web.lifecycle import AppLifecycle, Lifespan
from tijolo.web.openapi import describe_problems
from tijolo.web.rate_limit import RateLimitMiddleware
from tijolo.web.rate_limiter import RateLimiter
from tijolo.web.security_headers import DEFAULT_SECURITY_HEADERS
from tijolo.web.settings import CORSSettings, ServerSettings, WebSettings, section
from tijolo.web.timeouts import RequestTimeoutMiddleware
from tijolo.web.trusted_hosts import TrustedHostMiddleware

if TYPE_CHECKING:
    from tijolo.observability.prometheus import Metrics

OPENAPI_PATH, DOCS_PATH, REDOC_PATH = "/openapi.json", "/docs", "/redoc"
_DOCS_PATHS = (DOCS_PATH, f"{DOCS_PATH}/oauth2-redirect", REDOC_PATH)
_OURS = {"lifespan", "openapi_url", "docs_url", "redoc_url", "title", "version", "debug"}


def create_app(
    settings: BaseAppSettings,
    router: APIRouter | Iterable[APIRouter] = (),
    *,
    service_name: str | None = None,
    service_version: str | None = None,
    health: HealthConfig | None = None,
    lifecycle: AppLifecycle | None = None,
    rate_limiter: RateLimiter | None = None,
    idempotency_store: IdempotencyStore | None = None,
    metrics: Metrics | None = None,
    **fastapi_options: Any,
) -> FastAPI:
    """Build the application: routes, health, problem documents, middleware, lifespan.

    The settings' mixins decide: ``WebSettings`` for everything here, ``CORSSettings`` for
    cross-origin requests, ``RateLimitSettings`` and ``IdempotencySettings`` for what they say,
    ``MetricsSettings`` (tijolo-observability's) for Prometheus, ``ServerSettings`` for tracebacks
    in development. A mixin that is not there means its defaults.
    From the outside in, a request passes

    1. trusted proxies, 2. request id, 3. timing and access log, 4. security headers, 5. CORS,
    6. trusted hosts, 7. body limit, 8. the error boundary, 9. rate limits,

    then what ``app.add_middleware`` added, the CSRF protection if the settings are
    ``CSRFSettings``, idempotency keys, and the routes.

    Args:
        settings: The service's settings; ``ENVIRONMENT`` decides whether the docs are shown.
        router: The service's own routers, below ``API_PREFIX``.
        service_name: Title of the API.
        service_version: Version of the API and of the health detail.
        health: Checks beyond those of the resources.
        lifecycle: What to start and to stop.
        rate_limiter: A limiter that ``RateLimitSettings`` cannot describe.
        idempotency_store: A store that ``IdempotencySettings`` cannot name; switches idempotency
            keys on.
        metrics: The service's own metrics, published beside those of its requests; without
            them, new ones. Either way they are ``app.state.metrics``. They need
            ``MetricsSettings`` of tijolo-observability among the mixins.
        fastapi_options: Passed on to ``FastAPI``.

    Raises:
        ValueError: for settings that contradict each other or the environment.
        TypeError: for an option of FastAPI that this function sets.
    """
    taken = sorted(_OURS & fastapi_options.keys())
    if taken:
        raise TypeError(f"create_app sets {taken[0]!r} itself; use its settings or arguments")
    web: WebSettings = section(settings, WebSettings)
    health_paths = [web.HEALTH_PREFIX + probe for probe in ("/liveness", "/readiness", "")]
    limits = Limits(
        settings,
        limiter=rate_limiter,
        store=idempotency_store,
        exempt_paths=[*(health_paths if web.HEALTH_PREFIX else ()), OPENAPI_PATH, *_DOCS_PATHS],
    )
    lifespan = Lifespan(limits.closing(lifecycle or AppLifecycle()))
    app = FastAPI(
        title=service_name or "Service",
        version=service_version or "0.0.0",
        lifespan=lifespan,
        **_docs_urls(settings, web),
        **fastapi_options,
    )
    register_exception_handlers(app, include_traceback=_shows_tracebacks(settings))
    describe_problems(app)
    for own in [router] if isinstance(router, APIRouter) else router:
        app.include_router(own, prefix=web.API_PREFIX)
    if web.HEALTH_PREFIX:
        app.include_router(_health_router(web, lifespan, health, service_name, service_version))
    if limits.idempotency is not None:
        add_inner_middleware(app, limits.idempotency)
    if web.REQUEST_TIMEOUT_SECONDS is not None:
        seconds = web.REQUEST_TIMEOUT_SECONDS
        add_middleware(app, Middleware(RequestTimeoutMiddleware, seconds=seconds))
    if isinstance(settings, CSRFSettings):
        add_middleware(app, Middleware(CSRFMiddleware, **csrf_options(settings)))
    _catch_everything(app, limits.limiter)
    measured = Measured(app, settings, metrics)
    add_outer_middleware(app, *_layers(app, settings, web, measured))
    if lifespan.lifecycle.configure is not None:
        lifespan.lifecycle.configure(app)
    return app


def _docs_urls(settings: BaseAppSettings, web: WebSettings) -> dict[str, Any]:
    shown = web.OPENAPI_ENABLED
    if shown is None:
        shown = settings.ENVIRONMENT is not Environment.PRODUCTION
    for name in ("DOCS_ENABLED", "REDOC_ENABLED"):
        if getattr(web, name) and not shown:
            raise ValueError(f"{name} needs OPENAPI_ENABLED: the page loads the document")
    return {
        "openapi_url": OPENAPI_PATH if shown else None,
        "docs_url": DOCS_PATH if shown and web.DOCS_ENABLED is not False else None,
        "redoc_url": REDOC_PATH if shown and web.REDOC_ENABLED is not False else None,
    }


def _shows_tracebacks(settings: BaseAppSettings) -> bool:
    server: ServerSettings = section(settings, ServerSettings)
    if server.SERVER_DEBUG and not settings.ENVIRONMENT.is_development:
        raise ValueError(
            f"SERVER_DEBUG shows tracebacks to callers and is refused with"
            f" ENVIRONMENT={settings.ENVIRONMENT.value}"
        )
    return server.SERVER_DEBUG


def _health_router(
    web: WebSettings,
    lifespan: Lifespan,
    config: HealthConfig | None,
    name: str | None,
    version: str | None,
) -> APIRouter:
    resources = lifespan.lifecycle.named_resources
    return make_health_router(
        checks={name: resource.health_check for name, resource in resources.items()},
        prefix=web.HEALTH_PREFIX,
        service=name,
        version=version,
        config=config,
        ready=lifespan.readiness,
    )


def _layers(
    app: FastAPI, settings: BaseAppSettings, web: WebSettings, measured: Measured
) -> list[Middleware]:
    """The layers outside the error boundary, outermost first; one that has no work is left out."""
    layers: list[Middleware | None] = [
        Middleware(
            TrustedProxyMiddleware,
            trusted_proxies=web.TRUSTED_PROXIES,
            header=web.FORWARDED_HEADER,
        )
        if web.TRUSTED_PROXIES
        else None,
        Middleware(
            EnvelopeMiddleware,
            security_headers=_security_headers(web),
            hsts_max_age_seconds=web.HSTS_MAX_AGE_SECONDS,
            hsts_include_subdomains=web.HSTS_INCLUDE_SUBDOMAINS,
            docs_paths=_DOCS_PATHS,
            timing_header=web.TIMING_HEADER,
            access_log=web.ACCESS_LOG_ENABLED,
            metrics=measured.http,
            unmeasured_paths=measured.unmeasured_paths,
        ),
        *measured.layers,
        cors_layer(app, settings if isinstance(settings, CORSSettings) else None),
        Middleware(TrustedHostMiddleware, allowed_hosts=web.TRUSTED_HOSTS)
        if "*" not in web.TRUSTED_HOSTS
        else None,
        Middleware(
            BodySizeLimitMiddleware,
            max_bytes=web.REQUEST_BODY_MAX_BYTES,
            exclude_paths=tuple(web.REQUEST_BODY_UNLIMITED_PATHS),
        ),
    ]
    return [layer for layer in layers if layer is not None]


def _security_headers(web: WebSettings) -> dict[str, str]:
    return {
        **DEFAULT_SECURITY_HEADERS,
        "X-Frame-Options": web.FRAME_OPTIONS,
        "Referrer-Policy": web.REFERRER_POLICY,
        "Permissions-Policy": web.PERMISSIONS_POLICY,
        "Content-Security-Policy": web.CONTENT_SECURITY_POLICY,
    }


def _catch_everything(app: FastAPI, limiter: RateLimiter | None) -> None:
    """Put the error boundary in the place of Starlette's ``ServerErrorMiddleware``.

    Rate limits are next: what refuses is cheap, and what ``app.add_middleware`` adds may not be.
    """
    build = app.build_middleware_stack

    def build_with_boundary() -> ASGIApp:
        built = build()
        stack, handler = built, None
        if isinstance(built, ServerErrorMiddleware):
            stack, handler = built.app, built.handler
        if limiter is not None:
            stack = RateLimitMiddleware(stack, limiter=limiter)
        return ErrorBoundaryMiddleware(stack, handler=handler)

    app.build_middleware_stack = build_with_boundary  # type: ignore[method-assign]
