"""S23, S24: a cookie that is not safe is refused when the service starts."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic import ValidationError

from tijolo.core import BaseAppSettings
from tijolo.sessions import SessionAuth, SessionMiddleware, SessionSettings


def settings(**values: Any) -> SessionSettings:
    return SessionSettings(**{f"SESSION_{name.upper()}": value for name, value in values.items()})


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, "__Host-session"),
        ({"cookie_name": "sid"}, "__Host-sid"),
        ({"cookie_name": "__Host-sid"}, "__Host-sid"),
        ({"cookie_path": "/app"}, "__Secure-session"),
        ({"cookie_domain": "example.com"}, "__Secure-session"),
        ({"cookie_domain": ""}, "__Host-session"),
        ({"cookie_secure": False}, "session"),
    ],
)
def test_the_cookies_prefix_follows_from_its_attributes(values: Any, name: str) -> None:
    assert settings(**values).session_cookie_name == name


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"cookie_samesite": "none", "cookie_secure": False}, "SESSION_COOKIE_SECURE=true"),
        ({"cookie_samesite": "sometimes"}, "SESSION_COOKIE_SAMESITE"),
        ({"cookie_httponly": False}, "SESSION_COOKIE_HTTPONLY"),
        ({"cookie_name": "__Host-sid", "cookie_domain": "example.com"}, "leave the prefix out"),
        ({"cookie_name": "__Host-sid", "cookie_path": "/app"}, "leave the prefix out"),
        ({"cookie_name": "__Secure-sid"}, "leave the prefix out"),
        ({"cookie_name": "__Host-sid", "cookie_secure": False}, "SESSION_COOKIE_SECURE=true"),
        ({"cookie_name": "__host-sid"}, "write the prefix as __Host-"),
        ({"cookie_name": "a=b"}, "not a token"),
        ({"cookie_name": ""}, "not a token"),
        ({"cookie_name": "sessão"}, "not a token"),
        ({"cookie_domain": "localhost"}, "with a dot"),
        ({"cookie_domain": "example.com; Path=/x"}, "with a dot"),
        ({"cookie_path": "app"}, "start with a slash"),
        ({"cookie_path": "/a; Domain=evil.example"}, "start with a slash"),
        ({"trusted_origins": ["https://app.example.com/"]}, "not an origin"),
        ({"trusted_origins": ["null"]}, "not an origin"),
        ({"trusted_origins": ["*"]}, "not an origin"),
        ({"ttl_seconds": 700_000}, "SESSION_ABSOLUTE_SECONDS"),
        ({"remember_ttl_seconds": 8_000_000}, "SESSION_REMEMBER_ABSOLUTE_SECONDS"),
        ({"touch_seconds": 90_000}, "SESSION_TTL_SECONDS"),
        ({"ttl_seconds": 0}, "SESSION_TTL_SECONDS"),
        ({"max_per_user": 0}, "SESSION_MAX_PER_USER"),
        ({"role_lifetimes": {"admin": {"ttl": 5}}}, "SESSION_ROLE_LIFETIMES"),
    ],
)
def test_what_is_unsafe_or_contradicts_itself_is_refused(values: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings(**values)


class AppSettings(SessionSettings, BaseAppSettings):
    pass


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_an_insecure_cookie_is_refused_outside_development(environment: str) -> None:
    with pytest.raises(ValidationError, match="sends the session in the clear"):
        AppSettings(ENVIRONMENT=environment, SESSION_COOKIE_SECURE=False)


def test_an_insecure_cookie_works_in_development() -> None:
    made = AppSettings(ENVIRONMENT="development", SESSION_COOKIE_SECURE=False)
    assert made.session_cookie_name == "session"


def test_a_shared_cookie_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tijolo.sessions"):
        settings(cookie_domain="example.com")
    assert "every subdomain can read and overwrite" in caplog.text


def test_role_and_remember_decide_the_clocks() -> None:
    made = settings(
        ttl_seconds=3600,
        absolute_seconds=86_400,
        role_lifetimes={"admin": {"ttl_seconds": 600, "absolute_seconds": 7200}},
    )
    plain = made.session_lifetime()
    remembered = made.session_lifetime(remember=True)
    admin = made.session_lifetime(remember=True, roles=["user", "admin"])

    assert (plain.idle_seconds, plain.absolute_seconds) == (3600, 86_400)
    assert (remembered.idle_seconds, remembered.absolute_seconds) == (2_592_000, 7_776_000)
    assert (admin.idle_seconds, admin.absolute_seconds) == (600, 7200)


def test_without_sliding_only_the_absolute_clock_counts() -> None:
    made = settings(ttl_seconds=3600, sliding=False).session_lifetime()
    assert (made.idle_seconds, made.absolute_seconds) == (None, 3600)


def test_the_use_of_a_session_is_written_down_once_a_minute_at_most() -> None:
    assert settings().session_touch_seconds == 60
    assert settings(ttl_seconds=100).session_touch_seconds == 5
    assert settings(touch_seconds=7).session_touch_seconds == 7


def test_the_middleware_refuses_settings_of_its_own(memory: Any) -> None:
    auth = SessionAuth(store=memory, settings=settings())
    SessionMiddleware(auth, session_auth=auth, settings=settings())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="leave them out"):
        SessionMiddleware(auth, session_auth=auth, settings=settings(ttl_seconds=60))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        {"SESSION_TTL_SECONDS": 60, "SESSION_LOCAL_CACHE_SECONDS": 60},
        {"SESSION_TTL_SECONDS": 60, "SESSION_TOUCH_SECONDS": 60},
        {"SESSION_ROLE_LIFETIMES": {"admin": {"ttl_seconds": 60}}},
        {"SESSION_REMEMBER_TTL_SECONDS": 60},
    ],
)
def test_a_session_in_use_cannot_end_before_its_use_is_written_down(given: Any) -> None:
    with pytest.raises(ValidationError, match="shortest idle clock, 60 s"):
        SessionSettings(**given)
    SessionSettings(**given, SESSION_SLIDING=False)
