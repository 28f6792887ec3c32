import json
import re
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from starlette.requests import Request as StarletteRequest
from starlette.types import Receive, Scope, Send

from tijolo.core import BaseAppSettings, Environment, UnfitSecretError
from tijolo.core.testing import assert_settings_read
from tijolo.web import (
    CSRF_COOKIE_NAME,
    CSRF_HEADER_NAME,
    CSRFMiddleware,
    CSRFSettings,
    IdempotencySettings,
    create_app,
    csrf_protects,
    csrf_token,
    generate_csrf_token,
    make_csrf_token_dependency,
)
from tijolo.web._csrf_form import form_field
from tijolo.web.csrf_tokens import CSRFTokens

SECRET = "0123456789abcdefghijklmnopqrstuvwxyz"
HOST = "shop.example"


class WithSession:
    """What a session layer does: it leaves the id of the session where the hook looks."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            session = dict(scope["headers"]).get(b"x-test-session")
            scope.setdefault("state", {})
            if session:
                scope["state"]["session_id"] = session.decode()
        await self.app(scope, receive, send)


def build(**options: Any) -> FastAPI:
    app = FastAPI()
    app.state.ran = 0

    @app.get("/plain")
    async def plain() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/form")
    async def form(token: Annotated[str, Depends(make_csrf_token_dependency())]) -> dict[str, str]:
        return {"token": token}

    async def write(request: Request) -> dict[str, Any]:
        app.state.ran += 1
        return {"body": (await request.body()).decode("latin-1")}

    app.add_api_route("/write", write, methods=["POST", "PUT", "PATCH", "DELETE", "GET"])
    app.add_api_route("/{rest:path}", write, methods=["POST"])
    app.add_middleware(CSRFMiddleware, **{"secret": SECRET, **options})
    app.add_middleware(WithSession)
    return app


def client(app: FastAPI, scheme: str = "https") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url=f"{scheme}://{HOST}")


async def post(app: FastAPI, headers: Any = None, *, url: str = "/write", **kwargs: Any) -> int:
    async with client(app, kwargs.pop("scheme", "https")) as http:
        return (await http.post(url, headers=headers, **kwargs)).status_code


async def token_of(app: FastAPI, **headers: str) -> tuple[str, str]:
    """The page's token and the cookie that came with it."""
    async with client(app) as http:
        answer = await http.get("/form", headers=headers)
    cookie = re.match(rf"{CSRF_COOKIE_NAME}=([^;]+)", answer.headers.get("set-cookie", ""))
    return answer.json()["token"], cookie[1] if cookie else ""


def carrying(token: str, cookie: str, **more: str) -> dict[str, str]:
    return {CSRF_HEADER_NAME: token, "Cookie": f"{CSRF_COOKIE_NAME}={cookie}", **more}


# --- browsers that say where a request comes from


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://app.shop.example"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://app.shop.example"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": f"https://{HOST}"}, 403),
        ({"Sec-Fetch-Site": "mars", "Origin": "https://evil.example"}, 403),
        ({"Origin": f"https://{HOST}"}, 200),
        ({"Origin": f"https://{HOST}:443"}, 200),
        ({"Origin": f"https://{HOST.upper()}"}, 200),
        ({"Origin": f"http://{HOST}"}, 403),
        ({"Origin": f"https://{HOST}:8443"}, 403),
        ({"Origin": f"https://{HOST}.evil.example"}, 403),
        ({"Origin": "https://app.shop.example"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://evil.example", "Referer": f"https://{HOST}/x"}, 403),
        ({"Origin": "null"}, 403),
        ({"Referer": f"https://{HOST}/form?a=b"}, 200),
        ({"Referer": "https://evil.example/?https://shop.example"}, 403),
        ({"Referer": f"https://{HOST}@evil.example/"}, 403),
        ({"Referer": f"https://{HOST}\\.evil.example/"}, 403),
        ({"Referer": "about:blank"}, 403),
        ({}, 403),
    ],
)
async def test_who_may_write_by_what_the_browser_says(headers, status):
    app = build(trusted_origins=["https://app.shop.example"])
    assert await post(app, {**headers, "Cookie": "session=1"}) == status
    assert app.state.ran == (status == 200)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "post"])
