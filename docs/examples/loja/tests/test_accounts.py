"""People with accounts: from the sign-up to the last log-out, and what each may do."""

from __future__ import annotations

import email
import email.policy
import re
import uuid

import httpx
import pytest
from loja.app import make_app
from loja.models import User
from loja.settings import DEFAULT_BASE
from pydantic import SecretStr
from redis.asyncio import Redis

from tijolo.br_validators import generate_cpf
from tijolo.db import BaseRepository

ANA, PASSWORD = "ana@example.com", "cavalo correto bateria"
OTHER = "outra senha bem comprida"
FROM_THE_PAGE = {"Sec-Fetch-Site": "same-origin"}
FROM_ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
FORM = {"email": ANA, "password": PASSWORD}


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
        told = (await shop.get("/auth/me", headers=bearer)).json()
        assert seen[0]["roles"] == sorted(told["roles"]) == ["admin", "user"]
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
        assert told.json()["iss"] == DEFAULT_BASE


async def enter(shop, agent="Firefox", **options):
    """A browser's own cookie, as a header."""
    headers = {**FROM_THE_PAGE, "User-Agent": agent}
    answer = await shop.post("/enter", data=FORM, headers=headers)
    assert answer.status_code == 303, answer.text
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-session=")
    shop.cookies.clear()
    return {**FROM_THE_PAGE, "Cookie": cookie.partition(";")[0]}


async def test_a_device_that_is_not_mine_is_logged_out_and_mine_is_not(running, outbox):
    async with running(**outbox.settings) as shop:
        await member(shop, outbox)
        mine, theirs = await enter(shop), await enter(shop, "Chrome")
        page = await shop.get("/devices", headers=mine)
        assert page.text.count("Not me") == 1
        assert page.headers["cache-control"] == "no-store"
        (action,) = re.findall(
            r'action="([^"]+)">(?:(?!</form>).)*Not me', page.text, flags=re.DOTALL
        )[-1:]
        gone = await shop.post(action, headers=mine)
        assert gone.status_code == 303
        assert (await shop.get("/devices", headers=theirs)).status_code == 303
        assert (await shop.get("/devices", headers=mine)).status_code == 200


async def test_logging_out_everywhere_ends_browsers_as_well(running, outbox):
    async with running(**outbox.settings) as shop:
        await member(shop, outbox)
        browser = await enter(shop)
        bearer, _ = await log_in(shop)
        assert (await shop.post("/auth/logout-everywhere", headers=bearer)).status_code == 204
        assert (await shop.get("/devices", headers=browser)).status_code == 303


async def test_who_leaves_is_out_and_a_wrong_password_shows_the_page_again(running, outbox):
    async with running(**outbox.settings) as shop:
        await member(shop, outbox)
        browser = await enter(shop)
        assert (await shop.post("/leave", headers=browser)).status_code == 303
        assert (await shop.get("/devices", headers=browser)).status_code == 303
        wrong = await shop.post("/enter", data={**FORM, "password": "x"}, headers=FROM_THE_PAGE)
        assert wrong.status_code == 401
        assert 'role="alert"' in wrong.text


async def test_who_asks_for_a_page_enters_first_and_then_sees_it(running, outbox):
    async with running(**outbox.settings) as shop:
        await member(shop, outbox)
        sent = await shop.get("/devices?sort=age")
        assert (sent.status_code, sent.headers["cache-control"]) == (303, "no-store")
        assert sent.headers["location"] == "/enter?next=%2Fdevices%3Fsort%3Dage"
        page = await shop.get(sent.headers["location"])
        assert 'name="next" value="/devices?sort=age"' in page.text
        wanted = {"next": "/devices?sort=age"}
        wrong = await shop.post(
            "/enter", data={**FORM, **wanted, "password": "x"}, headers=FROM_THE_PAGE
        )
        assert 'name="next" value="/devices?sort=age"' in wrong.text
        answer = await shop.post("/enter", data={**FORM, **wanted}, headers=FROM_THE_PAGE)
        assert (answer.status_code, answer.headers["location"]) == (303, "/devices?sort=age")


async def test_the_api_says_401_and_a_form_is_not_sent_twice(running):
    async with running() as shop:
        browser = {"Accept": "text/html", **FROM_THE_PAGE}
        for path in ("/auth/me", "/own/customer", "/people"):
            assert (await shop.get(path, headers=browser)).status_code == 401
        lost = await shop.post("/devices/abc", headers=FROM_THE_PAGE)
        assert (lost.status_code, lost.headers["location"]) == (303, "/enter")


async def test_below_a_prefix_the_page_to_enter_is_below_it_too(settings):
    app = make_app(settings)
    transport = httpx.ASGITransport(app, root_path="/loja")
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as shop,
    ):
        sent = await shop.get("/loja/devices")
        assert sent.headers["location"] == "/loja/enter?next=%2Floja%2Fdevices"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "devices",
        "@evil.example",
        "/devices\r\nSet-Cookie: a=b",
        "/devices\0",
        '/"><script>alert(1)</script>',
        "/de\u202ev\u0456ces",
        "/" + "a" * 10_000,
    ],
)
async def test_nobody_is_led_out_of_the_shop(running, outbox, elsewhere):
    async with running(**outbox.settings) as shop:
        await member(shop, outbox)
        page = await shop.get("/enter", params={"next": elsewhere})
        assert 'name="next" value=""' in page.text
        sent = {**FORM, "next": elsewhere}
        answer = await shop.post("/enter", data=sent, headers=FROM_THE_PAGE)
        assert (answer.status_code, answer.headers["location"]) == (303, "devices")


async def connections(url, name):
    async with Redis.from_url(url) as redis:
        return [client for client in await redis.client_list() if client["name"] == name]


@pytest.mark.redis
async def test_a_shop_that_ends_leaves_no_connection_to_redis(running, outbox, redis_url):
    name = f"loja-{uuid.uuid4().hex}"
    url = SecretStr(f"{redis_url}?client_name={name}")
    there = {"SESSION_REDIS_URL": url, "RATE_LIMIT_REDIS_URL": url}
    async with running(**there, **outbox.settings) as shop:
        await member(shop, outbox, f"{name}@example.com")
        answer = await shop.post(
            "/enter", data={**FORM, "email": f"{name}@example.com"}, headers=FROM_THE_PAGE
        )
        assert answer.status_code == 303, answer.text
        assert len(await connections(redis_url, name)) >= 2
    assert await connections(redis_url, name) == []


async def test_another_sites_page_cannot_log_anybody_in(running, outbox):
    async with running(**outbox.settings) as shop:
        await member(shop, outbox)
        forged = await shop.post("/enter", data=FORM, headers=FROM_ELSEWHERE)
        assert forged.status_code == 403
        assert "set-cookie" not in forged.headers
