"""The application: settings in, FastAPI out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from loja.addresses import Ceps, make_addresses_router
from loja.mail import OrderMail
from loja.payments import make_payments_router
from loja.routers import CustomerViews, make_orders_router, make_products_router
from loja.settings import Settings
from loja.shop import Shop
from tijolo.cache import Backend, Cache
from tijolo.cache.redis import AsyncRedisManager, RedisBackend
from tijolo.core import OpsAccess, Resource
from tijolo.db import AsyncDatabaseManager
from tijolo.email import EmailUtils
from tijolo.http.integration import IntegrationRegistry
from tijolo.http.web import make_integrations_router
from tijolo.observability import (
    HealthConfig,
    LogBuffer,
    configure_logging_from_settings,
    make_logs_router,
    stop_logging,
)
from tijolo.observability.prometheus import DatabaseMetrics, Metrics
from tijolo.web import AppLifecycle, create_app

LOOPBACK = ("127.0.0.0/8", "::1")


def make_app(settings: Settings | None = None) -> FastAPI:
    """Build the shop; ``uvicorn --factory loja.app:make_app`` serves it."""
    settings = settings or Settings()
    db = AsyncDatabaseManager.from_settings(settings)
    cache = Cache.from_settings(settings, _cache_backend(settings))
    ceps = Ceps(settings.CEP_SERVICE_URL, **settings.http_client_options())
    email = EmailUtils.from_settings(settings) if settings.ORDER_MAIL_TO else None
    metrics = Metrics(max_series=settings.METRICS_MAX_SERIES)
    shop = Shop(
        db=db,
        cache=cache,
        orders=metrics.counter("loja_orders_total", "Orders, by what became of them.", ["outcome"]),
        mail=OrderMail(email, settings.ORDER_MAIL_TO) if email else None,
    )
    routers = [
        CustomerViews.make_router(db, prefix="/customers"),
        make_addresses_router(shop, ceps),
        make_products_router(shop),
        make_orders_router(shop),
    ]
    secret = settings.PAYMENT_WEBHOOK_SECRET.get_secret_value()
    if secret:
        routers.append(make_payments_router(shop, secret))
    log = LogBuffer()
    routers += _operations(settings, ceps, log)
    database = DatabaseMetrics(metrics)

    async def cursors_are_signed() -> None:
        secret = settings.DATABASE_CURSOR_SECRET.get_secret_value()
        if not (secret or settings.ENVIRONMENT.is_development):
            raise RuntimeError("orders are paged by cursor: set DATABASE_CURSOR_SECRET")

    @asynccontextmanager
    async def observed(app: FastAPI) -> AsyncIterator[None]:
        configure_logging_from_settings(settings, sinks=[log])
        database.watch_pool(db.pool_status)
        end = db.observe(database.observe_query)
        yield
        end()
        stop_logging()

    resources: dict[str, Resource] = {"database": db, "cache": cache, "cep": ceps}
    if email is not None:
        resources["email"] = email
    return create_app(
        settings,
        routers,
        service_name="Loja",
        service_version="0.1.0",
        metrics=metrics,
        # without the others the shop still sells
        health=HealthConfig(optional=frozenset(resources) - {"database"}),
        lifecycle=AppLifecycle(
            resources=resources,
            startup_validators=[cursors_are_signed],
            lifespan_extras=[observed],
        ),
    )


def _cache_backend(settings: Settings) -> Backend | None:
    if settings.CACHE_REDIS_URL is None:
        return None  # memory
    return RedisBackend(AsyncRedisManager(settings.CACHE_REDIS_URL.get_secret_value()))


def _operations(settings: Settings, ceps: Ceps, log: LogBuffer) -> list[APIRouter]:
    """The log and the page of integrations, where somebody may see them."""
    networks = LOOPBACK if settings.ENVIRONMENT.is_development else ()
    if settings.OPS_TOKEN is None and not networks:
        return []
    access = OpsAccess(token=settings.OPS_TOKEN, networks=networks)
    return [
        make_logs_router(buffer=log, access=access),
        make_integrations_router(IntegrationRegistry([ceps]), access=access),
    ]
