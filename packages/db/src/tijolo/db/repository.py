"""Repositories: the rows of one model, read and written inside somebody else's transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.core import AppException, NotFoundException
from tijolo.db._mapping import is_a, mapper_of
from tijolo.db._repository_bulk import Bulk
from tijolo.db._repository_core import Messages, ModelT
from tijolo.db._repository_pages import Pages
from tijolo.db.cursors import CursorSigner


class BaseRepository(Pages[ModelT], Bulk[ModelT]):
    """The rows of ``model`` in ``session``: use it as it is, or derive from it to add queries.

    It flushes and never commits: the boundary that made the session does. A write that clashes
    undoes itself alone and raises ``ConflictException``; what else the session did stays.

    Class attributes that a subclass may set: ``orderable`` (the names that requests may order by
    besides the key and the stamps), ``filterable`` (those that they may filter by; by default
    every public column), ``timezone`` (of a ``date`` in a filter), ``max_page_size``,
    ``max_limit``, and ``savepoints`` (False saves two round trips per write where nobody
    catches conflicts).

    Args:
        model: Any mapped class, of any declarative base.
        update_conflict_message: Also of a row that cannot be deleted, as the bulk one is of rows.
        orderable: Instead of the class attribute.
        filterable: Instead of the class attribute.
        cursor_secret: Signs cursors of sessions that no manager made.
    """

    def __init__(
        self,
        session: AsyncSession,
        *,
        model: type[ModelT],
        not_found_exception: type[AppException] = NotFoundException,
        not_found_message: str | None = None,
        create_conflict_message: str | None = None,
        update_conflict_message: str | None = None,
        bulk_create_conflict_message: str | None = None,
        bulk_update_conflict_message: str | None = None,
        orderable: Iterable[str] | None = None,
        filterable: Iterable[str] | None = None,
        cursor_secret: SecretStr | str | None = None,
    ) -> None:
        name = mapper_of(model).class_.__name__
        self.session = session
        self.model = model
        self.not_found_exception = not_found_exception
        self.messages = Messages(
            not_found=not_found_message or f"{name} not found",
            create_conflict=create_conflict_message or f"Conflict creating {name}",
            update_conflict=update_conflict_message or f"Conflict updating {name}",
            delete_conflict=update_conflict_message or f"Conflict deleting {name}",
            bulk_create_conflict=bulk_create_conflict_message or f"Conflict creating {name}",
            bulk_update_conflict=bulk_update_conflict_message or f"Conflict updating {name}",
            bulk_delete_conflict=bulk_update_conflict_message or f"Conflict deleting {name}",
        )
        if cursor_secret is not None:
            self._cursor_signer = CursorSigner(cursor_secret)
        self._setup(orderable, filterable)

    def map_to_schema(self, instance: ModelT) -> Any:
        """The row as the domain sees it; ``map_to_response`` unless a subclass says otherwise."""
        return self.map_to_response(instance)

    def map_to_model(self, data: dict[str, Any]) -> ModelT:
        """A new object of ``data``; mappings under a relationship's name become related objects."""
        return build(self.model, data)

    def map_to_response(self, instance: ModelT) -> Any:
        """The row as the API shows it.

        Raises:
            NotImplementedError: A subclass must say it.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement map_to_response to answer with"
            f" {type(instance).__name__}"
        )


def build(model: type[ModelT], data: dict[str, Any]) -> ModelT:
    """An object of ``model``, with related objects for nested mappings and lists of them."""
    relationships = mapper_of(model).relationships
    values: dict[str, Any] = {}
    value: Any
    for name, value in data.items():
        if name in relationships:
            related = relationships[name].mapper.class_
            if is_a(value, dict):
                value = build(related, value)
            elif is_a(value, list, tuple):
                value = [build(related, v) if is_a(v, dict) else v for v in value]
        values[name] = value
    return model(**values)
