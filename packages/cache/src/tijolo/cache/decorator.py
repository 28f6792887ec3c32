"""``cached``: a function whose results are kept."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, get_type_hints, overload
from uuid import UUID

from starlette.concurrency import run_in_threadpool

from tijolo.cache._calls import Call
from tijolo.cache.cache import Cache
from tijolo.cache.codecs import Codec, FunctionCodec, TypedCodec
from tijolo.cache.errors import UnkeyableArgumentError
from tijolo.cache.keys import Arguments, Template, canonical
from tijolo.cache.policy import CachePolicy

P = ParamSpec("P")
T = TypeVar("T")
KeyFunction = Callable[..., object]
TagNames = Sequence[str] | Callable[..., Iterable[str]]
_PLAIN: tuple[type, ...] = (
    *(bool, int, str, bytes, float, type(None), Decimal, Fraction, UUID, date, time, timedelta),
    *(Enum, tuple, frozenset, PurePath, type),
)


class HasCache(Protocol):
    """Something with a cache of its own: ``AsyncRedisManager``."""

    def as_cache(self) -> Cache:
        """The cache."""
        ...


class Decorator(Protocol):
    """What ``cached(...)`` returns."""

    @overload
    def __call__(self, function: Callable[P, Awaitable[T]], /) -> CachedFunction[P, T]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> CachedFunction[P, T]: ...


def cached(
    cache: Cache | HasCache,
    *,
    ttl: float | None = None,
    key_prefix: str = "",
    key: str | KeyFunction | None = None,
    key_builder: Callable[[str, tuple[Any, ...], dict[str, Any]], str] | None = None,
    ignore: Sequence[str] = (),
    tags: TagNames = (),
    version: int | str = 1,
    result_type: Any = None,
    codec: Codec[Any] | None = None,
    serializer: Callable[[Any], str] | None = None,
    deserializer: Callable[[str], Any] | None = None,
    skip_cache: Callable[[tuple[Any, ...], dict[str, Any]], bool] | None = None,
    **policy: Any,
) -> Decorator:
    """Keep what the function returns, by its arguments.

    The key is namespace, versions, module, qualified name and every argument, defaults included.
    An argument that cannot be part of a key raises ``UnkeyableArgumentError`` at the call; name
    ``self`` or an injected session in ``ignore`` when the result does not depend on it. What a hit
    returns has the type of what a miss returned, as the return annotation says. What the function
    raises is not kept. A function that is not async runs in a thread and is awaited too.

    Args:
        cache: A :class:`Cache`, or an ``AsyncRedisManager``.
        ttl: Seconds to live; the cache's default where it is not given.
        key_prefix: One more part of the key.
        key: Instead of all arguments: ``"{user.id}:{page}"``, or a function with parameters of the
            same names that returns something keyable.
        key_builder: The same as ``f(name, args, kwargs) -> str``.
        ignore: Parameters that are no part of the key.
        tags: Names to invalidate by: ``["products", "product:{product_id}"]``, or a function of
            parameters that returns them.
        version: Raise it when the function's meaning changes; the shape of the result type counts
            by itself.
        result_type: Instead of the return annotation.
        codec: Instead of the one for the annotation.
        serializer: With ``deserializer``, a codec of two functions.
        deserializer: See ``serializer``.
        skip_cache: ``f(args, kwargs)``; True leaves the cache alone for this call.
        policy: Fields of :class:`CachePolicy`. With ignored arguments a refresh runs in a caller
            (``background=False``), for a session may be closed when the caller is gone.

    Raises:
        TypeError: no return annotation, ``Any``, an async generator, an unknown option.
        ValueError: a name that is no parameter, options that contradict each other.
    """
    chosen = _the_codec(codec, serializer, deserializer, result_type)
    if sum(x is not None for x in (key, key_builder)) + bool(ignore) > 1:
        raise ValueError("key=, key_builder= and ignore= exclude each other")

    def decorate(function: Callable[..., Any]) -> CachedFunction[Any, Any]:
        store = cache if isinstance(cache, Cache) else cache.as_cache()
        arguments = Arguments(function)
        return CachedFunction(
            store,
            function,
            KeyMaker(function, arguments, key_prefix, version, key, key_builder, tuple(ignore)),
            TagMaker(tags, arguments),
            make_policy(store, ttl, {"background": not ignore, **policy}),
            chosen,
            skip_cache,
        )

    return decorate


class CachedFunction(Generic[P, T]):
    """A function with a cache; ``__wrapped__`` is the function without."""

    __wrapped__: Callable[..., Any]

    def __init__(
        self,
        cache: Cache,
        function: Callable[..., Any],
        keys: KeyMaker,
        tags: TagMaker,
        policy: CachePolicy,
        codec: Codec[T] | None,
        skip: Callable[[tuple[Any, ...], dict[str, Any]], bool] | None,
    ) -> None:
        self.cache, self.policy = cache, policy
        self._keys, self._tags, self._skip = keys, tags, skip
        self._run = runner(function)
        functools.update_wrapper(self, function)
        self._function = function
        self._codec: Codec[T] | None = codec or codec_of(function)

    def __repr__(self) -> str:
        return f"<cached {self._keys.name}>"

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """What is kept for these arguments, or what the function returns."""
        if not self.cache.enabled or (self._skip is not None and self._skip(args, kwargs)):
            self.cache.stats.bypassed += 1
            return await self._run(*args, **kwargs)  # type: ignore[no-any-return]
        return (await self.cache.loader.load(self._call(args, kwargs))).value

    @overload
    def __get__(self, instance: None, owner: type, /) -> CachedFunction[P, T]: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None, /) -> BoundFunction[T]: ...
    def __get__(
        self, instance: object, owner: type | None = None, /
    ) -> CachedFunction[P, T] | BoundFunction[T]:
        return self if instance is None else BoundFunction(self, instance)

    def key_for(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The key of these arguments.

        Raises:
            UnkeyableArgumentError: one of them has no faithful text.
        """
        return self._call(args, kwargs).key

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result for these arguments, as ``Cache.invalidate_tags`` does."""
        return await self.cache.invalidate_keys(self._call(args, kwargs).key)

    async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Compute now and keep that."""
        call = self._call(args, kwargs)
        if not self.cache.enabled:
            await self.cache.invalidate_keys(call.key)  # another process may be using the cache
            return await self._run(*args, **kwargs)  # type: ignore[no-any-return]
        return (await self.cache.loader.refresh(call)).value

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call[T]:
        codec = self._codec
        if codec is None:
            codec = self._codec = resolved_codec(self._function)
        bound = self._keys.arguments.bind(args, kwargs)
        material = self._keys.material(bound, args, kwargs)
        return Call(
            self._keys.name,
            self.cache.keys.entry(self._keys.name, material + codec.fingerprint),
            self.cache.keys.tags(self._tags.names(bound)),
            codec,
            self.policy,
            functools.partial(self._run, *args, **kwargs),
            self.policy.ttl_of,
        )


