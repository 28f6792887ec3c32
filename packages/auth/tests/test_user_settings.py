"""The settings of users, and what the gate says about them (A1)."""

import pytest
from pydantic import ValidationError

from tijolo.auth import (
    AuthSettings,
    InsecureAuthSettingsError,
    JWTSettings,
    check_auth_settings,
    make_auth_validator,
)
from tijolo.core import BaseAppSettings

GOOD = {
    "JWT_SECRET": "um-segredo-bem-comprido-de-verdade-0123456789",
    "JWT_ISSUER": "loja",
    "AUTH_ACTIVATION_URL_TEMPLATE": "https://loja.example/ativar#{token}",
    "AUTH_PASSWORD_RESET_URL_TEMPLATE": "https://loja.example/senha#{token}",
    "AUTH_EMAIL_CHANGE_URL_TEMPLATE": "loja-app://email/{token}",
}


class Settings(AuthSettings, JWTSettings, BaseAppSettings, env_file=None):
    """What a service composes."""


class WithEmail(Settings):
    """What ``EmailSettings`` adds, as far as it matters here."""

    EMAIL_BACKEND: str = "auto"
    SMTP_HOST: str = ""


def codes(values, settings=Settings):
    made = settings(**GOOD | values)
    return {problem.code: problem.severity for problem in check_auth_settings(made)}


def test_the_gate_finds_nothing_in_good_settings():
    assert codes({}) == {}


@pytest.mark.parametrize(
    ("values", "code", "severity"),
    [
        ({"AUTH_RETURN_TOKEN_IN_RESPONSE": True}, "TOKEN_IN_RESPONSE", "error"),
        ({"AUTH_AUTO_ACTIVATE": True}, "UNPROVED_ADDRESSES", "warning"),
        ({"AUTH_ACTIVATION_URL_TEMPLATE": "http://loja.example/{token}"}, "PLAIN_HTTP", "error"),
        ({"AUTH_PASSWORD_RESET_URL_TEMPLATE": "/senha/{token}"}, "PLAIN_HTTP", "error"),
        ({"AUTH_EMAIL_CHANGE_URL_TEMPLATE": "http://[::1]/{token}"}, "LOCAL_LINK", "error"),
    ],
)
def test_the_gate_finds(values, code, severity):
    assert codes(values) == {code: severity}
    if severity == "error":
        assert codes({"ENVIRONMENT": "development"} | values) == {code: "warning"}


def test_a1_without_a_mailer_the_gate_stays_shut():
    assert codes({}, WithEmail) == {"NO_MAILER": "error"}
    assert codes({"EMAIL_BACKEND": "console"}, WithEmail) == {"NO_MAILER": "error"}
    assert codes({"SMTP_HOST": "smtp.example"}, WithEmail) == {}
    assert codes({"EMAIL_BACKEND": "smtp"}, WithEmail) == {}
    assert codes({"ENVIRONMENT": "local"}, WithEmail) == {"NO_MAILER": "warning"}


async def test_what_was_never_configured_does_not_start():
    """The defaults are those of a machine under a desk."""
    settings = Settings(JWT_SECRET=GOOD["JWT_SECRET"], JWT_ISSUER="loja")
    with pytest.raises(InsecureAuthSettingsError, match="AUTH_PASSWORD_RESET_URL_TEMPLATE leads"):
        await make_auth_validator(settings)()


@pytest.mark.parametrize("link", ["https://loja.example/", "https://x/{token}/{token}", ""])
def test_a_link_holds_its_token_once(link):
    with pytest.raises(ValidationError, match="must hold"):
        Settings(**GOOD | {"AUTH_ACTIVATION_URL_TEMPLATE": link})


@pytest.mark.parametrize(
    "values",
    [
        {"AUTH_PASSWORD_MIN_LENGTH": 7},
        {"AUTH_REFRESH_GRACE_SECONDS": 61},
        {"AUTH_ACTIVATION_TTL_SECONDS": 0},
        {"AUTH_PASSWORD_ROUNDS": 4},
    ],
)
def test_limits(values):
    with pytest.raises(ValidationError):
        Settings(**GOOD | values)
