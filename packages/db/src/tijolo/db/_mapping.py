"""What a mapped class tells about its columns. Cached per class: mappings do not change."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeVar, cast

from sqlalchemy import Column, Table, inspect
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.orm import InstrumentedAttribute, Mapper
from sqlalchemy.types import NullType, TypeEngine

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def remember(function: FunctionT) -> FunctionT:
    """Cache by arguments, which are classes and names; keeps the signature for type checkers."""
    return cast("FunctionT", lru_cache(maxsize=16_384)(function))


@remember
def mapper_of(model: type[Any]) -> Mapper[Any]:
    """The mapper of ``model``; TypeError for anything that SQLAlchemy has not mapped."""
    try:
        return cast("Mapper[Any]", inspect(model))
    except NoInspectionAvailable:
        raise TypeError(f"model must be a mapped class, got {model!r}") from None


@remember
def column_names(model: type[Any]) -> tuple[str, ...]:
    """The attribute names of the model's columns, without what a ``column_property`` computes."""
    attributes = mapper_of(model).column_attrs
    return tuple(item.key for item in attributes if is_a(item.columns[0], Column))


@remember
def table_of(model: type[Any]) -> Table:
    """The table that rows of ``model`` are written to; joined inheritance has more than one."""
    table: Any = mapper_of(model).local_table
    if not is_a(table, Table) or len(mapper_of(model).tables) > 1:
        raise TypeError(f"{model.__name__} is not mapped to one table")
    return cast("Table", table)


@remember
def column_of(model: type[Any], name: str) -> Column[Any]:
    """The table column behind an attribute."""
    return cast("Column[Any]", mapper_of(model).column_attrs[name].columns[0])


def attribute_of(model: type[Any], name: str) -> InstrumentedAttribute[Any]:
    """The class attribute called ``name``."""
    return cast("InstrumentedAttribute[Any]", getattr(model, name))


def type_of(model: type[Any], name: str) -> TypeEngine[Any]:
    """The type of a column, or of a hybrid's expression as far as it is known."""
    if name in mapper_of(model).column_attrs:
        return column_of(model, name).type
    found: Any = getattr(attribute_of(model, name), "type", None)
    return cast("TypeEngine[Any]", found) if is_a(found, TypeEngine) else NullType()


@remember
def primary_key_names(model: type[Any]) -> tuple[str, ...]:
    """The attribute names of the primary key, in the key's order."""
    mapper = mapper_of(model)
    return tuple(mapper.get_property_by_column(column).key for column in mapper.primary_key)


@remember
def version_name(model: type[Any]) -> str | None:
    """The attribute that counts the writes of a row, where the model has one."""
    mapper = mapper_of(model)
    column = mapper.version_id_col
    return None if column is None else mapper.get_property_by_column(column).key


@remember
def is_sensitive(model: type[Any], name: str) -> bool:
    """Whether the column, or the attribute, is marked ``info={"sensitive": True}``."""
    marks = getattr(column_of(model, name), "info", {}), mapper_of(model).column_attrs[name].info
    return any(info.get("sensitive") for info in marks)


@remember
def queryable_names(model: type[Any]) -> frozenset[str]:
    """What a request may name: columns, column properties and hybrids, unless sensitive."""
    mapper = mapper_of(model)
    columns = {item.key for item in mapper.column_attrs if not is_sensitive(model, item.key)}
    hybrids = {
        key
        for key, descriptor in mapper.all_orm_descriptors.items()
        if descriptor.extension_type.name == "HYBRID_PROPERTY"
    }
    return frozenset(name for name in columns | hybrids if not name.startswith("_"))


def suggestion(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?``, or nothing when nothing is near."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def is_a(value: Any, *kinds: type) -> bool:
    """``isinstance`` that leaves the static type alone: of ``Any`` it would make ``list[?]``."""
    return isinstance(value, kinds)