class UnknownAnnotationError(NameError, TypeError):
    """The return annotation names something that does not exist."""


class BoundFunction(Generic[T]):
    """A cached method of one object."""

    def __init__(self, function: CachedFunction[Any, T], instance: object) -> None:
        self._cached, self.__self__ = function, instance
        self.__wrapped__ = function.__wrapped__

    def __call__(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, T]:
        """What is kept for these arguments, or what the method returns."""
        return self._cached(self.__self__, *args, **kwargs)

    def key_for(self, *args: Any, **kwargs: Any) -> str:
        """The key of these arguments."""
        return self._cached.key_for(self.__self__, *args, **kwargs)

    async def invalidate(self, *args: Any, **kwargs: Any) -> bool:
        """Forget the result for these arguments."""
        return await self._cached.invalidate(self.__self__, *args, **kwargs)

    async def refresh(self, *args: Any, **kwargs: Any) -> T:
        """Compute now and keep that."""
        return await self._cached.refresh(self.__self__, *args, **kwargs)


class KeyMaker:
    """From the arguments of a call to the text that its key is made of."""

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: Arguments,
        prefix: str,
        version: int | str,
        key: str | KeyFunction | None,
        builder: Callable[[str, tuple[Any, ...], dict[str, Any]], str] | None,
        ignore: tuple[str, ...],
    ) -> None:
        self.name = name_of(function)
        self.arguments = arguments
        _check_names("ignore", ignore, arguments.names)
        self._kept = tuple(n for n in arguments.names if n not in ignore)
        self._builder = builder
        self._template = Template(key, arguments.names) if isinstance(key, str) else None
        self._function = key if callable(key) else None
        self._wanted = _parameters(key, arguments.names) if callable(key) else ()
        way = key if isinstance(key, str) else ("" if key is None else name_of(key))
        self._head = canonical(
            [prefix, version, way, _surroundings(function), _owner(function, prefix)]
        )

    def material(
        self, bound: Mapping[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> str:
        """A text that two calls share only when they may share a result.

        Raises:
            UnkeyableArgumentError: naming the argument.
        """
        if self._builder is not None:
            return self._head + canonical(self._builder(self.name, args, kwargs))
        if self._function is not None:
            made = self._function(**{name: bound[name] for name in self._wanted})
            return self._head + self._text("key", made)
        if self._template is not None:
            return self._head + self._text("key", self._template.values(bound))
        return self._head + "".join([f"{n}={self._text(n, bound[n])}" for n in self._kept])

    def _text(self, name: str, value: object) -> str:
        try:
            return canonical(value)
        except (UnkeyableArgumentError, RecursionError) as exc:
            raise UnkeyableArgumentError(
                f"{self.name}: {name!r}: {exc}. Where the result does not depend on it, name it in"
                " ignore=; else give key=, or its class a __cache_key__ method"
            ) from exc


class TagMaker:
    """From the arguments of a call to the names of its tags."""

    def __init__(self, tags: TagNames, arguments: Arguments) -> None:
        self._function = tags if callable(tags) else None
        self._wanted = _parameters(tags, arguments.names) if callable(tags) else ()
        given = () if callable(tags) else tuple(tags)
        if isinstance(tags, str):
            raise TypeError("tags= is a list of texts; write [...] around the one")
        self._templates = tuple(Template(text, arguments.names) for text in given)
        self._fixed = given if all("{" not in text for text in given) else None

    def names(self, bound: Mapping[str, Any]) -> tuple[str, ...]:
        """The names of this call's tags."""
        if self._function is not None:
            return tuple(self._function(**{name: bound[name] for name in self._wanted}))
        if self._fixed is not None:
            return self._fixed
        return tuple(template.render(bound) for template in self._templates)


def make_policy(cache: Cache, ttl: float | None, options: dict[str, Any]) -> CachePolicy:
    """The cache's policy with the options of one function.

    Raises:
        TypeError: an option is no field of ``CachePolicy``.
    """
    fields = CachePolicy.__dataclass_fields__
    unknown = sorted(set(options) - set(fields))
    if unknown:
        raise TypeError(f"unknown option {unknown[0]!r}; there are: {', '.join(fields)}")
    chosen: dict[str, Any] = {name: getattr(cache.policy, name) for name in fields}
    if ttl is not None:
        chosen["ttl"] = ttl
    return CachePolicy(**{**chosen, **options})


def name_of(function: Callable[..., Any]) -> str:
    """Module and qualified name.

    Raises:
        TypeError: it has none of its own.
    """
    name = getattr(function, "__qualname__", None)
    if name is None:
        raise TypeError(f"{function!r} has no name of its own; write a function with def")
    return f"{getattr(function, '__module__', '')}.{name}"


def runner(function: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """``function`` to be awaited; one that is not async runs in a thread.

    Raises:
        TypeError: a generator, whose items nobody could keep, or a lambda, which has no name.
    """
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"{name_of(function)} is a generator; cache a function that returns a list")
    if name_of(function).endswith("<lambda>"):
        raise TypeError("a lambda has no name that a key could be made of; write it with def")
    if inspect.iscoroutinefunction(function):
        return function
    return functools.partial(run_in_threadpool, function)


def codec_of(function: Callable[..., Any]) -> Codec[Any] | None:
    """The codec of the return annotation; None while its names are not there yet.

    Raises:
        TypeError: there is no annotation, or it says nothing.
    """
    try:
        return resolved_codec(function)
    except NameError:
        return None


def resolved_codec(function: Callable[..., Any]) -> Codec[Any]:
    """The codec of the return annotation.

    Raises:
        TypeError: there is no annotation, or it says nothing.
        UnknownAnnotationError: a name in it is not there.
    """
    name = name_of(function)
    if "return" not in getattr(function, "__annotations__", {}):
        raise TypeError(f"{name} has no return annotation; a cache has to know what it returns")
    try:
        annotation = get_type_hints(function, include_extras=True)["return"]
    except NameError as exc:
        raise UnknownAnnotationError(
            f"{name}: {exc} in its annotations; give result_type="
        ) from exc
    return TypedCodec(annotation)


def _the_codec(
    codec: Codec[Any] | None,
    serializer: Callable[[Any], str] | None,
    deserializer: Callable[[str], Any] | None,
    result_type: Any,
) -> Codec[Any] | None:
    if (serializer is None) != (deserializer is None):
        raise ValueError("serializer= and deserializer= belong together")
    if sum(x is not None for x in (codec, serializer, result_type)) > 1:
        raise ValueError("codec=, serializer= and result_type= exclude each other")
    if serializer is not None and deserializer is not None:
        return FunctionCodec(serializer, deserializer)
    return TypedCodec(result_type) if result_type is not None else codec


def _surroundings(function: Callable[..., Any]) -> list[tuple[str, object]]:
    """Plain values that an inner function took from around it: two of one name may differ there."""
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None) or ()
    found: list[tuple[str, object]] = []
    for name, cell in zip(getattr(code, "co_freevars", ()), cells, strict=False):
        try:
            value: object = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
        if (isinstance(value, _PLAIN) or _is_frozen(value)) and _has_text(value):
            found.append((name, value))
    return found


def _is_frozen(value: object) -> bool:
    parameters: Any = getattr(value, "__dataclass_params__", None)
    return bool(getattr(parameters, "frozen", False))


def _owner(function: Callable[..., Any], prefix: str) -> object:
    """What a bound method is bound to: two objects' methods have one name.

    Raises:
        TypeError: it has no faithful text, and no ``key_prefix`` says which object it is.
    """
    owner = getattr(function, "__self__", None) if inspect.ismethod(function) else None
    if _has_text(owner):
        return owner
    if not prefix:
        raise TypeError(
            f"{name_of(function)} is bound to a {type(owner).__qualname__}, which cannot be part of"
            " a key; decorate the method in its class, or give key_prefix="
        )
    return None


def _has_text(value: object) -> bool:
    try:
        canonical(value)
    except (UnkeyableArgumentError, RecursionError):
        return False
    return True


def _check_names(option: str, names: Iterable[str], known: tuple[str, ...]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{option}: {name!r} is no parameter; there are: {', '.join(known)}")


def _parameters(function: Callable[..., Any], known: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(inspect.signature(function).parameters)
    _check_names("the function's parameters", names, known)
    return names
