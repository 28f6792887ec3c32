"""What stands around the shop's handlers, switched on by settings."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import time
import uuid

from loja.addresses import Ceps

from tijolo.br_validators import generate_cpf
from tijolo.http.testing import MockRules, mock_integrations
from tijolo.web.webhooks import WebhookSignatureVerifier

SECRET = "k3fJ0pZq9sVtXw2Yb7Rn5Lm8Hd4Gc6Ae"


async def customer(shop, **fields):
    body = {"name": "Ana & Filhos", "document": generate_cpf(), **fields}
    return (await shop.post("/customers", json=body)).json()


async def product(shop, **fields):
    body = {"sku": "CAFE-500", "name": "Café 500 g", "price_cents": 2990, "stock": 10, **fields}
    return (await shop.post("/products", json=body)).json()


async def order(shop, who=None, what=None, quantity=1, **options):
    who, what = who or await customer(shop), what or await product(shop)
    lines = [{"product_id": what["id"], "quantity": quantity}]
    return await shop.post("/orders", json={"customer_id": who["id"], "lines": lines}, **options)


async def test_an_order_that_is_sent_twenty_times_is_placed_once(running):
    async with running() as shop:
        who, what = await customer(shop), await product(shop)
        key = {"Idempotency-Key": str(uuid.uuid4())}
        answers = await asyncio.gather(*(order(shop, who, what, headers=key) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert (await shop.get(f"/products/{what['id']}")).json()["stock"] == 9
        other = await order(shop, who, what, 2, headers=key)
        assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_the_catalog_is_kept_until_something_in_it_changes(running):
    async with running() as shop:
        made = await product(shop)
        path = f"/products/{made['id']}"
        first = await shop.get(path)
        again = await shop.get(path)
        assert "hit" in again.headers["cache-status"]
        unchanged = await shop.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert unchanged.status_code == 304
        await order(shop, what=made, quantity=3)
        assert (await shop.get(path)).json()["stock"] == 7
        assert (await shop.get("/products")).json()["items"][0]["stock"] == 7
        change = {"version": (await shop.get(path)).json()["version"], "price_cents": 1}
        assert (await shop.patch(path, json=change)).status_code == 200
        assert (await shop.get(path)).json()["price_cents"] == 1


async def test_an_address_is_asked_for_once(running):
    place = {"logradouro": "Praça da Sé", "localidade": "São Paulo", "uf": "SP"}
    rules = MockRules({Ceps.find: lambda cep: place if cep == "01001000" else {"erro": "true"}})
    async with running() as shop:
        with mock_integrations(rules) as calls:
            who = await customer(shop, cep="01001-000")
            for _ in range(3):
                answer = await shop.get(f"/customers/{who['id']}/address")
                assert (answer.status_code, answer.json()["uf"]) == (200, "SP")
            assert calls.of(Ceps.find) == [{"cep": "01001000"}]
            for nobody in (await customer(shop), await customer(shop, cep="99999-999")):
                answer = await shop.get(f"/customers/{nobody['id']}/address")
                assert (answer.status_code, answer.json()["code"]) == (404, "ADDRESS_UNKNOWN")


async def test_the_service_of_ceps_may_be_down(running):
    async with running(CEP_SERVICE_URL="http://127.0.0.1:9", HTTP_CLIENT_MAX_ATTEMPTS=1) as shop:
        who = await customer(shop, cep="01001-000")
        answer = await shop.get(f"/customers/{who['id']}/address")
        assert answer.status_code in (502, 503)
        assert "127.0.0.1" not in answer.text
        assert (await shop.get("/health/readiness")).status_code == 200


def signed(body, secret=SECRET, age=0):
    stamp = str(int(time.time()) - age)
    signature = WebhookSignatureVerifier(secret).expected(f"{stamp}.".encode() + body)
    return {"X-Signature": signature, "X-Timestamp": stamp}


async def test_a_payment_is_believed_from_who_signs_it_and_once(running):
    async with running(PAYMENT_WEBHOOK_SECRET=SECRET) as shop:
        placed = (await order(shop)).json()
        body = json.dumps({"event": "order.paid", "order_id": placed["id"]}).encode()

        async def report(content=body, **headers):
            return await shop.post("/webhooks/payments", content=content, headers=headers)

        assert (await report()).status_code == 401
        assert (await report(**signed(body, "x" * 32))).status_code == 401
        assert (await report(**signed(body, age=3600))).status_code == 401
        assert (await report(b"{}", **signed(body))).status_code == 401
        assert (await shop.get(f"/orders/{placed['id']}")).json()["status"] == "open"

        proof = signed(body)
        assert (await report(**proof)).status_code == 204
        assert (await report(**proof)).status_code == 200  # a repetition is not handled again
        assert (await shop.get(f"/orders/{placed['id']}")).json()["status"] == "paid"
        assert (await shop.post(f"/orders/{placed['id']}/cancel")).status_code == 409
        assert (await report(b"[]", **signed(b"[]"))).status_code == 422


async def test_without_a_secret_nobody_reports_payments(running):
    async with running() as shop:
        assert (await shop.post("/webhooks/payments", content=b"{}")).status_code == 404


async def test_an_order_is_told_by_mail_after_its_commit(running, tmp_path):
    outbox = tmp_path / "outbox"
    async with running(
        ORDER_MAIL_TO="loja@example.com", EMAIL_BACKEND="file", EMAIL_FILE_DIR=str(outbox)
    ) as shop:
        placed = await order(shop, quantity=2)
        assert placed.status_code == 201, placed.text
        refused = await order(shop, what=await product(shop, sku="CHA"), quantity=99)
        assert refused.status_code == 409
    (sent,) = outbox.glob("*.eml")
    message = email.message_from_bytes(sent.read_bytes(), policy=email.policy.default)
    assert message["To"] == "loja@example.com"
    assert message["Subject"].endswith("R$ 59.80")
    told = message.get_body(("html",)).get_content()
    assert "Ana &amp; Filhos ordered 2 items for" in told


async def test_metrics_tell_of_requests_queries_and_orders(running):
    async with running(METRICS_ENABLED=True, METRICS_NETWORKS=("127.0.0.0/8",)) as shop:
        await order(shop)
        text = (await shop.get("/metrics")).text
    assert 'loja_orders_total{outcome="placed"} 1.0' in text
    assert 'http_requests_total{method="POST",route="/orders",status="201"} 1.0' in text
    assert 'db_query_duration_seconds_count{database="default",operation="INSERT"}' in text
    async with running(
        METRICS_ENABLED=True, METRICS_NETWORKS=("127.0.0.0/8",), client=("203.0.113.9", 1)
    ) as stranger:
        assert (await stranger.get("/metrics")).status_code == 401


async def test_the_log_and_the_integrations_are_for_operators(running):
    async with running(client=("203.0.113.9", 1)) as shop:
        assert (await shop.get("/logs")).status_code == 401
        assert (await shop.get("/docintegration")).status_code == 401
    async with running() as shop:
        who = await customer(shop)
        await order(shop, who)
        page = await shop.get("/logs", params={"q": "order placed"})
        assert page.status_code == 200
        assert "order placed" in page.text
        assert who["document"] not in page.text
        assert "Streets of Brazil" in (await shop.get("/docintegration")).text


async def test_callers_are_limited_when_the_settings_say_so(running):
    async with running(RATE_LIMITS=["3/minute"]) as shop:
        statuses = [(await shop.get("/customers")).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        assert (await shop.get("/health/readiness")).status_code == 200