async def test_every_method_that_writes_is_protected(method):
    async with client(build()) as http:
        answer = await http.request(method, "/write", headers={"Origin": "https://evil.example"})
        assert answer.status_code in (403, 405)


async def test_a_get_is_not():
    async with client(build()) as http:
        answer = await http.get("/write", headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 200


async def test_the_refusal_is_a_problem_document():
    async with client(build()) as http:
        answer = await http.post("/write", headers={"Origin": "https://evil.example"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "CSRF_VALIDATION_FAILED"


@pytest.mark.parametrize(
    "origin", ["null", "*", "https://a.example/", "https://u:p@a.example", "a", ""]
)
def test_a_trusted_origin_that_is_none_is_refused_when_built(origin):
    with pytest.raises(ValueError, match="is not an origin") as refused:
        CSRFMiddleware(FastAPI(), secret=SECRET, trusted_origins=[origin])
    assert "u:p" not in str(refused.value)


# --- requests that prove themselves


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer abc"}, 200),
        ({"Authorization": "Bearer abc", "Sec-Fetch-Site": "cross-site"}, 200),
        ({"Authorization": "DPoP abc"}, 200),
        ({"Authorization": "Basic abc"}, 403),
        ({"Authorization": "NEGOTIATE abc"}, 403),
        ({"Authorization": ""}, 403),
        ({"Authorization": "Bearer abc", "Cookie": "session=1"}, 403),
        ({"X-Hub-Signature-256": "sha256=00"}, 200),
        ({"X-Hub-Signature-256": "sha256=00", "Cookie": "session=1"}, 403),
        ({"X-Requested-With": "x"}, 403),
    ],
)
async def test_bearer_and_signed_requests_pass_without_cookies(headers, status):
    assert await post(build(), headers) == status


# --- tokens


async def test_a_token_in_the_header_passes():
    app = build()
    token, cookie = await token_of(app)
    assert await post(app, carrying(token, cookie)) == 200


async def test_the_cookie_is_host_bound_secure_httponly_and_only_for_who_asks():
    app = build()
    async with client(app) as http:
        assert "set-cookie" not in (await http.get("/plain")).headers
        answer = await http.get("/form")
        assert re.fullmatch(
            r"__Host-csrf=[\w-]{43}; Path=/; HttpOnly; SameSite=Lax; Secure",
            answer.headers["set-cookie"],
        )
        assert answer.headers["cache-control"] == "no-store"
        assert "Cookie" in answer.headers["vary"]
        again = await http.get("/form")
        assert "set-cookie" not in again.headers
        assert again.json()["token"] != answer.json()["token"]


@pytest.mark.parametrize("given", ["public, max-age=600", "private, no-cache", "no-store"])
async def test_a_page_with_a_token_is_kept_nowhere_whatever_it_says_itself(given):
    app = build()

    @app.get("/public")
    async def public(request: Request, response: Response) -> str:
        response.headers["Cache-Control"] = given
        return csrf_token(request)

    async with client(app) as http:
        answer = await http.get("/public")
    assert answer.headers.get_list("cache-control") == ["no-store"]


async def test_a_token_of_another_cookie_or_another_session_is_worth_nothing():
    app = build()
    token, cookie = await token_of(app, **{"X-Test-Session": "alice"})
    mine, my_cookie = await token_of(app, **{"X-Test-Session": "mallory"})
    alice = {"X-Test-Session": "alice"}
    assert await post(app, carrying(token, cookie, **alice)) == 200
    assert await post(app, carrying(token, my_cookie, **alice)) == 403
    assert await post(app, carrying(token, cookie)) == 403
    # the attacker plants his own pair: cookie and token fit each other, the session does not
    assert await post(app, carrying(mine, my_cookie, **alice)) == 403


async def test_a_login_is_protected_and_its_token_ends_with_the_login():
    app = build()
    token, cookie = await token_of(app)
    assert await post(app, {"Cookie": f"{CSRF_COOKIE_NAME}={cookie}"}, url="/login") == 403
    assert await post(app, carrying(token, cookie), url="/login") == 200
    assert await post(app, carrying(token, cookie, **{"X-Test-Session": "alice"})) == 403


async def test_a_naive_double_submit_is_refused():
    planted = generate_csrf_token()
    assert await post(build(), carrying(planted, planted)) == 403


async def test_a_token_does_not_help_another_site():
    app = build()
    token, cookie = await token_of(app)
    for evil in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert await post(app, carrying(token, cookie, **evil)) == 403


async def test_two_cookies_of_the_name_are_refused():
    app = build()
    token, cookie = await token_of(app)
    twice = f"{CSRF_COOKIE_NAME}={cookie}; {CSRF_COOKIE_NAME}=planted"
    assert await post(app, {CSRF_HEADER_NAME: token, "Cookie": twice}) == 403
    lines = [("Cookie", "a=b"), ("Cookie", f"{CSRF_COOKIE_NAME}={cookie}")]
    assert await post(app, [(CSRF_HEADER_NAME, token), *lines]) == 200


async def test_secrets_can_be_changed_while_pages_are_open():
    token, cookie = await token_of(build())
    assert await post(build(secret=["n" * 32, SECRET]), carrying(token, cookie)) == 200
    assert await post(build(secret=["n" * 32]), carrying(token, cookie)) == 403


@pytest.mark.parametrize(
    "token",
    ["", "é" * 64, "ÿ" * 64, "A" * 63, "A" * 64, "A" * 65, "A" * 100_000, "=" * 64, "\x0b" * 64],
)
async def test_a_hostile_token_or_cookie_is_a_403_and_not_a_500(token):
    app = build()
    good, cookie = await token_of(app)
    raw = token.encode("latin-1")
    name = CSRF_COOKIE_NAME.encode()
    for headers in (
        [(CSRF_HEADER_NAME.encode(), raw), (b"Cookie", name + b"=" + cookie.encode())],
        [(CSRF_HEADER_NAME.encode(), good.encode()), (b"Cookie", name + b"=" + raw)],
    ):
        assert await post(app, headers) == 403


@given(st.binary(max_size=80), st.text(max_size=20), st.text(max_size=20))
def test_nothing_but_the_token_holds(token, session, other):
    tokens = CSRFTokens(SECRET)
    assert not tokens.holds(token, session=session, cookie="c")
    made = tokens.make(session=session, cookie="c").encode()
    assert tokens.holds(made, session=session, cookie="c")
    assert not tokens.holds(made, session=None, cookie="c")
    assert tokens.holds(made, session=other, cookie="c") == (session == other)


def test_session_and_cookie_cannot_trade_characters():
    tokens = CSRFTokens(SECRET)
    made = tokens.make(session="ab", cookie="c").encode()
    assert not tokens.holds(made, session="a", cookie="bc")
    assert not tokens.holds(tokens.make(session="-", cookie="c").encode(), session=None, cookie="c")


@pytest.mark.parametrize(
    "secret", ["", "short", "x" * 31, " " * 40, [], SecretStr(""), [SECRET, "x"]]
)
def test_a_weak_secret_is_refused_when_built(secret):
    with pytest.raises(ValueError, match="secret"):
        CSRFMiddleware(FastAPI(), secret=secret)


def test_generate_csrf_token_has_a_floor():
    assert len(generate_csrf_token()) == 43
    with pytest.raises(ValueError, match="16 or more"):
        generate_csrf_token(15)


def test_an_insecure_cookie_has_no_prefix_and_other_options_are_checked():
    assert CSRFMiddleware(FastAPI(), secret=SECRET, secure=False).cookie_name == "csrf"
    for options in (
        {"secure": False, "cookie_name": "__Host-csrf"},
        {"exclude_paths": ["hooks"]},
        {"max_form_bytes": -1},
    ):
        with pytest.raises(ValueError, match=r"must|needs"):
            CSRFMiddleware(FastAPI(), secret=SECRET, **options)


def test_a_token_without_the_middleware_says_what_is_missing():
    with pytest.raises(RuntimeError, match="CSRFMiddleware"):
        csrf_token(StarletteRequest({"type": "http", "headers": []}))


async def test_a_dependency_that_expects_another_cookie_says_so():
    app = build()
    wanted = Depends(make_csrf_token_dependency(cookie_name="csrf_token"))
    app.router.routes.clear()
    app.add_api_route("/", lambda: {"ok": True}, dependencies=[wanted])
    async with client(app) as http:
        with pytest.raises(RuntimeError, match="__Host-csrf"):
            await http.get("/")


# --- forms

MULTIPART = "multipart/form-data; boundary=xYzZY"


def multipart(*fields: tuple[str, str], filename: str = "") -> bytes:
    parts = []
    for name, value in fields:
        file = f'; filename="{filename}"' if filename else ""
        head = f'--xYzZY\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        parts.append(f"{head}{value}\r\n")
    return ("".join(parts) + "--xYzZY--\r\n").encode("latin-1")


async def form_post(app: FastAPI, body: Any, kind: str, cookie: str) -> httpx.Response:
    headers = {"Cookie": f"{CSRF_COOKIE_NAME}={cookie}", "Content-Type": kind}
    async with client(app) as http:
        return await http.post("/write", content=body, headers=headers)


async def test_the_token_in_a_form_passes_and_the_body_arrives_untouched():
    app = build()
    token, cookie = await token_of(app)
    urlencoded = "application/x-www-form-urlencoded"
    for kind, body in (
        (urlencoded, f"a=b+c&csrf_token={token}&d=%00".encode()),
        (f"{urlencoded}; charset=utf-8", f"csrf_token={token}".encode()),
        (MULTIPART, multipart(("a", "b"), ("csrf_token", token), ("c", "x" * 1000))),
        ('Multipart/Form-Data; boundary="xYzZY"', multipart(("csrf_token", token))),
    ):
        answer = await form_post(app, body, kind, cookie)
        assert answer.status_code == 200, body
        assert answer.json()["body"] == body.decode("latin-1")


@pytest.mark.parametrize("size", [1, 7, 64])
async def test_a_form_in_small_pieces_arrives_untouched(size):
    app = build()
    token, cookie = await token_of(app)
    for kind, body in (
        ("application/x-www-form-urlencoded", f"a=1&csrf_token={token}&b=2".encode()),
        (MULTIPART, multipart(("a", "1"), ("csrf_token", token), ("b", "2"))),
    ):

        async def pieces(body: bytes = body):
            for start in range(0, len(body), size):
                yield body[start : start + size]

        answer = await form_post(app, pieces(), kind, cookie)
        assert answer.status_code == 200
        assert answer.json()["body"] == body.decode("latin-1")


async def test_only_the_head_of_a_form_is_kept(exchange):
    app = build(max_form_bytes=200)
    token, cookie = await token_of(app)
    headers = {
        "host": HOST,
        "cookie": f"{CSRF_COOKIE_NAME}={cookie}",
        "content-type": "application/x-www-form-urlencoded",
    }
    late = [b"a=" + b"x" * 200, f"&csrf_token={token}".encode()]
    early = [f"csrf_token={token}&a=".encode(), *[b"x" * 1000] * 50]
    scope = {"method": "POST", "headers": headers, "scheme": "https"}
    assert (await exchange(app, "/write", body=late, **scope)).status == 403
    answer = await exchange(app, "/write", body=early, **scope)
    assert answer.status == 200
    assert json.loads(answer.body)["body"].encode() == b"".join(early)


def test_a_field_that_may_go_on_is_not_read():
    kind, head = b"application/x-www-form-urlencoded", b"a=1&csrf_token=abc"
    assert form_field(kind, head, b"csrf_token", complete=True) == b"abc"
    assert form_field(kind, head, b"csrf_token", complete=False) is None


async def test_a_token_that_is_cut_by_the_limit_is_none():
    app = build(max_form_bytes=30)
    token, cookie = await token_of(app)
    body = f"csrf_token={token}&a={'x' * 100}"
    urlencoded = "application/x-www-form-urlencoded"
    assert (await form_post(app, body, urlencoded, cookie)).status_code in (200, 403)

    async def pieces():
        yield f"csrf_token={token[:40]}".encode()
        yield token[40:].encode()

    assert (await form_post(app, pieces(), urlencoded, cookie)).status_code == 403


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b"csrf_token={token}"),
        ("application/json", b'{{"csrf_token": "{token}"}}'),
        ("application/x-www-form-urlencoded", b"xcsrf_token={token}"),
        ("application/x-www-form-urlencoded", b"%63srf_token={token}"),
        ("application/x-www-form-urlencoded", b""),
        ("multipart/form-data", b"csrf_token={token}"),
        (MULTIPART, b"csrf_token={token}"),
        (MULTIPART, b"\xff" * 100),
        (MULTIPART, b"--xYzZY" * 1000),
        ("multipart/form-data; boundary=", b"--\r\n"),
    ],
)
async def test_what_is_no_form_with_the_field_is_refused(kind, body):
    app = build()
    token, cookie = await token_of(app)
    sent = body.replace(b"{token}", token.encode()).replace(b"{{", b"{").replace(b"}}", b"}")
    assert (await form_post(app, sent, kind, cookie)).status_code == 403


