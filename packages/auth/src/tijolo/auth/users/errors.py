"""What goes wrong between people and their accounts."""

from __future__ import annotations

from tijolo.core import (
    BadRequestException,
    ConflictException,
    UnauthorizedException,
    ValidationException,
)


class InvalidCredentialsException(UnauthorizedException):
    """One answer for everything that is wrong with a login, whatever it is."""

    code = "INVALID_CREDENTIALS"
    message = "E-mail or password is wrong"


class InvalidCodeException(UnauthorizedException):
    """The second factor was not proved."""

    code = "INVALID_CODE"
    message = "The code is wrong"


class OneTimeTokenException(BadRequestException):
    """The token was used, has expired, was replaced, or never was one: it is not said which."""

    code = "ONE_TIME_TOKEN_INVALID"
    message = "The link is not valid any more; ask for a new one"


class WrongPasswordException(ValidationException):
    """Who is logged in gave another password than theirs."""

    code = "WRONG_PASSWORD"
    message = "The current password is wrong"

    def __init__(self) -> None:
        super().__init__(details={"field": "current_password"})


class EmailTakenException(ConflictException):
    """Another account has the address; only said to operators and to the address's owner."""

    code = "EMAIL_TAKEN"
    message = "Another account has this e-mail address"
