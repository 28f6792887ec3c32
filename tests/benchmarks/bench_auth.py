"""Access tokens: verified, and in front of a route of a small FastAPI application.

Only the process's own CPU time counts. The baseline of a verification is PyJWT as it is called by
hand, with the key as text; that of a request is the same route without anybody to ask.
"""

# No `from __future__ import annotations`: the routes name local dependencies.
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import Depends, FastAPI, Request

from tests.benchmarks.harness import Contender, Group
from tijolo.auth import (
    JWTUtils,
    KeyRing,
    MemoryRevocationStore,
    Principal,
    TokenAuthenticator,
    TokenIssuer,
    TokenKey,
    TokenVerifier,
    make_jwt_user_dependency,
)

_ISSUER, _AUDIENCE = "https://auth.example", "shop"
_SECRET = "um-segredo-bem-comprido-de-verdade-0123456789"
_GOALS: dict[str, dict[str, float]] = {
    "HS256": {"decode": 0.20, "hit": 0.03, "request": 1.50, "request_hit": 1.27},
    "RS256": {"decode": 0.35, "hit": 0.03, "request": 1.70, "request_hit": 1.27},
    "ES256": {"decode": 0.60, "hit": 0.02, "request": 2.55, "request_hit": 1.30},
}


class _Bench:
    """One algorithm's key, a token of it, and those who verify it."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        secret = algorithm == "HS256"
        self.key = TokenKey.from_secret(_SECRET) if secret else TokenKey.generate(algorithm)
        self.text: Any = _SECRET
        if not secret:
            form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            self.text = self.key.verifier.public_bytes(*form).decode()
        self.ring = KeyRing([self.key])
        issuer = TokenIssuer(self.ring, issuer=_ISSUER, audience=_AUDIENCE, ttl_seconds=86_400)
        self.token = issuer.issue("7", session_id="s1", roles=["reader"]).token

    def verifier(self, *, cache_size: int) -> TokenVerifier:
        return TokenVerifier(self.ring, issuer=_ISSUER, audience=_AUDIENCE, cache_size=cache_size)

    def pyjwt(self) -> dict[str, Any]:
        return jwt.decode(
            self.token,
            self.text,
            algorithms=[self.algorithm],
            audience=_AUDIENCE,
            issuer=_ISSUER,
        )


def _repeat(operation: Callable[[], object]) -> Callable[[int], None]:
    def run(count: int) -> None:
        for _ in range(count):
            operation()

    return run


def _decode(row: str, bench: _Bench) -> Group:
    cold, warm = bench.verifier(cache_size=0), bench.verifier(cache_size=64)
    utils = JWTUtils(bench.ring, issuer=_ISSUER, audience=_AUDIENCE, token_type="at+jwt")
    token, goals = bench.token, _GOALS[bench.algorithm]
    return Group(
        row=row,
        title=f"verify {bench.algorithm}",
        contenders=[
            Contender(name="PyJWT, key as text", run=_repeat(bench.pyjwt), role="baseline"),
            Contender(
                name="TokenVerifier", run=_repeat(lambda: cold.verify(token)), goal=goals["decode"]
            ),
            Contender(name="JWTUtils.decode", run=_repeat(lambda: utils.decode(token))),
            Contender(
                name="TokenVerifier, remembered",
                run=_repeat(lambda: warm.verify(token)),
                goal=goals["hit"],
            ),
        ],
        rounds=60,
        slice_seconds=0.005,
        clock=time.thread_time,
    )


def _app(dependency: Callable[..., Any] | None) -> FastAPI:
    app = FastAPI(openapi_url=None)
    if dependency is None:

        @app.get("/items/{item_id}")
        async def read_item(item_id: int) -> dict[str, int]:
            return {"id": item_id}

        return app

    @app.get("/items/{item_id}")
    async def read_own_item(
        item_id: int, user: Annotated[Any, Depends(dependency)]
    ) -> dict[str, int]:
        return {"id": item_id}

    return app


def _driver(app: FastAPI, token: str) -> Callable[[int], Awaitable[None]]:
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": "/items/7",
        "raw_path": b"/items/7",
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"shop.example"),
            (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0 Safari/537.36"),
            (b"accept", b"application/json"),
            (b"authorization", f"Bearer {token}".encode()),
        ],
        "client": ("203.0.113.9", 40000),
        "server": ("127.0.0.1", 8000),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(f"answered {message['status']}")

    async def run(count: int) -> None:
        for _ in range(count):
            await app({**scope, "state": {}}, receive, send)  # type: ignore[arg-type]

    return run


def _request(row: str, bench: _Bench) -> Group:
    async def load(principal: Principal) -> str:
        return principal.subject

    async def by_hand(request: Request) -> str:
        token = request.headers["authorization"].removeprefix("Bearer ")
        claims = jwt.decode(
            token, bench.text, algorithms=[bench.algorithm], audience=_AUDIENCE, issuer=_ISSUER
        )
        return str(claims["sub"])

    async def nothing(request: Request) -> str:
        return "7"

    def guarded(*, cache_size: int, stateful: bool = False) -> FastAPI:
        store = MemoryRevocationStore() if stateful else None
        tokens = TokenAuthenticator(bench.verifier(cache_size=cache_size), revocation=store)
        return _app(make_jwt_user_dependency(tokens, load))

    goals = _GOALS[bench.algorithm]
    apps: list[tuple[str, FastAPI, float | None]] = [
        ("user dependency", guarded(cache_size=0), goals["request"]),
        ("user dependency, remembered", guarded(cache_size=64), goals["request_hit"]),
        ("the same, stateful", guarded(cache_size=64, stateful=True), None),
    ]
    return Group(
        row=row,
        title=f"a request and its user, {bench.algorithm}",
        contenders=[
            Contender(name="FastAPI alone", run=_driver(_app(None), bench.token), role="baseline"),
            Contender(name="PyJWT by hand", run=_driver(_app(by_hand), bench.token), role="peer"),
            Contender(
                name="a dependency that does nothing",
                run=_driver(_app(nothing), bench.token),
                role="limit",
            ),
            *(
                Contender(name=name, run=_driver(app, bench.token), goal=goal)
                for name, app, goal in apps
            ),
        ],
        rounds=120,
        slice_seconds=0.005,
        clock=time.thread_time,
    )


def groups() -> list[Group]:
    """Rows 2.1 to 2.6."""
    benches = [_Bench(algorithm) for algorithm in _GOALS]
    decoded = [_decode(f"2.{n}", bench) for n, bench in enumerate(benches, 1)]
    return [*decoded, *(_request(f"2.{n}", bench) for n, bench in enumerate(benches, 4))]
