"""Sessions as a browser sees them: its cookie rules, its tabs, and other sites' pages."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse

from tijolo.core import BaseAppSettings
from tijolo.sessions import (
    CurrentRequestSession,
    MemorySessionStore,
    OptionalSession,
    SessionAuth,
    SessionKey,
    SessionMiddleware,
    SessionSettings,
    make_session_router,
)
from tijolo.web import CSRFSettings, WebSettings, create_app

ORDERS = SessionKey[int]("orders")
ANA = uuid.UUID(int=7)
SIGN_IN = """
async () => (await fetch('/auth/session/login', {
  method: 'POST',
  headers: {'Content-Type': 'application/json'},
  body: JSON.stringify({email: 'ana@shop.example', password: 'right'}),
})).status
"""
SIGN_OUT_EVERYWHERE = """
async () => (await fetch('/auth/session/logout/all', {method: 'POST'})).status
"""


@dataclass
class User:
    id: uuid.UUID = ANA


class Verifier:
    async def authenticate(self, session: Any, *, email: str, password: str) -> User | None:
        return User() if password == "right" else None


class WithCSRF(SessionSettings, CSRFSettings, WebSettings, BaseAppSettings):
    pass


class WithoutCSRF(SessionSettings, WebSettings, BaseAppSettings):
    pass


def _routes() -> APIRouter:
    routes = APIRouter()

    @routes.get("/")
    async def page(session: OptionalSession) -> HTMLResponse:
        return HTMLResponse(f"<p id=who>{'ana' if session else 'nobody'}</p>")

    @routes.post("/order")
    async def order(session: CurrentRequestSession) -> HTMLResponse:
        session[ORDERS] = session.get(ORDERS, 0) + 1
        return HTMLResponse(f"<p id=who>{session[ORDERS]} ordered</p>")

    @routes.get("/orders")
    async def orders(session: CurrentRequestSession) -> HTMLResponse:
        return HTMLResponse(f"<p id=who>{session.get(ORDERS, 0)}</p>")

    @routes.get("/own-form")
    async def own_form() -> HTMLResponse:
        return HTMLResponse("<form method=post action=/order><button>Order</button></form>")

    return routes


@pytest.fixture(params=["with CSRFMiddleware", "without"])
def shop(request: pytest.FixtureRequest) -> FastAPI:
    """With everything as it is by default: the cookie is Secure, and localhost is trusted."""
    options: dict[str, Any] = {"ENVIRONMENT": "development", "ACCESS_LOG_ENABLED": False}
    settings: Any
    if request.param == "without":
        settings = WithoutCSRF(**options)
    else:
        settings = WithCSRF(CSRF_SECRET="0123456789abcdefghijklmnopqrstuvwxyz", **options)
    # forms of this test's pages go where they like
    settings = settings.model_copy(update={"CONTENT_SECURITY_POLICY": ""})
    auth = SessionAuth(store=MemorySessionStore(), settings=settings, verifier=Verifier())
    app = create_app(settings, [make_session_router(auth), _routes()])
    app.add_middleware(SessionMiddleware, session_auth=auth)
    return app


@pytest.fixture
def other_site() -> Any:
    """(port of the shop) -> a site with a form that posts there by itself."""

    def make(port: int) -> FastAPI:
        app = FastAPI()

        @app.get("/")
        async def page() -> HTMLResponse:
            form = f"<form method=post action='http://localhost:{port}/order'></form>"
            return HTMLResponse(f"{form}<script>document.forms[0].submit()</script>")

        return app

    return make


async def who(page: Any, path: str = "") -> str:
    if path:
        await page.goto(path)
    return str(await page.text_content("#who"))


async def test_logging_out_everywhere_reaches_every_tab_and_device(
    chromium: Any, serve: Any, shop: FastAPI
) -> None:
    async with serve(shop) as port:
        url = f"http://localhost:{port}/"
        here, elsewhere = await chromium.new_context(), await chromium.new_context()
        tab, phone = await here.new_page(), await elsewhere.new_page()
        for page in (tab, phone):
            assert await who(page, url) == "nobody"
            assert await page.evaluate(SIGN_IN) == 200
        second_tab = await here.new_page()
        assert [await who(page, url) for page in (tab, second_tab, phone)] == ["ana"] * 3

        (cookie,) = await here.cookies()
        assert cookie["name"] == "__Host-session"
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")
        assert await tab.evaluate("document.cookie") == ""

        assert await second_tab.evaluate(SIGN_OUT_EVERYWHERE) == 200
        assert [await who(page, url) for page in (tab, second_tab, phone)] == ["nobody"] * 3
        assert await here.cookies() == []


async def test_a_form_of_another_origin_is_refused_and_ones_own_is_not(
    chromium: Any, serve: Any, shop: FastAPI, other_site: Any
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(serve(shop))
        evil = await stack.enter_async_context(serve(other_site(port)))
        tab = await (await chromium.new_context()).new_page()
        await tab.goto(f"http://localhost:{port}/")
        assert await tab.evaluate(SIGN_IN) == 200

        # same site, other port: the browser sends the cookie along; and a site of another name
        for host in ("localhost", "127.0.0.1"):
            async with tab.expect_response(f"http://localhost:{port}/order") as answer:
                await tab.goto(f"http://{host}:{evil}/")
            assert (await answer.value).status == 403
        assert await who(tab, f"http://localhost:{port}/orders") == "0"

        await tab.goto(f"http://localhost:{port}/own-form")
        async with tab.expect_navigation():
            await tab.click("button")
        assert await who(tab) == "1 ordered"
