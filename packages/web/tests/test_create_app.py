from __future__ import annotations

import asyncio
import contextlib
import logging
import logging.config
from contextvars import ContextVar

import httpx
import pytest
import uvicorn.config
from fastapi import APIRouter, FastAPI, Request, WebSocket
from pydantic import BaseModel, ValidationError
from starlette.responses import PlainTextResponse

from tijolo.core import BaseAppSettings, Environment, get_request_id
from tijolo.core.testing import assert_settings_read
from tijolo.observability import FOREIGN_LOGGERS, HealthConfig, configure_logging, stop_logging
from tijolo.web import (
    AppLifecycle,
    CORSSettings,
    ProblemDocument,
    ServerSettings,
    WebSettings,
    apply_cors,
    create_app,
    get_client_ip,
)

ORIGIN = "https://shop.example"


class Settings(WebSettings, CORSSettings, ServerSettings, BaseAppSettings, env_file=None):
    pass


class Bare(BaseAppSettings, env_file=None):
    pass


def settings(**given):
    return Settings(**{"ENVIRONMENT": Environment.TEST, **given})


def client(app):
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 1))
    return httpx.AsyncClient(transport=transport, base_url="http://shop.example")


@contextlib.asynccontextmanager
async def running(app):
    """The application between lifespan start-up and shutdown."""
    async with app.router.lifespan_context(app):
        yield


items = APIRouter(prefix="/items", tags=["items"])


class Item(BaseModel):
    name: str


@items.get("/{item_id}")
async def read_item(item_id: int):
    return {"id": item_id, "request_id": get_request_id()}


@items.post("")
async def create_item(item: Item) -> Item:
    return item


# --- routes, docs, health


async def test_routers_live_below_the_prefix_and_health_beside_them():
    other = APIRouter()
    other.add_api_route("/other", lambda: {"other": True})
    app = create_app(settings(API_PREFIX="/api/v1"), [items, other], service_name="Shop")
    async with running(app), client(app) as http:
        assert (await http.get("/api/v1/items/7")).json()["id"] == 7
        assert (await http.get("/api/v1/other")).json() == {"other": True}
        assert (await http.get("/health/liveness")).status_code == 200
        assert (await http.get("/health/readiness")).json() == {"status": "ok"}
        assert (await http.get("/openapi.json")).json()["info"]["title"] == "Shop"


async def test_settings_without_the_mixins_mean_the_defaults(monkeypatch):
    monkeypatch.setenv("API_PREFIX", "/not-asked-for")
    app = create_app(Bare(ENVIRONMENT=Environment.TEST), items)
    async with client(app) as http:
        answer = await http.get("/items/7", headers={"Origin": ORIGIN})
    assert answer.status_code == 200
    assert answer.headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("given", "open_paths"),
    [
        ({"ENVIRONMENT": "production"}, set()),
        ({"ENVIRONMENT": "staging"}, {"/openapi.json", "/docs", "/redoc"}),
        ({"ENVIRONMENT": "production", "OPENAPI_ENABLED": True},
         {"/openapi.json", "/docs", "/redoc"}),
        ({"ENVIRONMENT": "production", "OPENAPI_ENABLED": True, "DOCS_ENABLED": False},
         {"/openapi.json", "/redoc"}),
        ({"REDOC_ENABLED": False}, {"/openapi.json", "/docs"}),
        ({"OPENAPI_ENABLED": False}, set()),
    ],
)  # fmt: skip
async def test_docs_are_hidden_in_production_unless_asked_for(given, open_paths):
    async with client(create_app(settings(**given))) as http:
        answers = {path: await http.get(path) for path in ("/openapi.json", "/docs", "/redoc")}
    assert {path for path, answer in answers.items() if answer.status_code == 200} == open_paths


def test_docs_without_the_document_they_load_are_refused():
    with pytest.raises(ValueError, match="DOCS_ENABLED needs OPENAPI_ENABLED"):
        create_app(settings(OPENAPI_ENABLED=False, DOCS_ENABLED=True))


