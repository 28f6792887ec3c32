"""What changes an account takes its row first and then its tokens: nothing waits in a circle."""

from __future__ import annotations

import asyncio

import httpx
import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("email_validator")

from fastapi import FastAPI
from sqlalchemy import event

from tijolo.auth import LoginThrottle, LoginThrottleSettings, MailThrottle
from tijolo.auth.users import make_auth_router
from tijolo.web import MemoryRateLimitStore, register_exception_handlers

PASSWORD = "cavalo correto bateria"
ROUNDS = 25

pytestmark = pytest.mark.parametrize(
    "backend",
    [
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ],
    indirect=True,
)


class NoHashing:
    """Passwords as they are: what races here are the databases' locks, and not the processor."""

    passwords = None

    async def hash(self, password):
        return _text(password)

    async def verify(self, password, hashed):
        return _text(password) == hashed

    async def verify_and_update(self, password, hashed):
        return _text(password) == hashed, None


def _text(password):
    return password if isinstance(password, str) else password.get_secret_value()


@pytest.fixture(params=["as it is", "snapshots"])
def isolated(request, db):
    """Also as MariaDB is from 11.6 on: what changed since it was read is not locked."""
    if request.param == "snapshots":
        if db.engine.dialect.name == "postgresql":
            pytest.skip("of MariaDB alone")

        @event.listens_for(db.engine.sync_engine, "begin")
        def refuse_what_changed(connection):
            connection.exec_driver_sql("SET SESSION innodb_snapshot_isolation = ON")

    return request.param


def faults(answers, isolated):
    """Answers of 5xx, but for the one that snapshots make of a row that changed: try again."""
    found = [answer for answer in answers if answer is not None and answer.status_code >= 500]
    if isolated == "snapshots":
        found = [answer for answer in found if answer.json()["code"] != "TRANSACTION_CONFLICT"]
    return [answer.text for answer in found]


@pytest.fixture
async def shop(make_service, isolated):
    """A service with a client that nothing throttles."""
    store = MemoryRateLimitStore()
    numbers = LoginThrottleSettings(
        AUTH_LOGIN_MAX_PER_ACCOUNT=10_000,
        AUTH_LOGIN_MAX_PER_ADDRESS=10_000,
        AUTH_MAIL_MAX_PER_ACCOUNT=10_000,
        AUTH_MAIL_MAX_PER_ADDRESS=10_000,
    )
    service = make_service(hashing=NoHashing(), throttle=LoginThrottle(store, numbers))
    app = FastAPI()
    app.include_router(
        make_auth_router(
            service,
            session_factory=service.db.session_dependency,
            mail_throttle=MailThrottle(store, numbers),
        )
    )
    register_exception_handlers(app)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://loja.example") as client:
        yield service, client


async def log_in(client, email, password):
    answer = await client.post("/auth/login", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def mails_of(client, email, bearer, password):
    """Requests that end in a link, which burns the one before."""
    change = {"new_email": "bia@example.com", "password": password}
    return [
        client.post("/auth/password-reset/request", json={"email": email}),
        client.post("/auth/password-reset/request", json={"email": email}),
        client.post("/auth/email-change/request", json=change, headers=bearer),
    ]


def ends_of(client, bearer, password, new):
    """Requests that write the account first."""
    change = {"current_password": password, "new_password": new}
    return [
        client.post("/auth/logout-everywhere", headers=bearer),
        client.post("/auth/password-change", json=change, headers=bearer),
        client.post("/auth/logout-everywhere", headers=bearer),
    ]


@pytest.mark.parametrize("kind", ["password_reset", "email_change"])
async def test_a_link_is_confirmed_while_everything_ends(shop, call, mailbox, caplog, kind):
    service, client = shop
    statuses = []
    for n in range(ROUNDS):
        email, password = f"ana{n}@example.com", PASSWORD
        await call("create_user", email=email, password=password, on=service)
        bearer = await log_in(client, email, password)
        await client.post("/auth/password-reset/request", json={"email": email})
        change = {"new_email": f"bia{n}@example.com", "password": password}
        await client.post("/auth/email-change/request", json=change, headers=bearer)
        await service.outbox.drain()
        confirm = {"token": mailbox.token(kind)}
        if kind == "password_reset":
            confirm["new_password"] = "outra senha bem longa"
        path = f"/auth/{kind.replace('_', '-')}/confirm"
        answers = await asyncio.gather(
            client.post(path, json=confirm),
            *ends_of(client, bearer, password, "uma senha bem nova"),
            client.post(path, json=confirm),
            *mails_of(client, email, bearer, password),
        )
        statuses += [answer.status_code for answer in answers]
        await service.outbox.drain()
    assert [status for status in statuses if status >= 500] == []
    assert "a job after a commit failed" not in caplog.text


async def test_an_account_is_opened_while_it_is_shut(shop, db, isolated, mailbox, names, caplog):
    service, client = shop
    found = []

    async def suspend(email):
        async def work(session):
            user = await service.parts.find(session, email)
            await service.set_status(session, user, names.UserStatus.SUSPENDED)

        await db.run_in_transaction(work, attempts=10)

    for n in range(ROUNDS):
        account = {"email": f"leo{n}@example.com", "password": PASSWORD}
        await client.post("/auth/signup", json=account)
        await service.outbox.drain()
        confirm = {"token": mailbox.token("activation")}
        answers = await asyncio.gather(
            client.post("/auth/activate", json=confirm),
            suspend(account["email"]),
            client.post("/auth/activation/resend", json={"email": account["email"]}),
            client.post("/auth/signup", json=account),
        )
        found += faults(answers, isolated)
        await service.outbox.drain()
    assert found == []
    assert "a job after a commit failed" not in caplog.text


async def test_many_accounts_ask_for_their_first_link_at_once(shop, call, mailbox):
    service, client = shop
    emails = [f"eva{n}@example.com" for n in range(ROUNDS)]
    for email in emails:
        await call("create_user", email=email, password=PASSWORD, on=service)
    await asyncio.gather(
        *(client.post("/auth/password-reset/request", json={"email": email}) for email in emails)
    )
    await service.outbox.drain()
    assert sorted(mail.to for mail in mailbox.mails if mail.kind == "password_reset") == sorted(
        emails
    )
