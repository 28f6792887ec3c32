"""Tables whose rows belong to a user."""

from __future__ import annotations

from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy import ForeignKey, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from tijolo.auth.users.models import BaseUserModel
from tijolo.db import BaseModel

ModelT = TypeVar("ModelT", bound=BaseModel)


def owned_model(
    base: type[ModelT],
    user_model: type[BaseUserModel] | None,
    *,
    tablename: str,
    class_name: str,
    user_table: str = "",
    one_each: bool = False,
    table_args: tuple[Any, ...] = (),
) -> type[ModelT]:
    """A model of ``base`` in the metadata of ``user_model``; its rows go with their user.

    Args:
        user_table: Without a model, the name of the users' table in ``BaseModel.metadata``.
        one_each: A user has one row at most.
        table_args: Further constraints.

    Raises:
        TypeError: Neither a model nor a table was given.
    """
    if user_model is not None:
        metadata, module = user_model.metadata, user_model.__module__
        user_table = str(user_model.__tablename__)
    elif user_table:
        metadata, module = BaseModel.metadata, base.__module__
    else:
        raise TypeError("say whose the rows are: a user model, or user_table='users'")
    abstract = type(f"_{class_name}", (base,), {"__abstract__": True, "metadata": metadata})
    owner = ForeignKey(f"{user_table}.id", ondelete="CASCADE")
    body = {
        "__tablename__": tablename,
        "__module__": module,
        "__annotations__": {"user_id": Mapped[UUID]},
        "__table_args__": table_args,
        "user_id": mapped_column(
            Uuid(), owner, nullable=False, unique=one_each, index=not one_each
        ),
    }
    return cast("type[ModelT]", type(class_name, (abstract,), body))
