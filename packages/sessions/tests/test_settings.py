"""S23, S24: a cookie that is not safe is refused when the service starts."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic import ValidationError

from tijolo.core import BaseAppSettings
from tijolo.sessions import (
    MemorySessionStore,
    SessionAuth,
    SessionMiddleware,
    SessionSettings,
)


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


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("", []),
        ("https://a.example", ["https://a.example"]),
        ("https://a.example, https://b.example", ["https://a.example", "https://b.example"]),
        ('["https://a.example"]', ["https://a.example"]),
    ],
)
def test_the_environment_names_origins_as_elsewhere(
    text: str, origins: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESSION_TRUSTED_ORIGINS", text)
    assert origins == SessionSettings().SESSION_TRUSTED_ORIGINS


def test_the_environment_gives_the_clocks_of_roles_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_ROLE_LIFETIMES", '{"admin": {"ttl_seconds": 1800}}')
    assert SessionSettings().session_lifetime(roles=["admin"]).idle_seconds == 1800


@pytest.mark.parametrize(
    "text",
    [
        *("admin", "admin=1800", "[]", "null", "7", '"x"', "{", '{"admin": 1800}'),
        *('{"admin": null}', '{"admin": {"ttl": 1800}}', '{"admin": {"ttl_seconds": 60, "x": 1}}'),
    ],
)
def test_other_clocks_of_roles_are_told_what_is_expected(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESSION_ROLE_LIFETIMES", text)
    with pytest.raises(ValidationError) as refused:
        SessionSettings()
    for words in ("SESSION_ROLE_LIFETIMES", "JSON", '"ttl_seconds"', '"absolute_seconds"', '{"adm'):
        assert words in str(refused.value)


class AppSettings(SessionSettings, BaseAppSettings):
    pass


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_an_insecure_cookie_is_refused_outside_development(environment: str) -> None:
    with pytest.raises(ValidationError, match=f"{environment}; unset it, or .* ENVIRONMENT=dev"):
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


class SyncVerifier:
    def authenticate(self, session: Any, *, email: str, password: str) -> None: ...


class AsyncVerifier:
    async def authenticate(self, session: Any, *, email: str, password: str) -> None: ...


class Half:
    async def create(self, session: Any) -> None: ...


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"store": {}}, "SessionStore.*dict has no create, "),
        ({"store": None}, "NoneType has no create, get, save"),
        ({"store": Half()}, "Half has no get, save"),
        ({"store": MemorySessionStore}, "the class MemorySessionStore; call it"),
        ({"verifier": object()}, "async def authenticate.*got object"),
        ({"verifier": SyncVerifier()}, "async def authenticate.*got SyncVerifier"),
        ({"verifier": AsyncVerifier}, "async def authenticate.*got the class AsyncVerifier"),
        ({"verifier": len}, "async def authenticate"),
    ],
)
def test_what_is_no_store_or_verifier_is_refused_when_it_is_given(given: Any, words: str) -> None:
    fit: Any = {"store": MemorySessionStore(), "settings": settings()}
    with pytest.raises(TypeError, match=words):
        SessionAuth(**{**fit, **given})
    SessionAuth(**fit, verifier=AsyncVerifier())


@pytest.mark.parametrize("user_id", [7, "7", "0f8fad5b-d9cb-469f-a165-70867728950e", None])
async def test_a_user_needs_a_uuid_and_is_told_so(user_id: Any) -> None:
    auth = SessionAuth(store=MemorySessionStore(), settings=settings())
    with pytest.raises(TypeError, match=f"a uuid.UUID, got {type(user_id).__name__}"):
        await auth.login(user_id=user_id)
