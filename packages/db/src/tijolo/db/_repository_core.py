"""What every part of a repository needs: statements, filters, orders, and safe writing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.orm.interfaces import ORMOption

from tijolo.core import AppException
from tijolo.db._mapping import (
    attribute_of,
    column_names,
    mapper_of,
    primary_key_names,
    queryable_names,
    suggestion,
    table_of,
)
from tijolo.db._violations import find_violation, is_integrity_error
from tijolo.db.boundary import DEBUG
from tijolo.db.errors import StaleVersionException, conflict, raise_scrubbed
from tijolo.db.filters import Filters, build_conditions
from tijolo.db.ordering import OrderBy, OrderKey, default_orderable, parse_order
from tijolo.db.soft_delete import INCLUDE_DELETED, honour_soft_delete

ModelT = TypeVar("ModelT")
Load = Sequence[Any]
"""Relationships to load with the rows: names (``"lines.product"``), or loader options."""


@dataclass(frozen=True, kw_only=True)
class ForUpdate:
    """``FOR UPDATE`` in detail: do not wait, skip what is locked, lock only these tables."""

    nowait: bool = False
    skip_locked: bool = False
    key_share: bool = False
    of: Any = None

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for SQLAlchemy."""
        return {
            "nowait": self.nowait,
            "skip_locked": self.skip_locked,
            "key_share": self.key_share,
            "of": self.of,
        }


@dataclass(frozen=True, kw_only=True)
class Messages:
    """The sentences of a repository's errors."""

    not_found: str
    create_conflict: str
    update_conflict: str
    bulk_create_conflict: str
    bulk_update_conflict: str


class RepositoryCore(Generic[ModelT]):
    """State and helpers shared by the parts of :class:`~tijolo.db.repository.BaseRepository`."""

    orderable: ClassVar[Iterable[str] | None] = None
    filterable: ClassVar[Iterable[str] | None] = None
    timezone: ClassVar[tzinfo] = UTC
    max_page_size: ClassVar[int] = 100
    max_limit: ClassVar[int] = 500
    savepoints: ClassVar[bool] = True

    session: AsyncSession
    model: type[ModelT]
    not_found_exception: type[AppException]
    messages: Messages

    def _setup(self, orderable: Iterable[str] | None, filterable: Iterable[str] | None) -> None:
        honour_soft_delete(self.session.sync_session)
        named = self._public("orderable", orderable) or frozenset()
        self._orderable = default_orderable(self.model) | named
        self._filterable = self._public("filterable", filterable)

    def _public(self, what: str, names: Iterable[str] | None) -> frozenset[str] | None:
        given = names if names is not None else getattr(type(self), what)
        if given is None:
            return None
        known = queryable_names(self.model)
        for name in given:
            if name not in known:
                raise ValueError(
                    f"{what} names {name!r}, which is no public column of {self.model.__name__}"
                    f"{suggestion(name, known)}"
                )
        return frozenset(given)

    @property
    def _dialect(self) -> str:
        return self.session.get_bind().dialect.name

    def _conditions(self, filters: Filters, *, core: bool = False) -> list[ColumnElement[bool]]:
        return build_conditions(
            self.model, filters, timezone=self.timezone, filterable=self._filterable, core=core
        )

    def _select(
        self,
        filters: Filters = None,
        *,
        for_update: bool | ForUpdate = False,
        load: Load | None = None,
        include_deleted: bool = False,
    ) -> Select[Any]:
        statement = select(self.model).where(*self._conditions(filters))
        if for_update:
            details = for_update.arguments() if isinstance(for_update, ForUpdate) else {}
            statement = statement.with_for_update(**details).execution_options(
                populate_existing=True
            )
        if load is not None:
            statement = statement.options(*self._loaders(load))
        if include_deleted:
            statement = statement.execution_options(**{INCLUDE_DELETED: True})
        return statement

    def _loaders(self, load: Load) -> list[ORMOption]:
        return [loader(self.model, item) for item in load]

    def _order(self, order_by: OrderBy, *, ascending: bool) -> list[OrderKey]:
        return parse_order(self.model, order_by, ascending=ascending, orderable=self._orderable)

    def _order_clauses(self, keys: Iterable[OrderKey]) -> list[ColumnElement[Any]]:
        dialect = self._dialect
        return [clause for key in keys for clause in key.clauses(dialect)]

    def _not_found(self) -> AppException:
        return self.not_found_exception(self.messages.not_found)

    @asynccontextmanager
    async def _writing(
        self, message: str, *, always_undo: bool = False, pending: bool = False
    ) -> AsyncGenerator[None, None]:
        """Undo what the block wrote, and nothing else, when it fails; a clash becomes a 409.

        A savepoint costs two round trips. A transaction that has not begun has nothing to lose,
        so the first write goes without one.

        Args:
            pending: Part of the write waits in the session already. SQLAlchemy would flush it
                before the savepoint, where a clash aborts the caller's transaction, so all that
                waits is written inside, and shares the fate of this write.
        """
        began = self.session.in_transaction()
        nested = began and (self.savepoints or always_undo)
        try:
            if nested:
                async with AsyncExitStack() as stack:
                    with _flush_put_off(self.session) if pending else nullcontext():
                        await stack.enter_async_context(self.session.begin_nested())
                    yield
            else:
                yield
        except BaseException as exc:
            if not began:
                await self.session.rollback()
            self._raise_conflict(exc, message)
            raise

    def _raise_conflict(self, exc: BaseException, message: str) -> None:
        if is_integrity_error(exc):
            violation = find_violation(exc, table_of(self.model).metadata)
            found: AppException = conflict(violation, message)
            found.details["fields"] = self._attribute_names(found.details["fields"], violation)
        elif isinstance(exc, StaleDataError):
            found = StaleVersionException()
        else:
            return
        raise_scrubbed(found, exc, debug=bool(self.session.info.get(DEBUG)))

    def _attribute_names(self, columns: Iterable[str], violation: Any) -> list[str]:
        if violation.constraint == "PRIMARY":
            return list(primary_key_names(self.model))
        by_column = {
            attribute.columns[0].name: attribute.key
            for attribute in mapper_of(self.model).column_attrs
            if attribute.key in column_names(self.model)
        }
        return [str(by_column.get(name, name)) for name in columns]


def _nothing(objects: object = None) -> None:
    """In place of ``flush``."""


@contextmanager
def _flush_put_off(session: AsyncSession) -> Generator[None, None, None]:
    """Let a savepoint begin without the flush that comes before it."""
    own = vars(session.sync_session)
    own["flush"] = _nothing
    try:
        yield
    finally:
        del own["flush"]


def loader(model: type[Any], item: Any) -> ORMOption:
    """``"lines.product"`` as ``selectinload(Order.lines).selectinload(Line.product)``."""
    if not isinstance(item, str):
        return selectinload(item) if not isinstance(item, ORMOption) else item
    option: Any = None
    for name in item.split("."):
        relationships = mapper_of(model).relationships
        if name not in relationships:
            raise ValueError(
                f"{model.__name__} has no relationship {name!r}"
                f"{suggestion(name, relationships.keys())}"
            )
        step = attribute_of(model, name)
        option = selectinload(step) if option is None else option.selectinload(step)
        model = relationships[name].mapper.class_
    return option  # type: ignore[no-any-return]
