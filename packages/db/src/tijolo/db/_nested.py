"""Related rows that come and go with their parent, as schemas show and take them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel as Schema
from sqlalchemy import inspect
from sqlalchemy.orm import RelationshipProperty

from tijolo.core import ValidationException, utcnow
from tijolo.db._mapping import column_names, mapper_of, primary_key_names, remember, version_name

MAX_DEPTH = 5
"""Relationships of relationships that a response may show; schemas can be recursive."""


@remember
def relationship_paths(model: type[Any], schema: type[Schema]) -> list[str]:
    """The relationships of ``model`` that ``schema`` shows, as ``"lines"``, ``"lines.product"``.

    Raises:
        ValueError: The schema refers to itself deeper than a response should go.
    """
    return list(_paths(model, schema, 0))


def _paths(model: type[Any], schema: type[Schema], depth: int) -> Iterator[str]:
    if depth == MAX_DEPTH:
        raise ValueError(
            f"{schema.__name__} shows relationships more than {MAX_DEPTH} deep; give the inner"
            " rows a schema that stops"
        )
    relationships = mapper_of(model).relationships
    for name, field in schema.model_fields.items():
        if name not in relationships:
            continue
        yield name
        for inner in _schemas_in(field.annotation):
            related = relationships[name].mapper.class_
            for path in _paths(related, inner, depth + 1):
                yield f"{name}.{path}"


def _schemas_in(annotation: Any) -> Iterator[type[Schema]]:
    """The schema in ``list[LineResponse]``, ``LineResponse | None``, ``Annotated[...]``."""
    if isinstance(annotation, type) and issubclass(annotation, Schema):
        yield annotation
    for argument in get_args(annotation):
        yield from _schemas_in(argument)


def check_written(model: type[Any], schema: type[Schema]) -> None:
    """Whether every field of ``schema`` can be written to ``model``.

    Raises:
        TypeError: A field is neither a column nor a relationship, or is a relationship that the
            model does not own: writing it would change rows that belong to somebody else.
    """
    relationships = mapper_of(model).relationships
    for name, field in schema.model_fields.items():
        if name in relationships:
            _check_owned(model, name)
            for inner in _schemas_in(field.annotation):
                check_written(relationships[name].mapper.class_, inner)
        elif name not in column_names(model):
            raise TypeError(
                f"{schema.__name__}.{name} is neither a column nor a relationship of"
                f" {model.__name__}; override the action that takes it"
            )


def _check_owned(model: type[Any], name: str) -> RelationshipProperty[Any]:
    relationship = mapper_of(model).relationships[name]
    if not relationship.cascade.delete_orphan:
        raise TypeError(
            f"{model.__name__}.{name} is not written through its parent: the parent does not own"
            f' it. Take a key instead, or declare cascade="all, delete-orphan"'
        )
    return relationship


def split_nested(
    model: type[Any], data: dict[str, Any], path: str = ""
) -> tuple[dict[str, Any], list[Nested]]:
    """The columns in ``data``, and the owned relationships in it."""
    relationships = mapper_of(model).relationships
    columns = {name: value for name, value in data.items() if name not in relationships}
    nested = [
        Nested(model, name, f"{path}{name}", value)
        for name, value in data.items()
        if name in relationships
    ]
    return columns, nested


@dataclass
class Nested:
    """What one relationship of a row shall be: a mapping, None, or a list of mappings.

    A mapping with the key of a related row changes that row, one without makes a new row, and
    rows that are not listed go.
    """

    model: type[Any]
    name: str
    path: str
    wanted: Any

    def __post_init__(self) -> None:
        relationship = _check_owned(self.model, self.name)
        self.related: type[Any] = relationship.mapper.class_
        self.many = bool(relationship.uselist)
        self.key = primary_key_names(self.related)[0]
        if self.many and not isinstance(self.wanted, list):
            raise self._refuse(f"{self.path} must be a list", self.path)

    def drop(self, row: Any) -> bool:
        """Take away what is not wanted any more; whether there was something."""
        self._check_keys(row)
        kept = {id(child) for _, _, child in self._matched(row)}
        gone = [child for child in self._current(row) if id(child) not in kept]
        for child in gone:
            if self.many:
                getattr(row, self.name).remove(child)
            else:
                setattr(row, self.name, None)
        if gone:
            _touch(row)
        return bool(gone)

    def write(self, row: Any) -> None:
        """Change the rows that stay, add the new ones, in the order in which they came."""
        self._check_keys(row)
        wanted = [self._child(*matched) for matched in self._matched(row)]
        if self.many:
            current = getattr(row, self.name)
            if [*map(id, current)] != [*map(id, wanted)]:
                setattr(row, self.name, wanted)
        elif wanted:
            setattr(row, self.name, wanted[0])
        if wanted:
            _touch(row)

    def _child(self, path: str, values: dict[str, Any], child: Any) -> Any:
        columns, given = split_nested(self.related, values, f"{path}.")
        unwanted = {self.key, version_name(self.related)}
        columns = {name: value for name, value in columns.items() if name not in unwanted}
        if child is None:
            child = self.related(**columns)
        for name, value in columns.items():
            setattr(child, name, value)
        for nested in given:
            nested.drop(child)
            nested.write(child)
        return child

    def _matched(self, row: Any) -> Iterator[tuple[str, dict[str, Any], Any]]:
        """Each wanted mapping, where it came from, and the row that it changes, if any."""
        current = {getattr(child, self.key): child for child in self._current(row)}
        if not self.many:
            if self.wanted is not None:
                yield self.path, self.wanted, next(iter(current.values()), None)
            return
        for position, values in enumerate(self.wanted):
            yield f"{self.path}.{position}", values, current.get(values.get(self.key))

    def _current(self, row: Any) -> list[Any]:
        found = getattr(row, self.name)
        if self.many:
            return list(found)
        return [] if found is None else [found]

    def _check_keys(self, row: Any) -> None:
        """A key that is given is one of this row's own, and given once.

        Otherwise a caller could take over, or change, what belongs to another row.
        """
        if not self.many:
            return
        own = {getattr(child, self.key) for child in self._current(row)}
        for path, values, _ in self._matched(row):
            key = values.get(self.key)
            if key is None:
                continue
            if key not in own:
                raise self._refuse(f"{path}.{self.key} is not one of this row's", path)
            own.discard(key)

    def _refuse(self, message: str, path: str) -> ValidationException:
        return ValidationException(message, details={"field": path})


def _touch(row: Any) -> None:
    """A change below a row is a change of the row: its version and its stamp move on."""
    kind: type[Any] = row.__class__
    if inspect(row).persistent and "updated_at" in column_names(kind):
        row.updated_at = utcnow()
