from __future__ import annotations

import dataclasses
import secrets
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import APIRouter, FastAPI, HTTPException

from tijolo.core.testing.pytest_services import service_url
from tijolo.sessions import (
    CurrentRequestSession,
    CurrentSession,
    MemorySessionStore,
    OptionalSession,
    Session,
    SessionAuth,
    SessionEvent,
    SessionKey,
    SessionMiddleware,
    SessionSettings,
    SessionStoreUnavailableException,
    make_session_router,
)
from tijolo.sessions.testing import ManualClock
from tijolo.web import TrustedProxyMiddleware, register_exception_handlers


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def prefix():
    return f"{{tijolo-test-{secrets.token_hex(6)}}}:"


@pytest.fixture
def memory(clock):
    return MemorySessionStore(clock=clock, max_data_bytes=1_000)


@pytest_asyncio.fixture
async def redis_store(clock, prefix, redis_url):
    """In the shared server, under a prefix of its own."""
    pytest.importorskip("redis")
    from tijolo.sessions.redis import RedisSessionStore
    from tijolo.web.redis import redis_client

    client = redis_client(redis_url, timeout_seconds=60)  # a busy machine is no outage
    yield RedisSessionStore(
        client, prefix=prefix, clock=clock, max_data_bytes=1_000, timeout_seconds=60
    )
    async for key in client.scan_iter(match=prefix + "*", count=10_000):
        await client.unlink(key)
    await client.aclose()


