from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI


@pytest.fixture
def probe():
    """Send one request to a router: (router, path, method=..., headers=...) -> response."""

    async def send(router, path, method="GET", **options):
        app = FastAPI()
        app.include_router(router)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.request(method, path, **options)

    return send
