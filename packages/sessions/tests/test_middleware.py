"""What a session costs a request, what it does to the response, and what an outage does."""

import asyncio
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Request, Response, WebSocket
from fastapi.responses import StreamingResponse
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from tijolo.sessions import (
    CurrentRequestSession,
    CurrentSession,
    CurrentUserId,
    LoadOutcome,
    OutagePolicy,
    Session,
    SessionEventKind,
    SessionKey,
    SessionMiddleware,
    make_session_dependency,
    request_session,
)
from tijolo.sessions import SessionMetrics as SessionMetricsProtocol

NOTE = SessionKey[str]("note")


# --- S9, must 8 and 9: lazy, one question, nothing written that did not change


async def test_a_route_that_does_not_ask_for_the_session_never_touches_the_store(shop: Any) -> None:
    browser = await shop.signed_in()
    shop.store.down = True

    answer = await browser.get("/health")

    assert answer.status_code == 200
    assert shop.store.asked() == []
    assert "vary" not in answer.headers
    assert "cache-control" not in answer.headers


async def test_a_request_asks_the_store_once_however_many_read_the_session(make_shop: Any) -> None:
    routes = APIRouter()

    @routes.get("/several")
    async def several(
        first: CurrentSession, second: CurrentRequestSession, request: Request, user: CurrentUserId
    ) -> bool:
        third = await request_session(request).load()
        return first == second.record == third

    shop = make_shop(routes=routes)
    browser = await shop.signed_in()

    assert (await browser.get("/several")).json() is True
    assert shop.store.asked() == ["get"]


async def test_nothing_is_asked_without_a_cookie_or_with_one_that_cannot_be_ours(shop: Any) -> None:
    browser = shop.browser()
    for value in ("", "x", "é" * 43, "a" * 42, "a" * 44, "a" * 70_000, "../" * 14 + "a"):
        cookie = {"Cookie": f"{shop.cookie_name}={value}".encode()}
        assert (await browser.get("/home", headers=cookie)).json() == {"user_id": None}
    two = {"Cookie": f"{shop.cookie_name}={'a' * 43}; {shop.cookie_name}={'b' * 43}"}
    assert (await browser.get("/home", headers=two)).json() == {"user_id": None}
    assert shop.store.asked() == []


async def test_a_session_that_did_not_change_is_not_written(shop: Any) -> None:
    browser = await shop.signed_in()
    await browser.post("/theme/dark")
    assert shop.store.asked() == ["get", "save"]

    answer = await browser.post("/theme/dark")
    assert shop.store.asked() == ["get"]
    assert shop.cookie_of(answer) == {}


# --- S5, must 10 and 12: store and cookie slide together


async def test_sliding_renews_the_store_and_the_cookie_together(make_shop: Any) -> None:
    shop = make_shop(SESSION_TTL_SECONDS=1000, SESSION_TOUCH_SECONDS=60)
    browser = await shop.signed_in()

    shop.clock.advance(59)
    early = await browser.get("/orders")
    assert shop.cookie_of(early) == {}
    shop.clock.advance(10)
    used = await browser.get("/orders")
    cookie = shop.cookie_of(used)

    assert cookie["="] == shop.id_of(browser)
    assert cookie["max-age"] == "1000"
    for _ in range(5):  # far past the sign-in's own hour
        shop.clock.advance(900)
        assert (await browser.get("/orders")).status_code == 200
    shop.clock.advance(1001)
    assert (await browser.get("/orders")).status_code == 401


async def test_the_cookie_of_a_remembered_session_keeps_its_longer_clock(make_shop: Any) -> None:
    shop = make_shop(SESSION_REMEMBER_TTL_SECONDS=1_000_000)
    browser = await shop.signed_in(remember=True)
    shop.clock.advance(500_000)
    assert shop.cookie_of(await browser.get("/orders"))["max-age"] == "1000000"