def test_options_that_belong_to_create_app_are_refused():
    with pytest.raises(TypeError, match="'lifespan'"):
        create_app(settings(), lifespan=None)


async def test_fastapi_options_are_passed_on():
    app = create_app(settings(), description="all about items")
    assert app.description == "all about items"


async def test_the_docs_pages_get_a_policy_that_lets_them_load():
    async with client(create_app(settings(), items)) as http:
        docs = (await http.get("/docs")).headers["content-security-policy"]
        other = (await http.get("/items/1")).headers["content-security-policy"]
    assert "https://cdn.jsdelivr.net" in docs
    assert "script-src" not in other


# --- OpenAPI


async def test_openapi_shows_the_documents_that_are_really_answered():
    document = create_app(settings(), items).openapi()
    post = document["paths"]["/items"]["post"]["responses"]
    reference = {"$ref": "#/components/schemas/ProblemDocument"}
    for status in ("422", "default"):
        assert post[status]["content"] == {"application/problem+json": {"schema": reference}}
    schemas = document["components"]["schemas"]
    assert {"type", "title", "status", "detail", "code", "details", "errors"} <= set(
        schemas["ProblemDocument"]["properties"]
    )
    assert "ProblemError" in schemas
    assert "HTTPValidationError" not in schemas
    assert "HTTPValidationError" not in str(document)


async def test_an_error_that_a_route_only_names_is_a_problem_document():
    app = create_app(settings())
    named = {409: {"description": "Taken."}, 204: {"description": "Nothing."}}
    app.get("/own", responses=named)(lambda: None)
    for _ in range(2):
        responses = app.openapi()["paths"]["/own"]["get"]["responses"]
        assert responses["409"]["description"] == "Taken."
        assert list(responses["409"]["content"]) == ["application/problem+json"]
        assert "content" not in responses["204"]


async def test_responses_that_a_route_declares_are_left_alone():
    app = create_app(settings())

    @app.get("/own", responses={422: {"description": "mine"}, "default": {"description": "own"}})
    async def own(page: int):
        return page

    responses = app.openapi()["paths"]["/own"]["get"]["responses"]
    assert responses["422"]["description"] == "mine"
    assert responses["default"]["description"] == "own"


async def test_a_document_that_is_made_again_is_described_again():
    app = create_app(settings())
    app.openapi()
    app.include_router(items)
    app.openapi_schema = None
    assert "default" in app.openapi()["paths"]["/items"]["post"]["responses"]


class Clashing:
    class ValidationError(BaseModel):
        mine: int

    class ProblemError(BaseModel):
        mine: int

    class ProblemDocument(BaseModel):
        mine: int


def references(node):
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


@pytest.mark.parametrize("name", ["ValidationError", "ProblemError", "ProblemDocument"])
def test_a_model_of_the_services_own_keeps_its_name_in_openapi(name):
    async def take(body):
        return body

    take.__annotations__["body"] = take.__annotations__["return"] = getattr(Clashing, name)
    app = create_app(settings())
    app.add_api_route("/own", take, methods=["POST"])
    document = app.openapi()
    schemas = document["components"]["schemas"]
    if name != "ValidationError":  # FastAPI itself writes its own schema over that one
        assert set(schemas[name]["properties"]) == {"mine"}
    assert references(document) <= {f"#/components/schemas/{key}" for key in schemas}
    error = document["paths"]["/own"]["post"]["responses"]["422"]
    told = error["content"]["application/problem+json"]["schema"]["$ref"].rpartition("/")[2]
    assert "request_id" in schemas[told]["properties"]
    items = schemas[told]["properties"]["errors"]["anyOf"][0]["items"]["$ref"].rpartition("/")[2]
    assert "pointer" in schemas[items]["properties"]
    assert "HTTPValidationError" not in schemas
    assert app.openapi() == document


