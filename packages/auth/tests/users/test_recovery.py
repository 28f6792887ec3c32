"""Passwords forgotten and changed: A6, A7, A8, A10, A24; rows 13 to 17."""

import asyncio

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("email_validator")

from sqlalchemy import select

from tijolo.auth import WeakPasswordException
from tijolo.auth.users import (
    EmailTakenException,
    InvalidCredentialsException,
    InvalidEmailException,
    OneTimeTokenException,
    UserStatus,
    WrongPasswordException,
)
from tijolo.core import InvalidTokenException

PASSWORD = "cavalo correto bateria"
NEW = "uma senha bem nova"
EMAIL = "ana@exemplo.com.br"


@pytest.fixture
async def reset(call, ana, mailbox):
    """The token of a reset that Ana asked for."""
    await call("request_password_reset", email=EMAIL)
    return mailbox.token("password_reset")


async def test_a6_twenty_redemptions_of_a_reset_give_one_success(call, reset):
    results = await asyncio.gather(
        *(
            call("confirm_password_reset", token=reset, new_password=f"{NEW} {n}")
            for n in range(20)
        ),
        return_exceptions=True,
    )
    won = [n for n, result in enumerate(results) if not isinstance(result, Exception)]
    assert len(won) == 1
    assert {type(r) for r in results if isinstance(r, Exception)} == {OneTimeTokenException}
    assert await call("login", email=EMAIL, password=f"{NEW} {won[0]}")


async def test_a6_twenty_activations_give_one_success(call):
    _, link = await call("signup", email="leo@exemplo.com.br", password=PASSWORD)
    results = await asyncio.gather(
        *(call("activate", token=link.token) for _ in range(20)), return_exceptions=True
    )
    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert {type(r) for r in results if isinstance(r, Exception)} == {OneTimeTokenException}


async def test_a6_twenty_confirmations_of_an_address_give_one_success(call, ana, mailbox):
    await call("request_email_change", ana, new_email="a2@exemplo.com.br", password=PASSWORD)
    token = mailbox.token("email_change")
    results = await asyncio.gather(
        *(call("confirm_email_change", token=token) for _ in range(20)), return_exceptions=True
    )
    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert {type(r) for r in results if isinstance(r, Exception)} == {OneTimeTokenException}


async def test_a7_a_new_link_burns_the_one_before(call, reset, mailbox):
    await call("request_password_reset", email=EMAIL)
    with pytest.raises(OneTimeTokenException):
        await call("confirm_password_reset", token=reset, new_password=NEW)
    newest = mailbox.token("password_reset")
    await call("confirm_password_reset", token=newest, new_password=NEW)
    assert await call("login", email=EMAIL, password=NEW)


async def test_a7_a_reset_burns_every_link(call, ana, reset, mailbox):
    await call("request_email_change", ana, new_email="a2@exemplo.com.br", password=PASSWORD)
    await call("confirm_password_reset", token=reset, new_password=NEW)
    with pytest.raises(OneTimeTokenException):
        await call("confirm_email_change", token=mailbox.token("email_change"))


@pytest.mark.parametrize("status", [UserStatus.SUSPENDED, UserStatus.DELETED])
async def test_a8_who_was_shut_out_meanwhile_resets_nothing(call, ana, reset, status, db, names):
    async with db.transaction() as session:  # by hand, so that the link is not burnt
        (await session.get(names.User, ana.id)).status = status
    with pytest.raises(OneTimeTokenException):
        await call("confirm_password_reset", token=reset, new_password=NEW)


async def test_a8_a_reset_gives_no_token(call, reset):
    user = await call("confirm_password_reset", token=reset, new_password=NEW)
    assert not hasattr(user, "access_token")
    assert user.last_login_at is None


async def test_a10_a_reset_ends_every_login(call, ana, reset, service, db):
    pair = await call("login", email=EMAIL, password=PASSWORD)
    await call("confirm_password_reset", token=reset, new_password=NEW)
    with pytest.raises(InvalidTokenException):
        await call("refresh", token=pair.refresh_token)


async def test_a_weak_password_leaves_the_link_as_it_was(call, reset):
    for weak in ("curta", "ana@exemplo.com.br1"):
        with pytest.raises(WeakPasswordException):
            await call("confirm_password_reset", token=reset, new_password=weak)
        with pytest.raises(InvalidCredentialsException):
            await call("login", email=EMAIL, password=weak)
    await call("confirm_password_reset", token=reset, new_password=NEW)
    assert await call("login", email=EMAIL, password=NEW)


