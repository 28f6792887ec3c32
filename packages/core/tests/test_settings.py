from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated

import pytest
from pydantic import (
    AliasChoices,
    BaseModel,
    Field,
    Secret,
    SecretBytes,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from tijolo.core import BaseAppSettings, Environment, SigningKey, SigningSecret, UnfitSecretError
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

    with pytest.raises(UnfitSecretError) as caught:
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
    with pytest.raises(UnfitSecretError) as caught:
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

    with pytest.raises(UnfitSecretError, match=r"PROVIDERS\[0\]\.client_secret is a placeholder"):
        WithProviders(PROVIDERS={"google": {"client_secret": "change-me"}})


@dataclass
class Broker:
    password: SecretStr


class Everywhere(BaseAppSettings):
    model_config = SettingsConfigDict(extra="allow")
    AS_BYTES: SecretBytes = SecretBytes(b"")
    WRAPPED: Secret[str] = Secret("")
    IN_DATACLASS: Broker = Broker(SecretStr(""))
    IN_TUPLE: tuple[SecretStr, ...] = ()
    AS_KEY: dict[SecretStr, int] = Field(default_factory=dict)
    ANNOTATED: Annotated[SecretBytes, SigningKey] = SecretBytes(b"")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"AS_BYTES": "change-me"}, "AS_BYTES"),
        ({"WRAPPED": "change-me"}, "WRAPPED"),
        ({"IN_DATACLASS": Broker(SecretStr("change-me"))}, "IN_DATACLASS.password"),
        ({"IN_TUPLE": [GOOD, "change-me"]}, "IN_TUPLE[1]"),
        ({"AS_KEY": {"change-me": 1}}, "AS_KEY[0]"),
        ({"ANNOTATED": "Zq8vT1pX"}, "ANNOTATED"),
        ({"EXTRA": SecretStr("change-me")}, "EXTRA"),
    ],
)
def test_no_shape_hides_a_secret_from_the_check(given, name):
    with pytest.raises(UnfitSecretError) as caught:
        Everywhere(**given)

    assert f"production: {name} is" in str(caught.value)
    assert "change-me" not in str(caught.value)


@pytest.mark.parametrize(
    "secret",
    [
        " secret ", "admin ", '"secret"', "   ", "null\n", "ｃｈａｎｇｅ-ｍｅ", "change__me",
        "Secret-Key", "your-256-bit-secret", "your-super-secret-key", "supersecret",
        "password123", "123456",
        "minioadmin", "guest", "django-insecure-abcdef", "${SECRET}", "<secret>",
    ],
)  # fmt: skip
def test_disguised_and_well_known_placeholders_are_refused(secret):
    with pytest.raises(UnfitSecretError, match="SMTP_PASSWORD is a placeholder"):
        Settings(SMTP_PASSWORD=secret)


@pytest.mark.parametrize(
    "secret", ["exchange-item-4812-abc-Q!", "interchange.methods.44", "insecurely-named-8fa7"]
)
def test_a_secret_that_only_looks_like_a_placeholder_is_accepted(secret):
    assert Settings(SMTP_PASSWORD=secret).SMTP_PASSWORD.get_secret_value() == secret


@pytest.mark.parametrize("secret", ["abcdefgh" + " " * 24, "0123456789" * 4, "Zq8vT1pX" * 5])
def test_padding_and_repetition_do_not_make_a_signing_secret(secret):
    with pytest.raises(UnfitSecretError, match="TOKEN_SECRET"):
        Settings(TOKEN_SECRET=secret)


def test_the_variable_is_named_as_the_environment_names_it():
    class Named(BaseAppSettings):
        model_config = SettingsConfigDict(env_prefix="APP_")
        plain: SecretStr = SecretStr("")
        aliased: SecretStr = Field(default=SecretStr(""), alias="MY_TOKEN")
        chosen: SecretStr = Field(
            default=SecretStr(""), validation_alias=AliasChoices("FIRST", "SECOND")
        )

    with pytest.raises(UnfitSecretError) as caught:
        Named(plain="changeme", MY_TOKEN="changeme", FIRST="changeme")

    for name in ("APP_plain", "MY_TOKEN", "FIRST"):
        assert f"{name} is a placeholder" in str(caught.value)


