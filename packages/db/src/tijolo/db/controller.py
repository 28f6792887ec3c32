"""The place between routers and services for what concerns several services."""

from __future__ import annotations

import builtins
from typing import Any, Generic, TypeVar, cast

from tijolo.db.filters import Filters
from tijolo.db.ordering import OrderBy
from tijolo.db.pagination import CountPolicy, CursorPage, Page
from tijolo.db.service import BaseService, Data

ServiceT = TypeVar("ServiceT", bound=BaseService[Any, Any])
ResponseT = TypeVar("ResponseT")


class BaseController(Generic[ServiceT, ResponseT]):
    """Passes everything to its service; override what needs more than one."""

    def __init__(self, service: ServiceT) -> None:
        self.service = service

    async def create(self, data: Data) -> ResponseT:
        """See ``BaseService.create``."""
        return cast("ResponseT", await self.service.create(data))

    async def update(
        self,
        id: Any,  # noqa: A002
        data: Data,
        *,
        expected_version: int | None = None,
    ) -> ResponseT:
        """See ``BaseService.update``."""
        found = await self.service.update(id, data, expected_version=expected_version)
        return cast("ResponseT", found)

    async def get_by_id(self, id: Any) -> ResponseT:  # noqa: A002
        """See ``BaseService.get_by_id``."""
        return cast("ResponseT", await self.service.get_by_id(id))

    async def list(
        self,
        filters: Filters = None,
        order_by: OrderBy | None = None,
        ascending: bool = True,
    ) -> builtins.list[ResponseT]:
        """See ``BaseService.list``."""
        return await self.service.list(filters, order_by, ascending)

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
        """See ``BaseService.paginate``."""
        return await self.service.paginate(
            filters, order_by, page, page_size, ascending, count=count
        )

    async def cursor_paginate(
        self,
        filters: Filters = None,
        cursor: str | None = None,
        limit: int = 20,
        order_by: OrderBy = "created_at",
        ascending: bool = False,
    ) -> CursorPage[ResponseT]:
        """See ``BaseService.cursor_paginate``."""
        return await self.service.cursor_paginate(filters, cursor, limit, order_by, ascending)

    async def count(self, filters: Filters = None) -> int:
        """See ``BaseService.count``."""
        return await self.service.count(filters)

    async def delete(self, id: Any) -> None:  # noqa: A002
        """See ``BaseService.delete``."""
        await self.service.delete(id)
