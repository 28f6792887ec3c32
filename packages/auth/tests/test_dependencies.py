"""Access: bearer, user, role, permission, scope, recent login, X-Token (A3, A18 to A21)."""

# No `from __future__ import annotations`: the routes name local dependencies.

import contextlib
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Response, WebSocket
from fastapi.security import HTTPBearer
from pydantic import SecretStr
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from tijolo.auth import (
    ROLE_HIERARCHY,
    CookieTransport,
    CrossSiteRequestException,
    InsufficientAuthenticationException,
    InsufficientScopeException,
    JWTUtils,
    MemoryRevocationStore,
    Principal,
    RoleHierarchy,
    RoleType,
    TokenAuthenticator,
    make_bearer_token_dependency,
    make_jwt_user_dependency,
    make_permission_dependency,
    make_recent_auth_dependency,
    make_role_dependency,
    make_scope_dependency,
    make_token_dependency,
    require_x_token,
)
from tijolo.core import UnauthorizedException, get_user_id
from tijolo.web import (
    CSRFMiddleware,
    make_csrf_token_dependency,
    register_exception_handlers,
)

SECRET = "um-segredo-bem-comprido-de-verdade-0123456789"


@pytest.fixture
def store(clock):
    return MemoryRevocationStore(clock=clock)


@pytest.fixture
def tokens(verifier, store):
    return TokenAuthenticator(verifier, revocation=store)


def served(dependency, **more):
    """An application with one route behind ``dependency``, and a client for it."""
    app = FastAPI()
    register_exception_handlers(app)

    @app.api_route("/x", methods=["GET", "POST"])
    async def read(found: Annotated[Any, Depends(dependency)]) -> Any:
        if isinstance(found, Principal):
            return {"subject": found.subject, "user_id": get_user_id()}
        return {"found": found}

    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="https://shop.example", **more)


def bearer(token):
    return {"Authorization": f"Bearer {token.token if hasattr(token, 'token') else token}"}


async def test_who_has_a_token_comes_in(tokens, issuer):
    async with served(make_bearer_token_dependency(tokens)) as client:
        answer = await client.get("/x", headers=bearer(issuer.issue("7")))
        assert answer.json() == {"subject": "7", "user_id": "7"}
        for scheme in ("bearer", "BEARER"):
            header = {"Authorization": f"{scheme} {issuer.issue('7').token}"}
            assert (await client.get("/x", headers=header)).status_code == 200


