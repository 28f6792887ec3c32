"""Routes that must not be called without an idempotency key."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Depends, Header
from starlette.requests import Request

from tijolo.core import BadRequestException
from tijolo.web._idempotency_request import IDEMPOTENCY_HEADER, MAX_KEY_CHARACTERS, SCOPE_KEY


def make_idempotency_key_dependency(
    *, header_name: str = IDEMPOTENCY_HEADER
) -> Callable[..., Coroutine[Any, Any, str]]:
    """Build a dependency for routes that must not be called without an idempotency key.

    It answers 400 ``IDEMPOTENCY_KEY_REQUIRED`` without one, shows the header as required in
    OpenAPI, and gives the route the key.

    Raises:
        RuntimeError: in a request that no ``IdempotencyMiddleware`` guards: a key that is required
            and does nothing would be a false promise.
    """

    async def check(request: Request) -> str:
        found: str | None = request.scope.get(SCOPE_KEY)
        if found is None:
            raise RuntimeError(
                f"{request.method} asks for {header_name}, but no IdempotencyMiddleware guards it:"
                " add the middleware, with this method among its methods"
            )
        if not found:
            raise BadRequestException(
                f"This operation needs the header {header_name}", code="IDEMPOTENCY_KEY_REQUIRED"
            )
        return found

    # first, so that its 400 comes before the 422 of a missing header
    checked = Depends(check)
    sent = Header(
        alias=header_name,
        max_length=2 * MAX_KEY_CHARACTERS + 2,  # every character escaped, and the quotes
        description="Unique for each operation, the same for each try of it, such as a UUID"
        " (draft-ietf-httpapi-idempotency-key-header).",
    )

    async def idempotency_key(key: str = checked, header: str = sent) -> str:
        return key

    return idempotency_key
