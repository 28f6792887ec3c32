"""API keys over HTTP: the owner's routes, leak reports, and routes that take keys or tokens."""

import json
from types import SimpleNamespace
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, WebSocket

pytest.importorskip("email_validator")
pytest.importorskip("tijolo.db")

from starlette.testclient import TestClient

from tijolo.auth import (
    JWTSettings,
    build_auth_deps,
    make_bearer_token_dependency,
    make_recent_auth_dependency,
    make_role_dependency,
    make_scope_dependency,
)
from tijolo.auth.api_keys import (
    ApiKeyAuthenticator,
    ApiKeyService,
    make_api_key_dependency,
    make_api_keys_router,
    make_leak_report_router,
)
from tijolo.core import ServiceUnavailableException
from tijolo.db import AsyncDatabaseManager
from tijolo.web import TrustedProxyMiddleware, register_exception_handlers


@pytest.fixture
def backend():
    return "sqlite"


@pytest.fixture
async def site(db, names, service, events, model):
    """An application with everything, its parts, and clients of it."""
    await db.create_tables()
    settings = JWTSettings(JWT_SECRET=names.SECRET, JWT_ISSUER="https://auth.example")
    auth = build_auth_deps(settings)
    keys = ApiKeyService(
        model,
        names.User,
        scopes={"orders:read", "orders:write"},
        on_event=events.append,
    )
    both = ApiKeyAuthenticator(keys, db, tokens=auth.authenticator)
    app = FastAPI()
    register_exception_handlers(app)
    app.add_middleware(TrustedProxyMiddleware, trusted_proxies=["127.0.0.1"])
    routers = {"auth": auth, "session_factory": db.session_dependency}
    app.include_router(make_api_keys_router(keys, **routers))
    app.include_router(make_leak_report_router(keys, session_factory=db.session_dependency))
    _add_routes(app, both, ApiKeyAuthenticator(keys, db))
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield SimpleNamespace(app=app, client=client, keys=keys, both=both, auth=auth)
    await both.disconnect()


def _add_routes(app: FastAPI, both, alone) -> None:
    reads = make_api_key_dependency(both, scopes=["orders:read"])
    guards = {
        "/read": reads,
        "/write": make_scope_dependency(both, ["orders:write"]),
        "/alone": make_api_key_dependency(alone),
        "/soft": make_api_key_dependency(both, soft=True),
        "/anybody": make_bearer_token_dependency(both),
        "/role": make_role_dependency(both, ["user"]),
        "/recent": make_recent_auth_dependency(both, max_age_seconds=300),
    }
    for path, guard in guards.items():

        async def route(principal: Annotated[Any, Depends(guard)]):
            return {"sub": principal.subject if principal else None}

        app.add_api_route(path, route)

    @app.websocket("/ws")
    async def talk(socket: WebSocket, principal: Annotated[Any, Depends(reads)]):
        await socket.accept()
        await socket.send_text(principal.subject)
        await socket.close()


@pytest.fixture
def token_of(db, service, names):
    """A user's access token, by logging in."""

    async def make(user):
        async with db.transaction() as session:
            mine = await session.get(names.User, user.id)
            pair = await service.start_login(session, mine, amr=("pwd",))
        return {"Authorization": f"Bearer {pair.access_token}"}

    return make


@pytest.fixture
async def mine(token_of, ana):
    return await token_of(ana)


@pytest.fixture
def create(site, mine):
    async def call(**fields):
        body = {"name": "report", "scopes": ["orders:read"]} | fields
        answer = await site.client.post("/api-keys", json=body, headers=mine)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return call


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


# the owner's routes


async def test_a_key_is_shown_once_and_stored_nowhere_on_the_way(site, mine, create):
    body = {"name": "report", "scopes": ["orders:read"], "expires_in_days": 30}
    answer = await site.client.post("/api-keys", json=body, headers=mine)
    made = answer.json()
    assert answer.headers["Cache-Control"] == "no-store"
    assert made["key"].startswith(made["hint"])
    listed = await site.client.get("/api-keys", headers=mine)
    assert [key["id"] for key in listed.json()] == [made["id"]]
    assert made["key"] not in listed.text
    assert "key_hash" not in listed.text


async def test_a_refusal_is_kept_by_no_cache_either(site, mine):
    refused = await site.client.post("/api-keys", json={"name": 7}, headers=mine)
    assert (refused.status_code, refused.headers["Cache-Control"]) == (422, "no-store")


