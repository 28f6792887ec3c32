"""A CRUD router from a model and its schemas, each action a method to override.

Needs the extra ``web``. One object of the view set serves one request: it has the session, the
request and what ``context_dependency`` found out about the caller.
"""

# No `from __future__ import annotations`: FastAPI reads the annotations of the endpoints.
import builtins
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar, cast

from pydantic import BaseModel as Schema
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.core import (
    BasePaginationFilterSchema,
    BasePaginationSchema,
    CursorPaginationFilterSchema,
    CursorPaginationSchema,
    MissingExtraError,
    ValidationException,
)
from tijolo.db._mapping import (
    attribute_of,
    column_names,
    column_of,
    primary_key_names,
    version_name,
)
from tijolo.db._nested import Nested, check_written, relationship_paths, split_nested
from tijolo.db._repository_core import loader
from tijolo.db.filters import Filters
from tijolo.db.manager import AsyncDatabaseManager
from tijolo.db.repository import BaseRepository
from tijolo.db.service import Data, as_dict, new_values
from tijolo.db.soft_delete import is_soft_deleted

try:
    # house: allow library, the extra of this module, which users import by its subject
    from fastapi import APIRouter, Depends, Query, Request, Response, params
except ImportError as exc:
    raise MissingExtraError("tijolo-db", "web", "fastapi") from exc

__all__ = ["ACTIONS", "ViewSet"]

ModelT = TypeVar("ModelT")
Endpoint = Callable[..., Any]

ACTIONS = ("list", "create", "retrieve", "update", "delete")
"""What a view set can do: two routes on the collection, three on a row."""


