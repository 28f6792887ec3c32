from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from starlette.responses import PlainTextResponse, Response

from tijolo.core import BaseAppSettings, Environment
from tijolo.web import CORSSettings, apply_cors, cors, create_app, no_cors

SHOP, PARTNER, EVIL = "https://shop.example", "https://partner.example", "https://evil.example"
PARTNERS = cors(allow_origins=[PARTNER], allow_credentials=True)


class Settings(CORSSettings, BaseAppSettings, env_file=None):
    pass


class Bare(BaseAppSettings, env_file=None):
    pass


def client(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://api.example")


async def preflight(app: FastAPI, path: str, origin: str, method: str = "GET", **extra: str):
    headers = {"Origin": origin, "Access-Control-Request-Method": method, **extra}
    async with client(app) as http:
        return await http.options(path, headers=headers)


async def get(app: FastAPI, path: str, origin: str | None = None, method: str = "GET"):
    async with client(app) as http:
        headers = {"Origin": origin} if origin else {}
        return await http.request(method, path, headers=headers)


def allowed(answer: httpx.Response) -> str | None:
    return answer.headers.get("access-control-allow-origin")


def service(settings: Any = None) -> FastAPI:
    router = APIRouter()

    @router.get("/default")
    async def default() -> dict[str, bool]:
        return {"ok": True}

    @router.get("/partner/{number}")
    @PARTNERS
    async def partner(number: int) -> dict[str, int]:
        if number == 500:
            raise RuntimeError("boom")
        if number == 404:
            raise HTTPException(404)
        return {"n": number}

    @router.post("/partner/{number}")
    async def write(number: int) -> dict[str, int]:
        return {"n": number}

    @router.get("/public")
    @cors(allow_origins=["*"])
    async def public() -> dict[str, bool]:
        return {"ok": True}

    @router.get("/closed")
    @no_cors
    async def closed() -> Response:
        return PlainTextResponse("closed", headers={"Vary": "Accept-Language"})

    inner = APIRouter(prefix="/inner", dependencies=[PARTNERS.as_dependency])
    inner.add_api_route("/a", lambda: {"ok": True})
    inner.add_api_route("/b", no_cors(lambda: {"ok": True}))
    inner.add_api_route("/c", lambda: {"ok": True}, dependencies=[no_cors.as_dependency])
    outer = APIRouter(prefix="/outer")
    outer.include_router(inner)

    app = create_app(
        settings or Settings(ENVIRONMENT=Environment.TEST, CORS_ORIGINS=[SHOP]), [router, outer]
    )
    mounted = FastAPI()
    mounted.add_api_route("/m", PARTNERS(lambda: {"ok": True}))
    app.mount("/sub", mounted)
    return app


@pytest.mark.parametrize(
    ("path", "origin", "expected"),
    [
        ("/default", SHOP, SHOP),
        ("/default", PARTNER, None),
        ("/partner/1", PARTNER, PARTNER),
        ("/partner/1", SHOP, None),
        ("/partner/1", EVIL, None),
        ("/partner/500", PARTNER, PARTNER),
        ("/partner/404", PARTNER, PARTNER),
        ("/partner/x", PARTNER, PARTNER),
        ("/public", EVIL, "*"),
        ("/closed", SHOP, None),
        ("/outer/inner/a", PARTNER, PARTNER),
        ("/outer/inner/a", SHOP, None),
        ("/outer/inner/b", PARTNER, None),
        ("/outer/inner/c", PARTNER, None),
        ("/sub/m", PARTNER, PARTNER),
        ("/sub/m", SHOP, None),
        ("/nowhere", SHOP, SHOP),
        ("/nowhere", PARTNER, None),
    ],
)
async def test_the_nearest_policy_marks_the_answer_errors_included(path, origin, expected):
    assert allowed(await get(service(), path, origin)) == expected


@pytest.mark.parametrize(
    ("path", "origin", "method", "status", "expected"),
    [
        ("/partner/1", PARTNER, "GET", 200, PARTNER),
        ("/partner/1", SHOP, "GET", 400, None),
        ("/partner/1", PARTNER, "POST", 400, None),  # another route of the path: the default
        ("/partner/1", SHOP, "POST", 200, SHOP),
        ("/partner/1", PARTNER, "PUT", 400, None),  # no such route
        ("/public", EVIL, "GET", 200, "*"),
        ("/closed", SHOP, "GET", 400, None),
        ("/outer/inner/a", PARTNER, "GET", 200, PARTNER),
        ("/outer/inner/c", PARTNER, "GET", 400, None),
        ("/sub/m", PARTNER, "GET", 200, PARTNER),
        ("/default", SHOP, "GET", 200, SHOP),
        ("/nowhere", SHOP, "GET", 200, SHOP),
        ("/partner/1", "null", "GET", 400, None),
    ],
)
async def test_a_preflight_is_answered_by_the_route_it_announces(
    path, origin, method, status, expected
):
    answer = await preflight(service(), path, origin, method)
    assert answer.status_code == status
    assert allowed(answer) == expected
    assert expected == "*" or "Origin" in answer.headers["vary"]


async def test_the_methods_that_a_preflight_allows_are_the_route_s():
    answer = await preflight(service(), "/partner/1", PARTNER)
    assert answer.headers["access-control-allow-methods"] == "GET"
    assert answer.headers["access-control-allow-credentials"] == "true"
    app = FastAPI()
    policy = cors(allow_origins=[SHOP], allow_methods=["GET", "PATCH"], max_age=5)
    app.add_api_route("/x", policy(lambda: {"ok": True}), methods=["GET"])
    apply_cors(app)
    answer = await preflight(app, "/x", SHOP)
    assert answer.headers["access-control-allow-methods"] == "GET, PATCH"
    assert answer.headers["access-control-max-age"] == "5"


async def test_headers_of_a_preflight_are_held_against_the_policy():
    app = FastAPI()
    policy = cors(allow_origins=[SHOP], allow_headers=["X-One"], expose_headers=["X-Seen"])
    app.add_api_route("/x", policy(lambda: {"ok": True}))
    apply_cors(app)
    name = "Access-Control-Request-Headers"
    assert (await preflight(app, "/x", SHOP, **{name: "x-one"})).status_code == 200
    assert (await preflight(app, "/x", SHOP, **{name: "x-two"})).status_code == 400
    answer = await get(app, "/x", SHOP)
    assert answer.headers["access-control-expose-headers"] == "X-Seen"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/partner/1", "/default", "/public"])
@pytest.mark.parametrize("origin", [None, SHOP, PARTNER, EVIL])
async def test_vary_says_origin_once_whoever_asks(path, origin):
    vary = (await get(service(), path, origin)).headers["vary"]
    assert vary.split(", ").count("Origin") == 1


async def test_no_cors_leaves_the_answer_as_it_is():
    answer = await get(service(), "/closed", SHOP)
    assert answer.headers["vary"] == "Accept-Language"
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_routes_may_open_what_the_application_keeps_closed():
    app = service(Bare(ENVIRONMENT=Environment.TEST))
    assert allowed(await get(app, "/partner/1", PARTNER)) == PARTNER
    assert allowed(await get(app, "/default", PARTNER)) is None
    assert (await preflight(app, "/default", PARTNER)).status_code == 405
    assert (await preflight(app, "/partner/1", PARTNER)).status_code == 200


@pytest.mark.parametrize("origins", [[], [SHOP]])
async def test_a_preflight_for_a_path_that_nobody_can_read_is_answered(origins):
    app = service(Settings(ENVIRONMENT="test", CORS_ORIGINS=origins))
    app.add_api_route("/numbers/{number:int}", lambda number: number)
    transport = httpx.ASGITransport(app)  # which raises what a server would have to log
    async with httpx.AsyncClient(transport=transport, base_url="http://api.example") as http:
        headers = {"Origin": PARTNER, "Access-Control-Request-Method": "GET"}
        answer = await http.options("/numbers/" + "9" * 5000, headers=headers)
    assert answer.status_code >= 400
    assert answer.headers["x-request-id"]
    assert allowed(answer) is None


async def test_a_route_that_is_added_after_create_app_counts():
    app = create_app(Bare(ENVIRONMENT=Environment.TEST))
    app.add_api_route("/late", PARTNERS(lambda: {"ok": True}))
    assert allowed(await get(app, "/late", PARTNER)) == PARTNER


def test_a_star_with_credentials_is_refused_where_it_is_written():
    with pytest.raises(ValueError, match="any page act as the signed-in user"):
        cors(allow_origins=["*"], allow_credentials=True)


@pytest.mark.parametrize("origins", [[], ["null"], ["https://a.example/"], ["a"]])
def test_origins_that_are_none_are_refused(origins):
    with pytest.raises(ValueError, match="origin"):
        cors(allow_origins=origins)


def test_a_router_is_told_how():
    with pytest.raises(TypeError, match="as_dependency"):
        cors(allow_origins=[SHOP])(APIRouter())  # type: ignore[type-var]


def test_the_document_does_not_show_the_marker():
    operation = service().openapi()["paths"]["/outer/inner/a"]["get"]
    assert "parameters" not in operation
    assert "security" not in operation


async def test_without_policies_an_application_pays_nothing():
    app = create_app(Bare(ENVIRONMENT=Environment.TEST))
    app.add_api_route("/x", lambda: {"ok": True})
    answer = await get(app, "/x", SHOP)
    assert "vary" not in answer.headers
