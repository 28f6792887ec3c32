"""Reading rows: as objects, and as plain rows on the faster Core path."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, literal, select

from tijolo.db._mapping import (
    attribute_of,
    column_names,
    column_of,
    is_a,
    is_sensitive,
    primary_key_names,
    remember,
    suggestion,
    table_of,
)
from tijolo.db._repository_core import ForUpdate, Load, ModelT, RepositoryCore
from tijolo.db._values import key_value
from tijolo.db.filters import Filters
from tijolo.db.ordering import OrderBy
from tijolo.db.soft_delete import INCLUDE_DELETED, alive, is_soft_deleted


class Reads(RepositoryCore[ModelT]):
    """The reading half of a repository."""

    async def get(
        self,
        filters: Filters,
        for_update: bool | ForUpdate = False,
        *,
        load: Load | None = None,
        include_deleted: bool = False,
    ) -> ModelT:
        """The one row that matches.

        Raises:
            AppException: None does (``not_found_exception``).
            sqlalchemy.exc.MultipleResultsFound: Several do, so the filters name no single row.
        """
        found = await self.get_or_none(
            filters, for_update, load=load, include_deleted=include_deleted
        )
        if found is None:
            raise self._not_found()
        return found

    async def get_or_none(
        self,
        filters: Filters,
        for_update: bool | ForUpdate = False,
        *,
        load: Load | None = None,
        include_deleted: bool = False,
    ) -> ModelT | None:
        """The one row that matches, or None."""
        statement = self._select(
            filters, for_update=for_update, load=load, include_deleted=include_deleted
        )
        rows = await self.session.scalars(statement.limit(2))
        return rows.unique().one_or_none()

    async def get_by_id(
        self,
        id: Any,  # noqa: A002 - the contract's name
        for_update: bool | ForUpdate = False,
        *,
        where: Filters = None,
        load: Load | None = None,
        include_deleted: bool = False,
    ) -> ModelT:
        """The row with this primary key; a tuple for a composite one.

        Args:
            where: What the row must match besides, such as whose it is; else it is not found.

        Raises:
            AppException: There is none (``not_found_exception``).
        """
        found = await self.get_by_id_or_none(
            id, for_update, where=where, load=load, include_deleted=include_deleted
        )
        if found is None:
            raise self._not_found()
        return found

    async def get_by_id_or_none(
        self,
        id: Any,  # noqa: A002
        for_update: bool | ForUpdate = False,
        *,
        where: Filters = None,
        load: Load | None = None,
        include_deleted: bool = False,
    ) -> ModelT | None:
        """The row with this primary key, or None."""
        options: dict[str, Any] = {}
        if for_update:
            options["with_for_update"] = (
                for_update.arguments() if isinstance(for_update, ForUpdate) else True
            )
        if include_deleted:
            options["execution_options"] = {INCLUDE_DELETED: True}
        key = self._known_key(id)
        if key is None:
            return None
        # get() neither filters nor loads relationships of a row that the session already holds
        if load is not None or where is not None:
            values = self._key_values(key)
            wanted: builtins.list[Any] = [
                column == value for column, value in zip(self._primary_key(), values, strict=True)
            ]
            wanted += self._conditions(where)
            return await self.get_or_none(
                wanted, for_update, load=load, include_deleted=include_deleted
            )
        found = await self.session.get(self.model, key, **options)
        # what the session already holds is not queried again
        if found is not None and not include_deleted and getattr(found, "deleted_at", None):
            return None
        return found

    def _key(self, id: Any) -> Any:  # noqa: A002
        key = self._known_key(id)
        if key is None:
            raise self._not_found()
        return key

    def _known_key(self, id: Any) -> Any:  # noqa: A002
        """``id`` as the columns take it, or None when no row can have it."""
        names = primary_key_names(self.model)
        if is_a(id, tuple) and len(id) == len(names) > 1:
            parts = [self._key_part(name, part) for name, part in zip(names, id, strict=True)]
            return None if any(part is None for part in parts) else tuple(parts)
        return self._key_part(names[0], id) if len(names) == 1 else id

    def _key_part(self, name: str, value: Any) -> Any:
        column_type = column_of(self.model, name).type
        if not is_a(value, str, int):
            return value
        try:
            # a path parameter, perhaps
            return key_value(column_type, value, wide=self._dialect == "sqlite")
        except ValueError:
            return None

    def _key_values(self, key: Any) -> tuple[Any, ...]:
        return key if is_a(key, tuple) else (key,)

    async def exists(self, filters: Filters) -> bool:
        """Whether a row matches; ``SELECT 1 ... LIMIT 1``."""
        statement = select(literal(1)).select_from(self.model).where(*self._conditions(filters))
        return await self.session.scalar(statement.limit(1)) is not None

    async def count(self, filters: Filters = None) -> int:
        """How many rows match."""
        statement = select(func.count()).select_from(self.model).where(*self._conditions(filters))
        return int(await self.session.scalar(statement) or 0)

    async def first(
        self,
        filters: Filters = None,
        order_by: OrderBy | None = None,
        ascending: bool = True,
        *,
        load: Load | None = None,
        include_deleted: bool = False,
    ) -> ModelT | None:
        """The first row in ``order_by``, or in the primary key's order: never in none."""
        wanted = order_by if order_by is not None else self._primary_key()
        statement = self._ordered(
            self._select(filters, load=load, include_deleted=include_deleted), wanted, ascending
        )
        return (await self.session.scalars(statement.limit(1))).unique().first()

    async def list(
        self,
        filters: Filters = None,
        order_by: OrderBy | None = None,
        ascending: bool = True,
        *,
        limit: int | None = None,
        load: Load | None = None,
        include_deleted: bool = False,
    ) -> builtins.list[ModelT]:
        """Every row that matches; ``[]`` when none does.

        Args:
            ascending: Ignored without ``order_by``.
            limit: Most rows to return.
        """
        statement = self._select(filters, load=load, include_deleted=include_deleted)
        if order_by is not None:
            statement = self._ordered(statement, order_by, ascending)
        rows = await self.session.scalars(statement.limit(limit))
        # unique() is needed only where a joined collection repeats its parent
        return builtins.list(rows.unique() if load else rows)

    async def stream(
        self,
        filters: Filters = None,
        order_by: OrderBy | None = None,
        ascending: bool = True,
        *,
        chunk_size: int = 1000,
    ) -> AsyncIterator[ModelT]:
        """Every row that matches, ``chunk_size`` in memory at a time."""
        statement = self._select(filters)
        if order_by is not None:
            statement = self._ordered(statement, order_by, ascending)
        rows = await self.session.stream_scalars(statement.execution_options(yield_per=chunk_size))
        async for row in rows:
            yield row

    async def fetch(
        self,
        filters: Filters = None,
        order_by: OrderBy | None = None,
        ascending: bool = True,
        *,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        include_deleted: bool = False,
    ) -> Sequence[Row[Any]]:
        """Rows instead of objects: for reads that go straight into a response schema.

        Args:
            columns: The columns wanted; by default all that are not sensitive.
        """
        statement = row_statement(self.model, self._columns(columns))
        if not include_deleted and is_soft_deleted(self.model):
            statement = statement.where(alive(self.model))
        statement = statement.where(*self._conditions(filters, core=True))
        if order_by is not None:
            statement = self._ordered(statement, order_by, ascending)
        found: Sequence[Row[Any]] = (await self.session.execute(statement.limit(limit))).all()
        return found

    async def fetch_by_id(
        self,
        id: Any,  # noqa: A002
        *,
        columns: Sequence[str] | None = None,
    ) -> Row[Any]:
        """The row with this primary key as a plain row.

        Raises:
            AppException: There is none (``not_found_exception``).
        """
        statement = row_by_key_statement(self.model, self._columns(columns))
        key = self._key(id)
        values = self._key_values(key)
        parameters = {f"pk_{position}": value for position, value in enumerate(values)}
        row: Row[Any] | None = (await self.session.execute(statement, parameters)).first()
        if row is None:
            raise self._not_found()
        return row

    def _columns(self, columns: Sequence[str] | None) -> tuple[str, ...]:
        names = column_names(self.model)
        if columns is None:
            return tuple(name for name in names if not is_sensitive(self.model, name))
        for name in columns:
            if name not in names:
                raise ValueError(
                    f"{self.model.__name__} has no column {name!r}{suggestion(name, names)}"
                )
        return tuple(columns)

    def _primary_key(self) -> builtins.list[Any]:
        return [attribute_of(self.model, name) for name in primary_key_names(self.model)]

    def _ordered(self, statement: Select[Any], order_by: OrderBy, ascending: bool) -> Select[Any]:
        keys = self._order(order_by, ascending=ascending)
        return statement.order_by(*self._order_clauses(keys))


@remember
def row_statement(model: type[Any], names: tuple[str, ...]) -> Select[Any]:
    """SELECT of these columns, without the ORM; built once, since building it costs the most."""
    table_of(model)
    return select(*(column_of(model, name).label(name) for name in names))


@remember
def row_by_key_statement(model: type[Any], names: tuple[str, ...]) -> Select[Any]:
    """The same for one row, with the parameters ``pk_0``, ``pk_1`` ..."""
    keys = [column_of(model, name) for name in primary_key_names(model)]
    statement = row_statement(model, names).where(
        *(key == bindparam(f"pk_{position}", type_=key.type) for position, key in enumerate(keys))
    )
    if is_soft_deleted(model):
        statement = statement.where(column_of(model, "deleted_at").is_(None))
    return statement
