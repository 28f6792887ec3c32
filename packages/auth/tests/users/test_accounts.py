"""Accounts begin: A9, A11, A14, A25, and accounts that operators make."""

import asyncio

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("email_validator")

from sqlalchemy import func, select

from tijolo.auth import WeakPasswordException
from tijolo.auth.users import (
    EmailTakenException,
    InvalidCredentialsException,
    InvalidEmailException,
    OneTimeTokenException,
    UserStatus,
)
from tijolo.core import ServiceUnavailableException, ValidationException

PASSWORD = "cavalo correto bateria"
EMAIL = "ana@exemplo.com.br"


async def users(db, names):
    async with db.read_only() as session:
        return list(await session.scalars(select(names.User)))


async def test_a11_twenty_sign_ups_at_once_make_one_account_and_no_error(call, db, names, mailbox):
    answers = await asyncio.gather(
        *(call("signup", email=EMAIL, password=f"{PASSWORD} {n}") for n in range(20)),
        return_exceptions=True,
    )
    assert [error for error in answers if isinstance(error, Exception)] == []
    assert sum(user is not None for user, _ in answers) == 1
    assert len(await users(db, names)) == 1
    assert set(mailbox.kinds()) == {"activation"}


async def test_a11_no_log_holds_the_address_or_the_hash(call, caplog):
    await asyncio.gather(*(call("signup", email=EMAIL, password=PASSWORD) for _ in range(5)))
    assert EMAIL not in caplog.text
    assert "$2b$" not in caplog.text


async def test_a25_a_taken_address_changes_nothing_and_is_told_to_its_owner(
    call, ana, mailbox, events
):
    hashed = ana.hashed_password
    assert await call("signup", email="ANA@EXEMPLO.COM.BR", password=PASSWORD, name="X") == (
        None,
        None,
    )
    user = await call("authenticate", email=EMAIL, password=PASSWORD)
    assert (user.name, user.hashed_password) == ("Ana", hashed)
    assert mailbox.kinds() == ["account_exists"]
    assert [event.kind for event in events] == ["user_created", "signup_taken"]


@pytest.mark.parametrize("status", [UserStatus.SUSPENDED, UserStatus.DELETED])
async def test_who_is_shut_out_gets_no_mail_and_no_new_account(call, ana, mailbox, status):
    await call("set_status", ana, status)
    assert await call("signup", email=EMAIL, password=PASSWORD) == (None, None)
    await call("request_password_reset", email=EMAIL)
    await call("resend_activation", email=EMAIL)
    assert mailbox.mails == []


async def test_each_link_opens_the_account_with_the_password_of_its_own_sign_up(call, mailbox):
    """Nobody can plant a password before the owner of the address comes."""
    await call("signup", email=EMAIL, password="a senha do invasor", name="Invasor")
    await call("signup", email=EMAIL, password="a senha da dona", name="Ana")
    planted, own = [mail.context["url"].partition("token=")[2] for mail in mailbox.mails]
    user = await call("activate", token=own)
    assert user.name == "Ana"
    assert await call("login", email=EMAIL, password="a senha da dona")
    with pytest.raises(InvalidCredentialsException):
        await call("login", email=EMAIL, password="a senha do invasor")
    with pytest.raises(OneTimeTokenException):
        await call("activate", token=planted)


async def test_a_link_asked_for_after_two_sign_ups_plants_nobodys_password(call, mailbox):
    """The owner who lost her own link asks for another; it must not carry the stranger's."""
    await call("signup", email=EMAIL, password="a senha do invasor", name="Invasor")
    await call("resend_activation", email=EMAIL)
    await call("signup", email=EMAIL, password="a senha da dona", name="Ana")
    await call("resend_activation", email=EMAIL)
    user = await call("activate", token=mailbox.token("activation"))
    assert (user.status, user.name) == (UserStatus.ACTIVE, None)
    for password in ("a senha do invasor", "a senha da dona"):
        with pytest.raises(InvalidCredentialsException):
            await call("login", email=EMAIL, password=password)
    await call("request_password_reset", email=EMAIL)
    token = mailbox.token("password_reset")
    await call("confirm_password_reset", token=token, new_password="a senha da dona")
    assert await call("login", email=EMAIL, password="a senha da dona")