def test_a_route_that_names_the_document_itself_shows_the_same_one():
    app = create_app(settings(), items)
    app.add_api_route("/own", lambda: 1, responses={409: {"model": ProblemDocument}})
    document = app.openapi()
    assert "default" in document["paths"]["/items"]["post"]["responses"]
    assert [n for n in document["components"]["schemas"] if n.startswith("Problem")] == [
        "ProblemDocument",
        "ProblemError",
    ]


# --- order of the layers


async def test_every_answer_of_every_layer_has_its_id_and_its_headers():
    app = create_app(
        settings(TRUSTED_HOSTS=["shop.example"], REQUEST_BODY_MAX_BYTES=10, CORS_ORIGINS=[ORIGIN]),
        items,
    )
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    async with client(app) as http:
        answers = {
            200: await http.get("/items/1"),
            404: await http.get("/nothing"),
            405: await http.delete("/items/1"),
            400: await http.get("/items/1", headers={"Host": "evil.example"}),
            413: await http.post("/items", content=b"x" * 11),
            422: await http.get("/items/x"),
            "preflight": await http.options("/items/1", headers=preflight),
        }
    for expected, answer in answers.items():
        assert answer.status_code == (200 if expected == "preflight" else expected)
        assert len(answer.headers["x-request-id"]) == 32
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["server-timing"].startswith("app;dur=")


@pytest.mark.parametrize(
    ("path", "method", "status", "code"),
    [
        ("/nothing", "GET", 404, "NOT_FOUND"),
        ("/items/1", "DELETE", 405, "METHOD_NOT_ALLOWED"),
        ("/items/x", "GET", 422, "VALIDATION_ERROR"),
    ],
)
async def test_errors_of_the_router_are_problems_with_cors_and_the_same_id(
    path, method, status, code
):
    app = create_app(settings(CORS_ORIGINS=[ORIGIN]), items)
    async with client(app) as http:
        answer = await http.request(method, path, headers={"Origin": ORIGIN})
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["instance"] == path
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_the_allow_header_of_a_405_is_kept():
    async with client(create_app(settings(), items)) as http:
        assert (await http.delete("/items/1")).headers["allow"] == "GET"


async def test_middleware_added_later_is_inside_and_sees_the_request_id():
    seen = []

    class Own:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            seen.append((scope["state"]["request_id"], get_request_id()))
            await self.app(scope, receive, send)

    app = create_app(settings(), items)
    app.add_middleware(Own)
    async with client(app) as http:
        answer = await http.get("/items/1")
    request_id = answer.headers["x-request-id"]
    assert seen == [(request_id, request_id)]
    assert answer.json()["request_id"] == request_id


async def test_an_application_mounted_in_another_keeps_its_id_and_one_log_record(records):
    outer, inner = create_app(settings()), create_app(settings(), items)
    outer.mount("/inner", inner)
    async with client(outer) as http:
        answer = await http.get("/inner/items/1")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert answer.headers.get_list("x-request-id") == [answer.headers["x-request-id"]]
    [record] = [r for r in records if r.name == "tijolo.web.access"]
    assert record.route == "/inner/items/{item_id}"


async def test_the_access_log_tells_the_route_and_never_the_query(records):
    app = create_app(settings(API_PREFIX="/api", TRUSTED_PROXIES=["203.0.113.0/24"]), items)
    async with client(app) as http:
        answer = await http.get(
            "/api/items/7?token=hunter2",
            headers={"X-Forwarded-For": "198.51.100.7", "Authorization": "Bearer hunter2"},
        )
        await http.request("HUNTER2", "/hunter2?x=hunter2")
    first, second = [r for r in records if r.name == "tijolo.web.access"]
    assert (first.method, first.route, first.status) == ("GET", "/api/items/{item_id}", 200)
    assert first.response_bytes == len(answer.content)
    assert first.client_ip == "198.51.100.7"
    assert first.duration_ms > 0
    assert first.request_id == answer.headers["x-request-id"]
    assert (second.method, second.route, second.status) == ("_OTHER", "__unmatched__", 404)
    assert "hunter2" not in str([vars(r) for r in (first, second)]).lower()


