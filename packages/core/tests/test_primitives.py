from __future__ import annotations

import asyncio
import contextvars
import threading
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tijolo.core
from tijolo.core import (
    Resource,
    clear_request_id,
    clear_user_id,
    generate_opaque_token,
    get_request_id,
    get_user_id,
    hash_opaque_token,
    now_in,
    set_request_id,
    set_user_id,
    to_utc,
    utcnow,
    verify_opaque_token,
)

PUBLIC = [
    "HTTP_500_MARKER",
    "REQUEST_ID_HEADER",
    "UNMATCHED_ROUTE",
    "AppException",
    "BadRequestException",
    "BaseAppSettings",
    "BaseDTO",
    "BaseIntEnum",
    "BasePaginationFilterSchema",
    "BasePaginationSchema",
    "BaseResponseSchema",
    "BaseSchema",
    "BaseStrEnum",
    "ConflictException",
    "CursorPaginationFilterSchema",
    "CursorPaginationSchema",
    "Environment",
    "ExpiredTokenException",
    "FileTooLargeException",
    "ForbiddenException",
    "InvalidFileTypeException",
    "InvalidTokenException",
    "MissingExtraError",
    "NotFoundException",
    "OpsAccess",
    "PreconditionFailedException",
    "Resource",
    "ServiceUnavailableException",
    "SigningKey",
    "SigningSecret",
    "TooManyRequestsException",
    "UTCDatetime",
    "UnauthorizedException",
    "UnfitSecretError",
    "ValidationException",
    "__version__",
    "clear_request_id",
    "clear_user_id",
    "decode_cursor",
    "encode_cursor",
    "generate_opaque_token",
    "get_request_id",
    "get_user_id",
    "hash_opaque_token",
    "modify_dict",
    "now_in",
    "request_id_ctx",
    "require_dto",
    "route_template",
    "set_request_id",
    "set_user_id",
    "to_utc",
    "user_id_ctx",
    "utcnow",
    "verify_opaque_token",
]


def test_the_front_door_is_the_stored_list():
    assert tijolo.core.__all__ == PUBLIC
    assert all(hasattr(tijolo.core, name) for name in PUBLIC)


def test_a_token_is_random_url_safe_and_verifies_against_its_hash():
    token, digest = generate_opaque_token()
    other, _ = generate_opaque_token()

    assert token != other
    assert len(token) == 43
    assert token.isascii()
    assert len(digest) == 64
    assert verify_opaque_token(token, digest)
    assert not verify_opaque_token(other, digest)


def test_a_guessable_token_is_refused():
    with pytest.raises(ValueError, match="16 or more"):
        generate_opaque_token(15)


@given(st.text(), st.text())
def test_verifying_any_text_never_raises(plaintext, digest):
    assert verify_opaque_token(plaintext, digest) == (hash_opaque_token(plaintext) == digest)


def test_lone_surrogates_do_not_break_verification():
    assert not verify_opaque_token("\ud800", "é")


def test_now_is_aware_and_in_the_zone_asked_for():
    assert utcnow().tzinfo is UTC
    assert now_in("America/Sao_Paulo").utcoffset() == timedelta(hours=-3)
    assert now_in(UTC).utcoffset() == timedelta(0)
    with pytest.raises(ZoneInfoNotFoundError):
        now_in("America/Sao_Paolo")


def test_to_utc_takes_naive_as_utc_and_converts_aware():
    naive = datetime(2026, 5, 1, 12)  # noqa: DTZ001
    brasilia = datetime(2026, 5, 1, 9, tzinfo=timezone(timedelta(hours=-3)))

    assert to_utc(naive) == to_utc(brasilia) == datetime(2026, 5, 1, 12, tzinfo=UTC)


async def test_concurrent_tasks_never_see_each_other_s_ids():
    async def request(name):
        token, user = set_request_id(name), set_user_id(name.upper())
        await asyncio.sleep(0)
        in_thread = await asyncio.to_thread(get_request_id)
        seen = (get_request_id(), in_thread, get_user_id())
        clear_request_id(token)
        clear_user_id(user)
        return seen

    names = [f"r{n}" for n in range(50)]
    assert await asyncio.gather(*map(request, names)) == [(n, n, n.upper()) for n in names]
    assert get_request_id() is None
    assert get_user_id() is None


def test_a_bare_thread_starts_without_an_id():
    seen = []
    token = set_request_id("outer")
    thread = threading.Thread(
        target=contextvars.Context().run, args=(lambda: seen.append(get_request_id()),)
    )
    thread.start()
    thread.join()
    clear_request_id(token)

    assert seen == [None]


def test_clearing_restores_the_outer_id():
    outer = set_request_id("outer")
    inner = set_request_id("inner")
    clear_request_id(inner)

    assert get_request_id() == "outer"
    clear_request_id(outer)


def test_a_resource_is_recognised_by_its_methods():
    class Redis:
        async def connect(self): ...
        async def disconnect(self): ...
        async def health_check(self):
            return True

    assert isinstance(Redis(), Resource)
    assert not isinstance(object(), Resource)
