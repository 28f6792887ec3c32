"""The one place that knows FastAPI, imported when a dependency is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tijolo.core import MissingExtraError

SessionT = TypeVar("SessionT")


def function_scoped(
    generator: Callable[..., Any], kind: type[SessionT]
) -> Callable[..., Awaitable[SessionT]]:
    """A dependency that ends with the handler, however its user spells ``Depends``.

    FastAPI ends a generator in request scope, which is the default, after the response was sent.
    A plain function has no end of its own, and the generator it depends on may have function
    scope, which ends before the response (FastAPI 0.121 and later).
    """
    try:
        from fastapi import Depends
    except ImportError as exc:
        raise MissingExtraError("tijolo-db", "web", "fastapi") from exc

    async def session_dependency(session: Any = Depends(generator, scope="function")) -> SessionT:  # noqa: B008
        return session  # type: ignore[no-any-return]

    session_dependency.__annotations__["return"] = kind
    return session_dependency
