"""Static files that cannot run in the service's own origin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

DEFAULT_STATIC_SECURITY_HEADERS: dict[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-site",
}
"""A file that somebody uploaded shows, but runs no script and loads nothing."""


class HardenedStaticFiles(StaticFiles):
    """``StaticFiles`` that stamps security headers on every file, for what users uploaded.

    Args:
        security_headers: Replaces :data:`DEFAULT_STATIC_SECURITY_HEADERS`.
    """

    def __init__(
        self, *args: Any, security_headers: Mapping[str, str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        chosen = DEFAULT_STATIC_SECURITY_HEADERS if security_headers is None else security_headers
        self.security_headers = dict(chosen)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file's response, with the headers that it does not have yet."""
        if "\0" in path:  # older Starlettes ask the file system, which raises
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        for name, value in self.security_headers.items():
            response.headers.setdefault(name, value)
        return response
