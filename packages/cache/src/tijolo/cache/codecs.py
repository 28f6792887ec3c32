"""How a result becomes bytes and comes back as what it was; no pickle, whatever is stored."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, time
from enum import Enum
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema

T = TypeVar("T")
_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
_STEADY = (list, dict, set, frozenset, tuple, str, bytes, int, float, bool)
"""Factories of defaults that give the same each time."""


class UnfaithfulValueError(ValueError):
    """The bytes of a value do not give the value back, so it is not stored."""


class Codec(Protocol[T]):
    """Both directions of one type."""

    @property
    def fingerprint(self) -> str:
        """A text that changes with the shape of the type; part of the key."""
        ...

    def encode(self, value: T) -> bytes:
        """The bytes of ``value``.

        Raises:
            UnfaithfulValueError: ``decode`` would not give ``value`` back.
        """
        ...

    def decode(self, data: bytes) -> T:
        """The value of ``data``; any exception means that the entry is not used."""
        ...


class TypedCodec(Generic[T]):
    """Pydantic's JSON of one annotation: models, dataclasses, Decimal, datetime, UUID, bytes, ...

    What was encoded is decoded again and compared, type by type, before it is stored: a value that
    the annotation does not describe (a subclass, a secret, ``Decimal | str``) is never stored.

    Raises:
        TypeError: the annotation says nothing (``Any``, ``object``) or Pydantic cannot build it.
    """

    def __init__(self, annotation: Any) -> None:
        if annotation is Any or annotation is object:
            raise TypeError(
                f"{annotation!r} does not say what comes back from the cache; annotate the type"
            )
        self._adapter: TypeAdapter[T] = _adapter(annotation)
        self.fingerprint = _fingerprint(self._adapter, annotation)

    def encode(self, value: T) -> bytes:
        """JSON of ``value``, proved to decode to the same."""
        # fields that were never set stay so, unless a default would come out differently
        for exclude_unset in (True, False):
            try:
                data = self._adapter.dump_json(
                    value,
                    round_trip=True,
                    by_alias=False,
                    warnings="error",
                    exclude_unset=exclude_unset,
                )
                back = self.decode(data)
                if same(value, back) and not (exclude_unset and _has_made_anew(back)):
                    return data
            except Exception as exc:  # validators and __eq__ of the value's own may raise anything
                if not exclude_unset:
                    name = type(value).__qualname__
                    raise UnfaithfulValueError(f"{name}: {type(exc).__name__}") from exc
        raise UnfaithfulValueError(
            f"{type(value).__qualname__} would come back as another value or type"
        )

    def decode(self, data: bytes) -> T:
        """The value, validated."""
        return self._adapter.validate_json(data, by_alias=False, by_name=True)


class FunctionCodec(Generic[T]):
    """A pair of functions over text, as ``cached(serializer=, deserializer=)`` takes them."""

    def __init__(self, encode: Callable[[T], str], decode: Callable[[str], T]) -> None:
        self._encode, self._decode = encode, decode
        self.fingerprint = f"{_name(encode)}/{_name(decode)}"

    def encode(self, value: T) -> bytes:
        """What the serializer makes of ``value``."""
        try:
            return self._encode(value).encode()
        except Exception as exc:
            raise UnfaithfulValueError(f"{type(value).__qualname__}: {type(exc).__name__}") from exc

    def decode(self, data: bytes) -> T:
        """What the deserializer makes of the text."""
        return self._decode(data.decode())


def _name(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    config = ConfigDict(
        ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants"
    )
    try:
        try:
            return TypeAdapter(annotation, config=config)
        except PydanticUserError as exc:
            if exc.code != "type-adapter-config-unused":
                raise
            return TypeAdapter(annotation)  # a model or dataclass has its own configuration
    except PydanticUserError as exc:
        raise TypeError(f"{annotation!r} cannot be cached: {exc.message}") from exc


def _fingerprint(adapter: TypeAdapter[Any], annotation: Any) -> str:
    try:
        schema = json.dumps(adapter.json_schema(mode="validation", by_alias=False), sort_keys=True)
    except (PydanticInvalidForJsonSchema, PydanticUserError):
        schema = _ADDRESS.sub("", str(annotation))  # one key in every process
    return hashlib.blake2b(schema.encode(), digest_size=8).hexdigest()


def _has_made_anew(value: Any) -> bool:
    """Whether a factory made part of it (a time, who asks): each hit would make that again."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields.items()
        return any(
            name not in value.model_fields_set and field.default_factory not in (None, *_STEADY)
            for name, field in fields
        ) or _has_made_anew(list(value.__dict__.values()))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return any(_has_made_anew(getattr(value, f.name)) for f in dataclasses.fields(value))
    if isinstance(value, Mapping):
        return _has_made_anew([*value, *value.values()])  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(_has_made_anew, value))  # pyright: ignore[reportUnknownArgumentType]
    return False


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal with the same types all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, (datetime, time)):
        return left == right and _steady_zone(left) and _steady_zone(right)
    if isinstance(left, Enum):
        return left is right
    if isinstance(left, BaseModel):
        return _same_model(left, right)
    if dataclasses.is_dataclass(left) and not isinstance(left, type):
        names = [f.name for f in dataclasses.fields(left)]
        return all(same(getattr(left, n), getattr(right, n)) for n in names)
    if isinstance(left, Mapping):
        return _same_items(left, right)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(left, (set, frozenset)):
        return _same_sets(left, right)  # pyright: ignore[reportUnknownArgumentType]
    return bool(left == right)


def _steady_zone(moment: datetime | time) -> bool:
    # of America/Sao_Paulo only the offset of that day would come back
    return moment.tzinfo is None or moment.tzinfo.utcoffset(None) is not None


def _fields(model: BaseModel) -> dict[str, Any]:
    kind = type(model)
    return {
        name: value
        for name, value in model.__dict__.items()
        if not isinstance(getattr(kind, name, None), cached_property)
    }


def _same_model(left: BaseModel, right: BaseModel) -> bool:
    return (
        same(_fields(left), _fields(right))
        and (left.__pydantic_extra__ or {}) == (right.__pydantic_extra__ or {})
        and same(left.__pydantic_private__, right.__pydantic_private__)
    )


def _same_items(left: Mapping[Any, Any], right: Mapping[Any, Any]) -> bool:
    # the order of a dictionary can be seen
    return list(map(type, left)) == list(map(type, right)) and all(
        a == b and same(left[a], right[b]) for a, b in zip(left, right, strict=False)
    )


def _same_sets(left: set[Any] | frozenset[Any], right: set[Any] | frozenset[Any]) -> bool:
    return left == right and sorted(map(repr, map(type, left))) == sorted(
        map(repr, map(type, right))
    )
