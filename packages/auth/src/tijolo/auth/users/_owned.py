"""Tables whose rows belong to a user."""

from __future__ import annotations

from typing import TypeVar, cast
from uuid import UUID

from sqlalchemy import ForeignKey, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from tijolo.auth.users.models import BaseUserModel
from tijolo.db import BaseModel

ModelT = TypeVar("ModelT", bound=BaseModel)


def owned_model(
    base: type[ModelT],
    user_model: type[BaseUserModel],
    *,
    tablename: str,
    class_name: str,
    one_each: bool = False,
) -> type[ModelT]:
    """A model of ``base`` in the metadata of ``user_model``; its rows go with their user.

    Args:
        one_each: A user has one row at most.
    """
    names = {"__abstract__": True, "metadata": user_model.metadata}
    abstract = type(f"_{class_name}", (base,), names)
    owner = ForeignKey(f"{user_model.__tablename__}.id", ondelete="CASCADE")
    column = mapped_column(Uuid(), owner, nullable=False, unique=one_each, index=not one_each)
    body = {
        "__tablename__": tablename,
        "__module__": user_model.__module__,
        "__annotations__": {"user_id": Mapped[UUID]},
        "user_id": column,
    }
    return cast("type[ModelT]", type(class_name, (abstract,), body))
