"""The whole way over a real HTTP server and a real SMTP server; tokens are in no log (A22)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from email import message_from_bytes, policy

import httpx
import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("email_validator")
pytest.importorskip("tijolo.email")
pytest.importorskip("jinja2")
pytest.importorskip("aiosmtpd.smtp")

import uvicorn
from aiosmtpd.smtp import SMTP
from fastapi import FastAPI

from tijolo.auth.users import make_auth_router
from tijolo.email import EmailUtils
from tijolo.web import EnvelopeMiddleware, register_exception_handlers

PASSWORD, NEW_PASSWORD = "cavalo correto bateria", "outra senha bem longa"
pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


class Mailbox:
    """What an SMTP server received."""

    def __init__(self):
        self.received = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        self.received.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    async def wait(self, count):
        for _ in range(3000):
            if len(self.received) >= count:
                break
            await asyncio.sleep(0.01)
        assert len(self.received) == count
        return self.received[-1]


@contextlib.asynccontextmanager
async def smtp_server():
    mailbox = Mailbox()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(mailbox, hostname="mail.example"), "127.0.0.1", 0
    )
    async with server:
        yield mailbox, server.sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def served(app):
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    serving = asyncio.create_task(server._serve())
    while not server.started:
        if serving.done():
            serving.result()
        await asyncio.sleep(0.005)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.DEBUG)
    for name in ("uvicorn.access", "tijolo.web.access", "tijolo", "httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


def link_in(message):
    text = message.get_body(("plain",)).get_content()
    return re.search(r"https?://\S+", text)[0]


async def test_the_whole_way_and_what_the_logs_hold(make_service, logged):
    pages = "https://loja.example/auth/pages"
    links = {
        "AUTH_BACKEND_LINKS": True,
        "AUTH_ACTIVATION_URL_TEMPLATE": f"{pages}/activate#token={{token}}",
        "AUTH_PASSWORD_RESET_URL_TEMPLATE": f"{pages}/reset-password#token={{token}}",
        "AUTH_EMAIL_CHANGE_URL_TEMPLATE": f"{pages}/confirm-email#token={{token}}",
    }
    async with smtp_server() as (mailbox, smtp_port):
        email = EmailUtils("127.0.0.1", smtp_port, from_addr="loja@example.com", use_starttls=False)
        service = make_service(email=email, settings=links)
        app = FastAPI()
        app.include_router(make_auth_router(service, session_factory=service.db.session_dependency))
        register_exception_handlers(app)
        app.add_middleware(EnvelopeMiddleware, access_log=True)
        secrets = {PASSWORD, NEW_PASSWORD}
        async with served(app) as port, httpx.AsyncClient() as client:
            await walk(client, f"http://127.0.0.1:{port}", mailbox, secrets)
        await email.disconnect()
    assert any(record.name == "uvicorn.access" for record in logged.records)
    assert len(secrets) >= 7
    for record in logged.records:
        text = f"{record.getMessage()} {record.__dict__}"
        assert not [secret for secret in secrets if secret in text], record.name


async def walk(client, base, mailbox, secrets):
    """Sign up, open the link as a browser does, log in, reset, log in again."""
    headers = {"Accept-Language": "pt-BR"}
    account = {"email": "ana@example.com", "password": PASSWORD}
    answer = await client.post(f"{base}/auth/signup", json=account, headers=headers)
    assert answer.status_code == 202, answer.text
    message = await mailbox.wait(1)
    assert message["To"] == "ana@example.com"
    assert message["Subject"] == "Confirme seu e-mail"
    await open_link(client, base, link_in(message), {}, secrets)

    login = await client.post(f"{base}/auth/login", json=account)
    assert login.status_code == 200
    shown = {"refresh_token": login.json()["refresh_token"]}
    again = await client.post(f"{base}/auth/refresh", json=shown)
    for tokens in (login.json(), again.json()):
        secrets |= {tokens["access_token"], tokens["refresh_token"]}
    bearer = {"Authorization": f"Bearer {again.json()['access_token']}"}
    assert (await client.get(f"{base}/auth/me", headers=bearer)).status_code == 200

    await client.post(f"{base}/auth/password-reset/request", json={"email": account["email"]})
    message = await mailbox.wait(2)
    assert message["Subject"] == "Choose a new password"
    await open_link(client, base, link_in(message), {"new_password": NEW_PASSWORD}, secrets)
    login = await client.post(f"{base}/auth/login", json={**account, "password": NEW_PASSWORD})
    assert login.status_code == 200
    await mailbox.wait(3)


async def open_link(client, base, link, fields, secrets):
    """What a browser sends: the page without the fragment, then the form that its script fills."""
    path, _, fragment = link.removeprefix("https://loja.example").partition("#")
    token = fragment.removeprefix("token=")
    secrets.add(token)
    shown = await client.get(base + path, headers={"Referer": link})
    assert shown.status_code == 200
    action = re.search(r'action="([^"]+)"', shown.text)[1]
    done = await client.post(base + action, data={"token": token, **fields})
    assert done.status_code == 200, done.text
