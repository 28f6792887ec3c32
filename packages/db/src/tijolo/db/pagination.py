"""What a page is, and how much counting it may cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Literal, TypedDict, TypeVar

from tijolo.core import ValidationException

ItemT = TypeVar("ItemT")

MAX_PAGE = 2**31 - 1


class Page(TypedDict, Generic[ItemT]):
    """A page by number; the fields of ``BasePaginationSchema``.

    ``total`` and ``pages`` are None where the policy does not count; ``total_exact`` is False
    where it is an estimate or reached its cap.
    """

    items: list[ItemT]
    total: int | None
    page: int
    page_size: int
    pages: int | None
    has_more: bool
    total_exact: bool


class CursorPage(TypedDict, Generic[ItemT]):
    """A page by cursor; the fields of ``CursorPaginationSchema``."""

    items: list[ItemT]
    next_cursor: str | None
    prev_cursor: str | None
    has_more: bool
    limit: int


class InvalidPageError(ValidationException, ValueError):
    """A page number, a page size or a limit out of its range."""

    code = "INVALID_PAGE"


@dataclass(frozen=True)
class CountPolicy:
    """How ``paginate`` finds the total.

    ``exact`` counts the filtered rows; ``capped(n)`` stops after ``n``; ``estimated`` asks the
    planner's statistics (PostgreSQL; MariaDB without filters; otherwise it counts); ``none``
    does not count and says only whether there is more.
    """

    kind: Literal["exact", "capped", "estimated", "none"]
    cap: int = 0

    @classmethod
    def exact(cls) -> CountPolicy:
        """Count every row."""
        return cls("exact")

    @classmethod
    def capped(cls, cap: int) -> CountPolicy:
        """Count at most ``cap`` rows."""
        if cap < 1:
            raise ValueError(f"cap must be at least 1, got {cap}")
        return cls("capped", cap)

    @classmethod
    def estimated(cls) -> CountPolicy:
        """Ask the database's statistics."""
        return cls("estimated")

    @classmethod
    def none(cls) -> CountPolicy:
        """Do not count."""
        return cls("none")


def check_page(page: int, page_size: int, max_page_size: int) -> int:
    """The offset of the page.

    Raises:
        InvalidPageError: Out of range; ``details["field"]`` says which (also a ``ValueError``).
    """
    _within("page", page, MAX_PAGE)
    _within("page_size", page_size, max_page_size)
    return (page - 1) * page_size


def check_limit(limit: int, max_limit: int) -> None:
    """InvalidPageError unless ``limit`` is in range."""
    _within("limit", limit, max_limit)


def _within(field: str, value: Any, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidPageError(
            f"{field} must be between 1 and {most}", details={"field": field, "maximum": most}
        )