async def test_concurrent_requests_never_see_each_others_id():
    app = create_app(settings())
    barrier = asyncio.Barrier(20)

    @app.get("/mine")
    async def mine():
        await barrier.wait()
        return get_request_id()

    async with client(app) as http:
        answers = await asyncio.gather(*(http.get("/mine") for _ in range(20)))
    assert len({a.json() for a in answers}) == 20
    assert all(a.json() == a.headers["x-request-id"] for a in answers)
    assert get_request_id() is None


async def test_a_websocket_has_a_request_id_too(exchange):
    app = create_app(settings())

    @app.websocket("/ws")
    async def ws(socket: WebSocket):
        await socket.accept()
        await socket.send_text(get_request_id() or "")
        await socket.close()

    inbox = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]
    sent = []

    async def receive():
        return inbox.pop(0)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "websocket", "path": "/ws", "raw_path": b"/ws", "query_string": b"",
        "headers": [(b"x-request-id", b"from-the-client")], "scheme": "ws", "root_path": "",
        "subprotocols": [], "client": ("203.0.113.9", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    await app(scope, receive, send)
    accept, text, _ = sent
    assert (b"x-request-id", b"from-the-client") in accept["headers"]
    assert text["text"] == "from-the-client"


# --- CORS


async def test_cors_is_closed_until_origins_are_named():
    async with client(create_app(settings(), items)) as http:
        answer = await http.get("/items/1", headers={"Origin": ORIGIN})
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_preflight_of_a_named_origin_is_answered():
    app = create_app(settings(CORS_ORIGINS=[ORIGIN], CORS_ALLOW_CREDENTIALS=True), items)
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-a"}
    async with client(app) as http:
        good = await http.options("/items", headers={"Origin": ORIGIN, **ask})
        bad = await http.options("/items", headers={"Origin": "https://evil.example", **ask})
        real = await http.get("/items/1", headers={"Origin": ORIGIN})
    assert good.status_code == 200
    assert good.headers["access-control-allow-origin"] == ORIGIN
    assert good.headers["access-control-allow-credentials"] == "true"
    assert bad.status_code == 400
    assert "access-control-allow-origin" not in bad.headers
    assert real.headers["access-control-expose-headers"] == "X-Request-ID"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"CORS_ORIGINS": ["*"], "CORS_ALLOW_CREDENTIALS": True}, "any page"),
        ({"CORS_ORIGINS": ["https://a.example/"]}, "is not an origin"),
        ({"CORS_ORIGINS": ["a.example"]}, "is not an origin"),
        ({"CORS_ORIGINS": ["null"]}, "is not an origin"),
        ({"CORS_MAX_AGE": -1}, "greater than or equal to 0"),
    ],
)
def test_dangerous_or_malformed_cors_settings_are_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        CORSSettings(**given)


@pytest.mark.parametrize(
    "text", ['["https://a.example","https://b.example"]', "https://a.example, https://b.example"]
)
def test_lists_in_the_environment_are_json_or_separated_by_commas(monkeypatch, text):
    monkeypatch.setenv("CORS_ORIGINS", text)
    assert CORSSettings().CORS_ORIGINS == ["https://a.example", "https://b.example"]