async def test_without_sliding_neither_is_renewed(make_shop: Any) -> None:
    shop = make_shop(SESSION_TTL_SECONDS=1000, SESSION_SLIDING=False)
    browser = await shop.signed_in()
    shop.clock.advance(999)
    answer = await browser.get("/orders")
    assert answer.status_code == 200
    assert shop.cookie_of(answer) == {}
    shop.clock.advance(1)
    assert (await browser.get("/orders")).status_code == 401


async def test_the_absolute_clock_ends_a_session_in_use_and_its_cookie(make_shop: Any) -> None:
    """S6, through the browser."""
    shop = make_shop(SESSION_TTL_SECONDS=1000, SESSION_ABSOLUTE_SECONDS=2500)
    browser = await shop.signed_in()
    ages = []
    for _ in range(2):
        shop.clock.advance(900)
        ages.append(shop.cookie_of(await browser.get("/orders"))["max-age"])
    assert ages == ["1000", "700"]
    shop.clock.advance(699)
    assert (await browser.get("/orders")).status_code == 200
    shop.clock.advance(1)
    assert (await browser.get("/orders")).status_code == 401


# --- must 33, S24: no cache keeps what belongs to one browser


@pytest.mark.parametrize("path", ["/home", "/orders", "/cart"])
async def test_what_was_read_from_a_session_is_kept_by_no_cache(shop: Any, path: str) -> None:
    for browser in (await shop.signed_in(), shop.browser()):
        answer = await browser.get(path)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["vary"] == "Cookie"


async def test_signing_in_well_or_badly_is_kept_by_no_cache(shop: Any) -> None:
    for password in ("right", "wrong"):
        answer = await shop.login(shop.browser(), password=password)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["vary"] == "Cookie"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("public, max-age=60", "no-store"),
        ("max-age=60", "no-store"),
        ("private, no-cache", "private, no-cache"),
        ("no-store, max-age=0", "no-store, max-age=0"),
        ('private="set-cookie", max-age=60', "no-store"),
        ("max-age=60, no-store-if=1", "no-store"),
        ("public, private", "no-store"),
        ("Private, S-MaxAge=60", "no-store"),
        ("no-store, public", "no-store, public"),
    ],
)
async def test_a_policy_of_the_route_stays_where_it_is_private(
    make_shop: Any, given: str, expected: str
) -> None:
    routes = APIRouter()

    @routes.get("/page")
    async def page(session: CurrentSession, response: Response) -> None:
        response.headers["Cache-Control"] = given
        response.headers["Vary"] = "Accept, cookie"

    shop = make_shop(routes=routes)
    answer = await (await shop.signed_in()).get("/page")
    assert answer.headers.get_list("cache-control") == [expected]
    assert answer.headers.get_list("vary") == ["Accept, cookie"]


@pytest.mark.parametrize(
    "name",
    [
        "CDN-Cache-Control",
        "Cloudflare-CDN-Cache-Control",
        "Vercel-CDN-Cache-Control",
        "Netlify-CDN-Cache-Control",
        "Akamai-Cache-Control",
        "Edge-Control",
        "Surrogate-Control",
        "X-Accel-Expires",
    ],
)
async def test_no_cache_is_told_by_another_name_to_keep_a_session(
    make_shop: Any, name: str
) -> None:
    """RFC 9213, section 2.2: the targeted field counts, and ``Cache-Control`` does not."""
    routes = APIRouter()

    @routes.get("/page")
    async def page(session: CurrentSession, response: Response, policy: str) -> None:
        response.headers[name] = policy

    browser = await make_shop(routes=routes).signed_in()
    answer = await browser.get("/page", params={"policy": "max-age=60"})
    assert name not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    answer = await browser.get("/page", params={"policy": "no-store"})
    assert answer.headers[name] == "no-store"


