"""The CSRF protection around a GET and around a POST that it lets through, in process.

As in ``bench_web``: an ASGI driver without a server, on the thread's clock.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from tests.benchmarks.harness import Contender, Group
from tijolo.web import CSRFMiddleware
from tijolo.web.csrf_tokens import CSRFTokens

Scope = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_SECRET = "a-secret-of-more-than-thirty-two-bytes"
_BODY = b'{"name": "brick", "price": 7}'
_HEADERS: Headers = [
    (b"host", b"shop.example"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0 Safari/537.36"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"accept-language", b"pt-BR,pt;q=0.9"),
    (b"connection", b"keep-alive"),
]


def _app(*middleware: Middleware) -> FastAPI:
    app = FastAPI(openapi_url=None, middleware=list(middleware))

    @app.get("/items/{item_id}")
    async def read_item(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    @app.post("/items")
    async def create_item(item: dict[str, Any]) -> dict[str, Any]:
        return item

    return app


def _driver(app: App, method: str, extra: Headers) -> Callable[[int], Awaitable[None]]:
    path = "/items/7" if method == "GET" else "/items"
    sent = [] if method == "GET" else [(b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [*_HEADERS, *sent, *extra],
        "client": ("203.0.113.9", 40000),
        "server": ("127.0.0.1", 8000),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": _BODY, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(f"answered {message['status']}")

    async def run(count: int) -> None:
        for _ in range(count):
            await app({**scope, "state": {}}, receive, send)

    return run


def _peer(method: str) -> list[Contender]:
    try:
        from itsdangerous.url_safe import URLSafeSerializer
        from starlette_csrf import CSRFMiddleware as Peer
    except ImportError:
        return []
    token = str(URLSafeSerializer(_SECRET, "csrftoken").dumps("a" * 64)).encode()
    headers = [(b"cookie", b"csrftoken=" + token), (b"x-csrftoken", token)]
    app = _app(Middleware(Peer, secret=_SECRET))
    run = _driver(app, method, [] if method == "GET" else headers)
    return [Contender(name="starlette-csrf", run=run, role="peer")]


def _group(row: str, title: str, method: str, headers: Headers, goal: float) -> Group:
    app = _app(Middleware(CSRFMiddleware, secret=_SECRET))
    # the same request for both: FastAPI parses the cookies that come with it
    bare = Contender(name="FastAPI alone", run=_driver(_app(), method, headers), role="baseline")
    ours = Contender(name="CSRFMiddleware", run=_driver(app, method, headers), goal=goal)
    return Group(
        row=row,
        title=title,
        contenders=[bare, *_peer(method), ours],
        rounds=160,
        slice_seconds=0.005,
        clock=time.thread_time,
    )


def groups() -> list[Group]:
    """Rows 1.6 and 1.10."""
    cookie = "c" * 43
    token = CSRFTokens(_SECRET).make(session=None, cookie=cookie).encode()
    by_token: Headers = [(b"cookie", b"__Host-csrf=" + cookie.encode()), (b"x-csrf-token", token)]
    by_browser: Headers = [(b"cookie", b"session=1"), (b"sec-fetch-site", b"same-origin")]
    return [
        _group("1.6", "CSRF on GET", "GET", [], 1.04),
        _group("1.10a", "CSRF valid POST, told by Sec-Fetch-Site", "POST", by_browser, 1.10),
        _group("1.10b", "CSRF valid POST, by token", "POST", by_token, 1.10),
    ]
