"""The page of the integrations that a service uses: ``/docintegration``, extra ``web``."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from tijolo.core import MissingExtraError, OpsAccess
from tijolo.http._page import STYLE, TEMPLATE
from tijolo.http.integration import EndpointsDeclaration, IntegrationRegistry

try:
    from fastapi import APIRouter, Depends
    from fastapi.responses import HTMLResponse, JSONResponse
    from jinja2 import Environment, StrictUndefined
except ImportError as error:
    raise MissingExtraError("tijolo-http", "web", error.name or "fastapi") from error

__all__ = ["make_integrations_router"]


def make_integrations_router(
    integrations: IntegrationRegistry | Iterable[EndpointsDeclaration],
    *,
    access: OpsAccess,
    path: str = "/docintegration",
    title: str = "Integrations",
) -> APIRouter:
    """A router with the page at ``path``, for people, and ``{path}.json``, for programs.

    They show endpoints, schemas, stability patterns and how the circuits stand at this moment;
    never credentials. Neither is in the service's OpenAPI document.

    Args:
        integrations: What to show; a registry may grow later.
        access: Who may see it.
        path: Where.
        title: Of the page.
    """
    registry = (
        integrations
        if isinstance(integrations, IntegrationRegistry)
        else IntegrationRegistry(integrations)
    )
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["pretty"] = _pretty
    template = environment.from_string(TEMPLATE)
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": f"default-src 'none'; style-src {_hash(STYLE)}",
        "X-Content-Type-Options": "nosniff",
    }
    router = APIRouter(dependencies=[Depends(access)], include_in_schema=False)

    @router.get(path, response_class=HTMLResponse)
    async def show_integrations() -> HTMLResponse:
        page = template.render(title=title, style=STYLE, integrations=registry.docs())
        return HTMLResponse(page, headers=headers)

    @router.get(f"{path}.json")
    async def list_integrations() -> JSONResponse:
        return JSONResponse(
            {"integrations": registry.docs()}, headers={"Cache-Control": "no-store"}
        )

    return router


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _hash(style: str) -> str:
    digest = hashlib.sha256(style.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
