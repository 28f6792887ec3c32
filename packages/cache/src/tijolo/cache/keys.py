"""Keys that cannot collide: every value is written with its type and its length, then hashed."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import ipaddress
import re
import string
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from pathlib import PurePath
from typing import Any
from uuid import UUID

from pydantic import AnyUrl, BaseModel

from tijolo.cache.errors import UnkeyableArgumentError

MAX_DEPTH = 64
"""How deeply an argument may be nested; a cycle ends here."""
MAX_TAGS = 32
"""Tags of one entry."""
MAX_KNOWN = 1_024
"""Lists of tags whose keys are remembered."""
MAX_KNOWN_CHARACTERS = 4_096
"""Of one such list; the keys of a longer one are made each time."""
_NAMESPACE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


def canonical(value: object) -> str:
    """A text that two values share only when they are the same value of the same type.

    ``1``, ``1.0``, ``True``, ``"1"`` and ``Decimal("1")`` are five texts. Mappings and sets do not
    depend on their order; models and dataclasses are taken by class and fields.

    Raises:
        UnkeyableArgumentError: for an object without such a text. ``str()`` is never tried.
    """
    return _write(value, 0)


def _write(value: Any, depth: int) -> str:
    kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType]
    scalar = _SCALARS.get(kind)
    if scalar is not None:
        tag, text = scalar(value)
        return f"{tag}{len(text)}:{text}"
    if depth > MAX_DEPTH:
        raise UnkeyableArgumentError(f"it is nested deeper than {MAX_DEPTH} levels, or in itself")
    if kind is tuple or kind is list:
        return _sequence("(" if kind is tuple else "[", value, depth)
    return _compound(value, kind, depth)


def _sequence(tag: str, values: Any, depth: int) -> str:
    parts = [_write(item, depth + 1) for item in values]
    return f"{tag}{len(parts)}:{''.join(parts)}"


def _pairs(tag: str, items: Any, depth: int) -> str:
    parts = sorted(_write(key, depth + 1) + _write(item, depth + 1) for key, item in items)
    return f"{tag}{len(parts)}:{''.join(parts)}"


def _named(tag: str, kind: type, body: str) -> str:
    name = f"{kind.__module__}.{kind.__qualname__}"
    return f"{tag}{len(name)}:{name}{body}"


def _compound(value: Any, kind: type, depth: int) -> str:
    if hasattr(kind, "__cache_key__"):
        return _named("K", kind, _write(value.__cache_key__(), depth + 1))
    if isinstance(value, Enum):
        member = value.value if isinstance(value, Flag) else value.name
        return _named("E", kind, _write(member, depth + 1))
    if isinstance(value, BaseModel):
        fields = {**_state(value, kind), **(value.__pydantic_extra__ or {})}
        private: dict[str, Any] = value.__pydantic_private__ or {}
        hidden = _pairs("{", private.items(), depth) if private else ""
        return _named("M", kind, _pairs("{", fields.items(), depth) + hidden)
    if isinstance(value, type):
        return _named("C", value, "")
    if dataclasses.is_dataclass(value):
        names = [f.name for f in dataclasses.fields(value)]
        fields = {**_state(value, kind), **{n: getattr(value, n) for n in names}}
        return _named("D", kind, _pairs("{", fields.items(), depth))
    return _container_or_subclass(value, kind, depth)


def _state(value: object, kind: type) -> dict[str, Any]:
    """What an object holds, a subclass's own attributes too; not what it computed of that."""
    return {
        name: item
        for name, item in getattr(value, "__dict__", {}).items()
        if not isinstance(getattr(kind, name, None), functools.cached_property)
    }


def _container_or_subclass(value: Any, kind: type, depth: int) -> str:
    if isinstance(value, Mapping):
        return _named("P", kind, _pairs("{", value.items(), depth))
    if isinstance(value, (set, frozenset)):
        members: Any = value  # pyright: ignore[reportUnknownVariableType]
        parts = sorted(_write(item, depth + 1) for item in members)
        return _named("S", kind, f"{len(parts)}:{''.join(parts)}")
    if isinstance(value, (tuple, list)):
        return _named("L", kind, _sequence("[", value, depth))
    for base in kind.__mro__:
        if base in _SCALARS and base is not type(None):
            tag, text = _SCALARS[base](value)
            return _named("U", kind, f"{tag}{len(text)}:{text}")
    raise UnkeyableArgumentError(
        f"a {kind.__module__}.{kind.__qualname__} cannot be part of a cache key"
    )


def _moment(value: datetime) -> tuple[str, str]:
    # two zones with one offset today are still two arguments
    zone = getattr(value.tzinfo, "key", "")
    return "t", f"{value.isoformat()}/{value.fold}/{zone}"


def _address(value: Any) -> tuple[str, str]:
    return "a", f"{type(value).__name__} {value}"


