"""People with accounts: from the sign-up to the last log-out, and what each may do."""

from __future__ import annotations

import email
import email.policy
import re

import pytest
from loja.models import User

from tijolo.br_validators import generate_cpf
from tijolo.db import BaseRepository

ANA, PASSWORD = "ana@example.com", "cavalo correto bateria"
OTHER = "outra senha bem comprida"


@pytest.fixture
def outbox(tmp_path):
    """What was mailed: called with an address, the token of its newest link."""
    folder = tmp_path / "outbox"

    def token(to):
        newest = max(
            (path for path in folder.glob("*.eml") if to in path.read_text()),
            key=lambda path: path.stat().st_mtime_ns,
        )
        message = email.message_from_bytes(newest.read_bytes(), policy=email.policy.default)
        text = message.get_body(("plain",)).get_content()
        return re.search(r"#token=([\w-]+)", text)[1]

    token.settings = {"EMAIL_BACKEND": "file", "EMAIL_FILE_DIR": str(folder)}
    return token


async def sign_up(shop, outbox, who=ANA):
    asked = await shop.post("/auth/signup", json={"email": who, "password": PASSWORD})
    assert asked.status_code == 202, asked.text
    await mails_sent(shop)
    return outbox(who)


async def mails_sent(shop):
    await shop._transport.app.state.accounts.service.outbox.drain()


async def log_in(shop, who=ANA, password=PASSWORD):
    answer = await shop.post("/auth/login", json={"email": who, "password": password})
    assert answer.status_code == 200, answer.text
    tokens = answer.json()
    return {"Authorization": f"Bearer {tokens['access_token']}"}, tokens["refresh_token"]


async def member(shop, outbox, who=ANA):
    token = await sign_up(shop, outbox, who)
    assert (await shop.post("/auth/activate", json={"token": token})).status_code == 200
    return await log_in(shop, who)


async def test_from_sign_up_to_an_order_of_ones_own(running, outbox):
    async with running(**outbox.settings) as shop:
        token = await sign_up(shop, outbox)
        early = await shop.post("/auth/login", json={"email": ANA, "password": PASSWORD})
        assert early.status_code == 401
        page = await shop.get("/auth/pages/activate")
        assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
        assert (await shop.post("/auth/activate", json={"token": token})).status_code == 200
        bearer, refresh = await log_in(shop)

        mine = {"name": "Ana", "document": generate_cpf()}
        kept = await shop.put("/own/customer", json=mine, headers=bearer)
        assert kept.status_code == 200, kept.text
        product = {"sku": "CAFE", "name": "Café", "price_cents": 2990, "stock": 3}
        product_id = (await shop.post("/products", json=product)).json()["id"]
        lines = {"lines": [{"product_id": product_id, "quantity": 2}]}
        placed = await shop.post("/own/orders", json=lines, headers=bearer)
        assert placed.json()["customer_id"] == kept.json()["id"]
        listed = (await shop.get("/own/orders", headers=bearer)).json()["items"]
        assert [order["id"] for order in listed] == [placed.json()["id"]]

        again = await shop.post("/auth/refresh", json={"refresh_token": refresh})
        fresh = {"Authorization": f"Bearer {again.json()['access_token']}"}
        assert (await shop.get("/own/customer", headers=fresh)).json()["name"] == "Ana"


async def test_nobody_sees_or_takes_what_is_anothers(running, outbox):
    async with running(**outbox.settings) as shop:
        ana, _ = await member(shop, outbox)
        rui, _ = await member(shop, outbox, "rui@example.com")
        document = generate_cpf()
        await shop.put("/own/customer", json={"name": "Ana", "document": document}, headers=ana)
        assert (await shop.get("/own/orders", headers=rui)).status_code == 404
        taken = await shop.put(
            "/own/customer", json={"name": "Rui", "document": document}, headers=rui
        )
        assert taken.status_code == 409
        assert (await shop.get("/own/orders")).status_code == 401


async def test_who_is_promoted_logs_in_again_and_sees_the_people(running, outbox):
    async with running(**outbox.settings) as shop:
        bearer, _ = await member(shop, outbox)
        assert (await shop.get("/people", headers=bearer)).status_code == 403
        accounts = shop._transport.app.state.accounts
        async with accounts.service.db.transaction() as session:
            user = await BaseRepository(session, model=User).get({"email": ANA})
            await accounts.service.set_roles(session, user, [], is_admin=True)
        ended = await shop.get("/people", headers=bearer)
        assert (ended.status_code, ended.json()["code"]) == (401, "TOKEN_REVOKED")
        bearer, _ = await log_in(shop)
        seen = (await shop.get("/people", headers=bearer)).json()
        assert [(one["email"], one["is_admin"]) for one in seen] == [(ANA, True)]
        assert "password" not in str(seen)


async def test_who_guesses_is_locked_out_and_a_reset_lets_the_owner_back_in(running, outbox):
    async with running(AUTH_LOGIN_MAX_PER_ACCOUNT=3, **outbox.settings) as shop:
        bearer, refresh = await member(shop, outbox)
        guess = {"email": ANA, "password": "not the password"}
        answers = [(await shop.post("/auth/login", json=guess)).status_code for _ in range(5)]
        assert answers[-1] == 429
        assert (
            await shop.post("/auth/login", json={"email": ANA, "password": PASSWORD})
        ).status_code == 429

        asked = await shop.post("/auth/password-reset/request", json={"email": ANA})
        assert asked.status_code == 202
        await mails_sent(shop)
        chosen = {"token": outbox(ANA), "new_password": OTHER}
        assert (await shop.post("/auth/password-reset/confirm", json=chosen)).status_code == 204
        assert (await shop.get("/own/customer", headers=bearer)).status_code == 401
        old = await shop.post("/auth/refresh", json={"refresh_token": refresh})
        assert old.status_code == 401
        await log_in(shop, password=OTHER)


async def test_logging_out_everywhere_ends_every_token_at_once(running, outbox):
    async with running(**outbox.settings) as shop:
        first, refresh = await member(shop, outbox)
        second, _ = await log_in(shop)
        ended = await shop.post("/auth/logout-everywhere", headers=second)
        assert ended.status_code == 204, ended.text
        for bearer in (first, second):
            assert (await shop.get("/auth/me", headers=bearer)).status_code == 401
        old = await shop.post("/auth/refresh", json={"refresh_token": refresh})
        assert old.status_code == 401


async def test_the_public_keys_are_public_and_the_rest_is_for_services(running, outbox):
    secret = "um-segredo-bem-comprido-de-verdade-0123456789"
    async with running(PRIVATE_API_SECRET=secret, **outbox.settings) as shop:
        bearer, _ = await member(shop, outbox)
        (key,) = (await shop.get("/.well-known/jwks.json")).json()["keys"]
        assert (key["kty"], "d" in key) == ("EC", False)
        form = {"token": bearer["Authorization"].removeprefix("Bearer ")}
        assert (await shop.post("/introspect", data=form)).status_code == 401
        told = await shop.post("/introspect", data=form, headers={"X-Internal-Token": secret})
        assert told.json()["active"] is True
        assert told.json()["iss"] == "http://localhost:8000"
