from __future__ import annotations

import contextlib

import pytest
from pydantic import ValidationError

from tijolo.core import BaseAppSettings, MissingExtraError
from tijolo.core.testing import assert_settings_read
from tijolo.email import (
    ConsoleBackend,
    EmailSettings,
    EmailUtils,
    FileBackend,
    MemoryBackend,
    SMTPBackend,
    TLSMode,
)


class Settings(EmailSettings, BaseAppSettings):
    pass


REAL = {"SMTP_HOST": "smtp.example.org", "SMTP_FROM_ADDR": "Shop <shop@example.org>"}


def made(environment="production", **values):
    return EmailUtils.from_settings(Settings(_env_file=None, ENVIRONMENT=environment, **values))


def test_every_setting_is_read():
    with assert_settings_read(EmailSettings, by="tijolo.email"):
        made(**REAL)
        made(EMAIL_BACKEND="file")
        with contextlib.suppress(ValueError, MissingExtraError):
            made(**REAL, DKIM_SELECTOR="s", DKIM_PRIVATE_KEY="not a key, but long enough to be one")


def test_without_a_server_development_shows_and_production_does_not_start():
    for environment in ("local", "development", "test"):
        assert isinstance(made(environment).backend, ConsoleBackend)
    for environment in ("staging", "production"):
        with pytest.raises(ValueError, match="SMTP_HOST"):
            made(environment)
    with pytest.raises(ValueError, match="SMTP_HOST"):
        EmailUtils.from_settings(EmailSettings())  # no ENVIRONMENT is the strict side
    with pytest.raises(ValueError, match="accepts: set it to the sender's address"):
        made(SMTP_HOST="smtp.example.org")
    assert isinstance(made(EMAIL_BACKEND="console").backend, ConsoleBackend)


def test_a_backend_is_chosen_by_name(tmp_path):
    files = made(EMAIL_BACKEND="file", EMAIL_FILE_DIR=str(tmp_path)).backend
    assert isinstance(files, FileBackend)
    assert files.directory == tmp_path
    assert isinstance(made("test", EMAIL_BACKEND="memory", **REAL).backend, MemoryBackend)
    assert isinstance(made("test", **REAL).backend, SMTPBackend)
    with pytest.raises(ValueError, match="lose every"):
        made(EMAIL_BACKEND="memory")
    with pytest.raises(ValueError, match="needs SMTP_HOST"):
        made("test", EMAIL_BACKEND="smtp")
    with pytest.raises(ValueError, match="example"):
        made(SMTP_HOST="smtp.example.org")
    with pytest.raises(ValidationError):
        made(EMAIL_BACKEND="pigeon")


@pytest.mark.parametrize(
    ("values", "mode", "port"),
    [
        ({}, TLSMode.STARTTLS, 587),
        ({"SMTP_USE_SSL": True}, TLSMode.TLS, 465),
        ({"SMTP_PORT": 465}, TLSMode.TLS, 465),
        ({"SMTP_USE_TLS": False}, TLSMode.PLAIN, 25),
        ({"SMTP_USE_TLS": False, "SMTP_USE_SSL": True}, TLSMode.TLS, 465),
        ({"SMTP_TLS": "tls", "SMTP_PORT": 2465}, TLSMode.TLS, 2465),
        ({"SMTP_TLS": "plain"}, TLSMode.PLAIN, 25),
        ({"SMTP_PORT": 2525}, TLSMode.STARTTLS, 2525),
    ],
)
def test_encryption_and_port_go_together(values, mode, port):
    email = made(**REAL, **values)
    assert (email.backend.server.tls, email.port) == (mode, port)
    assert (email.use_tls, email.use_starttls) == (mode is TLSMode.TLS, mode is TLSMode.STARTTLS)


@pytest.mark.parametrize(
    "values",
    [
        {"SMTP_USE_TLS": True, "SMTP_USE_SSL": True},
        {"SMTP_TLS": "starttls", "SMTP_PORT": 465},
        {"SMTP_USE_TLS": False, "SMTP_USERNAME": "u", "SMTP_PASSWORD": "long enough"},
        {"SMTP_PASSWORD": "without a user name"},
        {"SMTP_FROM_ADDR": "nobody"},
        {"DKIM_SELECTOR": "s"},
        {"SMTP_PORT": 0},
        {"SMTP_TIMEOUT_SECONDS": 0},
    ],
)
def test_settings_that_contradict_each_other_do_not_start(values):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        made(**REAL | values)
    assert "long enough" not in str(error.value)


def test_the_values_arrive():
    email = made(
        **REAL,
        SMTP_USERNAME="u",
        SMTP_PASSWORD="correct-horse-battery",
        SMTP_TIMEOUT_SECONDS=7,
        SMTP_CONNECT_TIMEOUT_SECONDS=3,
        SMTP_POOL_SIZE=9,
        SMTP_ATTEMPTS=1,
        EMAIL_MAX_MESSAGE_BYTES=1000,
    )
    backend = email.backend
    assert backend.server.password == "correct-horse-battery"
    assert "correct-horse" not in repr(backend.server)
    assert (backend._timeouts.command_seconds, backend._timeouts.connect_seconds) == (7, 3)
    assert (backend._limits.max_connections, backend._retry.attempts) == (9, 1)
    assert email._prepare.max_bytes == 1000
    assert email.from_addr == '"Shop" <shop@example.org>'


def test_no_report_shows_the_password():
    with pytest.raises(ValidationError) as error:
        EmailSettings(SMTP_PASSWORD="tr0ub4d", DKIM_SELECTOR="s")
    assert "tr0ub4d" not in str(error.value)


def test_a_placeholder_password_does_not_start_in_production():
    with pytest.raises(RuntimeError, match="SMTP_PASSWORD"):
        made(**REAL, SMTP_USERNAME="u", SMTP_PASSWORD="changeme")
