"""Accounts that nobody ever opened end, and no link that works is broken by that."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("email_validator")

from sqlalchemy import func, select

from tijolo.auth.users import OneTimeTokenException, UserStatus

PASSWORD = "cavalo correto bateria"
DAY = 86_400


@pytest.fixture
def emails(db, names):
    """The addresses that have an account."""

    async def read():
        async with db.read_only() as session:
            return sorted(await session.scalars(select(names.User.email)))

    return read


async def test_what_nobody_opened_is_deleted_with_its_links(call, clock, emails, db, names, ana):
    await call("signup", email="old@example.com", password=PASSWORD)
    for status in (UserStatus.SUSPENDED, UserStatus.DELETED):
        user = await call("create_user", email=f"{status}@example.com")
        await call("set_status", user, status)
    clock.pass_seconds(31 * DAY)
    await call("signup", email="new@example.com", password=PASSWORD)
    kept = ["ana@exemplo.com.br", "deleted@example.com", "suspended@example.com"]
    assert await call("purge_pending", older_than_days=40) == 0
    assert await call("purge_pending", older_than_days=30) == 1
    # the one of a moment ago is new by the clock of the database, and has its link
    assert await emails() == sorted([*kept, "new@example.com"])
    async with db.read_only() as session:
        assert await session.scalar(select(func.count()).select_from(names.UserToken)) == 1
    assert await call("signup", email="old@example.com", password=PASSWORD)


@pytest.mark.parametrize("asked", ["resend_activation", "request_password_reset"])
async def test_who_has_a_link_that_works_stays(call, clock, emails, mailbox, asked):
    await call("signup", email="leo@example.com", password=PASSWORD)
    clock.pass_seconds(40 * DAY)
    await call(asked, email="leo@example.com")
    assert await call("purge_pending", older_than_days=30) == 0
    if asked == "resend_activation":
        await call("activate", token=mailbox.token("activation"))
    else:
        token = mailbox.token("password_reset")
        await call("confirm_password_reset", token=token, new_password=PASSWORD)
    assert await call("login", email="leo@example.com", password=PASSWORD)


async def test_some_at_a_time(call, clock, emails):
    for n in range(5):
        await call("signup", email=f"u{n}@example.com", password=PASSWORD)
    clock.pass_seconds(40 * DAY)
    gone = [await call("purge_pending", older_than_days=30, limit=2) for _ in range(4)]
    assert gone == [2, 2, 1, 0]
    assert await emails() == []


@pytest.mark.parametrize("options", [{"older_than_days": 0}, {"older_than_days": 9, "limit": 0}])
async def test_a_time_is_a_time(call, options):
    with pytest.raises(ValueError, match="1 or more"):
        await call("purge_pending", **options)


async def test_a_link_that_is_mailed_at_that_moment_works(call, clock, mailbox, service, db):
    emails = [f"u{n}@example.com" for n in range(12)]
    for email in emails:
        await call("signup", email=email, password=PASSWORD)
    clock.pass_seconds(40 * DAY)
    mailbox.mails.clear()
    await asyncio.gather(
        *(call("resend_activation", email=email) for email in emails),
        *(call("purge_pending", older_than_days=30, limit=n) for n in (1, 2, 3)),
        *(call("request_password_reset", email=email) for email in emails),
    )
    await service.outbox.drain()
    for email in {mail.to for mail in mailbox.mails}:
        tokens = [m.context["url"].partition("token=")[2] for m in mailbox.mails if m.to == email]
        assert await opens(call, tokens), email


async def opens(call, tokens):
    """Whether one of an account's links opens it."""
    for token in tokens:
        for method, options in (
            ("activate", {}),
            ("confirm_password_reset", {"new_password": PASSWORD}),
        ):
            try:
                return await call(method, token=token, **options)
            except OneTimeTokenException:
                continue
    return None