class ViewSet(Generic[ModelT]):
    """List, create, retrieve, update and delete rows of one model over HTTP.

    Subclass it, set what is below, override what differs, and mount ``make_router(db, ...)``::

        class ProductViews(ViewSet[Product]):
            model = Product
            response_schema = ProductResponse
            create_schema = ProductCreate
            update_schema = ProductUpdate

        router = ProductViews.make_router(db, prefix="/products")

    Reads use ``db.read_session_dependency``; writes use ``db.session_dependency``, which commits
    before the response is sent. A relationship that ``response_schema`` shows is loaded with one
    SELECT for all rows; one that ``create_schema`` or ``update_schema`` takes is written with
    its parent, if the parent owns it (``cascade="all, delete-orphan"``).

    Args:
        session: The unit of work of this request.
        request: The request.
        context: What ``context_dependency`` returned, None without one.
    """

    model: ClassVar[type[Any]]
    """The mapped class; its primary key must be one column."""
    response_schema: ClassVar[type[Schema]]
    """What a caller sees of a row; reads attributes (``BaseSchema`` does)."""
    create_schema: ClassVar[type[Schema] | None] = None
    update_schema: ClassVar[type[Schema] | None] = None
    """What PATCH takes: only the fields that were sent change. A field named like the model's
    version must be the one that was read."""
    filter_schema: ClassVar[
        type[BasePaginationFilterSchema] | type[CursorPaginationFilterSchema]
    ] = BasePaginationFilterSchema
    """The query of the list; its base decides between pages by number and by cursor."""
    repository_class: ClassVar[type[BaseRepository[Any]] | None] = None
    """A repository that is built from the session alone; without one, a plain one."""
    actions: ClassVar[Sequence[str]] = ACTIONS
    """Which of :data:`ACTIONS` exist."""
    dependencies: ClassVar[Sequence[params.Depends]] = ()
    """Dependencies of every route: authentication, rate limits."""
    action_dependencies: ClassVar[Mapping[str, Sequence[params.Depends]]] = {}
    """More of them, by action."""
    action_decorators: ClassVar[Mapping[str, Sequence[Callable[[Endpoint], Endpoint]]]] = {}
    """What wraps the endpoint of an action, innermost first: a cache, for instance."""
    context_dependency: ClassVar[Callable[..., Any] | None] = None
    """A FastAPI dependency whose value is ``self.context``: the current user, for instance."""

    def __init__(self, session: AsyncSession, request: Request, context: Any = None) -> None:
        self.session = session
        self.request = request
        self.context = context
        made: Any = self.repository_class
        self.repository: BaseRepository[ModelT] = (
            made(session) if made else BaseRepository(session, model=self.model)
        )

    def visible(self) -> Filters:
        """Which rows this caller can see; the others do not exist for any action. None: all."""
        return None

    async def list(self, wanted: Any) -> Any:
        """A page of what is visible.

        Args:
            wanted: ``filter_schema``, as the query string filled it.
        """
        filters = _both(wanted.get_conditions(), self.visible())
        if isinstance(wanted, CursorPaginationFilterSchema):
            return await self.repository.cursor_paginate(
                filters,
                cursor=wanted.cursor,
                limit=wanted.limit,
                order_by=wanted.order_by,
                ascending=wanted.ascending,
                load=self._load(),
            )
        return await self.repository.paginate(
            filters,
            order_by=wanted.order_by,
            page=wanted.page,
            page_size=wanted.page_size,
            ascending=wanted.ascending,
            load=self._load(),
        )

    async def retrieve(self, id: Any) -> Any:  # noqa: A002 - the contract's name
        """One row, with what ``response_schema`` shows of its relationships."""
        return await self.repository.get_by_id(id, where=self.visible(), load=self._load())

    async def create(self, data: Data) -> Any:
        """Insert a row, and the related rows that ``data`` brings.

        Args:
            data: ``create_schema``, or a mapping, so that an override can add to it.

        Raises:
            ConflictException: It clashes with what is stored.
        """
        values, given = split_nested(self.model, new_values(data))
        self._refuse_none(values)
        row = self.repository.map_to_model(values)
        for nested in given:
            nested.write(row)
        await self.repository.add(row)
        return await self._shown(row)

    async def update(self, id: Any, data: Data) -> Any:  # noqa: A002
        """Change what ``data`` names; a related collection becomes what it lists.

        Raises:
            PreconditionFailedException: The version in ``data`` is not the current one.
            ConflictException: It clashes with what is stored.
            ValidationException: None for a column that needs a value, or a related row that is
                not of this one.
        """
        values, given = split_nested(self.model, as_dict(data))
        row = await self._for_update(id, given)
        version = values.pop(version_name(self.model) or "", None)
        self._refuse_none(values)
        cast("Any", row).update_from_dict(values)
        dropped = [nested.drop(row) for nested in given]
        if any(dropped):
            # what leaves goes first: what comes may take its place under a unique key
            await self.repository.update(row, expected_version=version)
            version = None
        for nested in given:
            nested.write(row)
        await self.repository.update(row, expected_version=version)
        return await self._shown(row)

    async def delete(self, id: Any) -> None:  # noqa: A002
        """Remove a row; only mark it, where the model has soft deletion."""
        await self.repository.get_by_id(id, where=self.visible())
        if is_soft_deleted(self.model):
            await self.repository.soft_delete(id)
        else:
            await self.repository.delete(id)

    @classmethod
    def make_router(
        cls, db: AsyncDatabaseManager, *, prefix: str, tags: Sequence[str] | None = None
    ) -> APIRouter:
        """The routes of ``actions``.

        Args:
            db: Whose session dependencies the routes use.
            prefix: Path of the collection, such as ``"/products"``.
            tags: For the API's documentation; the prefix without its slash by default.

        Raises:
            ValueError, TypeError: The class lacks a schema that an action needs, or asks for
                what cannot be done safely.
        """
        cls._check()
        router = APIRouter(
            prefix=prefix,
            tags=[*(tags if tags is not None else [prefix.strip("/")])],
            dependencies=[*cls.dependencies],
        )
        for action in ACTIONS:  # the collection's routes before those with a path parameter
            if action in cls.actions:
                _ROUTES[action](cls, router, db)
        return router

    @classmethod
    def dependency(cls, session_dependency: Callable[..., Any]) -> Callable[..., Any]:
        """A FastAPI dependency that makes the view set of a request, for routes of your own.

        Args:
            session_dependency: ``db.session_dependency`` or ``db.read_session_dependency``.
        """
        context = cls.context_dependency or _no_context

        async def view_set(request: Any, session: Any, context: Any) -> Any:
            return cls(session, request, context)

        return _typed(
            view_set,
            defaults=(Depends(session_dependency), Depends(context)),
            request=Request,
            session=AsyncSession,
            context=Any,
        )

    @classmethod
    def _check(cls) -> None:
        unknown = sorted({*cls.actions, *cls.action_dependencies, *cls.action_decorators})
        unknown = [name for name in unknown if name not in ACTIONS]
        if unknown:
            raise ValueError(f"{cls.__name__}: no action {unknown[0]!r}; there are {ACTIONS}")
        for action in ("create", "update"):
            if action in cls.actions and getattr(cls, f"{action}_schema") is None:
                raise ValueError(
                    f"{cls.__name__} needs {action}_schema, or actions without {action!r}"
                )
        if len(primary_key_names(cls.model)) != 1:
            raise TypeError(
                f"{cls.__name__}: the primary key of {cls.model.__name__} has several columns,"
                " which no path parameter can carry; write its routes by hand"
            )
        relationship_paths(cls.model, cls.response_schema)
        for action in ("create", "update"):
            schema = getattr(cls, f"{action}_schema")
            # a method of the service's own may take what no column has: a password
            if action in cls.actions and getattr(cls, action) is getattr(ViewSet, action):
                check_written(cls.model, schema)

    def _load(self) -> builtins.list[str]:
        return relationship_paths(self.model, self.response_schema)

    async def _for_update(self, id: Any, given: Sequence[Nested]) -> ModelT:  # noqa: A002
        names = {nested.name for nested in given}
        paths = relationship_paths(self.model, self.update_schema) if self.update_schema else []
        load = [path for path in paths if path.split(".")[0] in names]
        return await self.repository.get_by_id(id, where=self.visible(), load=load or None)

    def _refuse_none(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            known = name in column_names(self.model)
            if value is None and known and not column_of(self.model, name).nullable:
                raise ValidationException(f"{name} cannot be null", details={"field": name})

    async def _shown(self, row: Any) -> Any:
        """The row as it is stored now, with what the response shows of its relationships."""
        load = self._load()
        if not load:
            return row
        name = primary_key_names(self.model)[0]
        await self.session.execute(
            select(self.model)
            .where(attribute_of(self.model, name) == getattr(row, name))
            .options(*(loader(self.model, path) for path in load))
            .execution_options(populate_existing=True)
        )
        return row


async def _no_context() -> None:
    return None


def _both(first: Filters, second: Filters) -> Filters:
    parts = [part for part in (first, second) if part is not None]
    return cast("Filters", [inner for part in parts for inner in _listed(part)])


def _listed(filters: Any) -> builtins.list[Any]:
    return [*filters] if isinstance(filters, (list, tuple)) else [filters]


def _typed(endpoint: Endpoint, *, defaults: tuple[Any, ...] = (), **annotations: Any) -> Endpoint:
    """Annotations that are known only now, where FastAPI looks for them."""
    endpoint.__annotations__ = annotations
    endpoint.__defaults__ = defaults or None
    return endpoint


def _add(
    views: type[ViewSet[Any]],
    router: APIRouter,
    action: str,
    endpoint: Endpoint,
    path: str,
    method: str,
    **options: Any,
) -> None:
    for decorate in views.action_decorators.get(action, ()):
        endpoint = decorate(endpoint)
    router.add_api_route(
        path,
        endpoint,
        methods=[method],
        name=f"{action} {views.model.__name__}",
        description=getattr(views, action).__doc__ if action in vars(views) else None,
        dependencies=[*views.action_dependencies.get(action, ())],
        **options,
    )


def _key_type(views: type[ViewSet[Any]]) -> Any:
    return column_of(views.model, primary_key_names(views.model)[0]).type.python_type


def _add_list(views: type[ViewSet[Any]], router: APIRouter, db: AsyncDatabaseManager) -> None:
    async def endpoint(views: Any, wanted: Any) -> Any:
        return await views.list(wanted)

    by_cursor = issubclass(views.filter_schema, CursorPaginationFilterSchema)
    page: Any = CursorPaginationSchema if by_cursor else BasePaginationSchema
    _typed(
        endpoint,
        defaults=(Depends(views.dependency(db.read_session_dependency)), Query()),
        views=views,
        wanted=views.filter_schema,
    )
    _add(views, router, "list", endpoint, "", "GET", response_model=page[views.response_schema])


def _add_retrieve(views: type[ViewSet[Any]], router: APIRouter, db: AsyncDatabaseManager) -> None:
    async def endpoint(id: Any, views: Any) -> Any:  # noqa: A002
        return await views.retrieve(id)

    _typed(
        endpoint,
        defaults=(Depends(views.dependency(db.read_session_dependency)),),
        id=_key_type(views),
        views=views,
    )
    _add(views, router, "retrieve", endpoint, "/{id}", "GET", response_model=views.response_schema)


def _add_create(views: type[ViewSet[Any]], router: APIRouter, db: AsyncDatabaseManager) -> None:
    async def endpoint(data: Any, response: Any, views: Any) -> Any:
        row = await views.create(data)
        key = getattr(row, primary_key_names(views.model)[0], None)
        if key is not None:  # RFC 9110, section 15.3.2
            response.headers["Location"] = f"{views.request.url.path.rstrip('/')}/{key}"
        return row

    _typed(
        endpoint,
        defaults=(Depends(views.dependency(db.session_dependency)),),
        data=views.create_schema,
        response=Response,
        views=views,
    )
    _add(
        views,
        router,
        "create",
        endpoint,
        "",
        "POST",
        response_model=views.response_schema,
        status_code=201,
    )


def _add_update(views: type[ViewSet[Any]], router: APIRouter, db: AsyncDatabaseManager) -> None:
    async def endpoint(id: Any, data: Any, views: Any) -> Any:  # noqa: A002
        return await views.update(id, data)

    _typed(
        endpoint,
        defaults=(Depends(views.dependency(db.session_dependency)),),
        id=_key_type(views),
        data=views.update_schema,
        views=views,
    )
    _add(views, router, "update", endpoint, "/{id}", "PATCH", response_model=views.response_schema)


def _add_delete(views: type[ViewSet[Any]], router: APIRouter, db: AsyncDatabaseManager) -> None:
    async def endpoint(id: Any, views: Any) -> None:  # noqa: A002
        await views.delete(id)

    _typed(
        endpoint,
        defaults=(Depends(views.dependency(db.session_dependency)),),
        id=_key_type(views),
        views=views,
    )
    _add(views, router, "delete", endpoint, "/{id}", "DELETE", status_code=204)


_ROUTES: dict[str, Callable[[type[ViewSet[Any]], APIRouter, AsyncDatabaseManager], None]] = {
    "list": _add_list,
    "retrieve": _add_retrieve,
    "create": _add_create,
    "update": _add_update,
    "delete": _add_delete,
}