async def test_apply_cors_on_an_application_of_ones_own_covers_its_500s():
    app = FastAPI()

    @app.get("/crash")
    async def crash():
        raise ZeroDivisionError

    apply_cors(app, origins=[ORIGIN], max_age=5)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        answer = await http.get("/crash", headers={"Origin": ORIGIN})
        again = await http.options(
            "/crash", headers={"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
        )
    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert again.headers["access-control-max-age"] == "5"


def test_apply_cors_refuses_what_the_settings_would_refuse():
    with pytest.raises(ValueError, match="any page"):
        apply_cors(FastAPI(), origins=["*"], allow_credentials=True)


async def test_apply_cors_after_the_first_request_is_refused():
    app = create_app(settings(), items)
    async with client(app) as http:
        await http.get("/items/1")
    with pytest.raises(RuntimeError, match="has started"):
        apply_cors(app, origins=[ORIGIN])


# --- lifecycle


class Connection:
    def __init__(self, name, log, *, broken_by=()):
        self.name, self.log, self.broken_by = name, log, broken_by

    def _do(self, verb):
        self.log.append(f"{verb} {self.name}")
        if verb in self.broken_by:
            raise OSError(f"{verb} {self.name}")

    async def connect(self):
        self._do("connect")

    async def disconnect(self):
        self._do("disconnect")

    async def health_check(self):
        return "health" not in self.broken_by


async def test_resources_start_in_order_and_stop_in_reverse_around_a_ready_service():
    log = []

    @contextlib.asynccontextmanager
    async def extra(app):
        log.append("enter extra")
        yield {"answer": 42}
        log.append("leave extra")

    async def validator():
        log.append("validate")

    app = create_app(
        settings(),
        lifecycle=AppLifecycle(
            resources={"db": Connection("db", log), "redis": Connection("redis", log)},
            startup_validators=[validator],
            lifespan_extras=[extra],
        ),
    )

    async with client(app) as http:
        assert (await http.get("/health/readiness")).status_code == 503
        async with app.router.lifespan_context(app) as state:
            assert state == {"answer": 42}
            assert log == ["connect db", "connect redis", "validate", "enter extra"]
            assert (await http.get("/health/readiness")).status_code == 200
            log.clear()
        assert log == ["leave extra", "disconnect redis", "disconnect db"]
        draining = await http.get("/health/readiness")
        assert (draining.status_code, draining.json()["status"]) == (503, "draining")
        assert (await http.get("/health/liveness")).status_code == 200


async def test_the_service_is_not_ready_any_more_while_resources_disconnect():
    phases = []

    class Watching(Connection):
        async def disconnect(self):
            async with client(app) as http:
                phases.append((await http.get("/health/readiness")).status_code)

    app = create_app(settings(), lifecycle=AppLifecycle(resources=[Watching("db", [])]))
    async with running(app):
        pass
    assert phases == [503]


async def test_a_start_that_fails_midway_undoes_what_began_and_tells_why():
    log = []
    resources = [
        Connection("db", log),
        Connection("redis", log, broken_by=["connect"]),
        Connection("broker", log),
    ]
    app = create_app(settings(), lifecycle=AppLifecycle(resources=resources))
    with pytest.raises(OSError, match="connect redis"):
        async with running(app):
            pytest.fail("the service started")
    assert log == ["connect db", "connect redis", "disconnect redis", "disconnect db"]


async def test_a_validator_that_raises_keeps_the_service_from_starting():
    log = []

    async def validator():
        raise ValueError("migrations are pending")

    app = create_app(
        settings(),
        lifecycle=AppLifecycle(resources=[Connection("db", log)], startup_validators=[validator]),
    )
    with pytest.raises(ValueError, match="migrations are pending"):
        async with running(app):
            pytest.fail("the service started")
    assert log == ["connect db", "disconnect db"]


async def test_one_failing_stop_neither_keeps_the_others_from_stopping_nor_is_lost(records):
    log = []
    resources = {
        name: Connection(name, log, broken_by=["disconnect"] if name != "redis" else [])
        for name in ("db", "redis", "broker")
    }
    app = create_app(settings(), lifecycle=AppLifecycle(resources=resources))
    with pytest.raises(ExceptionGroup) as caught:
        async with running(app):
            log.clear()
    assert log == ["disconnect broker", "disconnect redis", "disconnect db"]
    assert [str(e) for e in caught.value.exceptions] == ["disconnect broker", "disconnect db"]
    assert len([r for r in records if r.name == "tijolo.web.lifecycle" and r.exc_info]) == 2


async def test_a_stop_that_hangs_is_given_up():
    class Hanging(Connection):
        async def disconnect(self):
            await asyncio.Event().wait()

    log = []
    lifecycle = AppLifecycle(
        resources={"db": Connection("db", log), "stuck": Hanging("stuck", log)},
        shutdown_grace_seconds=0.01,
    )
    app = create_app(settings(), lifecycle=lifecycle)
    with pytest.raises(ExceptionGroup):
        async with running(app):
            log.clear()
    assert log == ["disconnect db"]


async def test_a_cancelled_start_disconnects_too():
    log = []
    connecting = asyncio.Event()

    class Slow(Connection):
        async def connect(self):
            connecting.set()
            await asyncio.Event().wait()

    lifecycle = AppLifecycle(resources=[Connection("db", log), Slow("slow", log)])
    app = create_app(settings(), lifecycle=lifecycle)

    async def start():
        async with running(app):
            pytest.fail("the service started")

    task = asyncio.create_task(start())
    await connecting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log[-2:] == ["disconnect slow", "disconnect db"]


async def test_resources_are_health_checks_beside_those_given():
    async def queue():
        return True

    resources = [Connection("a", []), Connection("b", [], broken_by=["health"])]
    app = create_app(
        settings(),
        service_name="Shop",
        service_version="1.2.3",
        health=HealthConfig(checks={"queue": queue}, detail_public=True),
        lifecycle=AppLifecycle(resources=resources),
    )
    async with running(app), client(app) as http:
        answer = await http.get("/health/readiness")
    assert answer.status_code == 503
    body = answer.json()
    assert {c["name"]: c["ok"] for c in body["checks"]} == {
        "Connection": True,
        "Connection_2": False,
        "queue": True,
    }
    assert (body["service"], body["version"]) == ("Shop", "1.2.3")


async def test_configure_gets_the_finished_application():
    def configure(app):
        app.add_api_route("/extra", lambda: PlainTextResponse("yes"))

    app = create_app(settings(), lifecycle=AppLifecycle(configure=configure))
    async with client(app) as http:
        assert (await http.get("/extra")).text == "yes"


def test_a_grace_of_nothing_is_refused():
    with pytest.raises(ValueError, match="shutdown_grace_seconds"):
        AppLifecycle(shutdown_grace_seconds=0)


# --- settings


async def test_tracebacks_are_shown_in_development_only_and_only_when_asked_for():
    def crash():
        raise ZeroDivisionError("secret")

    quiet, loud = (create_app(settings(SERVER_DEBUG=on)) for on in (False, True))
    for app in (quiet, loud):
        app.add_api_route("/crash", crash)
    async with client(quiet) as http:
        assert (await http.get("/crash")).json()["details"] == {}
    async with client(loud) as http:
        assert "ZeroDivisionError" in str((await http.get("/crash")).json()["details"])
    with pytest.raises(ValueError, match="SERVER_DEBUG"):
        create_app(settings(ENVIRONMENT="production", SERVER_DEBUG=True))


def test_every_setting_is_read(monkeypatch):
    from tijolo.web import server, uvicorn

    monkeypatch.setattr(uvicorn, "run_uvicorn", lambda app, **options: None)
    with assert_settings_read(WebSettings, CORSSettings, ServerSettings, by="tijolo.web"):
        chosen = settings(
            TRUSTED_HOSTS=["shop.example"], TRUSTED_PROXIES=["10.0.0.0/8"], CORS_ORIGINS=[ORIGIN]
        )
        create_app(chosen, items)
        server.run_server("shop:app", settings=chosen)


@pytest.mark.parametrize("prefix", ["api", "/api/", "/"])
def test_a_prefix_that_fastapi_would_garble_is_refused(prefix):
    with pytest.raises(ValidationError, match="must start with a slash"):
        settings(API_PREFIX=prefix)


async def test_a_body_over_the_setting_is_refused_and_an_exempt_path_is_not():
    app = create_app(settings(REQUEST_BODY_MAX_BYTES=4, REQUEST_BODY_UNLIMITED_PATHS=["/upload"]))

    async def size(request: Request):
        return {"size": len(await request.body())}

    for path in ("/upload/big", "/uploads"):
        app.add_api_route(path, size, methods=["POST"])
    async with client(app) as http:
        assert (await http.post("/upload/big", content=b"12345")).json() == {"size": 5}
        refused = await http.post("/uploads", content=b"12345")
    assert (refused.status_code, refused.json()["code"]) == (413, "REQUEST_BODY_TOO_LARGE")
    assert refused.json()["details"] == {"max_bytes": 4}


async def test_the_health_endpoints_can_be_moved_or_left_out():
    async with client(create_app(settings(HEALTH_PREFIX=""))) as http:
        assert (await http.get("/health/liveness")).status_code == 404
    async with client(create_app(settings(HEALTH_PREFIX="/ops"))) as http:
        assert (await http.get("/ops/liveness")).status_code == 200


async def test_values_of_ones_own_context_reach_the_handler_from_middleware():
    own: ContextVar[str] = ContextVar("own", default="unset")

    class Setting:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            own.set("set")
            await self.app(scope, receive, send)
            assert own.get() == "changed by the handler"

    app = create_app(settings())
    app.add_middleware(Setting)

    @app.get("/own")
    async def read(request: Request):
        value = own.get()
        own.set("changed by the handler")
        return [value, get_client_ip(request)]

    async with client(app) as http:
        assert (await http.get("/own")).json() == ["set", "203.0.113.9"]


def test_the_logger_of_the_access_log_is_quiet_when_it_is_off(records):
    app = create_app(settings(ACCESS_LOG_ENABLED=False), items)

    async def ask():
        async with client(app) as http:
            await http.get("/items/1")

    asyncio.run(ask())
    assert [r for r in records if r.name == "tijolo.web.access" and r.levelno == logging.INFO] == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"TRUSTED_PROXIES": ["10.0.0.0/99"]}, "no address or CIDR network"),
        ({"TRUSTED_HOSTS": ["https://shop.example"]}, "trusted host"),
        ({"TRUSTED_HOSTS": []}, "no trusted host at all"),
        ({"REQUEST_BODY_UNLIMITED_PATHS": ["upload"]}, "must start with a slash"),
        ({"CONTENT_SECURITY_POLICY": "default-src ’none’"}, "cannot hold"),
        ({"PERMISSIONS_POLICY": "a\nb"}, "cannot hold"),
        ({"REFERRER_POLICY": "no\x00referrer"}, "cannot hold"),
        ({"CORS_ORIGINS": [ORIGIN], "CORS_EXPOSE_HEADERS": ["X-A\nB"]}, "no name of a method"),
    ],
)
def test_a_typo_in_the_settings_is_refused_before_anything_serves(given, message):
    with pytest.raises(ValueError, match=message):
        create_app(settings(ENVIRONMENT="production", **given))