def test_the_refusal_carries_no_setting_at_all():
    with pytest.raises(UnfitSecretError) as caught:
        Settings(TOKEN_SECRET="change-me", SMTP_PASSWORD=GOOD)

    assert GOOD not in repr(caught.value) + str(caught.value.__dict__)
    assert not isinstance(caught.value, ValueError)


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


def test_blocks_may_be_nested_and_run_in_threads():
    settings = Settings()

    def block():
        with assert_settings_read(MailSettings, by="shop"):
            for name in ("SMTP_HOST", "SMTP_PASSWORD"):
                _reader_in("shop")(settings, name)

    with assert_settings_read(BaseAppSettings, by="tijolo.core"):
        with ThreadPoolExecutor(8) as threads:
            for done in [threads.submit(block) for _ in range(40)]:
                done.result()
        Settings()

    assert "__getattribute__" not in vars(BaseModel)


def _reader_in(module):
    """A function that gets an attribute as code of ``module`` would."""
    namespace = {"__name__": module}
    exec("def read(settings, name):\n    return getattr(settings, name)", namespace)
    return namespace["read"]


class Needy(BaseSettings):
    FORM_SECRET: SigningSecret
    RING: list[SigningSecret]
    SHOP_NAME: str
    KEY: str = Field(description="a key of the bank; they mail it")
    PORT: int = 80


class NeedyService(Needy, BaseAppSettings):
    pass


def missing(settings, **given):
    with pytest.raises(ValidationError) as caught:
        settings(**given)
    return caught.value


def test_what_is_missing_says_which_variable_where_it_goes_and_how_to_make_it():
    told = {each["loc"][0]: each["msg"] for each in missing(NeedyService).errors()}

    assert told["FORM_SECRET"] == (
        "FORM_SECRET is not set in the environment or .env; expected 32 random bytes or more, the"
        " same on every replica; make them with:"
        " python -c 'import secrets; print(secrets.token_urlsafe(48))'"
    )
    assert "secrets.token_urlsafe" in told["RING"]
    assert told["SHOP_NAME"] == "SHOP_NAME is not set in the environment or .env; expected str"
    assert told["KEY"].endswith("; expected a key of the bank; they mail it")


@pytest.mark.parametrize("environment", [{}, {"SHOP_NAME": GOOD, "PORT": f"no {GOOD} port"}])
def test_what_is_missing_shows_nothing_of_what_is_there(monkeypatch, environment):
    """Pydantic would hand the whole environment over as the "input" of each missing field."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    error = missing(NeedyService, FORM_SECRET=GOOD)

    assert "RING is not set" in str(error)
    assert GOOD not in str(error) + repr(error.errors()) + error.json()
    assert [each["type"] for each in error.errors() if each["loc"] == ("RING",)] == ["missing"]


def test_what_is_missing_is_named_as_its_variable_is():
    class Prefixed(BaseAppSettings):
        model_config = SettingsConfigDict(env_prefix="SHOP_", env_file=None)
        NAME: str
        OTHER: str = Field(validation_alias=AliasChoices("OTHER_NAME", "OLD_NAME"))

    told = [each["msg"] for each in missing(Prefixed).errors()]
    assert told == [
        "SHOP_NAME is not set in the environment; expected str",
        "OTHER_NAME is not set in the environment; expected str",
    ]


def test_what_is_wrong_and_not_missing_stays_as_it_is():
    class Inner(BaseModel):
        name: str

    class Nested(BaseAppSettings):
        INNER: Inner = Inner(name="x")
        PORT: int = 80

    error = missing(Nested, INNER={}, PORT="{braces}")
    assert [(each["type"], each["loc"]) for each in error.errors()] == [
        ("missing", ("INNER", "name")),
        ("int_parsing", ("PORT",)),
    ]
    both = missing(NeedyService, PORT="{said}")
    assert "PORT\n  Input should be a valid integer" in str(both)
