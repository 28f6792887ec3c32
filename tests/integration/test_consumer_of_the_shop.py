"""The consumer believes the tokens that the shop gives its users, and only while the shop does."""

from __future__ import annotations

import socket
import threading

import httpx
import pytest
import uvicorn
from desejos.app import make_app as make_consumer
from desejos.settings import Settings as ConsumerSettings
from loja.__main__ import migrate
from loja.app import make_app
from loja.settings import Settings

ANA = {"email": "ana@example.com", "password": "cavalo correto bateria"}
SECRET = "um-segredo-bem-comprido-de-verdade-0123456789"


@pytest.fixture
def shop(tmp_path):
    """The shop on a port of its own, and one of its users."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings = Settings(
        _env_file=None,
        ENVIRONMENT="test",
        DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/loja.db",
        JWT_ISSUER=url,
        JWT_AUDIENCE=["loja", "desejos"],
        PRIVATE_API_SECRET=SECRET,
        AUTH_PASSWORD_ROUNDS=10,
        AUTH_AUTO_ACTIVATE=True,
    )
    migrate(settings)
    server = uvicorn.Server(uvicorn.Config(make_app(settings), log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    with httpx.Client(base_url=url, timeout=60) as client:
        assert client.post("/auth/signup", json=ANA).status_code == 202
        yield client
    server.should_exit = True
    thread.join(30)
    listener.close()


def consumer_settings(shop):
    return ConsumerSettings(
        _env_file=None,
        ENVIRONMENT="test",
        JWT_JWKS_URL=f"{shop.base_url}/.well-known/jwks.json",
        JWT_ISSUER=str(shop.base_url).rstrip("/"),
        JWT_AUDIENCE=["desejos"],
        INTROSPECTION_URL=f"{shop.base_url}/introspect",
        PRIVATE_API_SECRET=SECRET,
    )


async def test_a_token_of_the_shop_opens_the_consumer_until_the_shop_ends_it(shop):
    login = shop.post("/auth/login", json=ANA).json()
    bearer = {"Authorization": f"Bearer {login['access_token']}"}
    app = make_consumer(consumer_settings(shop))
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as desejos,
    ):
        added = await desejos.post("/wishes", json={"product": "Café"}, headers=bearer)
        assert (added.status_code, added.json()) == (201, ["Café"])
        assert (await desejos.get("/me", headers=bearer)).json()["subject"] == login["user_id"]
        assert (await desejos.delete("/wishes/anybody", headers=bearer)).status_code == 403

        assert shop.post("/auth/logout-everywhere", headers=bearer).status_code == 204
        assert (await desejos.get("/wishes", headers=bearer)).status_code == 401