async def test_a_private_policy_gives_way_where_a_cookie_is_set(make_shop: Any) -> None:
    routes = APIRouter()

    @routes.post("/page")
    async def page(session: CurrentRequestSession, response: Response) -> None:
        session[NOTE] = "x"
        response.headers["Cache-Control"] = "private, max-age=60"

    answer = await make_shop(routes=routes).browser().post("/page")
    assert "set-cookie" in answer.headers
    assert answer.headers.get_list("cache-control") == ["no-store"]


# --- S18, S24, must 26 and 28: the cookie itself


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"name": "__Host-session", "path": "/", "secure": "", "samesite": "lax"}),
        (
            {"SESSION_COOKIE_DOMAIN": "shop.example", "SESSION_COOKIE_SAMESITE": "strict"},
            {"name": "__Secure-session", "domain": "shop.example", "samesite": "strict"},
        ),
        ({"SESSION_COOKIE_PATH": "/auth"}, {"name": "__Secure-session", "path": "/auth"}),
        ({"SESSION_COOKIE_SECURE": False}, {"name": "session", "path": "/"}),
    ],
)
async def test_the_cookie_is_cleared_with_the_attributes_it_was_set_with(
    make_shop: Any, settings: Any, expected: Any
) -> None:
    shop = make_shop(**settings)
    scheme = "http" if settings.get("SESSION_COOKIE_SECURE") is False else "https"
    browser = shop.browser(scheme=scheme)
    made = shop.cookie_of(await shop.login(browser))
    cleared = shop.cookie_of(await browser.post("/auth/session/logout"))

    assert expected.items() <= made.items()
    assert "httponly" in made
    assert ("secure" in made) is (scheme == "https")
    varying = ("=", "max-age", "expires")
    assert {k: v for k, v in made.items() if k not in varying} == {
        k: v for k, v in cleared.items() if k not in varying
    }
    assert cleared["max-age"] == "0"
    assert shop.id_of(browser) is None


async def test_a_dead_cookie_is_not_cleared_by_a_read(shop: Any) -> None:
    """A slow answer to the old cookie would take the new one with it (starlette#3166)."""
    browser = await shop.signed_in()
    await shop.auth.revoke_all(shop.ana.id)
    answer = await browser.get("/home")
    assert answer.json() == {"user_id": None}
    assert shop.cookie_of(answer) == {}


async def test_a_slow_answer_does_not_put_the_old_cookie_back(
    make_shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop()
    browser = await shop.signed_in()
    shop.clock.advance(3600)
    # whatever was loaded was loaded long ago
    monkeypatch.setattr("tijolo.sessions._request_response._RENEW_COOKIE_WITHIN_SECONDS", -1.0)
    answer = await browser.get("/orders")
    assert answer.status_code == 200
    assert shop.cookie_of(answer) == {}


# --- S9: an outage is a matter of the route


def _policies() -> APIRouter:
    routes = APIRouter()
    known = make_session_dependency(policy=OutagePolicy.LAST_KNOWN_GOOD)
    strict = make_session_dependency(required=False, policy=OutagePolicy.UNAVAILABLE)

    @routes.get("/known")
    async def last_known_good(session: Annotated[Session, Depends(known)]) -> bool:
        return session.user_id is not None

    @routes.get("/strict")
    async def optional_but_strict(session: Annotated[Session | None, Depends(strict)]) -> bool:
        return session is not None

    return routes


async def test_an_outage_is_503_where_the_session_is_needed_and_nobody_elsewhere(
    make_shop: Any,
) -> None:
    shop = make_shop(routes=_policies(), SESSION_LAST_KNOWN_GOOD_SECONDS=60)
    browser = await shop.signed_in()
    stranger = await shop.signed_in("bia")
    assert (await browser.get("/known")).status_code == 200
    shop.store.down = True

    assert (await browser.get("/health")).status_code == 200
    assert (await browser.get("/home")).json() == {"user_id": None}
    for path in ("/orders", "/strict", "/cart"):
        answer = await browser.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "SESSION_STORE_UNAVAILABLE")
        assert answer.headers["retry-after"] == "1"
        assert shop.cookie_of(answer) == {}
    assert (await browser.get("/known")).status_code == 200
    assert (await stranger.get("/known")).status_code == 503


