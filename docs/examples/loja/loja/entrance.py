"""The way in: who is not logged in sees the page to enter, and then the one they asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from pydantic import AfterValidator
from starlette.responses import Response

from tijolo.sessions import SessionRequiredException

_OWN = re.compile(r"/(?!/)[A-Za-z0-9._~%/?=&-]{0,500}", re.ASCII)


def _own_page(wanted: str) -> str:
    # "//host" and "/\\host" are other sites to a browser, and so is all that it would tidy up
    return wanted if _OWN.fullmatch(wanted) else ""


OwnPage = Annotated[str, AfterValidator(_own_page)]
"""A path of this service; empty for whatever else somebody wrote into a link."""


class PageRoute(APIRoute):
    """A route that browsers visit: instead of a 401 they get `/enter`, which leads back."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, and what it answers to who is not logged in."""
        handle = super().get_route_handler()

        async def page(request: Request) -> Response:
            try:
                return await handle(request)
            except SessionRequiredException:
                return _enter_first(request)

        return page


def _enter_first(request: Request) -> RedirectResponse:
    below = request.scope.get("root_path", "").rstrip("/")
    enter = f"{below}{request.app.url_path_for('enter')}"
    if request.method == "GET":  # what was sent by a form is gone
        wanted = quote(request.url.path) + (f"?{request.url.query}" if request.url.query else "")
        enter = f"{enter}?{urlencode({'next': wanted})}"
    return RedirectResponse(enter, status_code=303, headers={"Cache-Control": "no-store"})