async def test_a_link_mailed_before_a_stranger_signed_up_keeps_its_password(call, mailbox):
    """Also one that an operator sent: a stranger's sign-up must not lock its owner out."""
    pending = UserStatus.PENDING
    await call("create_user", email=EMAIL, password=PASSWORD, name="Ana", status=pending)
    await call("resend_activation", email=EMAIL)
    await call("signup", email=EMAIL, password="a senha do invasor", name="Invasor")
    user = await call("activate", token=mailbox.mails[0].context["url"].partition("token=")[2])
    assert user.name == "Ana"
    assert await call("login", email=EMAIL, password=PASSWORD)


async def test_a_sign_up_that_comes_as_the_account_opens_takes_no_password_away(call, db, service):
    """It sees the account pending and waits for whoever opens it."""
    _, link = await call("signup", email=EMAIL, password=PASSWORD, name="Ana")
    async with db.transaction() as session:
        await service.activate(session, token=link.token)
        late = asyncio.create_task(call("signup", email=EMAIL, password="a senha do invasor"))
        await asyncio.sleep(0.5)
    await late
    user = await call("authenticate", email=EMAIL, password=PASSWORD)
    assert user.name == "Ana"


async def test_a_reset_of_a_pending_account_keeps_the_planted_password_out(call, mailbox):
    await call("signup", email=EMAIL, password="a senha do invasor")
    await call("request_password_reset", email=EMAIL)
    token = mailbox.token("password_reset")
    user = await call("confirm_password_reset", token=token, new_password="a senha da dona")
    assert user.status is UserStatus.ACTIVE
    with pytest.raises(InvalidCredentialsException):
        await call("login", email=EMAIL, password="a senha do invasor")
    with pytest.raises(OneTimeTokenException):
        await call("activate", token=mailbox.token("activation"))


async def test_a9_a_banned_account_does_not_reopen_itself(call, mailbox):
    user, link = await call("signup", email=EMAIL, password=PASSWORD)
    await call("set_status", user, UserStatus.SUSPENDED)
    with pytest.raises(OneTimeTokenException):
        await call("activate", token=link.token)
    with pytest.raises(InvalidCredentialsException):
        await call("login", email=EMAIL, password=PASSWORD)


@pytest.mark.parametrize("status", [UserStatus.SUSPENDED, UserStatus.DELETED, UserStatus.ACTIVE])
async def test_a9_activation_is_from_pending_alone(call, db, names, status):
    """Also where the link itself was not burnt, as after a change by hand."""
    user, link = await call("signup", email=EMAIL, password=PASSWORD)
    async with db.transaction() as session:
        (await session.get(names.User, user.id)).status = status
    with pytest.raises(OneTimeTokenException):
        await call("activate", token=link.token)


async def test_is_active_follows_the_status_and_shuts_out_alone_too(call, db, names, ana):
    assert ana.is_active
    async with db.transaction() as session:
        (await session.get(names.User, ana.id)).is_active = False
    with pytest.raises(InvalidCredentialsException):
        await call("login", email=EMAIL, password=PASSWORD)
    await call("set_status", ana, UserStatus.SUSPENDED)
    await call("set_status", ana, UserStatus.ACTIVE)
    assert await call("login", email=EMAIL, password=PASSWORD)


async def test_a_link_expires_and_another_can_be_asked_for(call, mailbox, clock, service):
    _, link = await call("signup", email=EMAIL, password=PASSWORD)
    clock.pass_seconds(service.auth_settings.AUTH_ACTIVATION_TTL_SECONDS + 1)
    with pytest.raises(OneTimeTokenException):
        await call("activate", token=link.token)
    await call("resend_activation", email=EMAIL)
    assert (await call("activate", token=mailbox.token("activation"))).may_log_in
    await call("resend_activation", email=EMAIL)
    await call("resend_activation", email="ninguem@exemplo.com.br")
    await call("resend_activation", email="not an address")
    assert mailbox.kinds() == ["activation", "activation"]


async def test_nobody_is_activated_by_a_token_of_another_purpose(call, ana, mailbox):
    await call("request_password_reset", email=EMAIL)
    await call("signup", email="leo@exemplo.com.br", password=PASSWORD)
    with pytest.raises(OneTimeTokenException):
        await call("activate", token=mailbox.token("password_reset"))
    with pytest.raises(OneTimeTokenException):
        await call(
            "confirm_password_reset",
            token=mailbox.token("activation"),
            new_password="uma senha bem nova",
        )


@pytest.mark.parametrize("token", ["", "x", "\ud800", "x" * 1_000_000, "' OR 1=1 --", "٣" * 43])
async def test_what_is_no_token_opens_nothing(call, token):
    with pytest.raises(OneTimeTokenException):
        await call("activate", token=token)