async def test_what_was_known_last_is_believed_for_its_seconds_only(make_shop: Any) -> None:
    shop = make_shop(routes=_policies(), SESSION_LAST_KNOWN_GOOD_SECONDS=0.05)
    browser = await shop.signed_in()
    assert (await browser.get("/known")).status_code == 200
    shop.store.down = True
    await asyncio.sleep(0.06)
    assert (await browser.get("/known")).status_code == 503


async def test_a_session_that_was_ended_here_is_not_known_any_more(make_shop: Any) -> None:
    shop = make_shop(routes=_policies(), SESSION_LAST_KNOWN_GOOD_SECONDS=60)
    browser = await shop.signed_in()
    assert (await browser.get("/known")).status_code == 200
    await shop.auth.revoke_all(shop.ana.id)
    shop.store.down = True
    assert (await browser.get("/known")).status_code == 503


async def test_last_known_good_needs_its_setting(make_shop: Any) -> None:
    shop = make_shop(routes=_policies())
    browser = await shop.signed_in()
    with pytest.raises(RuntimeError, match="SESSION_LAST_KNOWN_GOOD_SECONDS"):
        await browser.get("/known")


def test_a_required_session_cannot_go_on_as_nobodys() -> None:
    with pytest.raises(ValueError, match="tell users to sign in again"):
        make_session_dependency(policy=OutagePolicy.ANONYMOUS)


async def test_an_outage_never_replaces_a_session_by_a_new_one(make_shop: Any) -> None:
    routes = APIRouter()
    optional = make_session_dependency(required=False)

    @routes.post("/note")
    async def note(request: Request, session: Annotated[Any, Depends(optional)]) -> None:
        shop.store.down = False  # it is back when the response starts
        request_session(request)[NOTE] = "x"

    shop = make_shop(routes=routes)
    browser = await shop.signed_in()
    shop.store.down = True
    answer = await browser.post("/note")
    assert answer.status_code == 503
    assert shop.cookie_of(answer) == {}
    assert (await browser.get("/orders")).status_code == 200


async def test_a_store_that_fails_is_left_alone_for_a_while(make_shop: Any) -> None:
    shop = make_shop(SESSION_STORE_RETRY_SECONDS=3)
    browser = await shop.signed_in()
    shop.store.down = True
    for _ in range(10):
        assert (await browser.get("/orders")).status_code == 503
    assert shop.store.asked() == ["get"] * 3
    shop.store.down = False
    assert (await browser.get("/orders")).status_code == 503
    await asyncio.sleep(3.1)
    assert (await browser.get("/orders")).status_code == 200
    assert (await browser.get("/orders")).status_code == 200


async def test_a_write_that_fails_is_a_503_and_not_the_answer_that_was_made(shop: Any) -> None:
    browser = await shop.signed_in()
    original = shop.store.save

    async def save(*args: Any, **kwargs: Any) -> bool:
        shop.store.down = True
        return await original(*args, **kwargs)

    shop.store.save = save
    answer = await browser.post("/cart/7")
    assert (answer.status_code, answer.json()["code"]) == (503, "SESSION_STORE_UNAVAILABLE")
    assert answer.headers["cache-control"] == "no-store"