async def test_a_file_of_the_field_s_name_is_no_token():
    app = build()
    token, cookie = await token_of(app)
    body = multipart(("csrf_token", token), filename="a.txt")
    assert (await form_post(app, body, MULTIPART, cookie)).status_code == 403


async def test_a_client_that_leaves_in_the_form_is_not_answered(scope_of):
    app = build()
    _, cookie = await token_of(app)
    scope = scope_of("/write", method="POST", headers={
        "host": HOST, "cookie": f"{CSRF_COOKIE_NAME}={cookie}",
        "content-type": "application/x-www-form-urlencoded",
    })  # fmt: skip
    messages = [
        {"type": "http.request", "body": b"a=", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    assert sent == []
    assert app.state.ran == 0


# --- what is left out


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/hooks/stripe", 200),
        ("/hooks/a/b", 403),
        ("/hooks", 403),
        ("/hooks/", 403),
        ("/hooks/stripe/", 403),
        ("/api", 200),
        ("/apiary", 403),
        ("/api/users", 403),
        ("/api%0a", 403),
        ("/files/a/b", 200),
        ("/filesystem", 403),
    ],
)
async def test_a_path_is_excluded_exactly_or_by_template_and_never_by_prefix(path, status):
    app = build(exclude_paths=["/hooks/{sender}", "/api", "/files/{path:path}"])
    assert await post(app, {"Cookie": "session=1"}, url=path) == status


