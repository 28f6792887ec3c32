"""Layers around everything that Starlette and FastAPI put on an application, or inside it."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp


def add_outer_middleware(app: FastAPI, *layers: Middleware) -> None:
    """Put ``layers``, outermost first, around the whole stack of ``app``.

    ``app.add_middleware`` puts a layer inside ``ServerErrorMiddleware``, so the 500 of an
    unhandled exception does not pass through it.

    Each is built once to be thrown away: a wrong argument would otherwise come to light in the
    lifespan's first event, which uvicorn then takes for an application without a lifespan.

    Raises:
        RuntimeError: when ``app`` has served already.
        ValueError: when a layer refuses its arguments.
    """
    if app.middleware_stack is not None:
        raise RuntimeError("cannot add middleware to an application that has started")
    for cls, args, kwargs in layers:
        cls(app, *args, **kwargs)
    build = app.build_middleware_stack

    def build_with_layers() -> ASGIApp:
        stack = build()
        for cls, args, kwargs in reversed(layers):
            layer = cls(stack, *args, **kwargs)
            # a layer that may have nothing to do offers a way through without a coroutine
            stack = getattr(layer, "dispatch", layer)
        return stack

    app.build_middleware_stack = build_with_layers  # type: ignore[method-assign]


def add_middleware(app: FastAPI, layer: Middleware) -> None:
    """Put ``layer`` where ``app.add_middleware`` does, once it is known to accept its arguments.

    Raises:
        ValueError: when the layer refuses its arguments.
    """
    cls, args, kwargs = layer
    cls(app, *args, **kwargs)
    app.add_middleware(cls, *args, **kwargs)


def add_inner_middleware(app: FastAPI, layer: Middleware) -> None:
    """Put ``layer`` inside whatever ``app.add_middleware`` and ``middleware=`` add.

    Raises:
        RuntimeError: when ``app`` has served already.
        ValueError: when the layer refuses its arguments.
    """
    if app.middleware_stack is not None:
        raise RuntimeError("cannot add middleware to an application that has started")
    cls, args, kwargs = layer
    cls(app, *args, **kwargs)
    app.user_middleware.append(layer)