async def test_a_sign_in_that_the_store_does_not_keep_is_logged(
    shop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    shop.store.down = True
    answer = await shop.login(shop.browser())
    assert (answer.status_code, answer.headers["vary"]) == (503, "Cookie")
    assert answer.headers["retry-after"] == "1"
    [told] = [r for r in caplog.records if r.name == "tijolo.web.errors"]
    assert told.getMessage() == ("503 SESSION_STORE_UNAVAILABLE in POST /auth/session/login")
    assert told.status == 503


async def test_an_error_of_the_service_writes_nothing(shop: Any) -> None:
    browser = await shop.signed_in()
    assert (await browser.post("/cart/1?fail=500")).status_code == 500
    assert (await browser.get("/cart")).json() == []
    assert (await browser.post("/cart/2?fail=409")).status_code == 409
    assert (await browser.get("/cart")).json() == [2]


# --- S9, must 24 and 25: pure ASGI, streams, background tasks, WebSockets


async def test_a_stream_and_a_background_task_may_still_write(make_shop: Any) -> None:
    routes = APIRouter()

    @routes.get("/stream")
    async def stream(session: CurrentRequestSession) -> StreamingResponse:
        async def body() -> Any:
            yield b"a"
            session[NOTE] = "streamed"

        return StreamingResponse(body())

    @routes.get("/task")
    async def task(session: CurrentRequestSession, tasks: BackgroundTasks) -> None:
        tasks.add_task(session.__setitem__, NOTE, "later")

    @routes.get("/note")
    async def note(session: CurrentRequestSession) -> str | None:
        return session.get(NOTE)

    shop = make_shop(routes=routes)
    browser = await shop.signed_in()
    await browser.get("/stream")
    assert (await browser.get("/note")).json() == "streamed"
    await browser.get("/task")
    assert (await browser.get("/note")).json() == "later"
    with pytest.raises(RuntimeError, match="response has started"):
        await shop.browser().get("/stream")


async def test_the_scope_and_the_session_do_not_hold_each_other_afterwards(shop: Any) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await SessionMiddleware(app, session_auth=shop.auth)(scope, None, send)  # type: ignore[arg-type]
    assert sent == ["http.response.start", "http.response.body"]
    assert "tijolo.session" not in seen[0]


async def test_other_scopes_pass(shop: Any) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    await SessionMiddleware(app, session_auth=shop.auth)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert seen == [{"type": "lifespan"}]


async def test_without_the_middleware_the_error_says_so() -> None:
    app = FastAPI()

    @app.get("/")
    async def page(session: CurrentSession) -> None: ...

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://x.example") as browser:
        with pytest.raises(RuntimeError, match=r"add_middleware\(SessionMiddleware, session_auth="):
            await browser.get("/")


def _chat() -> APIRouter:
    routes = APIRouter()

    @routes.websocket("/chat")
    async def chat(socket: WebSocket, session: CurrentRequestSession) -> None:
        await socket.accept()
        async for _ in socket.iter_text():
            live = await session.reload()
            await socket.send_json({"user_id": live and str(live.user_id)})

    return routes


def test_a_websocket_has_its_session_and_learns_when_it_ends(make_shop: Any) -> None:
    shop = make_shop(routes=_chat())
    value = asyncio.run(shop.auth.login(user_id=shop.ana.id))[1]
    headers = {"Cookie": f"{shop.cookie_name}={value}", "Origin": "https://shop.example"}
    with (
        TestClient(shop.app, base_url="https://shop.example") as client,
        client.websocket_connect("wss://shop.example/chat", headers=headers) as socket,
    ):
        socket.send_text("?")
        assert socket.receive_json() == {"user_id": str(shop.ana.id)}
        asyncio.run(shop.auth.revoke_all(shop.ana.id))
        socket.send_text("?")
        assert socket.receive_json() == {"user_id": None}


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "https://app.shop.example"}, True),
        ({"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "https://shop.example"}, True),
        ({"Origin": "https://shop.example:8443"}, False),
        ({}, True),
    ],
)
def test_another_sites_page_cannot_open_a_socket_with_the_session(
    make_shop: Any, headers: Any, allowed: bool
) -> None:
    shop = make_shop(routes=_chat(), SESSION_TRUSTED_ORIGINS=["https://app.shop.example"])
    value = asyncio.run(shop.auth.login(user_id=shop.ana.id))[1]
    sent = {"Cookie": f"{shop.cookie_name}={value}", **headers}
    with TestClient(shop.app, base_url="https://shop.example") as client:
        if allowed:
            with client.websocket_connect("wss://shop.example/chat", headers=sent) as socket:
                socket.send_text("?")
                assert socket.receive_json() == {"user_id": str(shop.ana.id)}
        else:
            with (
                pytest.raises(WebSocketDisconnect),
                client.websocket_connect("wss://shop.example/chat", headers=sent),
            ):
                pass


