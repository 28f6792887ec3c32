"""Requests for a page, the envelopes that answer them, and unsigned cursors."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Generic, TypeVar, cast
from uuid import UUID

from pydantic import Field

from tijolo.core.exceptions import BadRequestException
from tijolo.core.schemas import BaseSchema

ItemT = TypeVar("ItemT")

MAX_PAGE = 2**31 - 1
"""Highest page number a request may ask for: beyond it no database offset makes sense."""

MAX_PAGE_SIZE = 100
MAX_LIMIT = 500
MAX_CURSOR_CHARS = 4096


class BasePaginationFilterSchema(BaseSchema):
    """Query parameters of an endpoint that pages by number; subclass it to add filters.

    A page has at most 100 items; declare ``page_size`` again for another limit. ``order_by`` is
    the caller's wish: hold it against an allow-list before it reaches SQL
    (``BaseRepository.paginate`` does, with ``orderable``).
    """

    page: int = Field(default=1, ge=1, le=MAX_PAGE)
    page_size: int = Field(default=20, ge=1, le=MAX_PAGE_SIZE)
    order_by: str | None = Field(default=None, max_length=200)
    ascending: bool = True
    is_active: bool | None = None

    def get_conditions(self) -> dict[str, Any]:
        """The filters: every field that is not None, without the paging and sorting ones."""
        return self.to_dict(exclude=["page", "page_size", "order_by", "ascending"])


class BasePaginationSchema(BaseSchema, Generic[ItemT]):
    """A page by number.

    ``total`` and ``pages`` are None where the endpoint does not count, ``has_more`` then says
    whether another page follows.
    """

    items: list[ItemT] = []  # noqa: RUF012 - Pydantic copies it
    total: int | None = Field(default=None, ge=0)
    page: int = Field(ge=1)
    page_size: int = Field(ge=1)
    pages: int | None = Field(default=None, ge=0)
    has_more: bool | None = None


class CursorPaginationFilterSchema(BaseSchema):
    """Query parameters of an endpoint that pages by cursor; subclass it to add filters.

    A page has at most 500 items; declare ``limit`` again for another one.
    """

    cursor: str | None = Field(default=None, max_length=MAX_CURSOR_CHARS)
    limit: int = Field(default=20, ge=1, le=MAX_LIMIT)
    order_by: str = Field(default="created_at", max_length=200)
    ascending: bool = False

    def get_conditions(self) -> dict[str, Any]:
        """The filters: every field that is not None, without the paging and sorting ones."""
        return self.to_dict(exclude=["cursor", "limit", "order_by", "ascending"])


class CursorPaginationSchema(BaseSchema, Generic[ItemT]):
    """A page by cursor; ``next_cursor`` is None on the last page, ``prev_cursor`` on the first."""

    items: list[ItemT] = []  # noqa: RUF012 - Pydantic copies it
    next_cursor: str | None = None
    prev_cursor: str | None = None
    has_more: bool = False
    limit: int = Field(ge=1)


def encode_cursor(payload: dict[str, Any]) -> str:
    """Pack ``payload`` into URL-safe text.

    The text is neither secret nor signed: a caller can read and change it. Repositories of
    tijolo-db sign theirs.

    Raises:
        TypeError: for a value that is not JSON, a UUID, a Decimal, a date or a time.
        ValueError: for a payload too long to come back in a URL (3 KiB), and for NaN.
    """
    text = json.dumps(payload, default=_plain, separators=(",", ":"), allow_nan=False)
    cursor = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode("ascii")
    if len(cursor) > MAX_CURSOR_CHARS:
        raise ValueError(f"the cursor would have {len(cursor)} characters; {MAX_CURSOR_CHARS} fit")
    return cursor


def decode_cursor(cursor: str) -> dict[str, Any]:
    """Unpack what :func:`encode_cursor` packed; dates, UUIDs and Decimals come back as text.

    Raises:
        BadRequestException: with code ``INVALID_CURSOR`` for anything else.
    """
    try:
        if len(cursor) > MAX_CURSOR_CHARS:
            raise ValueError("too long")
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        payload: Any = json.loads(text, parse_constant=_refuse)
        if not isinstance(payload, dict):
            raise ValueError("not an object")
    except (ValueError, binascii.Error, RecursionError) as exc:
        raise BadRequestException(
            "The cursor is not one this service issued; start again without it",
            code="INVALID_CURSOR",
            details={"field": "cursor"},
        ) from exc
    return cast("dict[str, Any]", payload)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _plain(value: object) -> str:
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    raise TypeError(f"A cursor cannot carry a {type(value).__name__}")
