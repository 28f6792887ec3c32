from __future__ import annotations

import asyncio
import uuid

import pytest
from loja.app import make_app
from loja.settings import Settings

from tijolo.br_validators import generate_cnpj, generate_cpf


async def _customer(shop, **fields):
    body = {"name": "Ana", "document": generate_cpf(), **fields}
    answer = await shop.post("/customers", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def _product(shop, sku="CAFE-500", **fields):
    body = {"sku": sku, "name": "Café 500 g", "price_cents": 2990, "stock": 10, **fields}
    answer = await shop.post("/products", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def _order(shop, customer, product, quantity):
    lines = [{"product_id": product["id"], "quantity": quantity}]
    return await shop.post("/orders", json={"customer_id": customer["id"], "lines": lines})


def _fields(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    return [error["loc"] for error in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("12.ABC.345/01DE-35", "12ABC34501DE35"),
        ("11.222.333/0001-81", "11222333000181"),
        ("529.982.247-25", "52998224725"),
    ],
)
async def test_a_document_is_stored_in_canonical_form(shop, sent, stored):
    created = await _customer(shop, document=sent)

    assert created["document"] == stored
    assert (await shop.get(f"/customers/{created['id']}")).json() == created


@pytest.mark.parametrize("document", ["12.ABC.345/01DE-36", "５２９９８２２４７２５", "", None, 5])
async def test_a_wrong_document_is_a_422_that_names_the_field(shop, document):
    answer = await shop.post("/customers", json={"name": "Ana", "document": document})

    assert answer.status_code == 422
    assert answer.json()["code"] == "VALIDATION_ERROR"
    assert _fields(answer) == [["body", "document"]]


async def test_phone_and_cep_are_stored_in_canonical_form(shop):
    created = await _customer(shop, phone="+55 11 98888-7777", cep="01310-100")

    assert (created["phone"], created["cep"]) == ("11988887777", "01310100")


async def test_a_second_customer_with_the_document_is_a_409_that_names_the_field(any_shop):
    document = generate_cnpj(alphanumeric=True)
    await _customer(any_shop, document=document)

    answer = await any_shop.post("/customers", json={"name": "Bia", "document": document})

    assert answer.status_code == 409
    assert answer.json()["details"]["fields"] == ["document"]
    assert document not in answer.text


async def test_customers_are_searched_ordered_and_paged(shop):
    for name in ("Ana", "Bruno", "Mariana", "100%"):
        await _customer(shop, name=name)

    found = (await shop.get("/customers", params={"search": "ana", "order_by": "name"})).json()
    literal = (await shop.get("/customers", params={"search": "%"})).json()
    second = (
        await shop.get("/customers", params={"order_by": "name", "page": 2, "page_size": 3})
    ).json()

    assert [item["name"] for item in found["items"]] == ["Ana", "Mariana"]
    assert [item["name"] for item in literal["items"]] == ["100%"]
    assert (second["total"], second["pages"], len(second["items"])) == (4, 2, 1)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"order_by": "document"}, "order_by"),
        ({"order_by": "metadata"}, "order_by"),
        ({"page": 10**30}, "page"),
        ({"page": 0}, "page"),
        ({"page_size": 10**6}, "page_size"),
        ({"document": "1"}, "document"),
    ],
)
async def test_what_a_list_cannot_do_is_a_422_that_names_the_field(shop, query, field):
    answer = await shop.get("/customers", params=query)

    assert answer.status_code == 422
    assert field in answer.text


async def test_a_customer_changes_only_what_was_sent(shop):
    customer = await _customer(shop, phone="11988887777")

    changed = (await shop.patch(f"/customers/{customer['id']}", json={"name": "Ana B"})).json()

    assert (changed["name"], changed["phone"]) == ("Ana B", "11988887777")
    refused = await shop.patch(f"/customers/{customer['id']}", json={"document": "x"})
    assert refused.status_code == 422


async def test_a_customer_without_orders_can_go_and_one_with_orders_stays(shop):
    gone, stays = await _customer(shop), await _customer(shop)
    product = await _product(shop)
    assert (await _order(shop, stays, product, 1)).status_code == 201

    assert (await shop.delete(f"/customers/{gone['id']}")).status_code == 204
    assert (await shop.get(f"/customers/{gone['id']}")).json()["code"] == "CUSTOMER_NOT_FOUND"
    assert (await shop.delete(f"/customers/{stays['id']}")).status_code == 409
    assert (await shop.get(f"/customers/{stays['id']}")).status_code == 200


async def test_an_order_takes_stock_at_today_s_prices(shop):
    customer, product = await _customer(shop), await _product(shop)

    order = (await _order(shop, customer, product, 3)).json()
    await shop.patch(f"/products/{product['id']}", json={"version": 2, "price_cents": 1})

    assert order["total_cents"] == 8970
    again = (await shop.get(f"/orders/{order['id']}")).json()
    assert again == order
    left = (await shop.get(f"/products/{product['id']}")).json()
    assert (left["stock"], left["price_cents"]) == (7, 1)