@pytest.mark.parametrize(
    "given",
    [
        {"CORS_ORIGINS": ["https://u:hunter2@shop.example"]},
        {"CORS_ORIGINS": ["https://shop.example?token=hunter2"]},
        {"CORS_ORIGINS": ["https://shop.example/"], "CORS_MAX_AGE": "hunter2"},
        {"TRUSTED_HOSTS": ["https://u:hunter2@shop.example"]},
        {"TRUSTED_PROXIES": ["redis://:hunter2@10.0.0.1"]},
    ],
)
def test_no_error_of_the_settings_repeats_a_credential(given):
    with pytest.raises(ValueError, match=r"origin|integer|trusted") as caught:
        create_app(settings(**given))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("mixin", [WebSettings, CORSSettings, ServerSettings])
def test_a_mixin_alone_hides_what_it_refuses(mixin):
    with pytest.raises(ValidationError) as caught:
        mixin(SECRET="hunter2")
    assert "hunter2" not in str(caught.value)


async def test_rules_about_paths_see_the_path_below_root_path(exchange):
    app = create_app(settings(REQUEST_BODY_MAX_BYTES=4, REQUEST_BODY_UNLIMITED_PATHS=["/up"]))
    app.add_api_route("/up", lambda: "ok", methods=["POST"])
    docs = await exchange(app, "/proxy/docs", root_path="/proxy")
    assert "https://cdn.jsdelivr.net" in docs.headers["content-security-policy"]
    long = {"Content-Length": "5"}
    free = await exchange(
        app, "/proxy/up", method="POST", root_path="/proxy", headers=long, body=[b"12345"]
    )
    assert free.status == 200
    other = await exchange(app, "/proxy-up", method="POST", root_path="/proxy", headers=long)
    assert other.status == 413