DATABASES = [
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


@pytest_asyncio.fixture(params=DATABASES)
async def database(request, tmp_path):
    """A connected manager of each database in turn, and the model of a table of its own."""
    pytest.importorskip("tijolo.db")
    pytest.importorskip("aiosqlite")
    from sqlalchemy import MetaData

    from tijolo.db import AsyncDatabaseManager
    from tijolo.sessions.db import make_session_model

    url = f"sqlite+aiosqlite:///{tmp_path}/sessions.db"
    if request.param != "sqlite":
        pytest.importorskip({"postgres": "asyncpg", "mariadb": "asyncmy"}[request.param])
        url = service_url(request.param)
    metadata = MetaData()
    model = make_session_model(tablename=f"s_{secrets.token_hex(6)}", metadata=metadata)
    # a busy machine is no outage; the stress tests have twenty at once
    patience = {"pool_timeout": 120, "lock_timeout": 120, "connect_timeout": 120}
    manager = AsyncDatabaseManager(
        url, environment="test", metadata=metadata, pool_size=24, **patience
    )
    await manager.connect()
    await manager.create_tables()
    yield manager, model
    await manager.drop_tables()
    await manager.disconnect()


@pytest_asyncio.fixture
async def database_store(clock, database):
    from tijolo.sessions.db import DatabaseSessionStore

    manager, model = database
    return DatabaseSessionStore(
        manager, model, clock=clock, max_data_bytes=1_000, timeout_seconds=60
    )  # a busy machine is no outage


# --- a small service, for what is between a browser and the store

HOST = "shop.example"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36"
CART = SessionKey[list[int]]("cart")
THEME = SessionKey[str]("theme")


@dataclasses.dataclass
class User:
    id: uuid.UUID = dataclasses.field(default_factory=uuid.uuid4)
    auth_epoch: int = 0
    role_names: frozenset[str] = frozenset()


class Verifier:
    """Knows everybody in ``users``; all have the password ``right``."""

    def __init__(self) -> None:
        self.users = {"ana@shop.example": User(), "bia@shop.example": User()}

    async def authenticate(self, session: Any, *, email: str, password: str) -> User | None:
        return self.users.get(email) if password == "right" else None


class WatchedStore(MemorySessionStore):
    """Counts what it is asked, and goes down when told."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.calls: list[str] = []
        self.down = False

    def asked(self) -> list[str]:
        """What it was asked since the last time."""
        calls, self.calls = self.calls, []
        return calls


def _watched(name: str) -> Callable[..., Any]:
    original = getattr(MemorySessionStore, name)

    async def call(self: WatchedStore, *args: Any, **kwargs: Any) -> Any:
        self.calls.append(name)
        if self.down:
            raise SessionStoreUnavailableException
        return await original(self, *args, **kwargs)

    return call


for _name in (
    *("create", "get", "save", "rotate", "delete"),
    *("delete_by_public_id", "delete_by_user", "list_by_user"),
):
    setattr(WatchedStore, _name, _watched(_name))


class Shop:
    """The service, its store, its clock and its browsers."""

    def __init__(
        self,
        *,
        middleware: Callable[[FastAPI], None] | None = None,
        routes: APIRouter | None = None,
        store: Any = None,
        proxies: list[str] | None = None,
        options: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.clock = ManualClock()
        self.store = WatchedStore(clock=self.clock) if store is None else store
        self.verifier = Verifier()
        self.ana = self.verifier.users["ana@shop.example"]
        self.bia = self.verifier.users["bia@shop.example"]
        self.settings = SessionSettings(**settings)
        self.events: list[SessionEvent] = []
        self.auth = SessionAuth(
            **{
                "store": self.store,
                "settings": self.settings,
                "verifier": self.verifier,
                "on_event": self.events.append,
                "clock": self.clock,
                **(options or {}),
            }
        )
        self.app = FastAPI()
        register_exception_handlers(self.app)
        self.app.include_router(make_session_router(self.auth))
        self.app.include_router(_routes())
        if routes is not None:
            self.app.include_router(routes)
        if middleware is not None:
            middleware(self.app)
        self.app.add_middleware(SessionMiddleware, session_auth=self.auth)
        if proxies:
            self.app.add_middleware(TrustedProxyMiddleware, trusted_proxies=proxies)

    @property
    def cookie_name(self) -> str:
        return self.settings.session_cookie_name

    def browser(self, *, scheme: str = "https", **headers: str) -> httpx.AsyncClient:
        """One browser's cookies."""
        sent = {"User-Agent": CHROME, "Sec-Fetch-Site": "same-origin", **headers}
        transport = httpx.ASGITransport(self.app, client=("203.0.113.9", 4321))
        return httpx.AsyncClient(transport=transport, base_url=f"{scheme}://{HOST}", headers=sent)

    async def signed_in(self, name: str = "ana", **options: Any) -> httpx.AsyncClient:
        """A browser in which somebody has signed in."""
        browser = self.browser(**options.pop("headers", {}))
        answer = await self.login(browser, name, **options)
        assert answer.status_code == 200, answer.text
        self.store.asked()
        return browser

    async def login(
        self, browser: httpx.AsyncClient, name: str = "ana", **extra: Any
    ) -> httpx.Response:
        """Sign in as somebody."""
        body = {"email": f"{name}@shop.example", "password": "right", **extra}
        return await browser.post("/auth/session/login", json=body)

    @staticmethod
    def cookie_of(answer: httpx.Response) -> dict[str, str]:
        """The attributes of the one cookie that ``answer`` sets, its value as ``=``; or nothing."""
        lines = answer.headers.get_list("set-cookie")
        assert len(lines) <= 1
        if not lines:
            return {}
        first, *rest = lines[0].split("; ")
        name, _, value = first.partition("=")
        pairs = [part.partition("=") for part in rest]
        return {"name": name, "=": value, **{key.lower(): text for key, _, text in pairs}}

    def id_of(self, browser: httpx.AsyncClient) -> str | None:
        """The cookie's value."""
        return browser.cookies.get(self.cookie_name)


def _routes() -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    async def health() -> dict[str, bool]:
        return {"ok": True}

    @router.get("/home")
    async def home(session: OptionalSession) -> dict[str, Any]:
        return {"user_id": session and session.user_id}

    @router.get("/orders")
    async def orders(session: CurrentSession) -> Session:
        return session

    @router.get("/cart")
    async def cart(session: CurrentRequestSession) -> list[int]:
        return session.get(CART, [])

    @router.post("/cart/{item}")
    async def add(item: int, session: CurrentRequestSession, fail: int = 0) -> list[int]:
        session[CART] = [*session.get(CART, []), item]
        if fail:
            raise HTTPException(fail)
        return session[CART]

    @router.post("/theme/{name}")
    async def theme(name: str, session: CurrentRequestSession) -> str | None:
        session[THEME] = name
        return session.get(THEME)

    @router.post("/step-up")
    async def step_up(session: CurrentRequestSession) -> tuple[str, ...]:
        return (await session.step_up("otp")).amr

    @router.post("/become-seller")
    async def become_seller(session: CurrentRequestSession) -> None:
        await session.rotate()

    return router


@pytest.fixture
def make_shop() -> type[Shop]:
    """Build one: ``make_shop(SESSION_TTL_SECONDS=60)``."""
    return Shop


@pytest.fixture
def shop() -> Shop:
    return Shop()
