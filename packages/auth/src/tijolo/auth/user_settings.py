"""Settings of users: ``class Settings(AuthSettings, JWTSettings, EmailSettings, ...)``."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_DAY_SECONDS = 86_400


def _split(value: object) -> object:
    """Languages as the environment has them: ``en, pt-BR``."""
    if not isinstance(value, str):
        return value
    return [item.strip() for item in value.split(",") if item.strip()]


class AuthSettings(BaseSettings):
    """How people sign up, log in, stay logged in and get back in.

    A ``..._URL_TEMPLATE`` is the link of an e-mail and holds ``{token}`` once.
    """

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    AUTH_AUTO_ACTIVATE: bool = False
    """Who signs up may log in at once, without having proved that the address is theirs."""
    AUTH_RETURN_TOKEN_IN_RESPONSE: bool = False
    """Development only: the link is in the answer, for a caller on this machine."""
    AUTH_ACTIVATION_TTL_SECONDS: int = Field(default=7 * _DAY_SECONDS, ge=60)
    AUTH_PASSWORD_RESET_TTL_SECONDS: int = Field(default=3600, ge=60)
    AUTH_EMAIL_CHANGE_TTL_SECONDS: int = Field(default=3600, ge=60)
    AUTH_MFA_CHALLENGE_TTL_SECONDS: int = Field(default=300, ge=30)
    """How long somebody who gave the password may look for the second factor."""
    AUTH_MFA_MAX_ATTEMPTS: int = Field(default=5, ge=1)
    """Wrong codes until the password has to be given again."""

    AUTH_RECENT_AUTH_SECONDS: int = Field(default=300, ge=30, le=3600)
    """How long ago somebody without a password may have logged in to change their address."""

    AUTH_PASSWORD_MIN_LENGTH: int = Field(default=12, ge=8)
    AUTH_PASSWORD_ROUNDS: int = Field(default=12, ge=10, le=16)
    """bcrypt's cost; each step doubles the time."""

    AUTH_REFRESH_GRACE_SECONDS: int = Field(default=20, ge=0, le=60)
    """How long a refresh token that was used gives its successor again: retries, other tabs."""
    AUTH_REFRESH_ABSOLUTE_TTL_SECONDS: int = Field(default=30 * _DAY_SECONDS, ge=60)
    """How long a login lasts at most, however often it is refreshed."""
    AUTH_EPOCH_CACHE_SECONDS: float = Field(default=5.0, ge=0, le=300)
    """How long a process believes what it knows about a user's ``auth_epoch`` and status."""

    AUTH_MAIL_QUEUE_LIMIT: int = Field(default=1000, ge=1)
    """E-mails that may wait to be sent; when they are that many, what would send one is a 503."""
    AUTH_MAIL_LOCALE: str = "en"
    """Language of e-mails whose reader's is not known, such as ``pt-BR``."""

    AUTH_ACTIVATION_URL_TEMPLATE: str = "http://localhost:3000/activate#token={token}"
    AUTH_PASSWORD_RESET_URL_TEMPLATE: str = "http://localhost:3000/reset-password#token={token}"  # noqa: S105
    AUTH_EMAIL_CHANGE_URL_TEMPLATE: str = "http://localhost:3000/confirm-email#token={token}"
    AUTH_LOGIN_URL: str | None = None
    AUTH_BACKEND_LINKS: bool = False
    """Whether the service itself has the pages that the links lead to."""

    AUTH_ACTIVATION_TEMPLATE: str = "activation.html"
    """The e-mail; its text and its subject are ``activation.txt``, ``activation.subject.txt``."""
    AUTH_PASSWORD_RESET_TEMPLATE: str = "password_reset.html"  # noqa: S105
    AUTH_ACTIVATION_SUCCESS_TEMPLATE: str = "activation_success.html"
    AUTH_ACTIVATION_ERROR_TEMPLATE: str = "activation_error.html"
    AUTH_PASSWORD_RESET_FORM_TEMPLATE: str = "password_reset_form.html"  # noqa: S105
    AUTH_PASSWORD_RESET_SUCCESS_TEMPLATE: str = "password_reset_success.html"  # noqa: S105
    AUTH_PASSWORD_RESET_ERROR_TEMPLATE: str = "password_reset_error.html"  # noqa: S105
    AUTH_ACTIVATION_FORM_TEMPLATE: str = "activation_form.html"
    AUTH_EMAIL_CHANGE_FORM_TEMPLATE: str = "email_change_form.html"
    AUTH_EMAIL_CHANGE_SUCCESS_TEMPLATE: str = "email_change_success.html"
    AUTH_EMAIL_CHANGE_ERROR_TEMPLATE: str = "email_change_error.html"
    AUTH_LOCALES: Annotated[list[str], NoDecode, BeforeValidator(_split)] = ["en", "pt"]
    """Languages that pages and e-mails are written in; a reader's ``Accept-Language`` chooses."""

    @model_validator(mode="after")
    def _links_hold_their_token(self) -> Self:
        for name in LINKS:
            if getattr(self, name).count("{token}") != 1:
                raise ValueError(f"{name} must hold {{token}} once")
        return self


LINKS = (
    "AUTH_ACTIVATION_URL_TEMPLATE",
    "AUTH_PASSWORD_RESET_URL_TEMPLATE",
    "AUTH_EMAIL_CHANGE_URL_TEMPLATE",
)
"""The settings that are links of e-mails."""
