from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from tijolo.core import UNMATCHED_ROUTE, route_template


async def _answer(request):
    return PlainTextResponse("ok")


async def _static(scope, receive, send):
    await PlainTextResponse("file")(scope, receive, send)


@pytest.fixture
def label(asgi_get):
    """The template of the route that an application matched for a path."""

    async def label(app, path, **extra):
        seen = {}

        async def recorder(scope, receive, send):
            try:
                await app(scope, receive, send)
            finally:
                seen["label"] = route_template(scope)

        await asgi_get(recorder, path, **extra)
        return seen["label"]

    return label


def _starlette():
    return Starlette(
        routes=[
            Route("/items/{id}", _answer),
            Mount("/sub/{tenant}", routes=[Route("/things/{name}", _answer)]),
            Mount("/static", app=_static),
        ]
    )


def _fastapi():
    fastapi = pytest.importorskip("fastapi")
    inner = fastapi.APIRouter(prefix="/items")
    inner.add_api_route("/{id}", _answer, methods=["GET"])
    outer = fastapi.APIRouter(prefix="/v1")
    outer.include_router(inner)
    app = fastapi.FastAPI()
    app.include_router(outer, prefix="/api")
    mounted = fastapi.FastAPI()
    mounted.include_router(inner)
    app.mount("/mounted", mounted)
    app.mount("/files", _static)
    return app


async def test_a_starlette_route_is_labelled_by_its_template(label):
    assert await label(_starlette(), "/items/5") == "/items/{id}"


async def test_a_mount_s_parameters_stay_templates(label):
    assert await label(_starlette(), "/sub/acme/things/x") == "/sub/{tenant}/things/{name}"


async def test_what_a_mount_serves_without_routes_is_one_label(label):
    assert await label(_starlette(), "/static/a/b.css") == "/static/{path}"
    assert await label(_fastapi(), "/files/a/b.css") == "/files/{path}"


@pytest.mark.parametrize("path", ["/nope", "/nope/1/2", "/items", "/"])
async def test_unmatched_paths_share_one_label(label, path):
    assert await label(_starlette(), path) == UNMATCHED_ROUTE
    assert await label(_fastapi(), path) == UNMATCHED_ROUTE


async def test_every_prefix_of_include_router_is_in_the_label(label):
    assert await label(_fastapi(), "/api/v1/items/5") == "/api/v1/items/{id}"


async def test_a_mounted_fastapi_is_labelled_with_its_mount(label):
    assert await label(_fastapi(), "/mounted/items/5") == "/mounted/items/{id}"


async def test_the_prefix_a_proxy_strips_is_not_in_the_label(label):
    template = await label(_fastapi(), "/proxy/api/v1/items/5", root_path="/proxy")

    assert template == "/api/v1/items/{id}"


async def test_the_docs_routes_are_labelled(label):
    assert await label(_fastapi(), "/openapi.json") == "/openapi.json"


def test_a_scope_nobody_routed_is_unmatched():
    assert route_template({"type": "http", "path": "/x"}) == UNMATCHED_ROUTE
