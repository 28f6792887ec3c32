"""The application: settings in, FastAPI out."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from loja.accounts import make_accounts, make_accounts_routers
from loja.addresses import Ceps, make_addresses_router
from loja.browser import make_browser_router, make_sessions
from loja.clients import RedisClients
from loja.mail import OrderMail
from loja.observed import give_spans_their_request_id, make_observed, make_traced
from loja.operations import make_operations_routers
from loja.own import make_own_router, make_people_router
from loja.payments import make_payments_router
from loja.reports import make_reports_router
from loja.routers import CustomerViews, make_orders_router, make_products_router
from loja.settings import Settings
from loja.shelf import make_shelf_router, make_templates
from loja.shop import Shop
from tijolo.cache import Backend, Cache
from tijolo.cache.redis import AsyncRedisManager, RedisBackend
from tijolo.core import Resource
from tijolo.db import AsyncDatabaseManager
from tijolo.email import EmailUtils
from tijolo.observability import HealthConfig, LogBuffer, setup_tracing_from_settings
from tijolo.observability.prometheus import DatabaseMetrics, Metrics
from tijolo.sessions import SessionMiddleware
from tijolo.web import AppLifecycle, create_app
from tijolo.web.templates import Templates, add_html_errors


def make_app(settings: Settings | None = None) -> FastAPI:
    """Build the shop; ``uvicorn --factory loja.app:make_app`` serves it."""
    settings = settings or Settings()
    db = AsyncDatabaseManager.from_settings(settings)
    cache = Cache.from_settings(settings, _cache_backend(settings))
    ceps = Ceps(settings.CEP_SERVICE_URL, **settings.http_client_options())
    email = EmailUtils.from_settings(settings)
    clients = RedisClients()
    accounts = make_accounts(settings, db, email, clients)
    metrics = Metrics(max_series=settings.METRICS_MAX_SERIES)
    shop = Shop(
        db=db,
        cache=cache,
        orders=metrics.counter("loja_orders_total", "Orders, by what became of them.", ["outcome"]),
        mail=OrderMail(email, settings.ORDER_MAIL_TO) if settings.ORDER_MAIL_TO else None,
    )
    sessions = make_sessions(settings, db, accounts, clients)
    log, templates = LogBuffer(), make_templates()
    resources: dict[str, Resource] = {
        "database": db,
        "cache": cache,
        "cep": ceps,
        "email": email,
        "redis": clients,
        "accounts": accounts.service,
        "tokens": accounts.auth,
    }
    extras = [make_observed(settings, db, DatabaseMetrics(metrics), log)]
    tracing = setup_tracing_from_settings(settings)
    if tracing is not None:
        resources = {"tracing": tracing, **resources}  # closed last, when all have reported
        extras.append(make_traced(tracing, db))
    app = create_app(
        settings,
        [
            *_routers(settings, shop, ceps, templates),
            *make_accounts_routers(settings, db, accounts),
            make_own_router(shop, accounts),
            make_people_router(shop, accounts),
            make_browser_router(shop, sessions, templates),
            *make_operations_routers(settings, ceps, log),
        ],
        service_name="Loja",
        service_version="0.1.0",
        metrics=metrics,
        # without the others the shop still sells
        health=HealthConfig(optional=frozenset(resources) - {"database"}),
        lifecycle=AppLifecycle(
            resources=resources,
            startup_validators=[settings.secrets_are_set, templates.compile_all],
            lifespan_extras=extras,
        ),
        **({} if tracing is None else {"telemetry": tracing.fastapi}),
    )
    # outside of the CSRF protection, whose tokens belong to a session
    app.add_middleware(SessionMiddleware, session_auth=sessions)
    app.state.shop, app.state.accounts = shop, accounts
    if tracing is not None:
        give_spans_their_request_id(tracing, app)
    add_html_errors(app, templates)
    return app


def _routers(settings: Settings, shop: Shop, ceps: Ceps, templates: Templates) -> list[APIRouter]:
    routers = [
        CustomerViews.make_router(shop.db, prefix="/customers"),
        make_addresses_router(shop, ceps),
        make_products_router(shop, settings.CATALOG_ORIGINS),
        make_orders_router(shop),
        make_reports_router(settings),
        make_shelf_router(shop, templates),
    ]
    secret = settings.PAYMENT_WEBHOOK_SECRET.get_secret_value()
    if secret:
        routers.append(make_payments_router(shop, secret))
    return routers


def _cache_backend(settings: Settings) -> Backend | None:
    if settings.CACHE_REDIS_URL is None:
        return None  # memory
    return RedisBackend(AsyncRedisManager(settings.CACHE_REDIS_URL.get_secret_value()))