async def test_websockets_and_lifespan_pass(scope_of):
    seen: list[str] = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    layer = CSRFMiddleware(app, secret=SECRET)
    await layer({"type": "lifespan"}, None, None)
    await layer({**scope_of("/"), "type": "websocket"}, None, None)
    assert seen == ["lifespan", "websocket"]


async def test_messages_that_it_does_not_know_pass_untouched(exchange):
    async def app(scope, receive, send):
        csrf_token(StarletteRequest(scope))
        await send({"type": "http.response.early_hint", "links": []})
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.trailers", "headers": []})

    sent = (await exchange(CSRFMiddleware(app, secret=SECRET))).messages
    kinds = [message["type"].rpartition(".")[2] for message in sent]
    assert kinds == ["early_hint", "start", "body", "trailers"]


# --- settings


class Settings(CSRFSettings, BaseAppSettings, env_file=None):
    pass


def settings(**given: Any) -> Settings:
    return Settings(**{"ENVIRONMENT": Environment.TEST, "CSRF_SECRET": SECRET, **given})


async def test_create_app_protects_a_service_whose_settings_say_so():
    router = APIRouter()
    router.add_api_route("/write", lambda: {"ok": True}, methods=["POST"])
    app = create_app(settings(CSRF_EXCLUDE_PATHS=["/hook"]), router)
    async with client(app) as http:
        refused = await http.post("/write", headers={"Origin": "https://evil.example"})
        passed = await http.post("/write", headers={"Origin": f"https://{HOST}"})
        absent = await http.post("/hook")
    assert refused.json()["code"] == "CSRF_VALIDATION_FAILED"
    assert refused.json()["request_id"] == refused.headers["x-request-id"]
    assert (passed.status_code, absent.status_code) == (200, 404)


