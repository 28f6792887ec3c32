"""A service without a key, a store or a database, behind another one's tokens."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import httpx
import pytest

from tijolo.auth import (
    InsecureAuthSettingsError,
    KeyRing,
    KeySchedule,
    TokenIssuer,
    TokenKey,
)

SECRET = {"X-Internal-Token": "kQ7vX2mN9pL4wR8tY3uZ6aB1cD5eF0gH"}


def bearer(token):
    return {"Authorization": f"Bearer {getattr(token, 'token', token)}"}


async def become(client, token, status):
    """Ask until the answer has ``status``; a busy machine has its time."""
    async with asyncio.timeout(30):
        while True:
            answer = await client.get("/wishes", headers=bearer(token))
            if answer.status_code == status:
                return answer
            await asyncio.sleep(0.1)


async def test_each_customer_has_a_list_of_their_own(desejos, issuer):
    ana, bia = issuer.tokens.issue("ana"), issuer.tokens.issue("bia")
    added = await desejos.post("/wishes", json={"product": "Cafeteira"}, headers=bearer(ana))
    assert (added.status_code, added.json()) == (201, ["Cafeteira"])
    assert (await desejos.get("/wishes", headers=bearer(ana))).json() == ["Cafeteira"]
    assert (await desejos.get("/wishes", headers=bearer(bia))).json() == []


async def test_strangers_are_told_how_to_come_in(desejos):
    refused = await desejos.get("/wishes")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert (await desejos.get("/me")).json() == {"subject": None}


async def test_a_list_has_an_end(desejos, issuer):
    token = issuer.tokens.issue("ana")
    for n in range(21):
        answer = await desejos.post("/wishes", json={"product": f"{n}"}, headers=bearer(token))
    assert (answer.status_code, answer.json()["code"]) == (409, "TOO_MANY_WISHES")


@pytest.mark.parametrize(
    ("roles", "status"), [([], 403), (["writer"], 403), (["admin"], 204), (["superadmin"], 204)]
)
async def test_lists_are_thrown_away_by_those_who_keep_order(desejos, issuer, roles, status):
    ana, other = issuer.tokens.issue("ana"), issuer.tokens.issue("other", roles=roles)
    await desejos.post("/wishes", json={"product": "Cafeteira"}, headers=bearer(ana))
    answer = await desejos.delete("/wishes/ana", headers=bearer(other))
    assert answer.status_code == status
    left = (await desejos.get("/wishes", headers=bearer(ana))).json()
    assert left == ([] if status == 204 else ["Cafeteira"])


async def test_what_the_token_says(desejos, issuer):
    token = issuer.tokens.issue("7", roles=["reader"], extra={"email": "ana@loja.example"})
    assert (await desejos.get("/me", headers=bearer(token))).json() == {
        "subject": "7",
        "email": "ana@loja.example",
        "roles": ["reader"],
    }


async def test_a_token_that_was_ended_at_the_shop_is_out_at_once(desejos, issuer):
    token = issuer.tokens.issue("ana")
    assert (await desejos.get("/wishes", headers=bearer(token))).status_code == 200
    async with httpx.AsyncClient(base_url=issuer.url) as shop:
        ended = await shop.post("/revoke", data={"token": token.token}, headers=SECRET)
    assert ended.status_code == 200
    refused = await desejos.get("/wishes", headers=bearer(token))
    assert (refused.status_code, refused.json()["code"]) == (401, "TOKEN_REVOKED")


async def test_a_session_or_a_user_ends_with_all_tokens(desejos, issuer):
    of_session = [issuer.tokens.issue("ana", session_id="s1") for _ in range(2)]
    of_user = issuer.tokens.issue("ana", epoch=1)
    newer = issuer.tokens.issue("ana", epoch=2)
    until = newer.expires_at.timestamp() + 10
    await issuer.store.revoke_session("s1", expires_at=until)
    await issuer.store.revoke_before_epoch("ana", 2, expires_at=until)
    for token in (*of_session, of_user):
        assert (await desejos.get("/wishes", headers=bearer(token))).status_code == 401
    assert (await desejos.get("/wishes", headers=bearer(newer))).status_code == 200


async def test_tokens_for_others_and_by_others_open_nothing(desejos, issuer):
    ring, name = issuer.ring, "https://auth.loja.example"
    stranger = KeyRing([TokenKey.generate("ES256", kid="2026-01")])
    secret = KeyRing([TokenKey.from_secret("x" * 40, kid="2026-01")])
    tokens = [
        TokenIssuer(ring, issuer=name, audience="loja").issue("ana").token,
        TokenIssuer(ring, issuer="https://evil.example", audience="desejos").issue("ana").token,
        TokenIssuer(stranger, issuer=name, audience="desejos").issue("ana").token,
        TokenIssuer(secret, issuer=name, audience="desejos").issue("ana").token,
        ring.signing_key().sign({"sub": "ana", "iss": name}, token_type="refresh+jwt"),
        "a.b.c",
    ]
    answers = [await desejos.get("/wishes", headers=bearer(token)) for token in tokens]
    assert [answer.status_code for answer in answers] == [401] * len(tokens)


async def test_the_shop_changes_its_key_and_nobody_notices(desejos, issuer):
    old = issuer.tokens.issue("ana")
    assert (await desejos.get("/wishes", headers=bearer(old))).status_code == 200
    before = issuer.ring.keys[0]
    issuer.ring.replace([before, TokenKey.generate("EdDSA", kid="2026-02")])
    new = issuer.tokens.issue("ana")
    await become(desejos, new, 200)  # not within a cooldown of the last fetch
    assert (await desejos.get("/wishes", headers=bearer(old))).status_code == 200
    issuer.ring.replace([TokenKey.generate("EdDSA", kid="2026-03")])
    await become(desejos, old, 401)


async def test_while_the_shop_is_silent_nobody_is_believed(desejos, issuer):
    token = issuer.tokens.issue("ana")
    assert (await desejos.get("/wishes", headers=bearer(token))).status_code == 200
    issuer.stop()
    answer = await desejos.get("/wishes", headers=bearer(token))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["code"] == "REVOCATION_CHECK_UNAVAILABLE"
    issuer.start()
    await become(desejos, token, 200)


async def test_or_everybody_whose_token_is_good_where_that_was_chosen(serve, issuer):
    async with serve(ACCESS_REVOCATION_FAILURE_MODE="fail_open") as desejos:
        token = issuer.tokens.issue("ana")
        issuer.stop()
        forged = f"{token.token[:-8]}AAAAAAAA"
        answers = [await desejos.get("/wishes", headers=bearer(t)) for t in (token, forged)]
        assert [answer.status_code for answer in answers] == [200, 401]


async def test_a_stateless_service_asks_nobody(serve, issuer):
    async with serve(TOKEN_MODE="stateless") as desejos:
        token = issuer.tokens.issue("ana")
        issuer.stop()
        assert (await desejos.get("/wishes", headers=bearer(token))).status_code == 200


async def test_it_may_start_before_the_shop(serve, issuer):
    issuer.stop()
    async with serve() as desejos:
        token = issuer.tokens.issue("ana")
        early = await desejos.get("/wishes", headers=bearer(token))
        assert (early.status_code, early.json()["code"]) == (503, "TOKEN_KEYS_UNAVAILABLE")
        assert (await desejos.get("/health/readiness")).status_code == 503
        issuer.start()
        await become(desejos, token, 200)


async def test_a_secret_that_the_shop_does_not_know_is_no_way_in(serve, issuer):
    async with serve(PRIVATE_API_SECRET="n" + SECRET["X-Internal-Token"]) as desejos:
        answer = await desejos.get("/wishes", headers=bearer(issuer.tokens.issue("ana")))
        assert answer.status_code == 503


async def test_the_details_of_its_health_are_for_those_who_know_the_secret(desejos):
    assert (await desejos.get("/health/readiness")).json() == {"status": "ok"}
    detail = (await desejos.get("/health/readiness", headers=SECRET)).json()
    assert [check["name"] for check in detail["checks"]] == ["tokens"]


async def test_it_does_not_serve_what_others_could_read_on_the_way(make_settings):
    from desejos.app import make_app

    settings = make_settings(
        ENVIRONMENT="production", INTROSPECTION_URL="http://auth.loja.example/introspect"
    )
    app = make_app(settings)
    with pytest.raises(InsecureAuthSettingsError, match="INTROSPECTION_URL is plain http"):
        async with app.router.lifespan_context(app):
            pass


def test_it_imports_no_database():
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['sqlalchemy', 'alembic', 'redis', 'tijolo.db']))\n"
        "import desejos.app\n"
    )
    folders = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": folders}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_key_that_is_to_come_is_published_ahead(issuer):
    """What the shop does for its consumers: their caches know the key before its first token."""
    from datetime import UTC, datetime, timedelta

    later = KeySchedule(signs_from=datetime.now(UTC) + timedelta(hours=1))
    issuer.ring.replace([*issuer.ring.keys, TokenKey.generate("ES256", kid="b", schedule=later)])
    assert issuer.ring.signing_key().kid == "2026-01"
    published = httpx.get(f"{issuer.url}/.well-known/jwks.json").json()["keys"]
    assert [key["kid"] for key in published] == ["2026-01", "b"]