async def test_a_key_can_be_rotated_and_revoked(site, mine, create):
    old = await create()
    rotate = f"/api-keys/{old['id']}/rotate"
    answer = await site.client.post(rotate, json={"overlap_seconds": 60}, headers=mine)
    new = answer.json()
    assert answer.status_code == 201
    assert (await site.client.post(rotate, json={}, headers=mine)).status_code == 409
    for key in (old["key"], new["key"]):
        assert (await site.client.get("/read", headers=bearer(key))).status_code == 200
    gone = await site.client.delete(f"/api-keys/{old['id']}", headers=mine)
    assert gone.status_code == 204
    refused = await site.client.get("/read", headers=bearer(old["key"]))
    assert (refused.status_code, refused.json()["code"]) == (401, "TOKEN_REVOKED")
    listed = {key["id"]: key for key in (await site.client.get("/api-keys", headers=mine)).json()}
    assert listed[old["id"]]["successor_id"] == new["id"]
    assert listed[old["id"]]["revoked_reason"] == "owner"


async def test_others_keys_are_not_there(site, create, token_of, call):
    made = await create()
    eve = await token_of(await call("create_user", email="eve@exemplo.com.br"))
    assert (await site.client.get("/api-keys", headers=eve)).json() == []
    answers = [
        await site.client.delete(f"/api-keys/{made['id']}", headers=eve),
        await site.client.post(f"/api-keys/{made['id']}/rotate", json={}, headers=eve),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["code"] for answer in answers} == {"API_KEY_NOT_FOUND"}


async def test_a_key_makes_no_keys_and_sees_none(site, create):
    made = await create()
    for headers in (bearer(made["key"]), {"X-API-Key": made["key"]}):
        answers = [
            await site.client.get("/api-keys", headers=headers),
            await site.client.post(
                "/api-keys", json={"name": "x", "scopes": ["orders:read"]}, headers=headers
            ),
            await site.client.delete(f"/api-keys/{made['id']}", headers=headers),
        ]
        assert {answer.status_code for answer in answers} == {401}


async def test_an_old_login_makes_no_keys(site, db, service, names, ana):
    issued = service.issuer.issue(str(ana.id), auth_time=1_000_000, epoch=0)
    headers = bearer(issued.token)
    body = {"name": "x", "scopes": ["orders:read"]}
    answer = await site.client.post("/api-keys", json=body, headers=headers)
    assert answer.status_code == 401
    assert 'error="insufficient_user_authentication"' in answer.headers["WWW-Authenticate"]
    assert (await site.client.get("/api-keys", headers=headers)).status_code == 200


async def test_a_login_that_was_ended_manages_nothing(site, db, service, names, ana, mine):
    async with db.transaction() as session:
        await service.end_everything(session, await session.get(names.User, ana.id))
    assert (await site.client.get("/api-keys", headers=mine)).status_code == 401


@pytest.mark.parametrize(
    "fields",
    [
        {"scopes": []},
        {"scopes": ["root"]},
        {"scopes": "orders:read"},
        {"scopes": ["x"] * 101},
        {"name": ""},
        {"name": "nul\0"},
        {"name": "\ud800"},
        {"name": 7},
        {"expires_in_days": 0},
        {"expires_in_days": 366},
        {"expires_in_days": 10**30},
        {"networks": ["everywhere"]},
        {"networks": ["10.0.0.0/8"] * 21},
        {"unknown": True},
    ],
)
async def test_hostile_wishes_are_a_422(site, mine, fields):
    body = json.dumps({"name": "report", "scopes": ["orders:read"]} | fields)
    headers = mine | {"Content-Type": "application/json"}
    answer = await site.client.post("/api-keys", content=body, headers=headers)
    assert answer.status_code == 422, answer.text


# leaks


async def test_a_leak_report_ends_the_key_and_tells_nobody_whether_it_was_one(site, create, events):
    made = await create()
    report = [{"token": made["key"], "type": "tj", "url": "https://x.example", "source": "commit"}]
    ours = await site.client.post("/api-keys/report-leak", json=report)
    again = await site.client.post("/api-keys/report-leak", json=report)
    unknown = await site.client.post("/api-keys/report-leak", json=[{"token": "x"}])
    assert {(a.status_code, a.content) for a in (ours, again, unknown)} == {(202, b"")}
    assert (await site.client.get("/read", headers=bearer(made["key"]))).status_code == 401
    assert "api_key_leaked" in [event.kind for event in events]


@pytest.mark.parametrize(
    "body",
    [[], {}, None, "x", [{"token": None}], [{}], [{"token": "x" * 513}], [{"token": "x"}] * 101],
)
async def test_a_report_that_is_none_is_a_422(site, body):
    answer = await site.client.post("/api-keys/report-leak", json=body)
    assert answer.status_code == 422


# routes that take keys


async def test_a_key_comes_as_bearer_or_in_its_own_header(site, create, ana):
    made = await create()
    for headers in (bearer(made["key"]), {"X-API-Key": made["key"]}, {"x-api-key": made["key"]}):
        for path in ("/read", "/alone", "/soft", "/anybody"):
            answer = await site.client.get(path, headers=headers)
            assert answer.json() == {"sub": str(ana.id)}, path


