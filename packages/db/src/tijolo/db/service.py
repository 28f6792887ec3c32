"""Business logic over one repository; override what orchestrates, leave what passes through."""

from __future__ import annotations

import builtins
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel as Schema

from tijolo.db.filters import Filters
from tijolo.db.ordering import OrderBy
from tijolo.db.pagination import CountPolicy, CursorPage, Page
from tijolo.db.repository import BaseRepository

RepositoryT = TypeVar("RepositoryT", bound=BaseRepository[Any])
ResponseT = TypeVar("ResponseT")
Data = Schema | dict[str, Any]


class BaseService(Generic[RepositoryT, ResponseT]):
    """Create, read, update and delete, answered with the repository's ``map_to_response``.

    It never commits: several services of one session are one unit of work.
    """

    def __init__(self, repository: RepositoryT) -> None:
        self.repository = repository

    def _response(self, row: Any) -> ResponseT:
        return cast("ResponseT", self.repository.map_to_response(row))

    async def create(self, data: Data) -> ResponseT:
        """Insert ``data``.

        Raises:
            ConflictException: It clashes with what is stored.
        """
        model = self.repository.map_to_model(new_values(data))
        return self._response(await self.repository.add(model))

    async def update(
        self,
        id: Any,  # noqa: A002
        data: Data,
        *,
        expected_version: int | None = None,
    ) -> ResponseT:
        """Change what ``data`` names; a schema names the fields that were set, None included.

        Raises:
            AppException: There is no such row.
            ConflictException: It clashes with what is stored.
            PreconditionFailedException: ``expected_version`` is not the current one.
        """
        row = await self.repository.get_by_id(id)
        row.update_from_dict(as_dict(data))
        return self._response(await self.repository.update(row, expected_version=expected_version))

    async def get_by_id(self, id: Any) -> ResponseT:  # noqa: A002
        """One row; the repository's ``not_found_exception`` when there is none."""
        return self._response(await self.repository.get_by_id(id))

    async def get_or_none(self, filters: Filters) -> ResponseT | None:
        """The row that matches, or None."""
        row = await self.repository.get_or_none(filters)
        return None if row is None else self._response(row)

    async def list(
        self,
        filters: Filters = None,
        order_by: OrderBy | None = None,
        ascending: bool = True,
    ) -> builtins.list[ResponseT]:
        """Every row that matches; ``[]`` when none does."""
        rows = await self.repository.list(filters, order_by, ascending)
        return [self._response(row) for row in rows]

    async def paginate(
        self,
        filters: Filters = None,
        order_by: OrderBy | None = None,
        page: int = 1,
        page_size: int = 20,
        ascending: bool = True,
        *,
        count: CountPolicy | None = None,
    ) -> Page[ResponseT]:
        """A page by number; see ``BaseRepository.paginate``."""
        found = await self.repository.paginate(
            filters, order_by, page, page_size, ascending, count=count
        )
        items = [self._response(row) for row in found["items"]]
        return cast("Page[ResponseT]", {**found, "items": items})

    async def cursor_paginate(
        self,
        filters: Filters = None,
        cursor: str | None = None,
        limit: int = 20,
        order_by: OrderBy = "created_at",
        ascending: bool = False,
    ) -> CursorPage[ResponseT]:
        """A page by cursor; see ``BaseRepository.cursor_paginate``."""
        found = await self.repository.cursor_paginate(filters, cursor, limit, order_by, ascending)
        items = [self._response(row) for row in found["items"]]
        return cast("CursorPage[ResponseT]", {**found, "items": items})

    async def count(self, filters: Filters = None) -> int:
        """How many rows match."""
        return await self.repository.count(filters)

    async def exists(self, filters: Filters) -> bool:
        """Whether a row matches."""
        return await self.repository.exists(filters)

    async def delete(self, id: Any) -> None:  # noqa: A002
        """Remove a row; the repository's ``not_found_exception`` when there is none."""
        await self.repository.delete(id)


def as_dict(data: Data) -> dict[str, Any]:
    """``data`` as a mapping; of a schema, the fields that its sender set."""
    return data.model_dump(exclude_unset=True) if isinstance(data, Schema) else dict(data)


def new_values(data: Data) -> dict[str, Any]:
    """``data`` for a new row; of a schema, also its defaults, save a None that nobody sent."""
    if not isinstance(data, Schema):
        return dict(data)
    sent = data.model_fields_set
    return {
        name: value
        for name, value in data.model_dump().items()
        if value is not None or name in sent
    }
