"""The page with its form, the reports, and what other pages, tools and collectors may see."""

from __future__ import annotations

import asyncio
import gzip
import http.server
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from loja.settings import Settings
from loja.shop import reais

FROM_THE_PAGE = {"Sec-Fetch-Site": "same-origin"}
FROM_ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
SECRET = "k3fJ0pZq9sVtXw2Yb7Rn5Lm8Hd4Gc6Ae"


async def product(shop, **fields):
    body = {"sku": "CAFE-500", "name": "Café <500> g", "price_cents": 299000, "stock": 1, **fields}
    answer = await shop.post("/products", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def stock_of(shop, what):
    return (await shop.get(f"/products/{what['id']}")).json()["stock"]


@pytest.mark.parametrize(
    ("cents", "shown"), [(0, "R$ 0,00"), (5, "R$ 0,05"), (123456789, "R$ 1.234.567,89")]
)
def test_money_is_shown_as_it_is_written_here(cents, shown):
    assert reais(cents) == shown


async def test_the_page_shows_the_shelf_with_everything_escaped(running):
    async with running() as shop:
        assert "There are no products yet" in (await shop.get("/shelf")).text
        made = await product(shop)
        page = await shop.get("/shelf")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Café &lt;500&gt; g" in page.text
    assert "R$ 2.990,00" in page.text
    assert f'action="/shelf/{made["id"]}"' in page.text
    nonce = re.search(r'<style nonce="([^"]+)"', page.text)[1]
    assert f"'nonce-{nonce}'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"  # it shows a token


async def test_what_was_received_is_on_the_shelf_once(running):
    async with running() as shop:
        made = await product(shop)
        path = f"/shelf/{made['id']}"
        assert await stock_of(shop, made) == 1  # kept for a minute, unless it changes
        added = await shop.post(path, data={"quantity": "4"}, headers=FROM_THE_PAGE)
        assert added.status_code == 303
        assert added.next_request.url.path == "/shelf"
        assert await stock_of(shop, made) == 5
        deliveries = (
            shop.post(path, data={"quantity": "1"}, headers=FROM_THE_PAGE) for _ in range(10)
        )
        assert {answer.status_code for answer in await asyncio.gather(*deliveries)} == {303}
        assert await stock_of(shop, made) == 15


@pytest.mark.parametrize("quantity", ["0", "-1", "10001", "5x", "", "１e3", None])
async def test_a_wrong_quantity_changes_nothing(running, quantity):
    async with running() as shop:
        made = await product(shop)
        data = {} if quantity is None else {"quantity": quantity}
        answer = await shop.post(f"/shelf/{made['id']}", data=data, headers=FROM_THE_PAGE)
        assert answer.status_code == 422
        assert await stock_of(shop, made) == 1


async def test_no_other_page_can_send_the_form(running):
    async with running() as shop:
        made = await product(shop)
        for headers in (FROM_ELSEWHERE, {"Origin": "null"}, {}):
            answer = await shop.post(
                f"/shelf/{made['id']}", data={"quantity": "4"}, headers=headers
            )
            assert (answer.status_code, answer.json()["code"]) == (403, "CSRF_VALIDATION_FAILED")
        assert await stock_of(shop, made) == 1


async def test_a_browser_that_says_nothing_sends_the_token_of_the_page(running):
    async with running(CSRF_COOKIE_SECURE=False) as shop:
        made = await product(shop)
        page = (await shop.get("/shelf")).text
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
        path = f"/shelf/{made['id']}"
        for wrong in ("", token[:-1], token[::-1]):
            refused = await shop.post(path, data={"csrf_token": wrong, "quantity": "4"})
            assert refused.status_code == 403
        added = await shop.post(path, data={"csrf_token": token, "quantity": "4"})
        assert added.status_code == 303
        shop.cookies.clear()
        assert (
            await shop.post(path, data={"csrf_token": token, "quantity": "4"})
        ).status_code == 403
        assert await stock_of(shop, made) == 5


async def test_an_error_is_a_page_for_browsers_and_a_document_for_programs(running):
    nobody = "/shelf/00000000-0000-4000-8000-000000000000"
    browser = {**FROM_THE_PAGE, "Accept": "text/html,*/*;q=0.8"}
    async with running() as shop:
        page = await shop.post(nobody, data={"quantity": "1"}, headers=browser)
        assert page.status_code == 404
        assert "<h1>404</h1>" in page.text
        assert "There is no such product" in page.text
        told = await shop.post(nobody, data={"quantity": "1"}, headers=FROM_THE_PAGE)
        assert told.json()["code"] == "PRODUCT_NOT_FOUND"


async def test_the_reports_tell_of_sales_and_of_what_is_scarce(any_shop):
    shop = any_shop
    assert (await shop.get("/reports/sales")).json() == []
    few, many = await product(shop, sku="FEW"), await product(shop, sku="MANY", stock=50)
    who = {"name": "Ana", "document": "529.982.247-25"}
    customer = (await shop.post("/customers", json=who)).json()
    for _ in range(2):
        lines = [{"product_id": many["id"], "quantity": 2}]
        body = {"customer_id": customer["id"], "lines": lines}
        placed = (await shop.post("/orders", json=body)).json()
    await shop.post(f"/orders/{placed['id']}/cancel")
    sales = await shop.get("/reports/sales")
    assert sales.json() == [
        {"status": "cancelled", "orders": 1, "total_cents": 598000},
        {"status": "open", "orders": 1, "total_cents": 598000},
    ]
    same = await shop.get("/reports/sales", headers={"If-None-Match": sales.headers["etag"]})
    assert same.status_code == 304
    scarce = await shop.get("/reports/scarce")
    assert [one["sku"] for one in scarce.json()] == [few["sku"]]
    assert scarce.headers["cache-control"] == "private, max-age=30"
    assert len((await shop.get("/reports/scarce?below=100")).json()) == 2
    assert (await shop.get("/reports/scarce?below=0")).status_code == 422


async def test_pages_of_anybody_may_read_the_catalog_and_nothing_else(running):
    origin = {"Origin": "https://compare.example"}
    allowed = "access-control-allow-origin"
    async with running() as shop:
        made = await product(shop)
        for path in ("/products", f"/products/{made['id']}"):
            for _ in range(2):  # computed, then kept
                assert (await shop.get(path, headers=origin)).headers[allowed] == "*"
        assert allowed not in (await shop.get("/customers", headers=origin)).headers
        ask = {**origin, "Access-Control-Request-Method": "POST"}
        assert allowed not in (await shop.options("/products", headers=ask)).headers
    async with running(CATALOG_ORIGINS=["https://partner.example"]) as shop:
        assert allowed not in (await shop.get("/products", headers=origin)).headers
        partner = {"Origin": "https://partner.example"}
        assert (await shop.get("/products", headers=partner)).headers[allowed] == partner["Origin"]
    async with running(CATALOG_ORIGINS=[]) as shop:
        assert allowed not in (await shop.get("/products", headers=origin)).headers


async def test_in_development_the_catalog_is_a_tool(running):
    async with running(ENVIRONMENT="development") as shop:
        told = (await shop.get("/tool-spec")).json()
        paths = {operation["path"] for operation in told["operations"].values()}
        assert paths == {"/products", "/products/{product_id}"}
    async with running(ENVIRONMENT="staging", **in_production()) as shop:
        assert (await shop.get("/tool-spec")).status_code == 404


def in_production():
    site = "https://loja.example/auth/pages"
    return {
        "DATABASE_CURSOR_SECRET": SECRET,
        "CSRF_SECRET": SECRET[::-1],
        "OPS_TOKEN": SECRET,
        "JWT_PRIVATE_KEY": Settings(_env_file=None, ENVIRONMENT="test").JWT_PRIVATE_KEY,
        "JWT_ISSUER": "https://loja.example",
        "SMTP_HOST": "localhost",
        "SMTP_FROM_ADDR": "Loja <loja@example.com>",
        "AUTH_ACTIVATION_URL_TEMPLATE": f"{site}/activate#token={{token}}",
        "AUTH_PASSWORD_RESET_URL_TEMPLATE": f"{site}/reset-password#token={{token}}",
        "AUTH_EMAIL_CHANGE_URL_TEMPLATE": f"{site}/confirm-email#token={{token}}",
    }


@pytest.mark.parametrize("missing", ["DATABASE_CURSOR_SECRET", "CSRF_SECRET", "JWT_PRIVATE_KEY"])
async def test_outside_development_the_shop_does_not_start_without_its_secrets(running, missing):
    given = in_production()
    del given[missing]
    with pytest.raises(RuntimeError, match=missing):
        async with running(ENVIRONMENT="production", **given):
            pass
    async with running(ENVIRONMENT="production", **in_production()) as shop:
        assert (await shop.get("/shelf")).status_code == 200


ONE_REQUEST = """
import asyncio, httpx
from loja.app import make_app
async def main():
    app = make_app()
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as shop,
    ):
        answer = await shop.get("/products", headers={"X-Request-ID": "request-of-the-test"})
        assert answer.status_code == 200, answer.text
asyncio.run(main())
"""


def test_a_collector_gets_the_request_with_its_query_and_its_id(settings, collector):
    # a process of its own: it has one tracer provider
    environment = {
        **os.environ,
        "ENVIRONMENT": "test",
        "DATABASE_URL": settings.DATABASE_URL.get_secret_value(),
        "TRACING_ENABLED": "true",
        "TRACING_OTLP_ENDPOINT": collector.url,
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    done = subprocess.run(
        [sys.executable, "-c", ONE_REQUEST], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    sent = b"".join(collector.received)
    for told in (b"loja", b"GET /products", b"SELECT", b"request-of-the-test"):
        assert told in sent


@pytest.fixture
def collector():
    """An OTLP collector that remembers what it gets."""
    received = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            received.append(body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.url = f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
        server.received = received
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