async def test_one_dependency_takes_keys_and_access_tokens(site, mine, create, service, ana):
    scoped = service.issuer.issue(str(ana.id), scopes=["orders:read"])
    assert (await site.client.get("/read", headers=bearer(scoped.token))).status_code == 200
    assert (await site.client.get("/read", headers=mine)).status_code == 403
    assert (await site.client.get("/anybody", headers=mine)).status_code == 200
    assert (await site.client.get("/alone", headers=mine)).status_code == 401


async def test_a_key_passes_scopes_and_neither_roles_nor_recent_logins(site, mine, create):
    made = await create()
    statuses = {}
    for path in ("/read", "/write", "/role", "/recent"):
        statuses[path] = (
            (await site.client.get(path, headers=bearer(made["key"]))).status_code,
            (await site.client.get(path, headers=mine)).status_code,
        )
    assert statuses == {
        "/read": (200, 403),
        "/write": (403, 403),
        "/role": (403, 200),
        "/recent": (401, 200),
    }
    refused = await site.client.get("/write", headers=bearer(made["key"]))
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]


async def test_two_credentials_are_a_400(site, mine, create):
    made = await create()
    twice = [("X-API-Key", made["key"]), ("X-API-Key", made["key"])]
    for headers in (mine | {"X-API-Key": made["key"]}, twice):
        answer = await site.client.get("/read", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": "tj_live_x"},
        {"X-API-Key": b"\xff\xfe"},
        {"X-API-Key": "x" * 5000},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer tj_live_"},
        {"Authorization": "Basic dGo6bGl2ZQ=="},
    ],
)
async def test_what_is_no_key_is_a_401_with_a_challenge(site, headers):
    for path in ("/read", "/alone", "/anybody"):
        answer = await site.client.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.json()["detail"] == "Authorization token is missing or invalid"
    assert (await site.client.get("/soft", headers=headers)).json() == {"sub": None}


async def test_an_access_token_in_the_header_for_keys_is_refused(site, mine):
    token = mine["Authorization"].removeprefix("Bearer ")
    assert (await site.client.get("/anybody", headers={"X-API-Key": token})).status_code == 401


# from where


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ("203.0.113.9", 200),
        ("2001:db8:7::1", 200),
        ("::ffff:203.0.113.9", 200),
        ("198.51.100.1", 401),
        ("203.0.113.9, 198.51.100.1", 401),
        ("not-an-address", 401),
        (None, 401),
    ],
)
async def test_a_key_is_good_from_its_networks_alone(site, create, forwarded, status):
    """The address is the one that trusted proxies tell, not one that a client writes."""
    made = await create(networks=["203.0.113.0/24", "2001:db8:7::/48"])
    headers = bearer(made["key"]) | ({"X-Forwarded-For": forwarded} if forwarded else {})
    answer = await site.client.get("/read", headers=headers)
    assert answer.status_code == status
    if status == 401:
        assert answer.json()["code"] == "INVALID_TOKEN"


async def test_whoever_is_no_proxy_of_ours_cannot_choose_their_address(site, create):
    made = await create(networks=["203.0.113.0/24"])
    transport = httpx.ASGITransport(app=site.app, client=("198.51.100.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as stranger:
        headers = bearer(made["key"]) | {"X-Forwarded-For": "203.0.113.9"}
        assert (await stranger.get("/read", headers=headers)).status_code == 401


async def test_without_an_address_a_key_with_networks_is_refused(site, create):
    made = await create(networks=["0.0.0.0/0", "::/0"])
    transport = httpx.ASGITransport(app=site.app, client=("/run/app.sock", 0))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as local:
        assert (await local.get("/read", headers=bearer(made["key"]))).status_code == 401


# elsewhere


async def test_openapi_tells_of_both_ways(site):
    document = site.app.openapi()
    assert document["components"]["securitySchemes"]["ApiKey"] == {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
    }
    assert document["paths"]["/read"]["get"]["security"] == [{"HTTPBearer": []}, {"ApiKey": []}]


async def test_a_database_that_is_gone_is_a_503_and_not_a_401(site, create):
    pytest.importorskip("asyncpg")
    made = await create()
    gone = AsyncDatabaseManager("postgresql+asyncpg://nobody@127.0.0.1:1/gone", environment="test")
    await gone.connect()
    with pytest.raises(ServiceUnavailableException):
        await ApiKeyAuthenticator(site.keys, gone).authenticate(made["key"])
    await gone.disconnect()


def test_the_dependency_refuses_scopes_that_are_one_text(names, db, model):
    keys = ApiKeyService(model, names.User, scopes={"a"})
    with pytest.raises(TypeError, match="list of names"):
        make_api_key_dependency(ApiKeyAuthenticator(keys, db), scopes="orders:read")


async def test_a_websocket_takes_a_key_in_its_handshake(site, create, ana):
    made = await create()
    with TestClient(site.app).websocket_connect("/ws", headers={"X-API-Key": made["key"]}) as ws:
        assert ws.receive_text() == str(ana.id)