# --- the opt-in memory of row 3.3


async def test_the_local_cache_spares_the_store_and_forgets_what_ends_here(make_shop: Any) -> None:
    shop = make_shop(SESSION_LOCAL_CACHE_SECONDS=60)
    browser, other = await shop.signed_in(), await shop.signed_in()
    for _ in range(5):
        assert (await browser.get("/orders")).status_code == 200
        assert (await other.get("/orders")).status_code == 200
    assert shop.store.asked() == ["get", "get"]

    await browser.post("/cart/1")
    assert (await browser.get("/cart")).json() == [1]
    await other.post("/auth/session/logout/others")
    assert (await browser.get("/orders")).status_code == 401
    assert (await other.get("/orders")).status_code == 200
    await other.post("/auth/session/logout")
    assert (await other.get("/orders")).status_code == 401


async def test_the_local_cache_believes_no_longer_than_its_seconds(make_shop: Any) -> None:
    shop = make_shop(SESSION_LOCAL_CACHE_SECONDS=0.05)
    browser = await shop.signed_in()
    assert (await browser.get("/orders")).status_code == 200
    await shop.store.delete_by_user(shop.ana.id)  # as another process would
    await asyncio.sleep(0.06)
    assert (await browser.get("/orders")).status_code == 401


async def test_the_local_cache_keeps_nothing_that_ended_while_it_was_loaded(make_shop: Any) -> None:
    shop = make_shop(SESSION_LOCAL_CACHE_SECONDS=60)
    browser = await shop.signed_in()
    original = shop.store.get

    async def get(*args: Any, **kwargs: Any) -> Any:
        found = await original(*args, **kwargs)
        await shop.auth.revoke_all(shop.ana.id)
        return found

    shop.store.get = get
    await browser.get("/orders")  # its answer was on the way when the session ended
    shop.store.get = original
    assert (await browser.get("/orders")).status_code == 401


async def test_the_local_cache_keeps_what_was_loaded_while_others_come_and_go(
    make_shop: Any,
) -> None:
    """Or one client with random cookies switches it off, for outages too."""
    shop = make_shop(SESSION_LOCAL_CACHE_SECONDS=60)
    browser, stranger = await shop.signed_in(), shop.browser()
    stranger.cookies.set(shop.cookie_name, "x" * 43, domain="shop.example")
    original = shop.store.get

    async def get(*args: Any, **kwargs: Any) -> Any:
        found = await original(*args, **kwargs)
        shop.store.get = original
        await stranger.get("/home")
        await (await shop.signed_in("bia")).post("/auth/session/logout/all")
        return found

    shop.store.get = get
    await browser.get("/orders")
    shop.store.asked()
    assert (await browser.get("/orders")).status_code == 200
    assert shop.store.asked() == []


async def test_of_several_loads_at_once_none_that_is_out_of_date_is_kept(make_shop: Any) -> None:
    shop = make_shop(SESSION_LOCAL_CACHE_SECONDS=60)
    browser = await shop.signed_in()
    cookie = {"Cookie": f"{shop.cookie_name}={shop.id_of(browser)}"}
    original, all_wait, go_on = shop.store.get, asyncio.Barrier(4), asyncio.Event()

    async def get(*args: Any, **kwargs: Any) -> Any:
        found = await original(*args, **kwargs)
        await all_wait.wait()
        await go_on.wait()
        return found

    shop.store.get = get
    late = [asyncio.create_task(browser.get("/orders")) for _ in range(3)]
    await all_wait.wait()
    shop.store.get = original
    await shop.browser().post("/cart/7", headers=cookie)
    assert (await shop.browser().get("/cart", headers=cookie)).json() == [7]
    go_on.set()
    await asyncio.gather(*late)
    assert (await browser.get("/cart")).json() == [7]


