"""The application: settings in, FastAPI out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from loja.routers import make_customers_router, make_orders_router, make_products_router
from loja.settings import Settings
from tijolo.db import AsyncDatabaseManager
from tijolo.observability import configure_logging_from_settings, stop_logging
from tijolo.web import AppLifecycle, create_app


def make_app(settings: Settings | None = None) -> FastAPI:
    """Build the shop; ``uvicorn --factory loja.app:make_app`` serves it."""
    settings = settings or Settings()
    db = AsyncDatabaseManager.from_settings(settings)

    async def cursors_are_signed() -> None:
        secret = settings.DATABASE_CURSOR_SECRET.get_secret_value()
        if not (secret or settings.ENVIRONMENT.is_development):
            raise RuntimeError("orders are paged by cursor: set DATABASE_CURSOR_SECRET")

    @asynccontextmanager
    async def logs(app: FastAPI) -> AsyncIterator[None]:
        configure_logging_from_settings(settings)
        yield
        stop_logging()

    return create_app(
        settings,
        [make_customers_router(db), make_products_router(db), make_orders_router(db)],
        service_name="Loja",
        service_version="0.1.0",
        lifecycle=AppLifecycle(
            resources={"database": db},
            startup_validators=[cursors_are_signed],
            lifespan_extras=[logs],
        ),
    )
