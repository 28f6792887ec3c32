"""A guard for service methods that must be handed a validated object, not a dict."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def require_dto(*dto_types: type[Any]) -> Callable[[FunctionT], FunctionT]:
    """Refuse calls whose ``data`` or ``dto`` argument is not one of ``dto_types``.

    Without an argument of either name, the last parameter is checked. Works on functions,
    methods and coroutines.

    Raises:
        TypeError: at decoration without types or without parameters; at the call for another
            type.
    """
    if not dto_types:
        raise TypeError("require_dto needs at least one class, as in @require_dto(CreateUserDTO)")

    def decorate(function: FunctionT) -> FunctionT:
        signature = inspect.signature(function)
        checked = _checked_parameter(function, signature)

        def check(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = signature.bind(*args, **kwargs).arguments.get(checked)
            if not isinstance(given, dto_types):
                wanted = " or ".join(dto.__name__ for dto in dto_types)
                raise TypeError(
                    f"{function.__qualname__} needs {checked!r} to be {wanted},"
                    f" got {type(given).__name__}"
                )

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def guarded_coroutine(*args: Any, **kwargs: Any) -> Any:
                check(args, kwargs)
                return await function(*args, **kwargs)

            return cast("FunctionT", guarded_coroutine)

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            check(args, kwargs)
            return function(*args, **kwargs)

        return cast("FunctionT", guarded)

    return decorate


def _checked_parameter(function: Callable[..., Any], signature: inspect.Signature) -> str:
    names = list(signature.parameters)
    if not names:
        raise TypeError(f"{function.__qualname__} has no parameter for require_dto to check")
    return next((name for name in ("data", "dto") if name in names), names[-1])