async def test_auto_activation_opens_at_once_and_tells_nobody_more(make_service, call, mailbox):
    service = make_service(settings={"AUTH_AUTO_ACTIVATE": True})
    user, link = await call("signup", email=EMAIL, password=PASSWORD, on=service)
    assert (user.status, link) == (UserStatus.ACTIVE, None)
    assert await call("signup", email=EMAIL, password=PASSWORD, on=service) == (None, None)
    assert mailbox.kinds() == ["account_exists"]


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("curta", "too_short"),
        ("é" * 513, "too_long"),
        ("x" * 5_000_000, "too_long"),
        ("minhasenha123", "common"),
        ("exemplo-ana-99", "personal"),
    ],
)
async def test_a14_the_policy_of_the_settings_decides(call, db, names, password, reason):
    with pytest.raises(WeakPasswordException) as refused:
        await call("signup", email=EMAIL, password=password, name="Ana")
    assert refused.value.details["reason"] == reason
    assert password not in repr(refused.value) + str(refused.value.details)
    assert await users(db, names) == []


async def test_a14_the_least_length_is_that_of_the_settings(make_service, call):
    for least, works in ((8, True), (20, False)):
        service = make_service(settings={"AUTH_PASSWORD_MIN_LENGTH": least})
        email = f"pessoa{least}@exemplo.com.br"
        if works:
            assert (await call("signup", email=email, password="zebra-roxa", on=service))[0]
            continue
        with pytest.raises(WeakPasswordException):
            await call("signup", email=email, password="zebra-roxa", on=service)


async def test_a_password_is_kept_exactly_and_up_to_1024_bytes(call):
    for n, password in enumerate(
        ["  cavalo correto  ", "é" * 256 + "!?abc" * 100, "nul\0dentro da senha"]
    ):
        email = f"p{n}@exemplo.com.br"
        await call("create_user", email=email, password=password)
        assert await call("login", email=email, password=password)
        for wrong in (password.strip() if n == 0 else password[:-1], password + "x"):
            with pytest.raises(InvalidCredentialsException):
                await call("login", email=email, password=wrong)


@pytest.mark.parametrize("name", ["x" * 121, "a\nb", "a\0b", "\ud800", "a\u2028b"])
async def test_a_name_is_one_line(call, name):
    with pytest.raises(ValidationException) as refused:
        await call("signup", email=EMAIL, password=PASSWORD, name=name)
    assert refused.value.code == "INVALID_NAME"


@pytest.mark.parametrize(
    "name",
    [
        "\u202eanA",  # shown as Ana, and what follows it backwards
        "Ana\u202a",
        "Ana \u2066Silva",
        "Ana\u2069",
        "Ana\u200f",
        "Ana\u061c",
        "Ad\u200dmin",  # not the text Admin, and shown as that
        "Ad\u200cmin",
        "\u200d",
        "\u200c\u200c",
        "é\u200d",
        "é\u200d\u200dé",
        "Ana\u200b",
        "Ana\u2060",
        "\ufeffAna",
        "A\u00adna",
        "\u3164",
        "\u2800\u2800",
        "A\U000e0041na",
        "Ana\x1b[2J",
        "Ana\x7f",
        "An\x85a",
    ],
    ids=ascii,
)
async def test_a_name_shows_nothing_else_and_is_seen(call, name):
    for method in ("signup", "create_user"):
        with pytest.raises(ValidationException) as refused:
            await call(method, email="ana@exemplo.com.br", password=PASSWORD, name=name)
        assert refused.value.code == "INVALID_NAME"


@pytest.mark.parametrize(
    "name",
    [
        "Ana de Souza-Pêra",
        "O'Neill, Ana (Aninha)",
        "אנה כהן",
        "آنا",
        "می\u200cخواهم",
        "क्\u200dष",
        "Ana 👩\u200d💻 🇧🇷",
        "❤️\u200d🔥",
        "李 安娜",
        "Ngọc Ánh",
    ],
    ids=ascii,
)
async def test_names_of_every_script_are_kept(call, name):
    user = await call("create_user", email="ana@exemplo.com.br", name=name)
    assert user.name == name


@pytest.mark.parametrize(
    "email", ["ana@localhost", "ana@intranet", "ana@127.0.0.1", "ana@mail.internal", "ana@a.local"]
)
async def test_who_signs_up_has_an_address_that_mail_reaches(
    make_service, call, ana, mailbox, email
):
    with pytest.raises(InvalidEmailException):
        await call("signup", email=email, password=PASSWORD)
    with pytest.raises(InvalidEmailException):
        await call("request_email_change", ana, new_email=email, password=PASSWORD)
    assert mailbox.mails == []


