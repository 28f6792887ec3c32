"""Cross-origin requests: closed until origins are named."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from tijolo.web._outer import add_outer_middleware
from tijolo.web.route_cors import RouteCORSMiddleware
from tijolo.web.settings import CORSSettings


def apply_cors(
    app: FastAPI,
    settings: CORSSettings | None = None,
    *,
    origins: list[str] | None = None,
    allow_credentials: bool | None = None,
    allow_methods: list[str] | None = None,
    allow_headers: list[str] | None = None,
    expose_headers: list[str] | None = None,
    max_age: int | None = None,
) -> None:
    """Answer cross-origin requests of ``app`` as ``settings`` say, errors included.

    An argument overrides its setting. Without origins nothing is opened but what single routes
    open with ``cors``. ``create_app`` does this by itself.

    Args:
        max_age: Seconds for which a browser may keep a preflight's answer.

    Raises:
        ValueError: for ``*`` together with credentials, or an origin that is not one.
    """
    given: dict[str, Any] = {
        "CORS_ORIGINS": origins,
        "CORS_ALLOW_CREDENTIALS": allow_credentials,
        "CORS_ALLOW_METHODS": allow_methods,
        "CORS_ALLOW_HEADERS": allow_headers,
        "CORS_EXPOSE_HEADERS": expose_headers,
        "CORS_MAX_AGE": max_age,
    }
    overrides = {name: value for name, value in given.items() if value is not None}
    add_outer_middleware(app, cors_layer(app, settings, overrides))


def cors_layer(
    app: FastAPI, settings: CORSSettings | None, overrides: dict[str, Any] | None = None
) -> Middleware:
    """The CORS middleware that ``settings`` and the routes of ``app`` ask for."""
    base = CORSSettings.model_construct() if settings is None else settings
    fields: dict[str, Any] = {name: getattr(base, name) for name in CORSSettings.model_fields}
    chosen = CORSSettings(**{**fields, **(overrides or {})})
    return Middleware(RouteCORSMiddleware, routes_of=app, default=chosen)