def test_settings_are_read_and_checked():
    with assert_settings_read(CSRFSettings, by="tijolo.web"):
        create_app(settings())
    with pytest.raises(ValidationError, match="not an origin"):
        settings(CSRF_TRUSTED_ORIGINS="null")
    with pytest.raises(UnfitSecretError, match="CSRF_SECRET"):
        settings(ENVIRONMENT="production", CSRF_SECRET="changeme")


@pytest.mark.parametrize("environment", ["local", "development", "test"])
def test_create_app_refuses_what_its_middleware_cannot_work_with(environment):
    with pytest.raises(ValueError, match=r"\(CSRF_SECRET\) must have 32 bytes.*token_urlsafe"):
        create_app(settings(ENVIRONMENT=environment, CSRF_SECRET="kurz-und-geheim"))
    with pytest.raises(ValueError, match="must start with a slash"):
        create_app(settings(ENVIRONMENT=environment, CSRF_EXCLUDE_PATHS=["hook"]))


async def test_a_refusal_says_what_to_send_where_that_would_help():
    async with client(build(header_name="X-Our-Token")) as http:
        silent = await http.post("/write")
        evil = await http.post("/write", headers={"Sec-Fetch-Site": "cross-site"})
        forged = await http.post("/write", headers={"X-Our-Token": "x" * 64})
    for answer in (silent, forged):
        assert (
            "Sec-Fetch-Site: same-origin, or a CSRF token in X-Our-Token" in answer.json()["detail"]
        )
    assert evil.json()["detail"].endswith("made the request.")


