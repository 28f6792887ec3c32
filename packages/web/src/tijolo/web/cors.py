"""Cross-origin requests: closed until origins are named."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from tijolo.web._outer import add_outer_middleware
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

    An argument overrides its setting. Without origins nothing is opened and ``app`` stays as it
    is. ``create_app`` calls this by itself for settings that are ``CORSSettings``.

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
    layer = cors_layer(settings, {k: v for k, v in given.items() if v is not None})
    if layer is not None:
        add_outer_middleware(app, layer)


def cors_layer(
    settings: CORSSettings | None, overrides: dict[str, Any] | None = None
) -> Middleware | None:
    """The CORS middleware that ``settings`` ask for; None when they name no origin."""
    base = CORSSettings.model_construct() if settings is None else settings
    fields: dict[str, Any] = {name: getattr(base, name) for name in CORSSettings.model_fields}
    chosen = CORSSettings(**{**fields, **(overrides or {})})
    if not chosen.CORS_ORIGINS:
        return None
    return Middleware(
        CORSMiddleware,
        allow_origins=chosen.CORS_ORIGINS,
        allow_credentials=chosen.CORS_ALLOW_CREDENTIALS,
        allow_methods=chosen.CORS_ALLOW_METHODS,
        allow_headers=chosen.CORS_ALLOW_HEADERS,
        expose_headers=chosen.CORS_EXPOSE_HEADERS,
        max_age=chosen.CORS_MAX_AGE,
    )