async def test_an_order_beyond_the_stock_changes_nothing(shop):
    customer = await _customer(shop)
    plenty, scarce = await _product(shop), await _product(shop, sku="CHA", stock=1)
    lines = [{"product_id": p["id"], "quantity": 2} for p in (plenty, scarce)]

    answer = await shop.post("/orders", json={"customer_id": customer["id"], "lines": lines})

    assert (answer.status_code, answer.json()["code"]) == (409, "OUT_OF_STOCK")
    assert (await shop.get(f"/products/{plenty['id']}")).json()["stock"] == 10
    assert (await shop.get("/orders")).json()["items"] == []


async def test_the_last_items_are_sold_once(any_shop):
    customer, product = await _customer(any_shop), await _product(any_shop, stock=5)

    answers = await asyncio.gather(*(_order(any_shop, customer, product, 1) for _ in range(12)))

    assert sorted(a.status_code for a in answers) == [201] * 5 + [409] * 7
    assert (await any_shop.get(f"/products/{product['id']}")).json()["stock"] == 0


async def test_a_cancelled_order_gives_the_stock_back_once(any_shop):
    customer, product = await _customer(any_shop), await _product(any_shop)
    order = (await _order(any_shop, customer, product, 4)).json()

    first = await any_shop.post(f"/orders/{order['id']}/cancel")
    second = await any_shop.post(f"/orders/{order['id']}/cancel")

    assert first.json()["status"] == "cancelled"
    assert (second.status_code, second.json()["code"]) == (409, "ORDER_NOT_OPEN")
    assert (await any_shop.get(f"/products/{product['id']}")).json()["stock"] == 10


async def test_a_change_on_an_old_version_is_refused(any_shop):
    product = await _product(any_shop)
    url = f"/products/{product['id']}"

    assert (await any_shop.patch(url, json={"version": 1, "price_cents": 1})).status_code == 200
    late = await any_shop.patch(url, json={"version": 1, "price_cents": 2})

    assert (late.status_code, late.json()["code"]) == (412, "PRECONDITION_FAILED")
    assert (await any_shop.get(url)).json()["price_cents"] == 1


async def test_orders_are_walked_by_cursor_each_once(any_shop):
    customer, product = await _customer(any_shop), await _product(any_shop, stock=100)
    placed = [(await _order(any_shop, customer, product, 1)).json()["id"] for _ in range(7)]

    seen, params = [], {"limit": 3}
    while True:
        page = (await any_shop.get("/orders", params=params)).json()
        seen += [order["id"] for order in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]

    assert seen == placed[::-1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda cursor: cursor[:-3],
        lambda cursor: ("B" if cursor[0] == "A" else "A") + cursor[1:],
        lambda cursor: "x" * 5000,
    ],
)
async def test_a_damaged_cursor_is_a_4xx_that_names_it(shop, damage):
    customer, product = await _customer(shop), await _product(shop)
    for _ in range(2):
        await _order(shop, customer, product, 1)
    cursor = (await shop.get("/orders", params={"limit": 1})).json()["next_cursor"]

    answer = await shop.get("/orders", params={"limit": 1, "cursor": damage(cursor)})

    assert answer.status_code in (400, 422)
    assert "cursor" in answer.text


async def test_a_cursor_of_another_query_is_refused(shop):
    customer, product = await _customer(shop), await _product(shop)
    for _ in range(2):
        await _order(shop, customer, product, 1)
    cursor = (await shop.get("/orders", params={"limit": 1})).json()["next_cursor"]

    other = {"limit": 1, "cursor": cursor, "status": "cancelled"}

    assert (await shop.get("/orders", params=other)).json()["code"] == "INVALID_CURSOR"


async def test_unknown_ids_are_404s_with_a_code(shop):
    nobody = uuid.uuid4()

    for path, code in (("customers", "CUSTOMER_NOT_FOUND"), ("products", "PRODUCT_NOT_FOUND")):
        answer = await shop.get(f"/{path}/{nobody}")
        assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_health_says_the_database_is_there(shop):
    assert (await shop.get("/health/readiness")).json() == {"status": "ok"}
    assert (await shop.get("/docs")).status_code == 200


async def test_malformed_json_is_a_400_and_the_shop_goes_on(shop):
    broken = await shop.post(
        "/customers", content=b'{"name": ', headers={"Content-Type": "application/json"}
    )

    assert (broken.status_code, broken.json()["code"]) == (400, "MALFORMED_JSON")
    assert (await shop.get("/customers")).status_code == 200


async def test_production_does_not_start_without_a_secret_for_its_cursors(settings):
    unsigned = Settings(
        _env_file=None,
        ENVIRONMENT="production",
        DATABASE_URL=settings.DATABASE_URL,
        SMTP_HOST="localhost",
        SMTP_FROM_ADDR="Loja <loja@example.com>",
    )
    app = make_app(unsigned)

    with pytest.raises(RuntimeError, match="DATABASE_CURSOR_SECRET"):
        async with app.router.lifespan_context(app):
            pass
