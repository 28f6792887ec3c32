from __future__ import annotations

import pytest
from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings

from tijolo.core import BaseAppSettings, Environment, SigningSecret
from tijolo.core.testing import assert_settings_read

GOOD = "nS3cr3t-Zq8vT1pX6wL0bK9yH4mD7jF2"


class MailSettings(BaseSettings):
    SMTP_PASSWORD: SecretStr = SecretStr("")
    SMTP_HOST: str = "localhost"


class Settings(MailSettings, BaseAppSettings):
    TOKEN_SECRET: SigningSecret = SecretStr("")
    OLD_SECRET: SigningSecret | None = None
    RING: list[SigningSecret] = []
    EXAMPLE: SecretStr = Field(default=SecretStr(""), examples=["kZ81-from-the-readme"])


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ENVIRONMENT", raising=False)


@pytest.mark.parametrize(
    "secret",
    [
        "change-me-change-me-change-me-32",
        "CHANGE_ME_CHANGE_ME_CHANGE_ME_CHANGE_ME",
        "secret",
        "your-secret-key-your-secret-key-your",
        "a" * 64,
        "ab" * 32,
        "tiny-one",
        "Zq8vT1pX6wL0bK9yH4mD7jF2nS3cr3t",  # 31 bytes
    ],
)
@pytest.mark.parametrize("environment", ["staging", "production", None])
def test_an_unfit_signing_secret_refuses_to_start_naming_the_variable(
    monkeypatch, secret, environment
):
    monkeypatch.setenv("TOKEN_SECRET", secret)
    if environment:
        monkeypatch.setenv("ENVIRONMENT", environment)

    with pytest.raises(ValidationError) as caught:
        Settings()

    assert "TOKEN_SECRET" in str(caught.value)
    assert "secrets.token_urlsafe" in str(caught.value)
    if len(secret) > len("secret"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize("environment", ["local", "development", "test", " Development "])
def test_development_accepts_placeholders(monkeypatch, environment):
    monkeypatch.setenv("TOKEN_SECRET", "change-me")
    monkeypatch.setenv("ENVIRONMENT", environment)

    assert Settings().ENVIRONMENT.is_development


def test_every_unfit_secret_is_named_at_once():
    with pytest.raises(ValidationError) as caught:
        Settings(
            TOKEN_SECRET="short",
            OLD_SECRET="short",
            RING=[GOOD, "short"],
            SMTP_PASSWORD="changeme",
            EXAMPLE="kZ81-from-the-readme",
        )

    for name in ("TOKEN_SECRET", "OLD_SECRET", "RING[1]", "SMTP_PASSWORD", "EXAMPLE"):
        assert f"{name} " in str(caught.value)
    assert "RING[0]" not in str(caught.value)


def test_secrets_of_nested_models_are_checked():
    class Provider(BaseModel):
        client_secret: SecretStr

    class WithProviders(BaseAppSettings):
        PROVIDERS: dict[str, Provider]

    with pytest.raises(ValidationError, match=r"PROVIDERS\['google'\]\.client_secret"):
        WithProviders(PROVIDERS={"google": {"client_secret": "change-me"}})


def test_a_good_secret_and_an_unset_one_start():
    settings = Settings(TOKEN_SECRET=GOOD)

    assert settings.TOKEN_SECRET.get_secret_value() == GOOD
    assert settings.ENVIRONMENT is Environment.PRODUCTION


def test_a_password_from_the_environment_is_not_stripped(monkeypatch):
    monkeypatch.setenv("SMTP_PASSWORD", "  spaces kept ")
    monkeypatch.setenv("SMTP_HOST", " mail.example.com ")

    assert Settings().SMTP_PASSWORD.get_secret_value() == "  spaces kept "
    assert Settings().SMTP_HOST == "mail.example.com"


def test_the_env_file_is_read_and_the_environment_wins(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("SMTP_HOST=from-file\nENVIRONMENT=test\nUNKNOWN=1\n")
    assert Settings().SMTP_HOST == "from-file"

    monkeypatch.setenv("SMTP_HOST", "from-env")
    assert Settings().SMTP_HOST == "from-env"


def test_settings_are_frozen():
    settings = Settings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.SMTP_HOST = "other"


def test_an_unknown_environment_is_named_with_the_choices():
    with pytest.raises(ValidationError, match="ENVIRONMENT") as caught:
        Settings(ENVIRONMENT="produktion")
    assert "production" in str(caught.value)


def test_no_secret_is_in_the_repr_or_in_an_error():
    settings = Settings(TOKEN_SECRET=GOOD)
    with pytest.raises(ValidationError) as caught:
        Settings(TOKEN_SECRET=GOOD, RING=GOOD)

    assert GOOD not in repr(settings) + str(settings) + str(caught.value)


def test_assert_settings_read_names_the_fields_nobody_read():
    settings = Settings()
    reader = _reader_in("shop.mail")

    with (
        pytest.raises(AssertionError, match=r"no code of shop read MailSettings\.SMTP_PASSWORD:"),
        assert_settings_read(MailSettings, by="shop"),
    ):
        reader(settings, "SMTP_HOST")


def test_assert_settings_read_counts_the_package_and_neither_tests_nor_namesakes():
    settings = Settings()
    namesake = _reader_in("shopping")

    def only_others_read():
        with assert_settings_read(MailSettings, by="shop"):
            _ = settings.SMTP_HOST
            namesake(settings, "SMTP_HOST")

    with pytest.raises(AssertionError, match="SMTP_HOST"):
        only_others_read()
    with assert_settings_read(MailSettings, BaseAppSettings, by="shop"):
        for name in ("SMTP_HOST", "SMTP_PASSWORD", "ENVIRONMENT"):
            _reader_in("shop")(settings, name)


def test_assert_settings_read_leaves_the_class_as_it_was():
    before = MailSettings.__getattribute__
    with assert_settings_read(MailSettings, by=__name__):
        settings = MailSettings()
        _ = settings.SMTP_HOST, settings.SMTP_PASSWORD

    assert MailSettings.__getattribute__ is before


def _reader_in(module):
    """A function that gets an attribute as code of ``module`` would."""
    namespace = {"__name__": module}
    exec("def read(settings, name):\n    return getattr(settings, name)", namespace)
    return namespace["read"]