async def test_a_kept_answer_is_not_given_to_another_site():
    class Both(IdempotencySettings, CSRFSettings, BaseAppSettings, env_file=None):
        pass

    router = APIRouter()
    router.add_api_route("/write", lambda: {"secret": True}, methods=["POST"])
    chosen = Both(ENVIRONMENT="test", CSRF_SECRET=SECRET, IDEMPOTENCY_ENABLED=True)
    headers = {"Idempotency-Key": "k" * 16, "Cookie": "session=1"}
    async with client(create_app(chosen, router)) as http:
        ours = await http.post("/write", headers={**headers, "Sec-Fetch-Site": "same-origin"})
        again = await http.post("/write", headers={**headers, "Sec-Fetch-Site": "same-origin"})
        evil = await http.post("/write", headers={**headers, "Sec-Fetch-Site": "cross-site"})
    assert (ours.status_code, again.status_code) == (200, 200)
    assert evil.json()["code"] == "CSRF_VALIDATION_FAILED"


async def test_a_page_can_ask_whether_its_form_is_judged():
    inner, outer = FastAPI(), FastAPI()

    @inner.get("/page")
    async def page(request: Request) -> bool:
        return csrf_protects(request)

    assert await asks(inner, "/page") is False  # nobody is there
    outer.mount("/mounted", inner)
    outer.include_router(inner.router)
    outer.add_middleware(CSRFMiddleware, secret=SECRET, exclude_paths=["/page", "/open/{x:path}"])
    assert await asks(outer, "/page") is False
    assert await asks(outer, "/mounted/page") is True
    assert await asks(outer, "/behind/page", root_path="/behind") is False
    assert await asks(outer, "/behind/mounted/page", root_path="/behind") is True


async def asks(app, path, root_path=""):
    transport = httpx.ASGITransport(app, root_path=root_path)
    async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as client:
        answer = await client.get(path)
        assert "set-cookie" not in answer.headers
        return answer.json()
