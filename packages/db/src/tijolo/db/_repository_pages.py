"""Pages by number and by cursor."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Select, Table, and_, func, literal, select, tuple_

from tijolo.db._keyset import after, check_storable, comparable, exact, restored, shape
from tijolo.db._mapping import attribute_of, mapper_of, queryable_names
from tijolo.db._repository_core import Load, ModelT
from tijolo.db._repository_reads import Reads
from tijolo.db._statistics import estimate
from tijolo.db.cursors import SIGNER, CursorSigner, Position
from tijolo.db.filters import Filters
from tijolo.db.ordering import OrderBy, OrderKey, with_tie_break
from tijolo.db.pagination import CountPolicy, CursorPage, Page, check_limit, check_page
from tijolo.db.soft_delete import INCLUDE_DELETED

_LATE_LOOKUP_OFFSET = 1000
"""From here on, skipping rows by an index alone is cheaper than reading what is skipped."""


class Pages(Reads[ModelT]):
    """Pagination."""

    _cursor_signer: CursorSigner | None = None

    async def paginate(
        self,
        filters: Filters = None,
        order_by: OrderBy | None = None,
        page: int = 1,
        page_size: int = 20,
        ascending: bool = True,
        query: Select[Any] | None = None,
        *,
        count: CountPolicy | None = None,
        load: Load | None = None,
        include_deleted: bool = False,
    ) -> Page[ModelT]:
        """A page by number, in an order that the primary key makes total.

        Args:
            order_by: A name must be in ``orderable``; by default newest first where the model
                has ``created_at``, else by primary key.
            page: From 1.
            page_size: At most ``max_page_size``.
            ascending: Ignored without ``order_by``.
            query: Rows to page over, such as a SELECT with joins; each row counts once.
            count: What finding the total may cost; exact by default.

        Raises:
            InvalidPageError: ``page`` or ``page_size`` is out of range.
            UnknownFilterError, UnknownOrderError: A name that requests may not use.
            ValueError: ``query`` has joins and ``order_by`` is of another model.
        """
        offset = check_page(page, page_size, self.max_page_size)
        keys = self._page_order(order_by, ascending)
        rows = self._rows(query, filters, keys, include_deleted=include_deleted)
        found = await self._slice(rows, keys, offset, page_size + 1, load)
        items, more = found[:page_size], len(found) > page_size
        policy = count or CountPolicy.exact()
        total, exact = await self._total(rows, policy, offset, found, more)
        return {
            "items": items,
            "total": total,
            "page": page,
            "page_size": page_size,
            "pages": None if total is None else math.ceil(total / page_size),
            "has_more": more,
            "total_exact": exact,
        }

    def _page_order(self, order_by: OrderBy | None, ascending: bool) -> builtins.list[OrderKey]:
        if order_by is not None:
            keys = self._order(order_by, ascending=ascending)
        elif "created_at" in queryable_names(self.model):
            keys = self._order(attribute_of(self.model, "created_at").desc(), ascending=True)
        else:
            keys = []
        return with_tie_break(self.model, keys)

    def _rows(
        self,
        query: Select[Any] | None,
        filters: Filters,
        keys: Sequence[OrderKey],
        *,
        include_deleted: bool,
    ) -> Select[Any]:
        """The rows to page over, once each, without an order."""
        if query is None:
            return self._select(filters, include_deleted=include_deleted)
        query = query.where(*self._conditions(filters)).order_by(None)
        if not self._is_plain(query):
            # a join repeats its root: page over the root rows whose keys it finds
            self._check_own(keys)
            own = self._primary_key()
            options = query._with_options  # pyright: ignore[reportPrivateUsage]
            target: Any = own[0] if len(own) == 1 else tuple_(*own)
            inner = query.with_only_columns(*own, maintain_column_froms=True)
            query = select(self.model).where(target.in_(inner)).options(*options)
        return query.execution_options(**{INCLUDE_DELETED: include_deleted})

    def _check_own(self, keys: Sequence[OrderKey]) -> None:
        """ValueError for an order by a joined table, of which there may be several rows."""
        tables = set(mapper_of(self.model).tables)
        for key in keys:
            if key.name is None and not tables.issuperset(select(key.expression).get_final_froms()):
                raise ValueError(
                    f"a query with joins is ordered by {self.model.__name__} alone, got"
                    f" {key.expression!s}; order by a scalar subquery instead"
                )

    def _is_plain(self, query: Select[Any]) -> bool:
        """Whether it has one table. Finding out takes a millisecond: only for others' queries."""
        froms = query.get_final_froms()
        return len(froms) == 1 and isinstance(froms[0], Table)

    async def _slice(
        self,
        rows: Select[Any],
        keys: Sequence[OrderKey],
        offset: int,
        limit: int,
        load: Load | None,
    ) -> builtins.list[ModelT]:
        order = self._order_clauses(keys)
        statement = rows.order_by(*order)
        if offset >= _LATE_LOOKUP_OFFSET and len(mapper_of(self.model).tables) == 1:
            statement = self._late_lookup(rows, order, offset, limit)
        else:
            statement = statement.limit(limit).offset(offset)
        if load is not None:
            statement = statement.options(*self._loaders(load))
        found = await self.session.scalars(statement)
        return builtins.list(found.unique())

    def _late_lookup(
        self, rows: Select[Any], order: Sequence[Any], offset: int, limit: int
    ) -> Select[Any]:
        """Find the page's keys first, by an index that covers them, then their rows."""
        keys = self._primary_key()
        inner = rows.with_only_columns(*keys, maintain_column_froms=True)
        wanted = inner.order_by(*order).limit(limit).offset(offset).subquery()
        on: builtins.list[Any] = [
            key == wanted.c[column.name]
            for key, column in zip(keys, mapper_of(self.model).primary_key, strict=True)
        ]
        options = rows.get_execution_options()
        statement: Select[Any] = select(self.model).join(wanted, and_(*on))
        return statement.order_by(*order).execution_options(**options)

    async def _total(
        self,
        rows: Select[Any],
        policy: CountPolicy,
        offset: int,
        found: Sequence[ModelT],
        more: bool,
    ) -> tuple[int | None, bool]:
        """The total and whether it is exact; the last page tells it for free."""
        if policy.kind == "none":
            return None, False
        if not more and (found or offset == 0):
            return offset + len(found), True
        if policy.kind == "capped":
            inner = rows.with_only_columns(literal(1).label("one"), maintain_column_froms=True)
            counted = await self._scalar(
                select(func.count()).select_from(inner.limit(policy.cap + 1).subquery()), rows
            )
            return min(counted, policy.cap), counted <= policy.cap
        if policy.kind == "estimated":
            guess = await estimate(self.session, self.model, rows, plain=rows.whereclause is None)
            if guess is not None:
                return max(guess, offset + len(found)), False
        everything = rows.with_only_columns(func.count(), maintain_column_froms=True)
        return await self._scalar(everything, rows), True

    async def _scalar(self, statement: Select[Any], rows: Select[Any]) -> int:
        options = rows.get_execution_options()
        return int(await self.session.scalar(statement.execution_options(**options)) or 0)

    async def cursor_paginate(
        self,
        filters: Filters = None,
        cursor: str | None = None,
        limit: int = 20,
        order_by: OrderBy = "created_at",
        ascending: bool = False,
        *,
        load: Load | None = None,
        include_deleted: bool = False,
    ) -> CursorPage[ModelT]:
        """A page by position: as fast at any depth, and right while rows are inserted.

        Every row that was there when the walk began is seen exactly once, unless its key values
        change. A cursor is good for the same model, filters and order alone.

        Args:
            cursor: ``next_cursor`` or ``prev_cursor`` of another page.
            limit: At most ``max_limit``.
            order_by: One or several columns, in any mix of directions.

        Raises:
            InvalidCursorException: Cut, forged, or of another query (400 ``INVALID_CURSOR``).
            ValueError: ``order_by`` is not made of the model's columns.
        """
        check_limit(limit, self.max_limit)
        keys = with_tie_break(self.model, self._order(order_by, ascending=ascending))
        for key in keys:
            self._column_name(key)
        signer, digest = self._signer(), shape(self.model, keys, filters, str(include_deleted))
        position = None if cursor is None else signer.load(cursor, digest, len(keys))
        if position is not None:
            compared = comparable(self.model, keys, self._dialect)
            position = position._replace(values=restored(compared, position.values))
        found = await self._beside(
            position, keys, self._select(filters, load=load, include_deleted=include_deleted), limit
        )
        more, found = len(found) > limit, found[:limit]
        backward = position is not None and position.backward
        if backward:
            found.reverse()

        async def cursor_at(row: ModelT, *, backward: bool) -> str:
            values = await self._key_values_of(row, keys)
            return signer.dump(Position(values, backward), digest)

        has_next, has_previous = (True, more) if backward else (more, position is not None)
        following = await cursor_at(found[-1], backward=False) if found and has_next else None
        before = await cursor_at(found[0], backward=True) if found and has_previous else None
        return {
            "items": found,
            "next_cursor": following,
            "prev_cursor": before,
            "has_more": bool(found) and has_next,
            "limit": limit,
        }

    async def _beside(
        self,
        position: Position | None,
        keys: Sequence[OrderKey],
        statement: Select[Any],
        limit: int,
    ) -> builtins.list[ModelT]:
        """One row more than ``limit``, after ``position`` or, nearest first, before it."""
        if position is not None:
            if position.backward:
                keys = [key.reversed() for key in keys]
            compared = comparable(self.model, keys, self._dialect)
            statement = statement.where(after(compared, position.values, self._dialect))
        statement = statement.order_by(*self._order_clauses(keys)).limit(limit + 1)
        return builtins.list((await self.session.scalars(statement)).unique())

    async def _key_values_of(self, row: ModelT, keys: Sequence[OrderKey]) -> tuple[Any, ...]:
        """The key values of ``row``, from the database where Python's are not exact."""
        names = [self._column_name(key) for key in keys]
        found = {name: getattr(row, name) for name in names}
        wanted = {name: exact(self.model, name, self._dialect) for name in names}
        inexact = {name: column for name, column in wanted.items() if column is not None}
        if inexact:
            values = mapper_of(self.model).primary_key_from_instance(row)
            own = zip(self._primary_key(), values, strict=True)
            statement = select(*inexact.values()).where(*(key == value for key, value in own))
            statement = statement.execution_options(**{INCLUDE_DELETED: True})
            stored = (await self.session.execute(statement)).one()
            found.update(zip(inexact, stored, strict=True))
            return tuple(found[name] for name in names)
        return tuple(
            check_storable(key, found[name]) for key, name in zip(keys, names, strict=True)
        )

    def _column_name(self, key: OrderKey) -> str:
        if key.name is None:
            raise ValueError(
                f"cursor pagination orders by columns of {self.model.__name__}, got"
                f" {key.expression!s}"
            )
        return key.name

    def _signer(self) -> CursorSigner:
        signer = self._cursor_signer or self.session.info.get(SIGNER)
        if signer is None:
            raise RuntimeError(
                "this session was not made by a database manager; give the repository a"
                " cursor_secret"
            )
        return cast("CursorSigner", signer)
