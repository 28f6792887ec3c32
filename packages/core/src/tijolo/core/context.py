"""Who and what the current request is, visible to every log line it causes.

Context variables follow the asyncio task, and the threads that ``asyncio.to_thread`` and
anyio start, so concurrent requests never see each other's.
"""

from __future__ import annotations

from contextvars import ContextVar, Token

REQUEST_ID_HEADER = "X-Request-ID"
"""The header that carries the request id, in and out."""

HTTP_500_MARKER = "http_500"
"""Name of the log-record attribute that marks a failure the caller saw as a 5xx."""

request_id_ctx: ContextVar[str | None] = ContextVar("tijolo_request_id", default=None)
user_id_ctx: ContextVar[str | None] = ContextVar("tijolo_user_id", default=None)


def get_request_id() -> str | None:
    """Id of the current request; None outside one."""
    return request_id_ctx.get()


def set_request_id(value: str) -> Token[str | None]:
    """Set the request id; hand the token to :func:`clear_request_id` when the request ends."""
    return request_id_ctx.set(value)


def clear_request_id(token: Token[str | None]) -> None:
    """Restore what was there before the ``set_request_id`` that gave ``token``."""
    request_id_ctx.reset(token)


def get_user_id() -> str | None:
    """Id of the authenticated user; None where nobody is."""
    return user_id_ctx.get()


def set_user_id(value: str) -> Token[str | None]:
    """Set the user id; hand the token to :func:`clear_user_id` when the request ends."""
    return user_id_ctx.set(value)


def clear_user_id(token: Token[str | None]) -> None:
    """Restore what was there before the ``set_user_id`` that gave ``token``."""
    user_id_ctx.reset(token)
