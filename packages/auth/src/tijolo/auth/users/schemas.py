"""What the routes of accounts take and answer. Passwords and tokens are exactly as they came."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, SecretStr

from tijolo.core import BaseSchema

_MOST_EMAIL_CHARACTERS = 320
_MOST_PASSWORD_CHARACTERS = 4096
_MOST_TOKEN_CHARACTERS = 512

Email = Annotated[
    str,
    Field(
        min_length=3,
        max_length=_MOST_EMAIL_CHARACTERS,
        json_schema_extra={"format": "email"},
        examples=["ana@loja.example"],
    ),
]
"""Text: what is no address is refused by the one place that knows what an account can have."""
Password = Annotated[
    SecretStr,
    Field(min_length=1, max_length=_MOST_PASSWORD_CHARACTERS),
]
"""Never stripped. How long and how common it may be is the service's policy to say."""
OneTimeText = Annotated[SecretStr, Field(min_length=1, max_length=_MOST_TOKEN_CHARACTERS)]
Delivery = Literal["body", "cookie"]


class SignupSchema(BaseSchema):
    """``POST /signup``."""

    email: Email
    password: Password
    name: Annotated[str | None, Field(max_length=120)] = None


class SignupResponseSchema(BaseSchema):
    """The same for everybody, whether the address had an account or not."""

    activation_required: bool
    """Whether a link was mailed that must be opened before the first log-in."""
    activation_url: str | None = None
    """Only in development, see ``AUTH_RETURN_TOKEN_IN_RESPONSE``."""


class OneTimeTokenSchema(BaseSchema):
    """``POST /activate``, ``POST /email-change/confirm``: the token of a link."""

    token: OneTimeText


class ActivationResponseSchema(BaseSchema):
    """The account that was opened; it is not logged in."""

    user_id: UUID


class EmailSchema(BaseSchema):
    """``POST /activation/resend``."""

    email: Email


class AcceptedResponseSchema(BaseSchema):
    """The same for everybody: what was asked for is done where it applies."""

    message: str = "If the address has an account, an e-mail is on its way"


class LoginSchema(BaseSchema):
    """``POST /login``."""

    email: Email
    password: Password
    delivery: Delivery | None = None
    """Where the tokens go; by default into cookies where the service has some."""


class LoginResponseSchema(BaseSchema):
    """A login. Where the tokens went into cookies, they are not here."""

    user_id: UUID
    access_token: str | None = None
    refresh_token: str | None = None
    """None also where the service has no refresh tokens."""
    token_type: str = "Bearer"  # noqa: S105 - a scheme
    expires_in: int
    """Seconds that the access token lives."""
    refresh_expires_at: datetime | None = None


class MfaChallengeResponseSchema(BaseSchema):
    """The password was right; the second factor goes to ``POST /mfa`` with this token."""

    mfa_required: Literal[True] = True
    mfa_token: str
    expires_at: datetime


class MfaSchema(BaseSchema):
    """``POST /mfa``."""

    mfa_token: OneTimeText
    code: Annotated[SecretStr, Field(min_length=1, max_length=64)]
    delivery: Delivery | None = None
    """As in :class:`LoginSchema`."""


class RefreshSchema(BaseSchema):
    """``POST /refresh``, ``POST /logout``; without it, the cookie is looked at."""

    refresh_token: OneTimeText


class PasswordResetRequestSchema(EmailSchema):
    """``POST /password-reset/request``."""


class PasswordResetResponseSchema(AcceptedResponseSchema):
    """The same for everybody."""

    reset_url: str | None = None
    """Only in development, see ``AUTH_RETURN_TOKEN_IN_RESPONSE``."""


class PasswordResetConfirmSchema(BaseSchema):
    """``POST /password-reset/confirm``."""

    token: OneTimeText
    new_password: Password


class PasswordChangeSchema(BaseSchema):
    """``POST /password-change``."""

    current_password: Password
    new_password: Password
    delivery: Delivery | None = None
    """As in :class:`LoginSchema`: every login is over, and this one goes on with new tokens."""


class EmailChangeRequestSchema(BaseSchema):
    """``POST /email-change/request``."""

    new_email: Email
    password: Annotated[SecretStr | None, Field(max_length=_MOST_PASSWORD_CHARACTERS)] = None
    """The current one; None where the account has none."""


class MeResponseSchema(BaseSchema):
    """``GET /me``."""

    id: UUID
    email: str
    name: str | None
    status: str
    roles: list[str]
    """As the tokens have them."""
    created_at: datetime
    last_login_at: datetime | None
