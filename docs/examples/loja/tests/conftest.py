from __future__ import annotations

import os
import shutil
from contextlib import asynccontextmanager

import httpx
import pytest
from loja.__main__ import migrate
from loja.app import make_app
from loja.settings import Settings
from sqlalchemy import text

from tijolo.core.testing.pytest_services import service_url
from tijolo.db import AsyncDatabaseManager


def _settings(database_url):
    return Settings(
        _env_file=None, ENVIRONMENT="test", DATABASE_URL=database_url, AUTH_PASSWORD_ROUNDS=10
    )


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory):
    """An empty shop, migrated once; each test takes a copy."""
    path = tmp_path_factory.mktemp("loja") / "empty.db"
    migrate(_settings(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture
def settings(migrated_file, tmp_path):
    copy = shutil.copy(migrated_file, tmp_path / "loja.db")
    return _settings(f"sqlite+aiosqlite:///{copy}")


@asynccontextmanager
async def _running(settings):
    app = make_app(settings)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


@pytest.fixture
async def shop(settings):
    """The running shop, and a client of it."""
    async with _running(settings) as client:
        yield client


@pytest.fixture
def running(settings):
    """settings by name -> a client of the shop that runs with them."""

    @asynccontextmanager
    async def run(*, client=("127.0.0.1", 40000), **changed):
        there = {
            "ENVIRONMENT": "test",
            "DATABASE_URL": settings.DATABASE_URL,
            "AUTH_PASSWORD_ROUNDS": 10,
        }
        app = make_app(Settings(_env_file=None, **(there | changed)))
        transport = httpx.ASGITransport(app=app, client=client)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as shop,
        ):
            yield shop

    return run


@asynccontextmanager
async def _database(server, name):
    """A database of our own on a real server."""
    admin = AsyncDatabaseManager(server, isolation_level="AUTOCOMMIT")
    await admin.connect()
    try:
        async with admin.engine.connect() as connection:
            await connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
            await connection.execute(text(f"CREATE DATABASE {name}"))
        yield f"{server.rpartition('/')[0]}/{name}"
        async with admin.engine.connect() as connection:
            await connection.execute(text(f"DROP DATABASE {name}"))
    finally:
        await admin.disconnect()


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
async def any_shop(request, settings):
    """The same shop on each database, by settings alone."""
    if request.param == "sqlite":
        async with _running(settings) as client:
            yield client
        return
    async with _database(service_url(request.param), f"tijolo_loja_{os.getpid()}") as url:
        there = _settings(url)
        migrate(there)
        async with _running(there) as client:
            yield client
