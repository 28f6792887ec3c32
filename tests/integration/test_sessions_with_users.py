"""Sessions of tijolo-auth's users: its service verifies, its throttle counts, its epochs end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from sqlalchemy import MetaData

from tijolo.auth import HashService, JWTSettings, PasswordUtils
from tijolo.auth.throttle import LoginThrottle, LoginThrottleSettings
from tijolo.auth.users import (
    AuthEvent,
    AuthSettings,
    BaseUserModel,
    UserAuthService,
    UserStatus,
    make_user_token_model,
)
from tijolo.db import NAMING_CONVENTION, AsyncDatabaseManager
from tijolo.sessions import (
    SessionAuth,
    SessionMiddleware,
    SessionSettings,
    make_session_router,
)
from tijolo.sessions.db import DatabaseSessionStore, make_session_model
from tijolo.sessions.users import UserEpochCheck
from tijolo.web import MemoryRateLimitStore, register_exception_handlers

SECRET = "um-segredo-bem-comprido-de-verdade-0123456789"
PASSWORD = "cavalo correto bateria"


class Member(BaseUserModel):
    __tablename__ = "members_with_sessions"
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


MemberToken = make_user_token_model(Member)
MemberSession = make_session_model(tablename="member_session", metadata=Member.metadata)


class Codes:
    """Everybody called Bia needs the code 123456."""

    async def is_required(self, session: Any, user: Any) -> bool:
        return bool(user.name == "Bia")

    async def verify(self, session: Any, user: Any, code: str) -> str | None:
        return "otp" if code == "123456" else None


class NoMail:
    async def deliver(self, mail: Any) -> None: ...


@pytest_asyncio.fixture
async def shop(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[Any]:
    """A service whose users, and their sessions, are in one database.

    Its parameter is how many seconds the user check is believed.
    """
    heard: list[Callable[[AuthEvent], Awaitable[Any]]] = []

    async def on_event(event: AuthEvent) -> None:
        for hear in heard:
            await hear(event)

    db = AsyncDatabaseManager(
        f"sqlite+aiosqlite:///{tmp_path}/shop.db",
        environment="test",
        metadata=Member.metadata,
        cursor_secret=SECRET,
    )
    await db.connect()
    await db.create_tables()
    accounts = UserAuthService(
        user_model=Member,
        token_model=MemberToken,
        auth_settings=AuthSettings(),
        jwt_settings=JWTSettings(JWT_SECRET=SECRET, JWT_ISSUER="https://auth.example"),
        db=db,
        email=NoMail(),
        hashing=HashService(PasswordUtils(rounds=10), workers=1),
        second_factor=Codes(),
        on_event=on_event,
        throttle=LoginThrottle(
            MemoryRateLimitStore(), LoginThrottleSettings(AUTH_LOGIN_MAX_PER_ACCOUNT=3)
        ),
    )
    sessions = SessionAuth(
        store=DatabaseSessionStore(db, MemberSession),
        settings=SessionSettings(
            SESSION_USER_CHECK_SECONDS=getattr(request, "param", 0),
            SESSION_ROLE_LIFETIMES={"admin": {"ttl_seconds": 600}},
        ),
        verifier=accounts,
        user_check=UserEpochCheck(db, Member),
    )
    app = FastAPI()
    register_exception_handlers(app)
    app.include_router(make_session_router(sessions, session_factory=db.session_dependency))
    app.add_middleware(SessionMiddleware, session_auth=sessions)
    async with db.transaction() as session:
        ana = await accounts.create_user(
            session, email="ana@exemplo.com.br", password=PASSWORD, name="Ana", is_admin=True
        )
        await accounts.create_user(
            session, email="bia@exemplo.com.br", password=PASSWORD, name="Bia"
        )
    yield SimpleNamespace(
        app=app, db=db, accounts=accounts, ana_id=ana.id, sessions=sessions, heard=heard
    )
    await accounts.disconnect()
    await accounts.hashing.disconnect()
    await db.disconnect()


def browser(shop: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(shop.app, client=("203.0.113.9", 4321)),
        base_url="https://shop.example",
        headers={"Sec-Fetch-Site": "same-origin"},
    )


async def login(client: httpx.AsyncClient, name: str = "ana", **extra: str) -> httpx.Response:
    body = {"email": f"{name}@exemplo.com.br", "password": PASSWORD, **extra}
    return await client.post("/auth/session/login", json=body)


async def test_a_user_signs_in_and_a_role_shortens_the_session(shop: Any) -> None:
    client = browser(shop)
    answer = await login(client, email="ANA@exemplo.com.br")
    assert answer.status_code == 200
    assert answer.json()["user_id"] == str(shop.ana_id)
    assert "Max-Age=600" in answer.headers["set-cookie"]
    assert (await client.get("/auth/session/me")).status_code == 200


async def test_nobody_and_a_wrong_password_have_one_answer(shop: Any) -> None:
    wrong = await login(browser(shop), password="outra senha qualquer")
    nobody = await login(browser(shop), "nobody")
    assert wrong.status_code == nobody.status_code == 401
    shown = [{k: v for k, v in a.json().items() if k != "request_id"} for a in (wrong, nobody)]
    assert shown[0] == shown[1]


async def test_the_services_second_factor_is_asked(shop: Any) -> None:
    missing = await login(browser(shop), "bia")
    assert (missing.status_code, missing.json()["code"]) == (401, "SECOND_FACTOR_REQUIRED")
    assert (await login(browser(shop), "bia", code="123456")).status_code == 200


async def test_the_services_throttle_counts_whatever_happens_at_once(shop: Any) -> None:
    tries = [login(browser(shop), password="outra senha qualquer") for _ in range(6)]
    answers = await asyncio.gather(*tries)
    assert sorted(answer.status_code for answer in answers) == [401] * 3 + [429] * 3
    assert (await login(browser(shop))).status_code == 429


@pytest.mark.parametrize("what", ["status", "roles"])
async def test_what_raises_the_epoch_ends_the_sessions(shop: Any, what: str) -> None:
    client, other = browser(shop), browser(shop)
    await login(client)
    await login(other, "bia", code="123456")
    async with shop.db.transaction() as session:
        ana = await session.get(Member, shop.ana_id)
        if what == "status":
            await shop.accounts.set_status(session, ana, UserStatus.SUSPENDED)
        else:
            await shop.accounts.set_roles(session, ana, ["clerk"], is_admin=False)
    assert (await client.get("/auth/session/me")).status_code == 401
    assert (await other.get("/auth/session/me")).status_code == 200
    assert (await login(client)).status_code == (401 if what == "status" else 200)


@pytest.mark.parametrize("shop", [60], indirect=True)
async def test_the_event_ends_the_sessions_at_once_where_the_check_is_believed(shop: Any) -> None:
    page = ModuleType("page_of_sessions")  # the hook is the page's own
    text = (Path(__file__).parents[2] / "docs/sessions.md").read_text("utf-8")
    (hook,) = [part for part in text.split("```python\n") if "ENDED_EVERYWHERE" in part]
    page.__dict__["sessions"] = shop.sessions
    exec(hook.partition("```")[0], page.__dict__)
    client, other = browser(shop), browser(shop)
    for end in (None, page.on_auth_event):
        shop.heard[:] = [] if end is None else [end]
        assert (await login(client)).status_code == 200
        assert (await login(other, "bia", code="123456")).status_code == 200
        assert (await client.get("/auth/session/me")).status_code == 200
        async with shop.db.transaction() as session:
            ana = await session.get(Member, shop.ana_id)
            await shop.accounts.logout_everywhere(session, ana)
        answer = await client.get("/auth/session/me")
        assert answer.status_code == (200 if end is None else 401)
        assert (await other.get("/auth/session/me")).status_code == 200


async def test_all_spellings_of_an_address_are_counted_as_one(shop: Any) -> None:
    spellings = ["ana@bücher.example", "ana@xn--bcher-kva.example", "ana@b\ufe0fücher.example"]
    tried = [await login(browser(shop), email=one, password="x") for one in spellings * 2]
    assert [answer.status_code for answer in tried] == [401] * 3 + [429] * 3
