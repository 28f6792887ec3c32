from __future__ import annotations

import pytest

fastapi = pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")

from tijolo.core import OpsAccess  # noqa: E402
from tijolo.email import EmailUtils, MemoryBackend  # noqa: E402
from tijolo.email.web import make_outbox_router  # noqa: E402


@pytest.fixture
def backend():
    return MemoryBackend()


@pytest.fixture
async def client(backend):
    app = fastapi.FastAPI()
    app.include_router(make_outbox_router(backend, access=OpsAccess(token="t" * 40)))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        client.headers["X-Ops-Token"] = "t" * 40
        yield client


async def test_what_would_have_been_sent_can_be_looked_at(backend, client):
    email = EmailUtils.with_backend(backend, from_addr="shop@example.com")
    await email.send("a@b.com", "First", "only text")
    result = await email.send("a@b.com", "Second", html="<script>alert(1)</script><p>page")

    listed = (await client.get("/emails")).json()
    assert [each["subject"] for each in listed] == ["Second", "First"]
    assert listed[0]["recipients"] == ["a@b.com"]

    page = await client.get(f"/emails/{result.message_id}")
    assert "<p>page" in page.text
    assert page.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    text = await client.get(f"/emails/{listed[1]['message_id']}")
    assert text.headers["content-type"].startswith("text/plain")
    assert (await client.get("/emails/nothing")).status_code == 404


async def test_it_is_not_for_everybody(client):
    del client.headers["X-Ops-Token"]
    assert (await client.get("/emails")).status_code == 401
    assert (await client.get("/emails/x")).status_code == 401