async def test_the_challenge_says_what_is_wrong(tokens, issuer, clock):
    """A21, RFC 6750 section 3: no error code without credentials, ``invalid_token`` with."""
    expired = issuer.issue("7", ttl_seconds=1)
    clock.pass_seconds(60)
    async with served(make_bearer_token_dependency(tokens)) as client:
        for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer "}):
            answer = await client.get("/x", headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        answer = await client.get("/x", headers=bearer("a.b.c"))
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert answer.json()["code"] == "INVALID_TOKEN"
        answer = await client.get("/x", headers=bearer(expired))
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert answer.json()["code"] == "TOKEN_EXPIRED"


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\r\nX-Evil: 1", "é", "\x00", "a\tb"])
def test_a_challenge_holds_nothing_that_would_end_it(text):
    """RFC 6750, section 3: what cannot be quoted is left out, and the rest stays one header."""
    for error in (
        InsufficientScopeException([text]),
        InsufficientAuthenticationException(max_age_seconds=5, acr_values=[text]),
    ):
        challenge = error.headers["WWW-Authenticate"]
        assert text not in challenge
        assert challenge.startswith("Bearer error=")
        assert challenge.isprintable()
        assert challenge.isascii()
        assert challenge.count('"') % 2 == 0


async def test_a_token_in_the_query_or_body_is_not_looked_at(tokens, issuer):
    token = issuer.issue("7").token
    async with served(make_bearer_token_dependency(tokens)) as client:
        assert (await client.get("/x", params={"access_token": token})).status_code == 401
        assert (await client.post("/x", data={"access_token": token})).status_code == 401


async def test_two_authorization_headers_are_a_bad_request(tokens, issuer):
    good = issuer.issue("7").token
    headers = [("Authorization", f"Bearer {good}"), ("Authorization", "Bearer x")]
    async with served(make_bearer_token_dependency(tokens)) as client:
        answer = await client.get("/x", headers=headers)
        assert answer.status_code == 400
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_request"'


async def test_no_answer_repeats_the_token(tokens):
    async with served(make_bearer_token_dependency(tokens, error_message="não")) as client:
        answer = await client.get("/x", headers=bearer("geheim.geheim.geheim"))
        assert "geheim" not in answer.text + str(answer.headers)
        assert answer.json()["detail"] == "não"


async def test_a_revoked_token_is_out_though_it_was_remembered(tokens, issuer, store):
    token = issuer.issue("7")
    async with served(make_bearer_token_dependency(tokens)) as client:
        assert (await client.get("/x", headers=bearer(token))).status_code == 200
        await store.revoke_token(token.token_id, expires_at=token.expires_at.timestamp())
        answer = await client.get("/x", headers=bearer(token))
        assert (answer.status_code, answer.json()["code"]) == (401, "TOKEN_REVOKED")


async def test_soft_dependencies_give_none_to_strangers(tokens, issuer):
    async def load(principal):
        return {"7": "Ana"}.get(principal.subject)

    soft = (
        make_bearer_token_dependency(tokens, soft=True),
        make_jwt_user_dependency(tokens, load, soft=True),
    )
    for dependency in soft:
        async with served(dependency) as client:
            for headers in ({}, bearer("a.b.c")):
                answer = await client.get("/x", headers=headers)
                assert (answer.status_code, answer.json()) == (200, {"found": None})
            assert (await client.get("/x", headers=bearer(issuer.issue("7")))).json() != {
                "found": None
            }


async def test_nobody_behind_the_token_is_a_401(tokens, issuer):
    """A19: the handler ran with ``user=None``."""

    async def load(principal):
        return {"7": "Ana"}.get(principal.subject)

    async with served(make_jwt_user_dependency(tokens, load)) as client:
        assert (await client.get("/x", headers=bearer(issuer.issue("7")))).json() == {
            "found": "Ana"
        }
        answer = await client.get("/x", headers=bearer(issuer.issue("8")))
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_the_dependencies_take_jwt_utils_as_the_contract_has_them(clock):
    utils = JWTUtils(SECRET, clock=clock)
    claims = {"sub": "7", "roles": ["admin"], "permissions": ["a"], "tags": [{"x": 1}]}
    token = utils.encode(claims)

    async def load(subject):
        return f"user {subject}"

    async with served(make_bearer_token_dependency(utils)) as client:
        found = (await client.get("/x", headers=bearer(token))).json()["found"]
        assert found.items() >= claims.items()
    async with served(make_jwt_user_dependency(utils, load)) as client:
        assert (await client.get("/x", headers=bearer(token))).json() == {"found": "user 7"}
        nobody = utils.encode({"email": "x"})
        assert (await client.get("/x", headers=bearer(nobody))).status_code == 401
    async with served(make_jwt_user_dependency(utils, load, subject_claim="email")) as client:
        mail = utils.encode({"email": "ana"})
        assert (await client.get("/x", headers=bearer(mail))).json() == {"found": "user ana"}
    for dependency, status in (
        (make_role_dependency(utils, ["admin"]), 200),
        (make_role_dependency(utils, ["owner"]), 403),
        (make_permission_dependency(utils, ["a"]), 200),
        (make_permission_dependency(utils, ["b"], permissions_claim="tags"), 403),
    ):
        async with served(dependency) as client:
            assert (await client.get("/x", headers=bearer(token))).status_code == status


@pytest.mark.parametrize(
    ("held", "required", "require_all", "hierarchy", "status"),
    [
        (["admin"], ["admin"], False, None, 200),
        (["admin"], ["admin", "owner"], False, None, 200),
        (["admin"], ["admin", "owner"], True, None, 403),
        (["admin", "owner"], ["admin", "owner"], True, None, 200),
        (["admin"], ["reader"], False, None, 403),
        (["admin"], ["reader"], False, ROLE_HIERARCHY, 200),
        (["reader"], ["admin"], False, ROLE_HIERARCHY, 403),
        (["superadmin"], ["user", "writer"], True, ROLE_HIERARCHY, 200),
        (["ADMIN"], ["admin"], False, ROLE_HIERARCHY, 403),
        ([], ["user"], False, ROLE_HIERARCHY, 403),
        (["unknown"], ["user"], False, ROLE_HIERARCHY, 403),
    ],
)
async def test_roles(tokens, issuer, held, required, require_all, hierarchy, status):
    dependency = make_role_dependency(
        tokens, required, require_all=require_all, hierarchy=hierarchy
    )
    async with served(dependency) as client:
        answer = await client.get("/x", headers=bearer(issuer.issue("7", roles=held)))
        assert answer.status_code == status
        if status == 403:
            assert answer.json()["code"] == "INSUFFICIENT_ROLE"
        assert (await client.get("/x")).status_code == 401


def test_the_ladder_of_roles():
    assert ROLE_HIERARCHY.implied(["writer"]) == {"writer", "reader", "user"}
    assert ROLE_HIERARCHY.satisfying(RoleType.ADMIN) == {"admin", "superadmin"}
    for higher, lower in zip(RoleType, list(RoleType)[1:], strict=False):
        assert lower in ROLE_HIERARCHY.implied([higher])
        assert higher not in ROLE_HIERARCHY.implied([lower])


def test_a_hierarchy_of_ones_own():
    own = RoleHierarchy({"owner": ["editor", "billing"], "editor": ["viewer"]})
    assert own.implied(["owner"]) == {"owner", "editor", "billing", "viewer"}
    assert own.satisfying("viewer") == {"owner", "editor", "viewer"}
    with pytest.raises(ValueError, match="include itself"):
        RoleHierarchy({"a": ["b"], "b": ["a"]})
    with pytest.raises(ValueError, match="needs roles"):
        RoleHierarchy({})
    with pytest.raises(ValueError, match="'x' is not among"):
        own.satisfying("x")
    with pytest.raises(ValueError, match="twice"):
        RoleHierarchy.from_order("a", "a")
    assert RoleHierarchy.from_order("only").implied(["only"]) == {"only"}


def test_an_empty_requirement_is_an_error(tokens):
    """A20: it authorised everyone."""
    for make in (make_role_dependency, make_permission_dependency, make_scope_dependency):
        for nothing in ([], set(), ()):
            with pytest.raises(ValueError, match="everybody with a token would pass"):
                make(tokens, nothing)
        with pytest.raises(TypeError, match="list of names"):
            make(tokens, "admin")
        with pytest.raises(ValueError, match="empty name"):
            make(tokens, ["a", ""])
    with pytest.raises(ValueError, match="nothing would be checked"):
        make_recent_auth_dependency(tokens)
    with pytest.raises(ValueError, match="0 or more"):
        make_recent_auth_dependency(tokens, max_age_seconds=-1)
    with pytest.raises(ValueError, match="'amin' is not among"):
        make_role_dependency(tokens, ["amin"], hierarchy=ROLE_HIERARCHY)


async def test_permissions(tokens, issuer):
    some = bearer(issuer.issue("7", permissions=["a", "b"]))
    for required, require_all, status in (
        (["a"], True, 200),
        (["a", "b"], True, 200),
        (["a", "c"], True, 403),
        (["a", "c"], False, 200),
        (["c"], False, 403),
    ):
        dependency = make_permission_dependency(tokens, required, require_all=require_all)
        async with served(dependency) as client:
            assert (await client.get("/x", headers=some)).status_code == status


async def test_a_missing_scope_is_named(tokens, issuer):
    """RFC 6750, section 3.1: 403 ``insufficient_scope``, with the scope that would do."""
    async with served(make_scope_dependency(tokens, ["orders", "admin"])) as client:
        answer = await client.get("/x", headers=bearer(issuer.issue("7", scopes=["orders"])))
        assert answer.status_code == 403
        assert answer.headers["www-authenticate"] == (
            'Bearer error="insufficient_scope", scope="admin orders"'
        )
        good = issuer.issue("7", scopes=["orders", "admin", "more"])
        assert (await client.get("/x", headers=bearer(good))).status_code == 200


async def test_step_up_asks_for_a_recent_login(tokens, issuer, clock):
    """RFC 9470, section 3; it counts from the login, not from the last refresh."""
    dependency = make_recent_auth_dependency(tokens, max_age_seconds=300, clock=clock)
    async with served(dependency) as client:
        login = clock()
        assert (await client.get("/x", headers=bearer(issuer.issue("7")))).status_code == 200
        clock.pass_seconds(301)
        refreshed = issuer.issue("7", auth_time=login)
        answer = await client.get("/x", headers=bearer(refreshed))
        assert answer.status_code == 401
        challenge = answer.headers["www-authenticate"]
        assert 'error="insufficient_user_authentication"' in challenge
        assert 'max_age="300"' in challenge
        assert answer.json()["details"] == {"max_age_seconds": 300}


async def test_step_up_asks_for_a_method_or_a_level(tokens, issuer):
    strong = make_recent_auth_dependency(tokens, amr={"otp", "hwk"}, acr_values=["aal2", "aal3"])
    async with served(strong) as client:
        for options, status in (
            ({"amr": ["pwd", "otp"], "acr": "aal2"}, 200),
            ({"amr": ["pwd"], "acr": "aal2"}, 401),
            ({"amr": ["hwk"], "acr": "aal1"}, 401),
            ({"amr": ["hwk"]}, 401),
        ):
            answer = await client.get("/x", headers=bearer(issuer.issue("7", **options)))
            assert answer.status_code == status
        assert 'acr_values="aal2 aal3"' in answer.headers["www-authenticate"]


async def test_one_request_verifies_its_token_once(verifier, issuer):
    asked = []

    class Counting(TokenAuthenticator):
        async def authenticate(self, token):
            asked.append(token)
            return await super().authenticate(token)

    tokens = Counting(verifier)
    app = FastAPI()
    roles = make_role_dependency(tokens, ["admin"])
    scope = make_scope_dependency(tokens, ["a"])
    user = make_bearer_token_dependency(tokens)

    @app.get("/x", dependencies=[Depends(roles), Depends(scope)])
    async def read(principal: Annotated[Principal, Depends(user)]) -> str:
        return principal.subject

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as client:
        token = issuer.issue("7", roles=["admin"], scopes=["a"])
        assert (await client.get("/x", headers=bearer(token))).json() == "7"
    assert len(asked) == 1


def test_openapi_describes_the_scheme(tokens):
    app = FastAPI()
    own = HTTPBearer(scheme_name="Staff", bearerFormat="JWT")
    app.get("/a", dependencies=[Depends(make_bearer_token_dependency(tokens))])(lambda: 1)
    staff = make_bearer_token_dependency(tokens, bearer_scheme=own)
    app.get("/b", dependencies=[Depends(staff)])(lambda: 1)
    app.get("/c", dependencies=[Depends(make_token_dependency(SECRET))])(lambda: 1)
    document = app.openapi()
    schemes = document["components"]["securitySchemes"]
    assert schemes["HTTPBearer"] == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    assert document["paths"]["/b"]["get"]["security"] == [{"Staff": []}]
    assert schemes["X-Token"] == {"type": "apiKey", "in": "header", "name": "X-Token"}


def test_a_websocket_is_guarded_by_the_same_dependency(tokens, issuer):
    app = FastAPI()
    user = make_bearer_token_dependency(tokens)

    @app.websocket("/ws")
    async def talk(socket: WebSocket, principal: Annotated[Principal, Depends(user)]) -> None:
        await socket.accept()
        await socket.send_text(principal.subject)

    client = TestClient(app)
    with client.websocket_connect("/ws", headers=bearer(issuer.issue("7"))) as socket:
        assert socket.receive_text() == "7"
    refused = pytest.raises((WebSocketDisconnect, UnauthorizedException))
    with refused, client.websocket_connect("/ws"):
        pass


async def test_a_shared_secret_that_is_empty_lets_nobody_in(caplog):
    """A18: an empty secret switched the guard off."""
    for secret in ("", SecretStr("")):
        async with served(make_token_dependency(secret)) as client:
            for headers in ({}, {"X-Token": ""}, {"X-Token": "x"}):
                assert (await client.get("/x", headers=headers)).status_code == 401
        with pytest.raises(UnauthorizedException):
            await require_x_token(secret, "")
    assert "every request is refused" in caplog.text


async def test_a_shared_secret_is_compared_as_bytes():
    """A18: a header outside ASCII ended in a TypeError."""
    for secret in ("s3nha", "senha-é-ção"):
        async with served(make_token_dependency(secret)) as client:
            good = {"X-Token": secret.encode()}
            answer = await client.get("/x", headers=good)
            assert answer.status_code == 200
            for bad in (secret[:-1].encode(), secret.encode() + b"x", "ñ".encode(), b"\xff\xfe"):
                answer = await client.get("/x", headers={"X-Token": bad})
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == "X-Token"
            twice = [("X-Token", secret.encode()), ("X-Token", secret.encode())]
            assert (await client.get("/x", headers=twice)).status_code == 401
        await require_x_token(secret, secret)
        await require_x_token(secret, secret.encode().decode("latin-1"))
        for bad in ("", None, "x", "€", secret + "\x00"):
            with pytest.raises(UnauthorizedException):
                await require_x_token(secret, bad)
    with pytest.raises(UnauthorizedException):
        await require_x_token("ab?d", "ab€d")


async def test_another_header_and_message():
    guard = make_token_dependency(SecretStr("x"), header_name="X-Job", error_message="no")
    async with served(guard) as client:
        assert (await client.get("/x", headers={"X-Job": "x"})).status_code == 200
        answer = await client.get("/x", headers={"X-Token": "x"})
        assert answer.json()["detail"] == "no"


@pytest.mark.parametrize(
    "origin",
    [
        b"http://[",
        b"https://[::1",
        b"null",
        b"",
        b"//shop.example",
        b"shop.example",
        b"https://shop.example@evil.example",
        b"https://shop.example/",
        b"https://shop.example:444",
        b"ftp://shop.example",
        b"https://SHOP.example.evil",
        b"\xff\xfe",
        "https://shop.example․evil".encode(),
    ],
)
async def test_an_origin_that_is_none_of_ours_is_refused_whatever_it_is(tokens, issuer, origin):
    cookie = CookieTransport()
    held = {cookie.name: issuer.issue("7").token}
    async with served(make_bearer_token_dependency(tokens, cookie=cookie), cookies=held) as client:
        for host in (b"shop.example", b""):
            answer = await client.post("/x", headers=[(b"origin", origin), (b"host", host)])
            assert (answer.status_code, answer.json()["code"]) == (403, "CROSS_SITE_REQUEST")


@pytest.mark.parametrize(
    "options",
    [
        {"path": "/app"},
        {"domain": "shop.example"},
        {"secure": False},
        {"name": "a b"},
        {"name": "token", "secure": False, "samesite": "none"},
        {"trusted_origins": frozenset({"https://app.example/"})},
        {"trusted_origins": frozenset({"app.example"})},
        {"trusted_origins": frozenset({"null"})},
        {"trusted_origins": frozenset({"*"})},
    ],
)
def test_a_cookie_that_would_not_work_is_refused_at_the_start(options):
    """Not at the first login: a browser drops it without a word."""
    with pytest.raises(ValueError, match=r"."):
        CookieTransport(**options)


def test_one_origin_as_text_is_not_a_set_of_its_letters():
    """``"https://app.ex" in "https://app.example"``: parts of the name would be trusted."""
    with pytest.raises(TypeError, match="set of origins"):
        CookieTransport(trusted_origins="https://app.example")


async def test_a_user_can_be_returned_from_a_route(tokens, issuer):
    app = FastAPI()
    dependency = make_bearer_token_dependency(tokens)

    @app.get("/me")
    async def me(user: Annotated[Principal, Depends(dependency)]) -> Principal:
        return user

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as client:
        answer = await client.get("/me", headers=bearer(issuer.issue("7", extra={"a": [{}]})))
        assert (answer.status_code, answer.json()["subject"]) == (200, "7")


async def test_a_store_that_fails_is_a_503_without_a_guard_too(verifier, issuer):
    class Broken:
        async def is_revoked(self, principal, token):
            raise OSError("redis://:geheim@host is down")

    tokens = TokenAuthenticator(verifier, revocation=Broken())
    async with served(make_bearer_token_dependency(tokens)) as client:
        answer = await client.get("/x", headers=bearer(issuer.issue("7")))
        assert (answer.status_code, answer.json()["code"]) == (503, "REVOCATION_CHECK_UNAVAILABLE")
        assert answer.headers["retry-after"] == "1"
        assert "geheim" not in answer.text


async def test_a_cookie_delivers_the_token_to_our_own_pages_only(tokens, issuer):
    cookie = CookieTransport(trusted_origins=frozenset({"https://app.example"}))
    token = issuer.issue("7")
    response = Response()
    cookie.set(response, token)
    header = response.headers["set-cookie"]
    assert header.startswith(f"__Host-access_token={token.token};")
    for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Path=/", "Max-Age=900"):
        assert attribute.lower() in header.lower()
    cookie.clear(response)
    guard = make_bearer_token_dependency(tokens, cookie=cookie)
    async with served(guard, cookies={cookie.name: token.token}) as client:
        assert (await client.get("/x")).status_code == 200
        for headers, status in (
            ({}, 200),
            ({"Sec-Fetch-Site": "same-origin"}, 200),
            ({"Sec-Fetch-Site": "none"}, 200),
            ({"Sec-Fetch-Site": "same-site"}, 403),
            ({"Sec-Fetch-Site": "cross-site"}, 403),
            ({"Sec-Fetch-Site": "cross-site", "Origin": "https://app.example"}, 200),
            ({"Origin": "https://shop.example"}, 200),
            ({"Origin": "https://evil.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"Referer": "https://shop.example/x"}, 200),
            ({"Referer": "https://evil.example/x"}, 403),
            ({"Referer": "https://evil+x.example/"}, 403),  # a browser, and of no known page
        ):
            assert (await client.post("/x", headers=headers)).status_code == status, headers
        headers = {**bearer("a.b.c"), "Sec-Fetch-Site": "same-origin"}
        assert (await client.post("/x", headers=headers)).status_code == 401
    # a cookie is only looked at where one is named
    plain = make_bearer_token_dependency(tokens)
    async with served(plain, cookies={cookie.name: token.token}) as client:
        assert (await client.get("/x")).status_code == 401


async def test_a_cookie_and_the_csrf_middleware_judge_as_one(tokens, issuer):
    """What the middleware confirmed by a token is good; what it left out is judged all the same."""
    cookie = CookieTransport(trusted_origins=frozenset({"https://App.example:443"}))
    app = FastAPI()
    guard = make_bearer_token_dependency(tokens, cookie=cookie)
    for path in ("/x", "/left-out"):
        app.post(path, dependencies=[Depends(guard)])(lambda: "in")
    app.get("/token")(make_csrf_token_dependency())
    app.add_middleware(CSRFMiddleware, secret="s" * 40, exclude_paths=["/left-out"])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as client:
        client.cookies.set(cookie.name, issuer.issue("7").token)
        shown = {"X-CSRF-Token": (await client.get("/token")).json()}
        for path, headers, status in (
            ("/x", {"Origin": "null", **shown}, 200),  # a page with Referrer-Policy: no-referrer
            ("/x", {"Origin": "null"}, 403),
            ("/left-out", {"Origin": "null", **shown}, 403),
            ("/left-out", {"Sec-Fetch-Site": "cross-site"}, 403),
            ("/left-out", {"Referer": "https://evil.example/x"}, 403),
            ("/left-out", {"Referer": "https://shop.example/x"}, 200),
            ("/left-out", {"Origin": "https://app.example"}, 200),
            ("/left-out", {"Origin": "http://shop.example"}, 403),
        ):
            assert (await client.post(path, headers=headers)).status_code == status, headers


@pytest.mark.parametrize(
    ("origin", "passes"),
    [("https://shop.example", True), ("https://evil.example", False), ("null", False)],
)
def test_a_websocket_is_judged_by_the_page_that_opens_it(origin, passes):
    scope = {
        "type": "websocket",
        "scheme": "wss",
        "headers": [
            (b"host", b"shop.example"),
            (b"origin", origin.encode()),
            (b"cookie", b"__Host-access_token=t"),
        ],
    }
    with contextlib.nullcontext() if passes else pytest.raises(CrossSiteRequestException):
        assert CookieTransport().read(HTTPConnection(scope)) == "t"
