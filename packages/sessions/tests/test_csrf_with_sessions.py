"""S10, S12-S14: tijolo-web's CSRF protection, its tokens bound to the session."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends

from tijolo.core import BaseAppSettings
from tijolo.sessions import (
    CurrentRequestSession,
    SessionAuth,
    SessionMiddleware,
    SessionSettings,
    make_session_router,
)
from tijolo.web import CSRFMiddleware, CSRFSettings, create_app, make_csrf_token_dependency

SECRET = "0123456789abcdefghijklmnopqrstuvwxyz"
Token = Annotated[str, Depends(make_csrf_token_dependency())]


@pytest.fixture
def guarded(make_shop: Any) -> Any:
    """The shop with the protection, and a page that shows a token."""
    routes = APIRouter()

    async def form(token: str) -> str:
        return token

    form.__annotations__["token"] = Token
    routes.get("/form")(form)

    def middleware(app: Any) -> None:
        app.add_middleware(CSRFMiddleware, secret=SECRET, exclude_paths=["/theme/{name}"])

    return make_shop(routes=routes, middleware=middleware)


async def old_browser(shop: Any, name: str | None = "ana") -> Any:
    """One that sends neither ``Sec-Fetch-Site`` nor ``Origin``, and needs tokens."""
    browser = shop.browser()
    del browser.headers["Sec-Fetch-Site"]
    if name:
        token = (await browser.get("/form")).json()
        body = {"email": f"{name}@shop.example", "password": "right"}
        sent = {"X-CSRF-Token": token}
        assert (
            await browser.post("/auth/session/login", json=body, headers=sent)
        ).status_code == 200
    return browser


async def test_a_token_works_in_the_header_and_in_a_form(guarded: Any) -> None:
    browser = await old_browser(guarded)
    token = (await browser.get("/form")).json()
    by_header = await browser.post("/cart/1", headers={"X-CSRF-Token": token})
    by_field = await browser.post("/cart/2", data={"csrf_token": token, "x": "y"})
    by_part = await browser.post("/cart/3", files={"csrf_token": (None, token)})
    assert [a.status_code for a in (by_header, by_field, by_part)] == [200, 200, 200]
    without = await browser.post("/cart/4")
    assert (without.status_code, without.json()["code"]) == (403, "CSRF_VALIDATION_FAILED")


async def test_a_token_is_worth_nothing_in_another_session(guarded: Any) -> None:
    mine, theirs = await old_browser(guarded, "ana"), await old_browser(guarded, "bia")
    token = (await mine.get("/form")).json()
    cookie = mine.cookies.get("__Host-csrf")
    theirs.cookies.set("__Host-csrf", cookie, domain="shop.example")  # planted
    assert (await theirs.post("/cart/1", headers={"X-CSRF-Token": token})).status_code == 403
    assert (await mine.post("/cart/1", headers={"X-CSRF-Token": token})).status_code == 200


async def test_a_token_from_before_the_sign_in_is_worth_nothing_after_it(guarded: Any) -> None:
    browser = await old_browser(guarded, None)
    token = (await browser.get("/form")).json()
    body = {"email": "ana@shop.example", "password": "right"}
    answer = await browser.post("/auth/session/login", json=body, headers={"X-CSRF-Token": token})
    assert answer.status_code == 200
    assert (await browser.post("/cart/1", headers={"X-CSRF-Token": token})).status_code == 403


async def test_signing_in_from_another_sites_form_is_refused(guarded: Any) -> None:
    for headers in (
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Origin": "https://evil.example"},
        {},
    ):
        browser = await old_browser(guarded, None)
        answer = await browser.post(
            "/auth/session/login",
            json={"email": "ana@shop.example", "password": "right"},
            headers=headers,
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "CSRF_VALIDATION_FAILED")
        assert guarded.cookie_of(answer) == {}


@pytest.mark.parametrize("value", [b"\xff\xfe", "é".encode(), b"", b"x" * 10_000])
async def test_a_token_that_is_no_text_is_a_403(guarded: Any, value: bytes) -> None:
    browser = await old_browser(guarded)
    answer = await browser.post("/cart/1", headers={"X-CSRF-Token": value})
    assert answer.status_code == 403


async def test_only_whole_paths_are_exempt(guarded: Any) -> None:
    browser = await old_browser(guarded)
    assert (await browser.post("/theme/dark")).status_code == 200
    assert (await browser.post("/theme/dark/more")).status_code == 403
    assert (await browser.post("/themes")).status_code == 403


async def test_the_session_routes_refuse_another_site_though_their_path_is_excluded(
    make_shop: Any,
) -> None:
    """A wildcard for one callback must not open the login and the logout to every page."""
    routes = APIRouter()

    @routes.post("/auth/saml/callback")
    async def callback(session: CurrentRequestSession) -> None:
        await session.login(shop.ana)

    def middleware(app: Any) -> None:
        app.add_middleware(CSRFMiddleware, secret=SECRET, exclude_paths=["/auth/{path:path}"])

    shop = make_shop(routes=routes, middleware=middleware)
    evil = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    browser = await shop.signed_in()
    [device] = await shop.store.list_by_user(shop.ana.id)
    body = {"email": "bia@shop.example", "password": "right"}
    for method, path in (
        ("POST", "login"),
        ("POST", "logout"),
        ("POST", "logout/all"),
        ("POST", "logout/others"),
        ("DELETE", device.public_id),
    ):
        for headers in (evil, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
            sender = shop.browser(**headers) if path == "login" else browser
            if "Sec-Fetch-Site" not in headers:
                headers = {**headers, "Sec-Fetch-Site": ""}
            answer = await sender.request(
                method, f"/auth/session/{path}", headers=headers, json=body
            )
            assert (answer.status_code, answer.json()["code"]) == (403, "CROSS_SITE_REQUEST")
            assert shop.cookie_of(answer) == {}
    assert (await browser.get("/orders")).json()["user_id"] == str(shop.ana.id)
    # a handler's own path is excluded on purpose: a SAML answer is another site's form
    answer = await shop.browser(**evil).post("/auth/saml/callback")
    assert (answer.status_code, bool(shop.cookie_of(answer))) == (200, True)


async def test_a_bearer_token_without_cookies_needs_no_csrf_token(guarded: Any) -> None:
    program = await old_browser(guarded, None)
    bearer = {"Authorization": "Bearer something"}
    assert (await program.post("/cart/1", headers=bearer)).status_code == 200
    # with the session's cookie it is a browser's request like any other
    browser = await old_browser(guarded)
    assert (await browser.post("/cart/1", headers=bearer)).status_code == 403


async def test_the_wrong_order_is_warned_of(
    make_shop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop()
    shop.app.add_middleware(CSRFMiddleware, secret=SECRET)
    for _ in range(3):
        await shop.browser().get("/home")
    assert caplog.text.count("add SessionMiddleware after it") == 1


async def test_create_app_puts_the_two_in_order(memory: Any, shop: Any) -> None:
    class Settings(SessionSettings, CSRFSettings, BaseAppSettings):
        pass

    settings = Settings(ENVIRONMENT="development", CSRF_SECRET=SECRET)
    auth = SessionAuth(store=memory, settings=settings, verifier=shop.verifier)
    shop.app = create_app(settings, make_session_router(auth))
    shop.app.add_middleware(SessionMiddleware, session_auth=auth)
    browser = shop.browser()
    assert (await shop.login(browser)).status_code == 200
    assert (await browser.get("/auth/session/me")).status_code == 200
    cross = {"Sec-Fetch-Site": "cross-site"}
    answer = await browser.post("/auth/session/logout", headers=cross)
    assert answer.json()["code"] == "CSRF_VALIDATION_FAILED"