async def test_the_page_that_ends_a_sign_in_on_the_docs_may_run_its_script():
    async with client(create_app(settings())) as http:
        page = await http.get("/docs/oauth2-redirect")
    assert "<script>" in page.text
    assert "script-src 'unsafe-inline'" in page.headers["content-security-policy"]


async def test_a_stop_that_swallows_its_cancellation_is_given_up_too():
    released, ended = asyncio.Event(), asyncio.Event()
    released_before = []

    class Stubborn(Connection):
        async def disconnect(self):
            while not released.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await released.wait()
            ended.set()

    class Watching(Connection):
        async def disconnect(self):
            released_before.append(released.is_set())

    log = []
    app = create_app(
        settings(),
        lifecycle=AppLifecycle(
            resources=[Watching("db", log), Stubborn("stuck", log)], shutdown_grace_seconds=0.01
        ),
    )
    asyncio.get_running_loop().call_later(1, released.set)
    with pytest.raises(ExceptionGroup) as caught:
        async with running(app):
            log.clear()
    assert released_before == [False]
    assert isinstance(caught.value.exceptions[0], TimeoutError)
    released.set()
    await ended.wait()


async def test_a_stop_that_was_cancelled_from_within_is_a_failure_like_any_other():
    class Cancelled(Connection):
        async def disconnect(self):
            raise asyncio.CancelledError

    log = []
    resources = [Connection("db", log), Cancelled("broker", log)]
    app = create_app(settings(), lifecycle=AppLifecycle(resources=resources))
    with pytest.raises(ExceptionGroup):
        async with running(app):
            log.clear()
    assert log == ["disconnect db"]


