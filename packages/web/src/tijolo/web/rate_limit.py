"""Rate limits on a whole service and on single routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from fastapi import Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tijolo.core import AppException, route_template
from tijolo.web._routes import name_the_route
from tijolo.web.handlers import known_problem
from tijolo.web.rate_limit_guard import StoreFailurePolicy
from tijolo.web.rate_limit_keys import KeyFunction
from tijolo.web.rate_limit_store import RateLimitStore
from tijolo.web.rate_limiter import RateLimitDecision, RateLimiter
from tijolo.web.rate_limits import RateLimit, RateLimits
from tijolo.web.security_headers import RawHeaders

RateLimitDependency = Callable[[Request, Response], Coroutine[Any, Any, None]]


class RateLimitMiddleware:
    """Answer 429 to callers over their limit, and tell all of them what they have left.

    Args:
        max_requests: With ``window_seconds``, the one limit, if ``limits`` is not given.
        window_seconds: Length of its window.
        key_func: See :class:`RateLimiter`.
        trusted_ip_header: See :class:`RateLimiter`.
        exempt_paths: Paths, exactly as written, that are not limited.
        retry_after_header: Whether a 429 has ``Retry-After``.
        error_message: ``detail`` of the 429.
        limits: The limits, such as ``"10/second, 1000/hour"``.
        store: See :class:`RateLimiter`.
        cost: See :class:`RateLimiter`.
        on_store_failure: See :class:`RateLimiter`.
        limiter: Made elsewhere, instead of all of these but the two about the answer.

    Raises:
        ValueError: for limits that cannot work.
        TypeError: for a limiter together with what it replaces.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_requests: int | None = None,
        window_seconds: float | None = None,
        key_func: KeyFunction | None = None,
        trusted_ip_header: str | None = None,
        exempt_paths: Iterable[str] = (),
        retry_after_header: bool = True,
        error_message: str = "Too many requests",
        limits: RateLimits | None = None,
        store: RateLimitStore | None = None,
        cost: int | Callable[[Request], int] = 1,
        on_store_failure: StoreFailurePolicy = "local",
        limiter: RateLimiter | None = None,
    ) -> None:
        self.app = app
        own_number = max_requests is not None or window_seconds is not None
        self.max_requests = 60 if max_requests is None else max_requests
        self.window_seconds = 60.0 if window_seconds is None else window_seconds
        self.retry_after_header = retry_after_header
        self.error_message = error_message
        if own_number and (limits is not None or limiter is not None):
            raise TypeError(
                "limits and limiter say how many: give them or max_requests and window_seconds"
            )
        if limiter is None:
            one = RateLimit(self.max_requests, self.window_seconds)
            limiter = RateLimiter(
                one if limits is None else limits,
                store=store,
                key_func=key_func,
                cost=cost,
                exempt_paths=exempt_paths,
                on_store_failure=on_store_failure,
                trusted_ip_header=trusted_ip_header,
            )
        elif cost != 1 or any(
            option is not None
            for option in (key_func, trusted_ip_header, store, limits, *exempt_paths)
        ):
            raise TypeError("limiter has its own limits, store, key, cost and exempt paths")
        self.limiter = limiter
        self._allow_now = limiter.allow_now

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Limit an HTTP request; pass everything else on."""
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        if self._allow_now is not None:
            ours = self._allow_now(scope)
            if ours is not None:
                return self.app(scope, receive, _sending(ours, send))
        if self.limiter.decides_at_once:
            return self._act(self.limiter.check_now(scope), scope, receive, send)
        return self._ask(scope, receive, send)

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            decision = await self.limiter.check(scope)
        except AppException as exc:
            await _answer(exc, scope, receive, send)
            return
        await self._act(decision, scope, receive, send)

    def _act(
        self, decision: RateLimitDecision | None, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None]:
        if decision is None:
            return self.app(scope, receive, send)
        if not decision.allowed:
            exc = decision.exception(self.error_message, with_retry_after=self.retry_after_header)
            return _answer(exc, scope, receive, send)
        return self.app(scope, receive, _sending(decision.raw_headers, send))


def make_rate_limit_dependency(
    limits: RateLimits | RateLimiter,
    *,
    store: RateLimitStore | None = None,
    key_func: KeyFunction | None = None,
    cost: int | Callable[[Request], int] = 1,
    shared_as: str | None = None,
    on_store_failure: StoreFailurePolicy = "local",
    error_message: str | None = None,
) -> RateLimitDependency:
    """Build a dependency that limits the routes it stands on: ``Depends(...)``.

    A dependency that comes after that of the user knows who calls::

        limit = make_rate_limit_dependency("5/minute", key_func=key_by_user)

        @router.post("/reports", dependencies=[Depends(current_user), Depends(limit)])

    Args:
        limits: The limits, or a limiter with all its options.
        store: See :class:`RateLimiter`.
        key_func: See :class:`RateLimiter`.
        cost: See :class:`RateLimiter`.
        shared_as: Name of units that all routes with it share. By default each method and route
            template has its own.
        on_store_failure: See :class:`RateLimiter`.
        error_message: ``detail`` of the 429.

    Raises:
        ValueError: for limits that cannot work.
        TypeError: for a limiter together with what it replaces.
    """
    if isinstance(limits, RateLimiter) and (
        store is not None or key_func is not None or cost != 1 or on_store_failure != "local"
    ):
        raise TypeError("limiter has its own store, key, cost and on_store_failure")
    limiter = (
        limits
        if isinstance(limits, RateLimiter)
        else RateLimiter(
            limits,
            store=store,
            key_func=key_func,
            cost=cost,
            name="route" if shared_as is None else "shared",
            on_store_failure=on_store_failure,
        )
    )

    async def rate_limit(request: Request, response: Response) -> None:
        if shared_as is None:
            part = f"{request.method} {route_template(request.scope)}:"
        else:
            part = f"{shared_as}:"
        decision = await limiter.check_request(request, part=part)
        if decision is None:
            return
        if not decision.allowed:
            raise decision.exception(error_message)
        for name, value in decision.headers.items():
            response.headers.append(name, value)

    return rate_limit


def _sending(ours: RawHeaders, send: Send) -> Send:
    """A ``send`` that adds ``ours`` to the response."""

    def send_with_headers(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *ours]
        return send(message)

    return send_with_headers


async def _answer(exc: AppException, scope: Scope, receive: Receive, send: Send) -> None:
    name_the_route(scope)
    response = known_problem(scope, exc)
    assert response is not None  # noqa: S101 - every AppException has one
    await response(scope, receive, send)
