"""Who was let in before everything ended does not do their work after it."""

from __future__ import annotations

import asyncio

import httpx
import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("email_validator")

from fastapi import FastAPI

from tijolo.auth import HashService, PasswordUtils
from tijolo.auth.users import UserStatus, make_auth_router
from tijolo.core import InvalidTokenException
from tijolo.web import register_exception_handlers

EMAIL, PASSWORD, NEW = "ana@exemplo.com.br", "cavalo correto bateria", "uma senha bem nova"
EVE = "eve@exemplo.com.br"


class Held(HashService):
    """Says that a password was checked, and waits until it may go on."""

    def __init__(self):
        super().__init__(PasswordUtils(rounds=10), workers=1)
        self.checked, self.go_on = asyncio.Event(), asyncio.Event()

    async def verify(self, plain, hashed):
        right = await super().verify(plain, hashed)
        self.checked.set()
        await self.go_on.wait()
        return right


async def end_by_reset(call, ana, mailbox, service):
    await call("request_password_reset", email=ana.email, on=service)
    token = mailbox.token("password_reset")
    await call("confirm_password_reset", token=token, new_password=NEW, on=service)


async def end_by_logging_out(call, ana, mailbox, service):
    await call("logout_everywhere", ana, on=service)


async def end_by_suspending(call, ana, mailbox, service):
    await call("set_status", ana, UserStatus.SUSPENDED, on=service)


ENDS = [end_by_reset, end_by_logging_out, end_by_suspending]
REQUESTS = {
    "email-change/request": {"new_email": EVE, "password": PASSWORD},
    "password-change": {"current_password": PASSWORD, "new_password": NEW + " 2"},
}


@pytest.mark.parametrize("path", REQUESTS)
@pytest.mark.parametrize("end", ENDS)
async def test_a_request_whose_password_was_checked_before_the_end(
    make_service, call, db, names, ana, mailbox, end, path
):
    hashing = Held()
    service = make_service(hashing=hashing)
    app = FastAPI()
    app.include_router(make_auth_router(service, session_factory=db.session_dependency))
    register_exception_handlers(app)
    transport = httpx.ASGITransport(app)
    pair = await call("login", email=EMAIL, password=PASSWORD, on=service)
    bearer = {"Authorization": f"Bearer {pair.access_token}"}
    async with httpx.AsyncClient(transport=transport, base_url="https://loja.example") as client:
        request = asyncio.create_task(
            client.post(f"/auth/{path}", json=REQUESTS[path], headers=bearer)
        )
        await hashing.checked.wait()
        await end(call, ana, mailbox, service)
        hashing.go_on.set()
        answer = await request
    await service.outbox.drain()
    assert answer.status_code == 401, answer.text
    assert answer.json()["code"] == "TOKEN_REVOKED"
    assert mailbox.kinds(to=EVE) == []
    async with db.read_only() as session:
        user = await session.get(names.User, ana.id)
        assert not await hashing.verify(NEW + " 2", user.hashed_password)
    await hashing.disconnect()


@pytest.mark.parametrize("end", ENDS)
async def test_who_has_no_password_and_asked_before_the_end(call, mailbox, service, end):
    bia = await call("create_user", email="bia@exemplo.com.br")
    await end(call, bia, mailbox, service)
    with pytest.raises(InvalidTokenException):
        await call("request_email_change", bia, new_email=EVE)
    assert mailbox.kinds(to=EVE) == []
