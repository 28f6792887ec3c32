"""A small issuer, tijolo-auth as the shop uses it, and the service that believes it."""

from __future__ import annotations

import socket
import threading
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from desejos.app import make_app
from desejos.settings import Settings
from fastapi import FastAPI

from tijolo.auth import (
    KeyRing,
    MemoryRevocationStore,
    TokenAuthenticator,
    TokenIssuer,
    TokenKey,
    TokenVerifier,
    make_introspection_router,
    make_jwks_router,
    make_revocation_router,
    make_token_dependency,
)
from tijolo.web import register_exception_handlers

SECRET = "kQ7vX2mN9pL4wR8tY3uZ6aB1cD5eF0gH"
ISSUER, AUDIENCE = "https://auth.loja.example", "desejos"


class Issuer:
    """Signs, publishes its keys, and says which tokens still hold; its port stays its own."""

    def __init__(self, secret: str) -> None:
        self.ring = KeyRing([TokenKey.generate("ES256", kid="2026-01")])
        self.store = MemoryRevocationStore()
        self.tokens = TokenIssuer(self.ring, issuer=ISSUER, audience=AUDIENCE, ttl_seconds=300)
        self.app = self._app(secret)
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def _app(self, secret: str) -> FastAPI:
        app = FastAPI()
        register_exception_handlers(app)
        services = make_token_dependency(secret, header_name="X-Internal-Token")
        verifier = TokenVerifier(self.ring, issuer=ISSUER, audience=AUDIENCE)
        tokens = TokenAuthenticator(verifier, revocation=self.store)
        app.include_router(make_jwks_router(self.ring, max_age_seconds=1))
        app.include_router(make_introspection_router(tokens, access=services))
        app.include_router(make_revocation_router(verifier, self.store, access=services))
        return app

    def start(self) -> None:
        """Serve; who comes before the server is up waits."""
        listener = self._socket.dup()
        listener.listen()
        config = uvicorn.Config(self.app, log_config=None, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop answering, as a host does that has gone."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(20)
            self._server = self._thread = None
            port = self._socket.getsockname()[1]
            self._socket.close()
            self._socket = socket.socket()
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(("127.0.0.1", port))

    def close(self) -> None:
        """Stop, and give the port back."""
        self.stop()
        self._socket.close()


@pytest.fixture
def issuer():
    """The shop's part in this, serving."""
    shop = Issuer(SECRET)
    shop.start()
    yield shop
    shop.close()


@pytest.fixture
def make_settings(issuer):
    def make(**changes):
        chosen = {
            "ENVIRONMENT": "test",
            "JWT_JWKS_URL": f"{issuer.url}/.well-known/jwks.json",
            "JWT_JWKS_CACHE_SECONDS": 1,
            "JWT_ISSUER": ISSUER,
            "JWT_AUDIENCE": AUDIENCE,
            "INTROSPECTION_URL": f"{issuer.url}/introspect",
            "PRIVATE_API_SECRET": SECRET,
            **changes,
        }
        return Settings(_env_file=None, **chosen)

    return make


@pytest.fixture
def serve(make_settings):
    """Runs the service with some other settings; gives a client of it."""

    @asynccontextmanager
    async def running(**changes):
        app = make_app(make_settings(**changes))
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            yield client

    return running


@pytest.fixture
async def desejos(serve):
    """The running service, and a client of it."""
    async with serve() as client:
        yield client
