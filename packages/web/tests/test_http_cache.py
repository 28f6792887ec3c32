import asyncio

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Response
from starlette.responses import StreamingResponse

from tijolo.core import BaseAppSettings
from tijolo.web import CachePolicy, ConditionalRoute, WebSettings, create_app
from tijolo.web.controllers import Controller, get, make_controller_router
from tijolo.web.http_cache import etag_of, has_etag
from tijolo.web.timeouts import RequestTimeoutMiddleware

router = APIRouter(route_class=ConditionalRoute)
VALUE = {"n": 1}


@router.get("/plain")
async def plain(response: Response):
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return VALUE


@router.get("/shared")
@CachePolicy(max_age_seconds=60, public=True, vary=["Accept", "Accept-Language"])
async def shared():
    return VALUE


@router.get("/secret")
@CachePolicy(no_store=True)
async def secret():
    return VALUE


@router.get("/own")
async def own():
    return Response(b"own", headers={"ETag": '"v7"', "Cache-Control": "max-age=5"})


@router.get("/stream")
async def stream():
    return StreamingResponse(iter([b"a", b"b"]))


@router.get("/missing")
async def missing():
    raise HTTPException(404)


@router.post("/plain")
async def write():
    return VALUE


async def ask(path, method="GET", app=None, **headers):
    if app is None:
        app = FastAPI()
        app.include_router(router, prefix="/v1")
        path = f"/v1{path}"
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as http:
        return await http.request(method, path, headers=headers)


async def test_who_has_it_already_gets_304_with_the_headers_and_no_body():
    first = await ask("/plain")
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    again = await ask("/plain", **{"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == etag
    assert "content-type" not in again.headers
    assert "content-length" not in again.headers
    assert len(again.headers.get_list("set-cookie")) == 2


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("{etag}", 304),
        ("*", 304),
        ('"other", {etag}', 304),
        ("{strong}", 304),
        ('"other"', 200),
        ("", 200),
        ("W/", 200),
        ("ÿ", 200),
        ('"x",' * 5000 + "{etag}", 200),
    ],
)
async def test_if_none_match_is_compared_weakly_and_bounded(header, status):
    etag = (await ask("/plain")).headers["etag"]
    sent = header.format(etag=etag, strong=etag.removeprefix("W/"))
    answer = await ask("/plain", **{"If-None-Match": sent.encode("latin-1")})
    assert answer.status_code == status


async def test_a_changed_answer_is_sent(monkeypatch):
    etag = (await ask("/plain")).headers["etag"]
    monkeypatch.setitem(VALUE, "n", 2)
    assert (await ask("/plain", **{"If-None-Match": etag})).json() == {"n": 2}


async def test_policies_of_endpoints():
    answer = await ask("/shared")
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert answer.headers["vary"] == "Accept, Accept-Language"
    secret = await ask("/secret", **{"If-None-Match": "*"})
    assert (secret.status_code, secret.headers["cache-control"]) == (200, "no-store")
    assert "etag" not in secret.headers


