"""What caches may keep of a route's answers, and 304 for what a client has already."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tijolo.web._routes import every_route

_ATTRIBUTE = "__tijolo_cache__"
# what a 304 keeps of the answer that it stands for (RFC 9110, section 15.4.5)
_OF_THE_BODY = ("content-type", "content-length", "content-encoding", "content-range")
_MAX_TAGS = 100
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class CachePolicy:
    """``Cache-Control`` and ``Vary`` of a route (RFC 9111, section 5.2).

    Raises:
        ValueError: for directives that contradict each other.
        TypeError: for ``vary`` as a text.
    """

    max_age_seconds: int = 0
    """How long an answer may be used without asking; 0 means ask each time (``no-cache``)."""
    public: bool = False
    """Whether shared caches may keep it; off, it is the user's browser alone (``private``). An
    answer that sets a cookie is private all the same."""
    stale_while_revalidate_seconds: int = 0
    immutable: bool = False
    """Never asks again within ``max_age_seconds``, for names that change with the content."""
    no_store: bool = False
    """Nothing is kept anywhere, and there is no ETag."""
    vary: Sequence[str] = ()
    """Request headers that the answer depends on."""

    def __post_init__(self) -> None:
        if isinstance(self.vary, str):
            raise TypeError(f"vary must be a list of names, got the text {self.vary!r}")
        if self.max_age_seconds < 0 or self.stale_while_revalidate_seconds < 0:
            raise ValueError("seconds must be 0 or more")
        if self.no_store and (self.public or self.immutable or self.max_age_seconds):
            raise ValueError("no_store=True contradicts public, immutable and max_age_seconds")
        if self.immutable and not self.max_age_seconds:
            raise ValueError("immutable=True needs max_age_seconds")
        if self.public and "cookie" in (name.lower() for name in self.vary):
            raise ValueError(
                "public=True with Vary: Cookie is one entry for each user; drop public"
            )

    @property
    def cache_control(self) -> str:
        """The header."""
        if self.no_store:
            return "no-store"
        parts = ["public" if self.public else "private"]
        parts.append(f"max-age={self.max_age_seconds}" if self.max_age_seconds else "no-cache")
        if self.stale_while_revalidate_seconds:
            parts.append(f"stale-while-revalidate={self.stale_while_revalidate_seconds}")
        if self.immutable:
            parts.append("immutable")
        return ", ".join(parts)

    def __call__(self, endpoint: Endpoint) -> Endpoint:
        """Put the policy on an endpoint of a router with ``ConditionalRoute``.

        On another route it would say nothing: an application of ``create_app`` does not start.
        """
        setattr(endpoint, _ATTRIBUTE, self)
        return endpoint


DEFAULT_CACHE_POLICY = CachePolicy()
"""``private, no-cache``: kept by the user's browser, which asks each time and may get a 304."""


class ConditionalRoute(APIRoute):
    """A route whose GET answers have an ETag, and are 304 for who has them already.

    ``APIRouter(route_class=ConditionalRoute)``. The tag is weak and a hash of the body, so the
    handler runs each time: what is saved is the transfer. An ETag and a ``Cache-Control`` that
    the handler sets are kept; streams, errors and other methods are left alone.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, and what comes after it."""
        handle = super().get_route_handler()

        async def conditional(request: Request) -> Response:
            response = await handle(request)
            if request.method not in ("GET", "HEAD") or response.status_code != 200:
                return response
            policy: CachePolicy = getattr(self.endpoint, _ATTRIBUTE, DEFAULT_CACHE_POLICY)
            return _conditional(request, response, policy)

        return conditional


def check_policies(app: FastAPI) -> None:
    """Refuse a :class:`CachePolicy` that would say nothing.

    Raises:
        RuntimeError: an endpoint has one, and its route is no ``ConditionalRoute``.
    """
    for route in every_route(app.routes):
        endpoint = getattr(route, "endpoint", None)
        made = getattr(route, "original_route", None) or route
        if hasattr(endpoint, _ATTRIBUTE) and not isinstance(made, ConditionalRoute):
            raise RuntimeError(
                f"{route.path} has a CachePolicy, which nothing reads; make its router with"
                " route_class=ConditionalRoute"
            )


def etag_of(body: bytes) -> str:
    """A weak ETag (RFC 9110, section 8.8.3): the same for the same bytes."""
    return f'W/"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def has_etag(header: str, etag: str) -> bool:
    """Whether ``If-None-Match`` names ``etag``, by weak comparison (RFC 9110, section 13.1.2)."""
    if header.strip() == "*":
        return True
    given = header.split(",", _MAX_TAGS)[:_MAX_TAGS]
    return etag.removeprefix("W/") in (tag.strip().removeprefix("W/") for tag in given)


def _conditional(request: Request, response: Response, policy: CachePolicy) -> Response:
    if policy.public and "set-cookie" in response.headers:
        policy = replace(policy, public=False)  # a shared cache would hand the cookie to everybody
    response.headers.setdefault("Cache-Control", policy.cache_control)
    for name in policy.vary:
        response.headers.add_vary_header(name)
    if policy.no_store or isinstance(response, StreamingResponse) or not hasattr(response, "body"):
        return response
    etag = response.headers.setdefault("ETag", etag_of(bytes(response.body)))
    if not has_etag(request.headers.get("if-none-match", ""), etag):
        return response
    bare = Response(status_code=304, background=response.background)
    # the raw pairs: cookies come in several lines of one name
    bare.raw_headers = [
        pair for pair in response.raw_headers if pair[0].decode("latin-1") not in _OF_THE_BODY
    ]
    return bare
