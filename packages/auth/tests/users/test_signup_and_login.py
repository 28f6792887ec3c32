"""Sign-up, activation and login, on every database."""

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("email_validator")

from tijolo.auth import TokenVerifier
from tijolo.auth.users import (
    InvalidCredentialsException,
    OneTimeTokenException,
    TokenPair,
    UserStatus,
)

PASSWORD = "cavalo correto bateria"


async def test_from_the_sign_up_to_a_token(call, mailbox, service):
    user, link = await call("signup", email=" Ana@Exemplo.com.br ", password=PASSWORD, name="Ana")
    assert (user.email, user.status) == ("ana@exemplo.com.br", UserStatus.PENDING)
    assert mailbox.kinds() == ["activation"]
    assert mailbox.token("activation") == link.token
    with pytest.raises(InvalidCredentialsException):
        await call("login", email="ana@exemplo.com.br", password=PASSWORD)

    opened = await call("activate", token=link.token)
    assert opened.may_log_in
    with pytest.raises(OneTimeTokenException):
        await call("activate", token=link.token)

    pair = await call("login", email="ANA@exemplo.com.br", password=PASSWORD)
    assert isinstance(pair, TokenPair)
    principal = TokenVerifier.from_settings(service.jwt_settings).verify(pair.access_token)
    assert principal.subject == str(user.id)
    assert principal.roles == {"user"}
    assert principal.amr == {"pwd"}
    assert principal.session_id == pair.session_id
    again = await call("refresh", token=pair.refresh_token)
    assert again.refresh_token != pair.refresh_token
    with pytest.raises(InvalidCredentialsException):
        await call("login", email="ana@exemplo.com.br", password=PASSWORD + " ")


async def test_a_taken_address_tells_its_owner_and_nobody_else(call, mailbox, ana):
    user, link = await call("signup", email="ana@exemplo.com.br", password="outra senha qualquer")
    assert (user, link) == (None, None)
    assert mailbox.kinds("ana@exemplo.com.br") == ["account_exists"]


async def test_a_reset_changes_the_password_and_does_not_log_in(call, mailbox, ana):
    assert await call("request_password_reset", email="ana@exemplo.com.br") is None
    user = await call(
        "confirm_password_reset",
        token=mailbox.token("password_reset"),
        new_password="uma senha bem nova",
    )
    assert user.auth_epoch == 1
    await call("login", email="ana@exemplo.com.br", password="uma senha bem nova")
    with pytest.raises(InvalidCredentialsException):
        await call("login", email="ana@exemplo.com.br", password=PASSWORD)