async def test_a_link_is_looked_at_without_being_used(call, service, reset, ana):
    row, user = await call("peek_token", token=reset, purpose="password_reset")
    assert (row.purpose, user.id) == ("password_reset", ana.id)
    for token, purpose in ((reset, "activation"), ("x", "password_reset"), ("", "password_reset")):
        with pytest.raises(OneTimeTokenException):
            await call("peek_token", token=token, purpose=purpose)
    await call("confirm_password_reset", token=reset, new_password=NEW)
    assert await call("login", email=EMAIL, password=NEW)


async def test_a_link_does_not_live_for_long(call, reset, clock, service):
    clock.pass_seconds(service.auth_settings.AUTH_PASSWORD_RESET_TTL_SECONDS + 1)
    with pytest.raises(OneTimeTokenException):
        await call("confirm_password_reset", token=reset, new_password=NEW)


async def test_the_table_holds_no_token(db, names, reset):
    async with db.read_only() as session:
        (row,) = await session.scalars(select(names.UserToken))
    assert reset not in [str(getattr(row, column.key)) for column in row.__table__.columns]
    assert "token_hash" not in row.to_dict()


async def test_a24_nothing_is_mailed_before_the_commit_nor_without_one(
    db, service, mailbox, ana, events
):
    async def fail_at_last():
        async with db.transaction() as session:
            await service.signup(session, email="leo@exemplo.com.br", password=PASSWORD)
            await service.request_password_reset(session, email=EMAIL)
            await service.change_password(session, ana, current_password=PASSWORD, new_password=NEW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_at_last()
    await service.outbox.drain()
    assert mailbox.mails == []
    assert [event.kind for event in events] == ["user_created"]


async def test_a24_an_answer_does_not_wait_for_the_mailer(make_service, db, ana, call):
    waiting, both, over = [], asyncio.Event(), asyncio.Event()

    class Slow:
        async def deliver(self, mail):
            waiting.append(str(mail.kind))
            if len(waiting) == 2:
                both.set()
            await over.wait()

    service = make_service(email=Slow())
    async with asyncio.timeout(20):
        async with db.transaction() as session:
            await service.signup(session, email="leo@exemplo.com.br", password=PASSWORD)
        async with db.transaction() as session:
            await service.request_password_reset(session, email=EMAIL)
        await both.wait()
        assert len(service.outbox) == 2  # they are being sent, and neither is
    over.set()
    assert sorted(waiting) == ["activation", "password_reset"]


async def test_a24_a_mailer_that_fails_fails_no_request(make_service, call, ana, caplog):
    class Broken:
        async def deliver(self, mail):
            raise OSError("smtp is down")

    service = make_service(email=Broken())
    user, link = await call("signup", email="leo@exemplo.com.br", password=PASSWORD, on=service)
    assert "a job after a commit failed" in caplog.text
    assert link.token not in caplog.text
    assert (await call("activate", token=link.token, on=service)).id == user.id


async def test_a_changed_password_ends_everything_and_is_told(call, ana, mailbox, events):
    pair = await call("login", email=EMAIL, password=PASSWORD)
    await call("request_password_reset", email=EMAIL)
    await call("change_password", ana, current_password=PASSWORD, new_password=NEW)
    with pytest.raises(InvalidTokenException):
        await call("refresh", token=pair.refresh_token)
    with pytest.raises(OneTimeTokenException):
        await call(
            "confirm_password_reset", token=mailbox.token("password_reset"), new_password=PASSWORD
        )
    with pytest.raises(InvalidCredentialsException):
        await call("login", email=EMAIL, password=PASSWORD)
    assert await call("login", email=EMAIL, password=NEW)
    assert mailbox.kinds(EMAIL)[-1] == "password_changed"
    assert [event.kind for event in events][-4:] == [
        "ended_everywhere",
        "password_changed",
        "login_failed",
        "login",
    ]


async def test_who_changes_a_password_gives_the_current_one(call, ana):
    for wrong in ("", "x", PASSWORD + " ", "x" * 5000):
        with pytest.raises(WrongPasswordException) as refused:
            await call("change_password", ana, current_password=wrong, new_password=NEW)
        assert refused.value.status_code == 422
    with pytest.raises(WeakPasswordException):
        await call("change_password", ana, current_password=PASSWORD, new_password="curta")
    assert await call("login", email=EMAIL, password=PASSWORD)


async def test_of_twenty_changes_at_once_one_wins(call, ana, service, db, names):
    async def change(n):
        async with db.transaction() as session:
            user = await session.get(names.User, ana.id)
            await service.change_password(
                session, user, current_password=PASSWORD, new_password=f"{NEW} {n}"
            )

    results = await asyncio.gather(*(change(n) for n in range(20)), return_exceptions=True)
    won = [n for n, result in enumerate(results) if result is None]
    assert len(won) == 1
    assert await call("login", email=EMAIL, password=f"{NEW} {won[0]}")


async def test_the_device_that_changed_the_password_logs_in_anew(service, db, ana):
    """With a user whom another session read, as a dependency does."""
    async with db.transaction() as session:
        await service.change_password(session, ana, current_password=PASSWORD, new_password=NEW)
        pair = await service.start_login(session, ana, amr=("pwd",))
    async with db.transaction() as session:
        assert await service.refresh(session, token=pair.refresh_token)


async def test_a_new_address_is_proved_and_the_old_one_told(call, ana, mailbox):
    await call("request_password_reset", email=EMAIL)
    link = await call(
        "request_email_change", ana, new_email="Ana2@Exemplo.com.br", password=PASSWORD
    )
    new = "ana2@exemplo.com.br"
    assert mailbox.kinds(new) == ["email_change"]
    assert mailbox.kinds(EMAIL) == ["password_reset", "email_change_notice"]
    assert await call("login", email=EMAIL, password=PASSWORD)
    user = await call("confirm_email_change", token=link.token)
    assert user.email == new
    assert mailbox.kinds(EMAIL)[-1] == "email_changed"
    assert await call("login", email=new, password=PASSWORD)
    with pytest.raises(InvalidCredentialsException):
        await call("login", email=EMAIL, password=PASSWORD)
    with pytest.raises(OneTimeTokenException):  # it went to the old address
        await call(
            "confirm_password_reset", token=mailbox.token("password_reset"), new_password=NEW
        )


async def test_who_asks_for_a_taken_address_is_not_told(call, ana, mailbox):
    await call("create_user", email="leo@exemplo.com.br")
    link = await call(
        "request_email_change", ana, new_email="leo@exemplo.com.br", password=PASSWORD
    )
    assert mailbox.kinds("leo@exemplo.com.br") == []
    assert mailbox.kinds(EMAIL) == ["email_change_notice"]
    with pytest.raises(EmailTakenException):
        await call("confirm_email_change", token=link.token)


async def test_an_address_that_was_taken_meanwhile_stays_its_owners(call, ana, mailbox):
    await call("request_email_change", ana, new_email="leo@exemplo.com.br", password=PASSWORD)
    await call("create_user", email="leo@exemplo.com.br")
    with pytest.raises(EmailTakenException):
        await call("confirm_email_change", token=mailbox.token("email_change"))
    assert (await call("authenticate", email=EMAIL, password=PASSWORD)).id == ana.id


async def test_an_address_is_changed_by_who_knows_the_password(call, ana, mailbox):
    for wrong in (None, "", "x"):
        with pytest.raises(WrongPasswordException):
            await call("request_email_change", ana, new_email="x@exemplo.com.br", password=wrong)
    with pytest.raises(InvalidEmailException):
        await call("request_email_change", ana, new_email="x", password=PASSWORD)
    assert mailbox.mails == []
    identity = await call("create_user", email="bia@exemplo.com.br")  # of a provider
    await call("request_email_change", identity, new_email="bia2@exemplo.com.br")
    assert mailbox.kinds("bia2@exemplo.com.br") == ["email_change"]


async def test_an_operator_sends_a_link_and_never_chooses_the_password(call, ana, mailbox):
    link = await call("send_password_reset", ana)
    assert link.token == mailbox.token("password_reset", to=EMAIL)
    assert await call("login", email=EMAIL, password=PASSWORD)  # until its owner chooses
    await call("confirm_password_reset", token=link.token, new_password=NEW)
    assert await call("login", email=EMAIL, password=NEW)
    with pytest.raises(InvalidCredentialsException):
        await call("login", email=EMAIL, password=PASSWORD)
