from __future__ import annotations

import copy
import pickle

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from tijolo.core import (
    AppException,
    BadRequestException,
    ConflictException,
    ExpiredTokenException,
    FileTooLargeException,
    ForbiddenException,
    InvalidFileTypeException,
    InvalidTokenException,
    MissingExtraError,
    NotFoundException,
    PreconditionFailedException,
    ServiceUnavailableException,
    TooManyRequestsException,
    UnauthorizedException,
    ValidationException,
)

FAMILY = [
    (AppException, 500, "INTERNAL_SERVER_ERROR"),
    (BadRequestException, 400, "BAD_REQUEST"),
    (UnauthorizedException, 401, "UNAUTHORIZED"),
    (InvalidTokenException, 401, "INVALID_TOKEN"),
    (ExpiredTokenException, 401, "TOKEN_EXPIRED"),
    (ForbiddenException, 403, "FORBIDDEN"),
    (NotFoundException, 404, "NOT_FOUND"),
    (ConflictException, 409, "CONFLICT"),
    (PreconditionFailedException, 412, "PRECONDITION_FAILED"),
    (FileTooLargeException, 413, "FILE_TOO_LARGE"),
    (InvalidFileTypeException, 415, "INVALID_FILE_TYPE"),
    (ValidationException, 422, "VALIDATION_ERROR"),
    (TooManyRequestsException, 429, "TOO_MANY_REQUESTS"),
    (ServiceUnavailableException, 503, "SERVICE_UNAVAILABLE"),
]


@pytest.mark.parametrize(("cls", "status", "code"), FAMILY)
def test_each_exception_has_its_status_and_code(cls, status, code):
    error = cls()

    assert (error.status_code, error.code) == (status, code)
    assert error.detail == error.message == cls.message
    assert isinstance(error, HTTPException)


def test_arguments_override_the_class_defaults_on_that_instance_alone():
    class UserNotFoundError(NotFoundException):
        code = "USER_NOT_FOUND"

    first = UserNotFoundError("No such user", code="GONE", status_code=410, details={"id": 1})
    second = UserNotFoundError()

    assert (first.status_code, first.code, first.message, first.details) == (
        410,
        "GONE",
        "No such user",
        {"id": 1},
    )
    assert (second.status_code, second.code, second.details) == (404, "USER_NOT_FOUND", {})


def test_an_empty_message_is_kept():
    assert NotFoundException("").message == ""


def test_details_and_headers_are_copies_of_what_was_given():
    details, headers = {"a": 1}, {"X-A": "1"}
    error = ConflictException(details=details, headers=headers)
    details["a"], headers["X-A"] = 2, "2"

    assert error.details == {"a": 1}
    assert error.headers == {"X-A": "1"}


@pytest.mark.parametrize("cls", [TooManyRequestsException, ServiceUnavailableException])
def test_retry_after_is_sent_in_header_and_details(cls):
    error = cls(retry_after_seconds=7, headers={"X-Other": "1"}, details={"limit": 5})

    assert error.headers == {"X-Other": "1", "Retry-After": "7"}
    assert error.details == {"limit": 5, "retry_after_seconds": 7}


def test_retry_after_zero_is_sent_and_negative_is_refused():
    assert TooManyRequestsException(retry_after_seconds=0).headers == {"Retry-After": "0"}
    for wrong in (-1, 0.5, True):
        with pytest.raises(ValueError, match=f"0 or more whole seconds, got {wrong}"):
            TooManyRequestsException(retry_after_seconds=wrong)


def test_a_given_retry_after_is_not_sent_twice():
    error = TooManyRequestsException(retry_after_seconds=5, headers={"retry-after": "9"})

    assert error.headers == {"retry-after": "9"}


@pytest.mark.parametrize("twin", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_every_exception_survives_a_process_boundary(twin):
    error = twin(_NeedsAnId(order_id=7))

    assert (error.order_id, error.code, error.details) == (7, "ORDER_LOST", {"order": 7})
    assert str(error) == "404 ORDER_LOST: gone"


class _NeedsAnId(NotFoundException):
    code = "ORDER_LOST"

    def __init__(self, *, order_id):
        super().__init__("gone", details={"order": order_id})
        self.order_id = order_id


def test_a_401_always_carries_a_challenge_and_keeps_a_given_one():
    assert UnauthorizedException().headers == {"WWW-Authenticate": "Bearer"}
    assert "invalid_token" in InvalidTokenException().headers["WWW-Authenticate"]
    assert AppException(status_code=401).headers == {"WWW-Authenticate": "Bearer"}
    assert UnauthorizedException(status_code=403).headers is None
    basic = UnauthorizedException(headers={"www-authenticate": "Basic"})
    assert basic.headers == {"www-authenticate": "Basic"}


def test_repr_and_str_do_not_carry_details():
    error = ConflictException("Taken", details={"email": "ana@example.com"})

    assert "ana@example.com" not in repr(error) + str(error)


async def test_starlette_answers_with_the_status_without_our_handlers(asgi_get):
    async def endpoint(request):
        raise TooManyRequestsException(retry_after_seconds=3)

    status, headers, body = await asgi_get(Starlette(routes=[Route("/", endpoint)]), "/")

    assert status == 429
    assert headers["retry-after"] == "3"
    assert body == b"Too many requests"


def test_a_missing_extra_names_the_command_and_survives_pickling():
    error = MissingExtraError("tijolo-db", "postgres", "asyncpg")

    assert 'python -m pip install "tijolo-db[postgres]"' in str(error)
    assert error.name == "asyncpg"
    assert isinstance(error, ImportError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
