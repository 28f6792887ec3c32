"""The middleware of tijolo-web over the store of tijolo-db, which knows it by its shape alone."""

from __future__ import annotations

import asyncio
import uuid

import httpx
import pytest
from sqlalchemy import MetaData, Table

from tijolo.core import BaseAppSettings, Environment
from tijolo.core.testing.pytest_services import service_url
from tijolo.db import AsyncDatabaseManager
from tijolo.db.idempotency import DatabaseIdempotencyStore, make_idempotency_table
from tijolo.web import IdempotencyStore, create_app

KEY = "Idempotency-Key"


class Settings(BaseAppSettings, env_file=None):
    pass


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def store(request, tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/keys.db"
    if request.param == "postgres":
        url = service_url("postgres")
    metadata = MetaData()
    table: Table = make_idempotency_table(metadata, f"keys_{uuid.uuid4().hex[:12]}")
    manager = AsyncDatabaseManager(url, environment="test", metadata=metadata)
    await manager.connect()
    await manager.create_tables()
    yield DatabaseIdempotencyStore(manager, table)
    async with manager.engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
    await manager.disconnect()


async def test_twenty_duplicates_are_carried_out_once_and_another_body_is_refused(store):
    # what a type checker has to agree with, too
    by_shape: IdempotencyStore = store
    assert isinstance(by_shape, IdempotencyStore)
    app = create_app(Settings(ENVIRONMENT=Environment.TEST), idempotency_store=by_shape)
    runs = []

    @app.post("/orders")
    async def order() -> int:
        runs.append(1)
        await asyncio.sleep(0.05)
        return len(runs)

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:

        async def post(body: bytes = b"{}") -> httpx.Response:
            return await client.post("/orders", content=body, headers={KEY: "k"})

        answers = await asyncio.gather(*(post() for _ in range(20)))
        assert {(answer.status_code, answer.text) for answer in answers} == {(200, "1")}
        replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
        assert replayed.count("true") == 19
        assert (await post(b"[]")).json()["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert runs == [1]
