"""Writing rows. Everything here flushes; the boundary commits."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast

from sqlalchemy import CursorResult, and_, delete, inspect, or_, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstanceState, RelationshipDirection
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.base import NO_VALUE, LoaderCallableStatus
from sqlalchemy.sql.elements import True_

from tijolo.core import ConflictException, PreconditionFailedException
from tijolo.db._mapping import (
    attribute_of,
    column_names,
    mapper_of,
    primary_key_names,
    remember,
    suggestion,
    version_name,
)
from tijolo.db._repository_core import ModelT
from tijolo.db._repository_reads import Reads
from tijolo.db._values import check_moments
from tijolo.db.errors import RowLimitExceededError
from tijolo.db.filters import Filters
from tijolo.db.soft_delete import SoftDeleteMixin, is_soft_deleted

_KEYS_PER_STATEMENT = 1000
Refresh = bool | Sequence[str]
"""After a write: True reads the row again, names read those attributes and relationships."""


class Writes(Reads[ModelT]):
    """The writing half of a repository, one row or a condition at a time."""

    async def add(self, model: ModelT, *, refresh: Refresh = False) -> ModelT:
        """Insert ``model``.

        Raises:
            ConflictException: It clashes with what is stored; ``details["fields"]`` says where.
        """
        self._own([model])
        await self._add([model], self.messages.create_conflict, refresh)
        return model

    async def add_all(
        self, models: Iterable[ModelT], *, refresh: Refresh = False
    ) -> builtins.list[ModelT]:
        """Insert all of ``models`` or none."""
        wanted = builtins.list(models)
        self._own(wanted)
        await self._add(wanted, self.messages.bulk_create_conflict, refresh)
        return wanted

    async def _add(self, models: builtins.list[ModelT], message: str, refresh: Refresh) -> None:
        pending = is_pending(models)
        touched = parents_of(models)
        try:
            with parked(models) as restore:
                async with self._writing(message, pending=pending):
                    restore()
                    self.session.add_all(models)
                    await self.session.flush()
        except ConflictException:
            await self._read_again(touched)
            raise
        await self._refresh(models, refresh)

    async def update(
        self,
        model: ModelT,
        *,
        expected_version: int | None = None,
        refresh: Refresh = False,
    ) -> ModelT:
        """Write the changes of ``model``, which this session must have loaded.

        Args:
            expected_version: What the caller saw, of a model with ``VersionMixin`` (If-Match).

        Raises:
            ValueError: ``model`` is not of this session.
            PreconditionFailedException: ``expected_version`` is not the current one.
            ConflictException: A clash, or (``STALE_VERSION``) somebody else wrote first.
        """
        self._own([model], persistent=True)
        version = await self._stored_version(model)
        if expected_version is not None and version != expected_version:
            raise PreconditionFailedException(details={"field": "version"})
        return (await self._update([model], self.messages.update_conflict, refresh))[0]

    async def _stored_version(self, model: ModelT) -> Any:
        """The version that was read; one that was assigned since is taken back."""
        key = version_name(self.model)
        if key is None:
            return None
        state = cast("InstanceState[Any]", inspect(model))
        read = state.committed_state.get(key, state.dict.get(key, NO_VALUE))
        if read is not NO_VALUE:
            set_committed_value(model, key, read)
            return read
        self.session.expire(model, [key])
        await self.session.refresh(model, [key])
        return getattr(model, key)

    async def update_many(
        self, models: Iterable[ModelT], *, refresh: Refresh = False
    ) -> builtins.list[ModelT]:
        """Write the changes of all of ``models`` or of none.

        Raises:
            ValueError: One of them is not of this session.
            ConflictException: A clash, or (``STALE_VERSION``) somebody else wrote first.
        """
        wanted = builtins.list(models)
        self._own(wanted, persistent=True)
        for model in wanted:
            await self._stored_version(model)
        return await self._update(wanted, self.messages.bulk_update_conflict, refresh)

    async def _update(
        self, models: builtins.list[ModelT], message: str, refresh: Refresh
    ) -> builtins.list[ModelT]:
        self._own(models, persistent=True)
        touched = [*models, *parents_of(models)]
        try:
            with held_back(models) as changes:
                # the savepoint flushes first; these changes belong inside it
                async with self._writing(message, pending=has_moved(models)):
                    for model, values in changes:
                        for name, value in values.items():
                            setattr(model, name, value)
                    changes.clear()
                    await self.session.flush()
        except ConflictException:
            await self._read_again(touched)
            raise
        await self._refresh(models, refresh)
        return models

    async def _read_again(self, touched: Iterable[Any]) -> None:
        """What was rolled back is expired, and could not be looked at without an ``await``."""
        with self.session.no_autoflush:
            for model in touched:
                state = cast("InstanceState[Any]", inspect(model))
                if state.expired and self._is_mine(model):
                    with suppress(SQLAlchemyError):  # gone meanwhile
                        await self.session.refresh(model)

    async def delete(self, id: Any) -> None:  # noqa: A002
        """Remove the row for good, with what its relationships cascade to.

        Raises:
            AppException: There is none (``not_found_exception``).
            ConflictException: Other rows refer to it.
        """
        model = await self.get_by_id(id)
        async with self._writing(self.messages.update_conflict):
            await self.session.delete(model)
            await self.session.flush()

    async def soft_delete(self, id: Any) -> ModelT:  # noqa: A002
        """Mark the row as deleted; reads leave it out from now on.

        Raises:
            TypeError: The model has no ``SoftDeleteMixin``.
        """
        self._require_soft_delete()
        model = await self.get_by_id(id)
        cast("SoftDeleteMixin", model).mark_deleted()
        return await self.update(model)

    async def restore(self, id: Any) -> ModelT:  # noqa: A002
        """Undo :meth:`soft_delete`."""
        self._require_soft_delete()
        model = await self.get_by_id(id, include_deleted=True)
        cast("SoftDeleteMixin", model).mark_restored()
        return await self.update(model)

    async def bulk_update(
        self,
        filters: Filters,
        values: dict[str, Any],
        *,
        all_rows: bool = False,
        max_rows: int | None = None,
        expected: int | None = None,
    ) -> int:
        """One UPDATE of the rows that match; how many there were.

        Args:
            all_rows: Needed where ``filters`` has no condition.
            max_rows: Undo, and raise, when more rows than this are touched.
            expected: Undo, and raise, when another number of rows is touched.

        Raises:
            ValueError: No condition and no ``all_rows``, no values, an unknown column, a version,
                or a datetime without a time zone.
            RowLimitExceededError: ``max_rows`` or ``expected`` does not hold.
        """
        conditions = self._guarded(filters, all_rows)
        changes = self._assignments(values)
        statement = update(self.model).where(*conditions).values(changes)
        return await self._execute_many(
            statement, self.messages.bulk_update_conflict, max_rows, expected
        )

    async def delete_many(
        self,
        filters: Filters,
        *,
        all_rows: bool = False,
        max_rows: int | None = None,
        expected: int | None = None,
    ) -> int:
        """One DELETE of the rows that match; how many there were. See :meth:`bulk_update`."""
        statement = delete(self.model).where(*self._guarded(filters, all_rows))
        return await self._execute_many(
            statement, self.messages.bulk_update_conflict, max_rows, expected
        )

    async def delete_batch(self, ids: Iterable[Any]) -> int:
        """Remove the rows with these primary keys; how many there were."""
        wanted = [self._key(id) for id in ids]  # noqa: A001
        names = primary_key_names(self.model)
        total = 0
        for start in range(0, len(wanted), _KEYS_PER_STATEMENT):
            chunk = wanted[start : start + _KEYS_PER_STATEMENT]
            if len(names) == 1:
                condition: Any = attribute_of(self.model, names[0]).in_(chunk)
            else:
                condition = or_(*(self._is_row(names, key) for key in chunk))
            statement = delete(self.model).where(condition)
            total += await self._execute_many(
                statement, self.messages.bulk_update_conflict, None, None
            )
        return total

    def _is_row(self, names: tuple[str, ...], key: Any) -> Any:
        pairs = zip(names, key, strict=True)
        return and_(*(attribute_of(self.model, name) == value for name, value in pairs))

    def _guarded(self, filters: Filters, all_rows: bool) -> builtins.list[Any]:
        conditions = self._conditions(filters)
        # a list that excludes nothing is a condition that is always true, hence none
        if all(isinstance(c, True_) for c in conditions) and not all_rows:
            raise ValueError(
                f"no condition: this would write every row of {self.model.__name__};"
                " pass all_rows=True to mean it"
            )
        return conditions

    def _assignments(self, values: dict[str, Any]) -> dict[str, Any]:
        names = column_names(self.model)
        if not values:
            raise ValueError("values is empty: there is nothing to set")
        for name in values:
            if name not in names:
                raise ValueError(
                    f"{self.model.__name__} has no column {name!r}{suggestion(name, names)}"
                )
        check_moments(self.model, values)
        key = version_name(self.model)
        if key is None:
            return dict(values)
        if key in values:
            raise ValueError(
                f"{self.model.__name__}.{key} counts the writes of a row by itself; leave it out"
            )
        return {key: attribute_of(self.model, key) + 1, **values}

    async def _execute_many(
        self, statement: Any, message: str, max_rows: int | None, expected: int | None
    ) -> int:
        bounded = max_rows is not None or expected is not None
        async with self._writing(message, always_undo=bounded):
            result = cast("CursorResult[Any]", await self.session.execute(statement))
            count = int(result.rowcount)
            if (max_rows is not None and count > max_rows) or (
                expected is not None and count != expected
            ):
                limit = f"max_rows={max_rows}" if max_rows is not None else f"expected={expected}"
                raise RowLimitExceededError(
                    f"{count} rows of {self.model.__name__} would be written with {limit};"
                    " nothing was"
                )
        return count

    def _own(self, models: Iterable[ModelT], *, persistent: bool = False) -> None:
        for model in models:
            if not isinstance(model, self.model):
                raise TypeError(
                    f"this repository writes {self.model.__name__}, got {type(model).__name__}"
                )
            if persistent and not self._is_mine(model):
                raise ValueError(
                    f"this {self.model.__name__} is not in the repository's session: load it"
                    " there and change what was loaded"
                )

    def _is_mine(self, model: Any) -> bool:
        state = cast("InstanceState[Any]", inspect(model))
        return state.persistent and state.session is self.session.sync_session

    async def _refresh(self, models: Iterable[ModelT], refresh: Refresh) -> None:
        if refresh:
            names = None if refresh is True else refresh
            for model in models:
                await self.session.refresh(model, names)

    def _require_soft_delete(self) -> None:
        if not is_soft_deleted(self.model):
            raise TypeError(
                f"{self.model.__name__} has no soft deletion: add SoftDeleteMixin, or use"
                " update() to switch is_active"
            )


@remember
def parents(model: type[Any]) -> tuple[str, ...]:
    """The many-to-one relationships of ``model`` that the other side knows about."""
    return tuple(
        relationship.key
        for relationship in mapper_of(model).relationships
        if relationship.direction is RelationshipDirection.MANYTOONE
        and (relationship.back_populates or relationship.backref)
    )


def is_pending(models: Iterable[Any]) -> bool:
    """Whether one of ``models`` waits in a session already."""
    return any(cast("InstanceState[Any]", inspect(model)).pending for model in models)


def parents_of(models: Iterable[Any]) -> builtins.list[Any]:
    """What ``models`` belong to, or did before it was changed, as far as it is loaded."""
    found: dict[int, Any] = {}
    for model in models:
        state = cast("InstanceState[Any]", inspect(model))
        kind: type[Any] = model.__class__
        for name in parents(kind):
            for parent in (state.dict.get(name), state.committed_state.get(name)):
                if parent is not None and parent.__class__ is not LoaderCallableStatus:
                    found[id(parent)] = parent
    return builtins.list(found.values())


def has_moved(models: Iterable[Any]) -> bool:
    """Whether one of ``models`` got other relations."""
    return any(
        bool(state.committed_state.keys() & set(mapper_of(model.__class__).relationships.keys()))
        for model in models
        for state in [cast("InstanceState[Any]", inspect(model))]
    )


@contextmanager
def parked(models: Iterable[Any]) -> Generator[Callable[[], None], None, None]:
    """Take new ``models`` off their parents until the savepoint stands; it flushes the parents.

    They would meet children there that are not in the session yet, and SQLAlchemy warns.
    """
    taken: builtins.list[tuple[Any, str, Any]] = []
    for model in models:
        state = cast("InstanceState[Any]", inspect(model))
        kind: type[Any] = model.__class__
        for name in parents(kind) if state.transient else ():
            if (parent := state.dict.get(name)) is not None:
                taken.append((model, name, parent))
                setattr(model, name, None)

    def restore() -> None:
        for model, name, parent in taken:
            setattr(model, name, parent)
        taken.clear()

    try:
        yield restore
    finally:
        restore()


@contextmanager
def held_back(
    models: Iterable[Any],
) -> Generator[builtins.list[tuple[Any, dict[str, Any]]], None, None]:
    """Take the pending column changes off ``models``; those still listed at the end come back."""
    changes = [(model, _take_changes(model)) for model in models]
    try:
        yield changes
    finally:
        for model, values in changes:
            for name, value in values.items():
                setattr(model, name, value)


def _take_changes(model: Any) -> dict[str, Any]:
    state = cast("InstanceState[Any]", inspect(model))
    taken: dict[str, Any] = {}
    kind: type[Any] = model.__class__
    for name in column_names(kind):
        old = state.committed_state.get(name, NO_VALUE)
        if old is NO_VALUE or name not in state.dict:
            continue  # not changed, or its old value was never loaded
        taken[name] = state.dict[name]
        set_committed_value(model, name, old)
    return taken
