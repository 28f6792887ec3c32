"""Requests for a page, the envelopes that answer them, and unsigned cursors."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from pydantic import Field, field_validator

from tijolo.core.exceptions import BadRequestException
from tijolo.core.schemas import BaseSchema

ItemT = TypeVar("ItemT")

MAX_PAGE = 2**31 - 1
"""Highest page number a request may ask for: beyond it no database offset makes sense."""

MAX_CURSOR_CHARS = 4096


def _within(name: str, value: int, most: int) -> int:
    if value > most:
        raise ValueError(f"{name} must be at most {most}")
    return value


class BasePaginationFilterSchema(BaseSchema):
    """Query parameters of an endpoint that pages by number; subclass it to add filters.

    ``order_by`` is the caller's wish: hold it against an allow-list before it reaches SQL
    (``BaseRepository.paginate(..., orderable=...)`` does).
    """

    MAX_PAGE_SIZE: ClassVar[int] = 100
    """Most items a page may have; override it in a subclass."""

    page: int = Field(default=1, ge=1, le=MAX_PAGE)
    page_size: int = Field(default=20, ge=1)
    order_by: str | None = Field(default=None, max_length=200)
    ascending: bool = True
    is_active: bool | None = None

    @field_validator("page_size")
    @classmethod
    def _bounded(cls, value: int) -> int:
        return _within("page_size", value, cls.MAX_PAGE_SIZE)

    def get_conditions(self) -> dict[str, Any]:
        """The filters: every field that is not None, without the paging and sorting ones."""
        return self.to_dict(exclude=["page", "page_size", "order_by", "ascending"])


class BasePaginationSchema(BaseSchema, Generic[ItemT]):
    """A page by number.

    ``total`` and ``pages`` are None where the endpoint does not count, ``has_more`` then says
    whether another page follows.
    """

    items: list[ItemT] = Field(default_factory=list)
    total: int | None = Field(default=None, ge=0)
    page: int = Field(ge=1)
    page_size: int = Field(ge=1)
    pages: int | None = Field(default=None, ge=0)
    has_more: bool | None = None


class CursorPaginationFilterSchema(BaseSchema):
    """Query parameters of an endpoint that pages by cursor; subclass it to add filters."""

    MAX_LIMIT: ClassVar[int] = 500
    """Most items a page may have; override it in a subclass."""

    cursor: str | None = Field(default=None, max_length=MAX_CURSOR_CHARS)
    limit: int = Field(default=20, ge=1)
    order_by: str = Field(default="created_at", max_length=200)
    ascending: bool = False

    @field_validator("limit")
    @classmethod
    def _bounded(cls, value: int) -> int:
        return _within("limit", value, cls.MAX_LIMIT)

    def get_conditions(self) -> dict[str, Any]:
        """The filters: every field that is not None, without the paging and sorting ones."""
        return self.to_dict(exclude=["cursor", "limit", "order_by", "ascending"])


class CursorPaginationSchema(BaseSchema, Generic[ItemT]):
    """A page by cursor; ``next_cursor`` is None on the last page, ``prev_cursor`` on the first."""

    items: list[ItemT] = Field(default_factory=list)
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
    """
    text = json.dumps(payload, default=_plain, separators=(",", ":"), allow_nan=False)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode("ascii")


def decode_cursor(cursor: str) -> dict[str, Any]:
    """Unpack what :func:`encode_cursor` packed; dates, UUIDs and Decimals come back as text.

    Raises:
        BadRequestException: with code ``INVALID_CURSOR`` for anything else.
    """
    try:
        if len(cursor) > MAX_CURSOR_CHARS:
            raise ValueError("too long")
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        payload = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(payload, dict):
            raise ValueError("not an object")
    except (ValueError, binascii.Error, RecursionError) as exc:
        raise BadRequestException(
            "The cursor is not one this service issued; start again without it",
            code="INVALID_CURSOR",
            details={"field": "cursor"},
        ) from exc
    return payload


def _plain(value: object) -> str:
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    raise TypeError(f"A cursor cannot carry a {type(value).__name__}")
