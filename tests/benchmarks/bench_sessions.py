"""A GET with a signed-in session, read in the handler, in process and with the real Redis.

As in ``bench_web``: an ASGI driver without a server. Rows 3.1 and 3.3 (no server involved, or
hardly) are on the thread's clock; 3.2 waits for Redis and is on the wall's.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection

from tests.benchmarks.harness import Contender, Group
from tijolo.core import hash_opaque_token
from tijolo.sessions import (
    CurrentSession,
    MemorySessionStore,
    SessionAuth,
    SessionMiddleware,
    SessionSettings,
    SessionStore,
    request_session,
)

App = Callable[..., Awaitable[None]]
Run = Callable[[int], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_REDIS_URL = os.environ.get("TIJOLO_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
_PREFIX = f"{{tijolo-bench:{uuid.uuid4().hex}}}:"
_HEADERS: Headers = [
    (b"host", b"shop.example"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0 Safari/537.36"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"accept-language", b"pt-BR,pt;q=0.9"),
    (b"connection", b"keep-alive"),
]
_SETTINGS = SessionSettings()


@dataclass
class User:
    """Who signs in."""

    id: uuid.UUID


def _plain(*middleware: Middleware) -> FastAPI:
    app = FastAPI(openapi_url=None, middleware=list(middleware))

    @app.get("/items/{item_id}")
    async def read_item(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    return app


def _tijolo(
    store: SessionStore, settings: SessionSettings = _SETTINGS, *, dependency: bool = False
) -> Run:
    auth = SessionAuth(store=store, settings=settings)
    app = FastAPI(openapi_url=None, middleware=[Middleware(SessionMiddleware, session_auth=auth)])

    async def by_dependency(item_id: int, session: CurrentSession) -> dict[str, int]:
        return {"id": item_id if session.user_id else 0}

    async def in_the_handler(item_id: int, request: Request) -> dict[str, int]:
        session = await request_session(request).load()
        return {"id": item_id if session and session.user_id else 0}

    app.get("/items/{item_id}")(by_dependency if dependency else in_the_handler)

    async def cookie() -> bytes:
        _, value = await auth.login(user_id=uuid.uuid4(), user_agent="Chrome", ip="203.0.113.9")
        return f"{settings.session_cookie_name}={value}".encode()

    return _driver(app, cookie)


class ByHand:
    """The least that a session costs: one cookie, one hash, one dictionary, two headers."""

    def __init__(self, app: App, *, sessions: dict[str, dict[str, Any]]) -> None:
        self.app, self.sessions = app, sessions

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Callable[[], Any], send: Callable[..., Any]
    ) -> None:
        session = None
        for name, value in scope["headers"]:
            if name == b"cookie":
                session_id = value.partition(b"=")[2].decode()
                session = self.sessions.get(hash_opaque_token(session_id))
        if session is not None and session["expires_at"] > time.time():
            scope["state"]["session"] = dict(session)

        def private(message: MutableMapping[str, Any]) -> Any:
            if message["type"] == "http.response.start":
                more = [(b"cache-control", b"no-store"), (b"vary", b"Cookie")]
                message["headers"] = [*message["headers"], *more]
            return send(message)

        await self.app(scope, receive, private)


def _by_hand() -> Contender:
    value = "c" * 43
    kept = {hash_opaque_token(value): {"user_id": "7", "expires_at": time.time() + 3600}}
    app = FastAPI(openapi_url=None, middleware=[Middleware(ByHand, sessions=kept)])

    @app.get("/items/{item_id}")
    async def read_item(item_id: int, request: Request) -> dict[str, int]:
        return {"id": item_id if request.state.session["user_id"] else 0}

    run = _driver(app, f"__Host-session={value}".encode())
    return Contender(name="the same by hand, a dictionary", run=run, role="limit")


async def _nothing(connection: HTTPConnection) -> int:
    return 7


def _with_any_dependency() -> Contender:
    """What FastAPI itself takes for a dependency that does nothing."""
    app = FastAPI(openapi_url=None)

    @app.get("/items/{item_id}")
    async def read_item(item_id: int, got: Annotated[int, Depends(_nothing)]) -> dict[str, int]:
        return {"id": item_id if got else 0}

    return Contender(
        name="FastAPI, a dependency that does nothing",
        run=_driver(app, b"__Host-session=" + b"c" * 43),
        role="limit",
    )


def _peer_app(*middleware: Middleware) -> FastAPI:
    """A peer's session, signed in by one route and read by the other."""
    app = FastAPI(openapi_url=None, middleware=list(middleware))

    @app.get("/login")
    async def login(request: Request) -> dict[str, bool]:
        request.session["user_id"] = str(uuid.uuid4())
        return {"ok": True}

    @app.get("/items/{item_id}")
    async def read_item(item_id: int, request: Request) -> dict[str, int]:
        return {"id": item_id if request.session["user_id"] else 0}

    return app


