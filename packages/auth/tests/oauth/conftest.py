"""A provider on a real socket, with real signatures, that can be told to lie; and a service."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import jwt
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import Request as StarletteRequest

from tijolo.auth import TokenKey

CLIENT_ID, CLIENT_SECRET = "the-client", "s3cret:of/the+client"
SITE = "https://shop.example"
STATE_SECRET = "a-secret-that-seals-the-logins-under-way-0001"


KEY = TokenKey.generate("RS256", kid="k1")  # takes a while: one for all tests


@dataclass
class Provider:
    """An issuer. What it answers is right until a test changes it."""

    issuer: str = ""
    key: TokenKey = KEY
    users: dict[str, Any] = field(
        default_factory=lambda: {
            "sub": "248289761001",
            "email": "ana@example.com",
            "email_verified": True,
            "name": "Ana",
        }
    )
    claims_in_id_token: bool = True
    metadata: dict[str, Any] = field(default_factory=dict)
    change_claims: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
    sign: Callable[[dict[str, Any]], str] | None = None
    change_redirect: Callable[[dict[str, str]], dict[str, str]] = lambda parameters: parameters
    """Of the authorization response."""
    change_tokens: Callable[[dict[str, Any]], Any] = lambda tokens: tokens
    answers: dict[str, Callable[[], Response]] = field(default_factory=dict)
    """By path, instead of what would be right."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def id_token(self, nonce: str, access_token: str) -> str:
        now = int(time.time())
        digest = hashlib.sha256(access_token.encode()).digest()[:16]
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": self.users["sub"],
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "at_hash": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            **(self.users if self.claims_in_id_token else {}),
        }
        claims = self.change_claims(claims)
        if self.sign is not None:
            return self.sign(claims)
        return jwt.encode(claims, self.key.signer, self.key.algorithm, {"kid": self.key.kid})

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "authorization_response_iss_parameter_supported": True,
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            **self.metadata,
        }

    def authorize(self, request: StarletteRequest) -> Response:
        query = dict(request.query_params)
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        answer = {"code": code, "state": query["state"], "iss": self.issuer}
        answer = self.change_redirect(answer)
        place = f"{query['redirect_uri']}?{urlencode(answer)}"
        return Response(status_code=302, headers={"Location": place})

    async def token(self, request: StarletteRequest) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        self.forms.append({**form, "authorization": request.headers.get("authorization", "")})
        begun = self.codes.pop(form.get("code", ""), None)
        if begun is None:
            return JSONResponse({"error": "invalid_grant"}, 400)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if challenge != begun["code_challenge"] or form["redirect_uri"] != begun["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        access_token = secrets.token_urlsafe(16)
        tokens = {"access_token": access_token, "token_type": "Bearer", "expires_in": 300}
        tokens["id_token"] = self.id_token(begun.get("nonce", ""), access_token)
        return JSONResponse(self.change_tokens(tokens))

    async def answer(self, request: Request) -> Response:
        path = request.url.path
        self.asked.append((request.method, path))
        if path in self.answers:
            return self.answers[path]()
        if path.endswith("/.well-known/openid-configuration"):
            return JSONResponse(self.discovery())
        if path == "/jwks":
            return JSONResponse({"keys": [self.key.to_jwk()]})
        if path == "/userinfo":
            return JSONResponse(self.users)
        if path.endswith("/authorize"):
            return self.authorize(request)
        return await self.token(request)

    def times(self, path: str) -> int:
        return sum(asked == path for _, asked in self.asked)


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """The URL of ``app`` under uvicorn, in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, ws="none", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Any], str]]:
    with contextlib.ExitStack() as stack:
        yield lambda app: stack.enter_context(served(app))


@pytest.fixture(scope="session")
def stage() -> Iterator[tuple[str, list[Provider]]]:
    """One server for all tests, and the provider that plays on it."""
    playing: list[Provider] = []
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def everything(request: Request) -> Response:
        return await playing[-1].answer(request)

    with served(app) as url:
        yield url, playing


@pytest.fixture
def provider(stage: tuple[str, list[Provider]]) -> Provider:
    url, playing = stage
    playing[:] = [Provider(issuer=url)]
    return playing[0]


class Browser:
    """A browser that follows redirects one by one, so that tests can step in."""

    def __init__(self, app: FastAPI) -> None:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self.site = httpx.AsyncClient(transport=transport, base_url=SITE)

    async def start(self, provider: str = "oidc", **query: str) -> httpx.URL:
        """Where the provider's login page is."""
        answer = await self.site.get(f"/oauth/{provider}/start", params=query)
        assert answer.status_code == 303, answer.text
        return httpx.URL(answer.headers["location"])

    async def log_in(self, page: httpx.URL) -> str:
        """The provider's redirect back to us, after the user said yes."""
        async with httpx.AsyncClient() as outside:
            answer = await outside.get(page)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    async def come_back(self, callback: str) -> httpx.Response:
        return await self.site.get(callback)

    async def whole_login(self, provider: str = "oidc", **query: str) -> httpx.Response:
        page = await self.start(provider, **query)
        return await self.come_back(await self.log_in(page))


@pytest.fixture
async def http_client() -> AsyncIterator[Any]:
    """Without a guard: the provider of the tests is on loopback."""
    from tijolo.http import HTTPClient, RetryPolicy

    async with HTTPClient(retry_policy=RetryPolicy(max_attempts=1)) as client:
        yield client


@pytest.fixture
def make_client(provider: Provider, http_client: Any) -> Callable[..., Any]:
    from tijolo.auth.oauth import OIDCProvider

    def make(name: str = "oidc", **options: Any) -> Any:
        chosen = {
            "issuer": provider.issuer,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "redirect_uri": f"{SITE}/oauth/{name}/callback",
            "provider_name": name,
            "http_client": http_client,
            **options,
        }
        return OIDCProvider(**chosen)

    return make


@pytest.fixture
def make_site() -> Callable[..., FastAPI]:
    """A service with the two routes; who came back is answered as JSON."""
    from tijolo.auth.oauth import OAuthLogins, make_oauth_router

    async def on_login(request: Request, login: Any) -> Response:
        user = login.user
        return JSONResponse(
            {
                "provider": user.provider,
                "subject": user.subject,
                "email": user.email,
                "email_verified": user.email_verified,
                "name": user.name,
                "return_to": login.return_to,
                "begun_by": login.begun_by,
            }
        )

    def make(*clients: Any, on_error: Any = None, **options: Any) -> FastAPI:
        chosen = {"secret": STATE_SECRET, **options}
        app = FastAPI()
        logins = OAuthLogins(clients, **chosen)
        app.state.logins = logins
        app.include_router(make_oauth_router(logins, on_login=on_login, on_error=on_error))
        return app

    return make


@pytest.fixture
def site(make_client: Callable[..., Any], make_site: Callable[..., FastAPI]) -> FastAPI:
    return make_site(make_client())


@pytest.fixture
async def browser(site: FastAPI) -> AsyncIterator[Browser]:
    made = Browser(site)
    yield made
    await made.site.aclose()


@pytest.fixture
async def make_browser() -> AsyncIterator[Callable[[FastAPI], Browser]]:
    made: list[Browser] = []

    def make(app: FastAPI) -> Browser:
        made.append(Browser(app))
        return made[-1]

    yield make
    await asyncio.gather(*(one.site.aclose() for one in made))


@pytest.fixture
def query_of() -> Callable[[Any], dict[str, str]]:
    def read(url: Any) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(str(url)).query).items()}

    return read