_SCALARS: dict[type, Callable[[Any], tuple[str, str]]] = {
    type(None): lambda v: ("n", ""),
    bool: lambda v: ("b", "1" if v else "0"),
    int: lambda v: ("i", int.__format__(v, "x")),  # str() refuses 4301 digits
    float: lambda v: ("f", float.__repr__(v)),
    str: lambda v: ("s", str.__str__(v)),
    bytes: lambda v: ("y", bytes.hex(v)),
    bytearray: lambda v: ("Y", v.hex()),
    Decimal: lambda v: ("d", Decimal.__str__(v)),
    Fraction: lambda v: ("q", f"{v.numerator:x}/{v.denominator:x}"),
    datetime: _moment,
    date: lambda v: ("c", v.isoformat()),
    time: lambda v: ("h", f"{v.isoformat()}/{v.fold}"),
    timedelta: lambda v: ("g", f"{v.days} {v.seconds} {v.microseconds}"),
    UUID: lambda v: ("u", v.hex),
    PurePath: lambda v: ("p", str(v)),
    AnyUrl: lambda v: ("l", str(v)),
    ipaddress.IPv4Address: _address,
    ipaddress.IPv6Address: _address,
    ipaddress.IPv4Network: _address,
    ipaddress.IPv6Network: _address,
}


def digest(*texts: str) -> str:
    """160 bits of the texts, each with its length, as hexadecimal digits."""
    state = hashlib.blake2b(digest_size=20)
    for text in texts:
        raw = text.encode("utf-8", "surrogatepass")
        state.update(b"%d:" % len(raw) + raw)
    return state.hexdigest()


class Keyspace:
    """Turns names and values into the keys of one namespace at one version.

    All keys carry ``{namespace}``, so that Redis Cluster keeps them in one slot, where a script
    may touch an entry and its tags together.
    """

    def __init__(self, namespace: str, version: int | str) -> None:
        for what, text in (("namespace", namespace), ("version", str(version))):
            if not _NAMESPACE.fullmatch(text):
                raise ValueError(
                    f"{what} {text!r} must be 1 to 64 letters, digits, dots, hyphens or underscores"
                )
        self.prefix = f"{{{namespace}}}:{version}"
        self.root_tag = f"{self.prefix}:t:"
        """The tag of every entry: invalidating it empties the namespace."""
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}

    def entry(self, name: str, canonical_value: str) -> str:
        """The key of an entry; ``name`` is also readable in it, cut to 80 characters."""
        shown = _UNSAFE.sub("-", name)[:80]
        return f"{self.prefix}:e:{shown}:{digest(name, canonical_value)}"

    def tag(self, name: str) -> str:
        """The key of a tag's version."""
        return f"{self.prefix}:t:{digest(name)}"

    def tags(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The keys of the tags and of the root tag, sorted and without repeats.

        Raises:
            ValueError: for more than 32 tags.
        """
        if len(names) > MAX_TAGS:
            raise ValueError(f"{len(names)} tags; an entry has at most {MAX_TAGS}")
        known = self._known.get(names)
        if known is None:
            known = tuple(sorted({self.root_tag, *map(self.tag, names)}))
            if sum(map(len, names)) > MAX_KNOWN_CHARACTERS:
                return known  # a caller chooses names; a thousand long ones are much memory
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[names] = known
        return known


class Arguments:
    """Binds calls of one function to its parameters, defaults included."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.signature = inspect.signature(function)
        parameters = self.signature.parameters.values()
        self.names = tuple(p.name for p in parameters)
        self._positional = tuple(
            p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        )
        self._by_name = {
            p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        }
        self._defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        self._simple = all(p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name, in the order of the parameters.

        Raises:
            TypeError: as the function itself would.
        """
        if self._simple and len(args) <= len(self._positional):
            given = dict(zip(self._positional, args, strict=False))
            if self._by_name.issuperset(kwargs) and given.keys().isdisjoint(kwargs):
                bound = {**self._defaults, **given, **kwargs}
                if len(bound) == len(self.names):
                    return bound
        signature = self.signature.bind(*args, **kwargs)
        signature.apply_defaults()
        return signature.arguments


class Template:
    """``"product:{product_id}"`` or ``"user:{user.id}"``: text with values of arguments.

    Raises:
        ValueError: for a name that is no parameter, a private attribute, a conversion or a format.
    """

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        self.text = text
        self._parts: list[tuple[str, tuple[str, ...]]] = []
        for literal, field, spec, conversion in string.Formatter().parse(text):
            path = tuple((field or "").split("."))
            self._parts.append((literal, path if field is not None else ()))
            if field is None:
                continue
            if spec or conversion or "[" in field or any(p.startswith("_") for p in path):
                raise ValueError(
                    f"{{{field}}} in {text!r}: write a parameter, or public attributes of it"
                )
            if path[0] not in names:
                raise ValueError(
                    f"{{{field}}} in {text!r} is no parameter; there are: {', '.join(names)}"
                )

    def values(self, arguments: Mapping[str, Any]) -> list[Any]:
        """What the fields stand for, for a key: joined as text they might collide."""
        return [
            functools.reduce(getattr, path[1:], arguments[path[0]])
            for _, path in self._parts
            if path
        ]

    def render(self, arguments: Mapping[str, Any]) -> str:
        """The text, for the name of a tag.

        Raises:
            UnkeyableArgumentError: a field is no text, number, UUID, date or enumeration.
        """
        out: list[str] = []
        for literal, path in self._parts:
            out.append(literal)
            if path:
                out.append(_shown(functools.reduce(getattr, path[1:], arguments[path[0]])))
        return "".join(out)


def _shown(value: object) -> str:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**4000:
        return f"{value:x}"
    if isinstance(value, (str, int, UUID, Decimal, date)):
        return str(value)
    raise UnkeyableArgumentError(
        f"a {type(value).__qualname__} cannot be part of a tag; use a text, number, UUID or date"
    )