def _peer(app: FastAPI) -> Run:
    async def cookie() -> bytes:
        found = b""

        async def send(message: MutableMapping[str, Any]) -> None:
            nonlocal found
            for name, value in message.get("headers", ()):
                if name == b"set-cookie":
                    found = value.partition(b";")[0]

        await app(_scope("/login", b"none=1"), _receive, send)
        return found

    return _driver(app, cookie)


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: MutableMapping[str, Any]) -> None:
    if message["type"] == "http.response.start" and message["status"] != 200:
        raise RuntimeError(f"answered {message['status']}")


def _scope(path: str, cookie: bytes | None) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [*_HEADERS, (b"cookie", cookie)] if cookie else _HEADERS,
        "client": ("203.0.113.9", 40000),
        "server": ("127.0.0.1", 8000),
    }


def _driver(app: App, cookie: Callable[[], Awaitable[bytes]] | bytes | None) -> Run:
    scope: dict[str, Any] = {}

    async def run(count: int) -> None:
        if not scope:
            made = await cookie() if callable(cookie) else cookie
            scope.update(_scope("/items/7", made))
        for _ in range(count):
            await app({**scope, "state": {}}, _receive, _send)

    return run


def _baseline() -> Contender:
    # the same request: FastAPI parses the cookie that comes with it
    run = _driver(_plain(), b"__Host-session=" + b"c" * 43)
    return Contender(name="FastAPI alone", run=run, role="baseline")


def _memory_peers() -> list[Contender]:
    from starlette.middleware.sessions import SessionMiddleware as SignedCookie

    signed = _peer_app(Middleware(SignedCookie, secret_key="s" * 40))
    found = [Contender(name="starlette, signed cookie", run=_peer(signed), role="peer")]
    try:
        from starsessions import InMemoryStore
    except ImportError:
        return found
    return [*found, _starsessions("starsessions, memory, rolling", InMemoryStore())]


def _redis_peers(client: Any) -> list[Contender]:
    try:
        from starsessions.stores.redis import RedisStore
    except ImportError:
        return []
    store = RedisStore(connection=client, prefix=lambda key: f"{_PREFIX}peer:{key}")
    return [_starsessions("starsessions, Redis, rolling", store)]


def _starsessions(name: str, store: Any) -> Contender:
    from starsessions import SessionAutoloadMiddleware
    from starsessions import SessionMiddleware as Starsessions

    layers = (
        Middleware(Starsessions, store=store, lifetime=3600, rolling=True),
        Middleware(SessionAutoloadMiddleware),
    )
    return Contender(name=name, run=_peer(_peer_app(*layers)), role="peer")


def _group(row: str, title: str, contenders: list[Contender], **options: Any) -> Group:
    return Group(
        row=row,
        title=title,
        contenders=[_baseline(), *contenders],
        rounds=160,
        slice_seconds=0.005,
        **options,
    )


def groups() -> list[Group]:
    """Rows 3.0 to 3.3."""
    guarded = _plain(
        Middleware(
            SessionMiddleware,
            session_auth=SessionAuth(store=MemorySessionStore(), settings=_SETTINGS),
        )
    )
    thread: dict[str, Any] = {"clock": time.thread_time}
    return [
        Group(
            row="3.0",
            title="no session cookie, none read",
            contenders=[
                Contender(name="FastAPI alone", run=_driver(_plain(), None), role="baseline"),
                Contender(name="SessionMiddleware", run=_driver(guarded, None), goal=1.05),
            ],
            rounds=160,
            slice_seconds=0.005,
            **thread,
        ),
        _group(
            "3.1",
            "session in memory",
            [
                *_memory_peers(),
                Contender(name="SessionMiddleware", run=_tijolo(MemorySessionStore()), goal=1.20),
                Contender(
                    name="SessionMiddleware, CurrentSession",
                    run=_tijolo(MemorySessionStore(), dependency=True),
                ),
                _with_any_dependency(),
                _by_hand(),
            ],
            **thread,
        ),
        *_on_redis(thread),
    ]


def _on_redis(thread: dict[str, Any]) -> list[Group]:
    from tijolo.sessions.redis import RedisSessionStore
    from tijolo.web.redis import redis_client

    client = redis_client(_REDIS_URL, answer_timeout=False)  # as docs/session-stores.md makes it
    store = RedisSessionStore(client, prefix=_PREFIX)
    cached = SessionSettings(SESSION_LOCAL_CACHE_SECONDS=2)

    async def round_trips(count: int) -> None:
        for _ in range(count):
            await client.get(f"{_PREFIX}nothing")

    async def clean() -> None:
        async for key in client.scan_iter(match=f"{_PREFIX}*"):
            await client.delete(key)
        await client.aclose()
        await asyncio.sleep(0)

    return [
        _group(
            "3.2",
            "session in Redis, read by one command",
            [
                *_redis_peers(client),
                Contender(name="SessionMiddleware", run=_tijolo(store), goal=2.7),
                Contender(name="one GET of redis-py, no HTTP", run=round_trips, role="limit"),
            ],
            teardown=client.aclose,
        ),
        _group(
            "3.3",
            "session in Redis, local cache of 2 s",
            [
                Contender(name="SessionMiddleware", run=_tijolo(store, cached), goal=1.18),
                _by_hand(),
            ],
            teardown=clean,
            **thread,
        ),
    ]