async def test_the_error_of_a_domain_that_mail_does_not_reach_says_so(call):
    with pytest.raises(InvalidEmailException, match="No e-mail reaches that domain") as refused:
        await call("signup", email="ana@intranet", password=PASSWORD)
    assert (refused.value.code, refused.value.details) == ("INVALID_EMAIL", {"field": "email"})


async def test_a_machine_of_its_own_has_the_addresses_that_it_wants(make_service, call, db):
    operator = await call("create_user", email="root@intranet", password=PASSWORD)
    assert (await call("login", email="root@intranet", password=PASSWORD)).user_id == operator.id
    local = make_service(settings={"AUTH_RETURN_TOKEN_IN_RESPONSE": True})
    user, _ = await call("signup", email="ana@intranet", password=PASSWORD, on=local)
    assert user.email == "ana@intranet"


async def test_an_empty_name_is_none(call):
    user, _ = await call("signup", email=EMAIL, password=PASSWORD, name="   ")
    assert user.name is None


async def test_an_operator_is_told_what_strangers_are_not(call, ana):
    with pytest.raises(EmailTakenException) as refused:
        await call("create_user", email=" ANA@exemplo.com.br", password=PASSWORD)
    assert EMAIL not in str(refused.value) + str(refused.value.details)
    with pytest.raises(InvalidEmailException):
        await call("create_user", email="ana", password=PASSWORD)
    with pytest.raises(WeakPasswordException):
        await call("create_user", email="leo@exemplo.com.br", password="senha")


async def test_twenty_operators_make_one_account(call):
    made = await asyncio.gather(
        *(call("create_user", email=EMAIL) for _ in range(20)), return_exceptions=True
    )
    assert sum(not isinstance(each, Exception) for each in made) == 1
    assert {type(each) for each in made if isinstance(each, Exception)} == {EmailTakenException}


async def test_a_user_without_a_password_has_none_that_fits(call, mailbox):
    user = await call("create_user", email=EMAIL, roles=["editor"], is_admin=True)
    assert user.role_names == {"user", "editor", "admin"}
    for password in ("", "None", PASSWORD):
        with pytest.raises(InvalidCredentialsException):
            await call("login", email=EMAIL, password=password)
    await call("request_password_reset", email=EMAIL)
    token = mailbox.token("password_reset")
    await call("confirm_password_reset", token=token, new_password=PASSWORD)
    assert await call("login", email=EMAIL, password=PASSWORD)


async def test_another_constraint_of_the_table_is_no_taken_address(call, db, names, service):
    """What is wrong with the service's own columns is not swallowed."""
    await call("create_user", email="leo@exemplo.com.br")
    async with db.transaction() as session:
        leo = await session.scalar(select(names.User))
        leo.nickname = "x"

    class Clumsy(type(service._accounts)):
        def _new(self, **values):
            return super()._new(nickname="x", **values)

    clumsy = Clumsy(service.parts)
    with pytest.raises(Exception, match="409") as refused:
        async with db.transaction() as session:
            await clumsy.signup(session, email=EMAIL, password=PASSWORD, name=None, locale=None)
    assert refused.value.details["reason"] == "unique"


async def test_a_full_queue_refuses_everybody_alike(make_service, call, ana, mailbox, hashing):
    service = make_service(settings={"AUTH_MAIL_QUEUE_LIMIT": 1})
    stop = asyncio.Event()
    service.outbox.put(stop.wait)
    for email in (EMAIL, "ninguem@exemplo.com.br", "not an address"):
        with pytest.raises(ServiceUnavailableException) as refused:
            await call("request_password_reset", email=email, on=service)
        assert refused.value.code == "MAIL_QUEUE_FULL"
    for email in (EMAIL, "ninguem@exemplo.com.br"):
        with pytest.raises(ServiceUnavailableException):
            await call("signup", email=email, password=PASSWORD, on=service)
    assert not await service.health_check()
    stop.set()
    await service.outbox.drain()
    await call("request_password_reset", email=EMAIL, on=service)
    assert mailbox.kinds() == ["password_reset"]


async def test_deleted_tokens_are_the_expired_ones(call, db, names, clock):
    await call("signup", email=EMAIL, password=PASSWORD)
    assert await call("delete_expired") == 0
    clock.pass_seconds(9 * 86_400)
    assert await call("delete_expired") == 1
    async with db.read_only() as session:
        assert await session.scalar(select(func.count()).select_from(names.UserToken)) == 0