async def test_the_local_cache_has_nothing_that_a_sign_in_beyond_the_cap_ended(
    make_shop: Any,
) -> None:
    shop = make_shop(SESSION_LOCAL_CACHE_SECONDS=60, SESSION_MAX_PER_USER=1)
    browser = await shop.signed_in()
    assert (await browser.get("/orders")).status_code == 200
    await shop.signed_in()
    assert (await browser.get("/orders")).status_code == 401


async def test_what_a_handler_changes_in_place_is_in_no_cache(make_shop: Any) -> None:
    routes = APIRouter()

    @routes.get("/spoil")
    async def spoil(session: CurrentSession) -> None:
        session.data["cart"].append(9)

    shop = make_shop(routes=routes, SESSION_LOCAL_CACHE_SECONDS=60)
    browser = await shop.signed_in()
    await browser.post("/cart/1")
    for _ in range(3):  # as it is loaded, and as it is remembered
        await browser.get("/spoil")
        assert (await browser.get("/orders")).json()["data"] == {"cart": [1]}


async def test_the_local_cache_is_bounded_and_minds_the_clocks(make_shop: Any) -> None:
    shop = make_shop(
        SESSION_LOCAL_CACHE_SECONDS=60, SESSION_LOCAL_CACHE_SIZE=2, SESSION_TTL_SECONDS=100
    )
    browsers = [await shop.signed_in() for _ in range(4)]
    for browser in browsers:
        assert (await browser.get("/orders")).status_code == 200
    assert len(shop.auth.reader.recent._entries) == 2
    shop.clock.advance(101)
    assert (await browsers[-1].get("/orders")).status_code == 401


# --- must 38: metrics


async def test_metrics_hear_of_every_search_and_event(make_shop: Any) -> None:
    heard: list[Any] = []

    class Metrics:
        def loaded(self, outcome: LoadOutcome, seconds: float) -> None:
            assert seconds >= 0
            heard.append(outcome)

        def happened(self, kind: SessionEventKind) -> None:
            heard.append(kind)

    shop = make_shop(options={"metrics": Metrics()})
    browser = await shop.signed_in()
    await browser.get("/orders")
    await browser.post("/auth/session/logout")
    await browser.get("/orders")
    stale = await shop.signed_in()
    await shop.store.delete_by_user(shop.ana.id)
    await stale.get("/orders")
    shop.store.down = True
    await stale.get("/orders")
    assert heard == [
        *("login", "found", "found", "logout"),
        *("login", "absent", "unavailable"),
    ]


async def test_prometheus_counts_by_the_words_of_the_enumerations_alone(make_shop: Any) -> None:
    pytest.importorskip("prometheus_client")
    from tijolo.observability.prometheus import Metrics, SessionMetrics, make_prometheus_registry

    registry = make_prometheus_registry()
    counted: SessionMetricsProtocol = SessionMetrics(Metrics(registry))
    shop = make_shop(options={"metrics": counted})
    browser = await shop.signed_in()
    await browser.get("/orders")
    await shop.login(shop.browser(), password="wrong")
    await shop.store.delete_by_user(shop.ana.id)
    await browser.get("/orders")
    shop.store.down = True
    await browser.get("/orders")

    samples = [s for m in registry.collect() if m.name.startswith("session_") for s in m.samples]
    counted_words = {
        word: sample.value
        for sample in samples
        if sample.name.endswith(("_count", "_total"))
        for word in sample.labels.values()
    }
    once = ("found", "absent", "unavailable", "login", "login_failed")
    assert counted_words == dict.fromkeys(once, 1)
    words = {*LoadOutcome, *SessionEventKind}
    assert {v for s in samples for k, v in s.labels.items() if k != "le"} <= words