async def test_what_the_handler_says_is_kept():
    answer = await ask("/own")
    assert (answer.headers["etag"], answer.headers["cache-control"]) == ('"v7"', "max-age=5")
    assert (await ask("/own", **{"If-None-Match": 'W/"v7"'})).status_code == 304


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/stream", "GET", 200), ("/missing", "GET", 404), ("/plain", "POST", 200)],
)
async def test_streams_errors_and_writes_are_left_alone(path, method, status):
    answer = await ask(path, method, **{"If-None-Match": "*"})
    assert answer.status_code == status
    assert "etag" not in answer.headers


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_age_seconds": -1}, "0 or more"),
        ({"no_store": True, "public": True}, "contradicts"),
        ({"immutable": True}, "needs max_age_seconds"),
        ({"public": True, "vary": ["Cookie"]}, "each user"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(options, told):
    with pytest.raises(ValueError, match=told):
        CachePolicy(**options)


def test_every_directive_and_tags_of_bytes():
    policy = CachePolicy(
        max_age_seconds=9, public=True, stale_while_revalidate_seconds=3, immutable=True
    )
    wanted = "public, max-age=9, stale-while-revalidate=3, immutable"
    assert policy.cache_control == wanted
    assert etag_of(b"a") == etag_of(b"a") != etag_of(b"b")
    assert has_etag(f' "x" ,  {etag_of(b"a")} ', etag_of(b"a"))


async def test_an_answer_that_sets_a_cookie_is_never_for_shared_caches():
    app = FastAPI()
    own = APIRouter(route_class=ConditionalRoute)

    @own.get("/in")
    @CachePolicy(max_age_seconds=60, public=True)
    async def signed_in(response: Response):
        response.set_cookie("session", "of one user")

    app.include_router(own)
    first = await ask("/in", app=app)
    again = await ask("/in", app=app, **{"If-None-Match": first.headers["etag"]})
    assert first.headers["cache-control"] == "private, max-age=60"
    assert (again.status_code, again.headers["cache-control"]) == (304, "private, max-age=60")


def test_a_text_is_no_list_of_names():
    with pytest.raises(TypeError, match="'Accept'"):
        CachePolicy(vary="Accept")


# --- time limits


class Settings(WebSettings, BaseAppSettings, env_file=None):
    pass


def slow_service(**given):
    app = create_app(Settings(ENVIRONMENT="test", REQUEST_TIMEOUT_SECONDS=0.05, **given))
    app.state.seen = []

    @app.get("/slow")
    async def slow():
        try:
            await asyncio.sleep(60)
        finally:
            app.state.seen.append("cleaned up")

    @app.get("/late-stream")
    async def late_stream():
        async def chunks():
            yield b"a"
            await asyncio.sleep(0.12)
            yield b"b"

        return StreamingResponse(chunks())

    @app.get("/own")
    async def own_timeout():
        raise TimeoutError("of a driver")

    @app.get("/fast")
    async def fast():
        return VALUE

    return app


async def test_a_request_that_takes_too_long_is_cancelled_and_answered():
    app = slow_service()
    answer = await asyncio.wait_for(ask("/slow", app=app), 5)
    assert (answer.status_code, answer.json()["code"]) == (504, "REQUEST_TIMED_OUT")
    assert answer.json()["details"] == {"seconds": 0.05}
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert app.state.seen == ["cleaned up"]


async def test_a_response_that_has_started_is_not_cut_and_fast_ones_pass():
    app = slow_service()
    assert (await ask("/late-stream", app=app)).text == "ab"
    assert (await ask("/fast", app=app)).json() == VALUE


@pytest.mark.parametrize(("answer", "status"), [(None, 200), (HTTPException(503), 503)])
async def test_an_answer_to_the_cancellation_itself_stands(answer, status):
    app = slow_service()

    @app.get("/caught")
    async def caught():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if answer is not None:
                raise answer from None
            return VALUE

    assert (await ask("/caught", app=app)).status_code == status


async def test_a_timeout_of_the_application_s_own_is_an_error_like_any_other():
    assert (await ask("/own", app=slow_service())).status_code == 500


async def test_excluded_paths_and_other_scopes_have_no_limit(exchange, scope_of):
    async def app(scope, receive, send):
        await asyncio.sleep(0.02)
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body"})

    layer = RequestTimeoutMiddleware(app, seconds=0.001, exclude_paths=["/exports"])
    assert (await exchange(layer, "/exports/1")).status == 200
    assert (await exchange(layer, "/exportsX")).status == 504
    await layer({**scope_of("/"), "type": "websocket"}, None, None)
    with pytest.raises(ValueError, match="positive"):
        RequestTimeoutMiddleware(app, seconds=0)


async def started(*routers):
    app = create_app(BaseAppSettings(_env_file=None), routers)
    async with app.router.lifespan_context(app):
        return app


async def test_a_policy_that_nothing_reads_keeps_the_service_from_starting():
    async def prices():
        return VALUE

    CachePolicy(max_age_seconds=60)(prices)
    plain, outer = APIRouter(prefix="/plain"), APIRouter(prefix="/outer")
    plain.add_api_route("/prices", prices)
    outer.include_router(plain)
    with pytest.raises(RuntimeError, match=r"^/outer/plain/prices has a CachePolicy"):
        await started(outer)
    conditional = APIRouter(route_class=ConditionalRoute)
    conditional.add_api_route("/prices", prices)
    outer = APIRouter()
    outer.include_router(conditional)
    await started(outer)


async def test_a_policy_counts_above_its_route_as_well():
    above = APIRouter(route_class=ConditionalRoute)

    @CachePolicy(max_age_seconds=60)
    @above.get("/above")
    async def above_its_route():
        return VALUE

    answer = await ask("/above", app=await started(above))
    assert answer.headers["cache-control"] == "private, max-age=60"


class Prices(Controller):
    prefix = "/prices"

    @get()
    @CachePolicy(max_age_seconds=60, public=True)
    async def prices(self) -> dict[str, int]:
        return VALUE


async def test_policies_work_on_controllers():
    app = await started(make_controller_router(Prices, route_class=ConditionalRoute))
    first = await ask("/prices", app=app)
    assert first.headers["cache-control"] == "public, max-age=60"
    again = await ask("/prices", app=app, **{"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    with pytest.raises(RuntimeError, match=r"^/prices has a CachePolicy"):
        await started(make_controller_router(Prices))