async def test_a_cancelled_stop_cancels_what_is_stopping():
    cut, stopping = asyncio.Event(), asyncio.Event()

    class Slow(Connection):
        async def disconnect(self):
            stopping.set()
            try:
                await asyncio.Event().wait()
            finally:
                cut.set()

    lifecycle = AppLifecycle(resources=[Slow("slow", [])])
    app = create_app(settings(), lifecycle=lifecycle)

    async def run():
        async with running(app):
            pass

    task = asyncio.create_task(run())
    await stopping.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await cut.wait()


@pytest.fixture
def foreign_loggers():
    """Every foreign logger without handlers, before and after."""
    loggers = [logging.getLogger(name) for name in FOREIGN_LOGGERS]
    before = [(logger, logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
    level = logging.getLogger().level
    yield
    stop_logging()
    logging.getLogger().setLevel(level)
    for logger, handlers, propagate, own_level in before:
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(own_level)


async def test_a_servers_own_access_log_comes_out_redacted_once_the_service_runs(
    foreign_loggers, capsys
):
    lines = []

    class Sink(logging.Handler):
        def emit(self, record):
            lines.append(record.getMessage())

    configure_logging(stdout=False, sinks=[Sink()])
    logging.config.dictConfig(uvicorn.config.LOGGING_CONFIG)  # as uvicorn does when it starts
    async with running(create_app(settings())):
        access = logging.getLogger("uvicorn.access")
        access.info('%s - "%s %s HTTP/%s" %d', "c", "GET", "/x?token=hunter2XyZ", "1.1", 200)
    stop_logging()
    printed = capsys.readouterr()
    assert [line for line in lines if "/x?token=" in line]
    assert "hunter2XyZ" not in str(lines) + printed.out + printed.err


async def test_a_servers_loggers_are_left_alone_where_we_do_not_log(foreign_loggers):
    logging.config.dictConfig(uvicorn.config.LOGGING_CONFIG)
    async with running(create_app(settings())):
        assert logging.getLogger("uvicorn.access").handlers
