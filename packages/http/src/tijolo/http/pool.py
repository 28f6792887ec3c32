"""Where the connections of a client come from.

What a client needs is httpx's own protocol, ``httpx.AsyncBaseTransport``: one method that takes a
request and gives a response. ``tijolo.http.httpx2`` fits httpx2's transports to it, and a guard
has one that checks the addresses it connects to.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

import httpx


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolLimits:
    """How many connections a client holds, over all origins.

    Raises:
        ValueError: for a value that makes no sense.
    """

    max_connections: int = 100
    max_keepalive_connections: int = 20
    max_calls_per_origin: int | None = None
    """Calls to one origin at once, so that one that hangs does not take every connection; those
    over it wait as they would for a connection. None: no limit but ``max_connections``."""
    keepalive_expiry_seconds: float = 5.0
    """An idle connection is closed after this time; below the server's own, or it goes stale."""

    def __post_init__(self) -> None:
        if self.max_connections < 1 or self.max_keepalive_connections < 0:
            raise ValueError(
                "max_connections must be at least 1 and max_keepalive_connections at least 0, got"
                f" {self.max_connections} and {self.max_keepalive_connections}"
            )
        if self.max_calls_per_origin is not None and self.max_calls_per_origin < 1:
            raise ValueError(
                f"max_calls_per_origin must be at least 1, got {self.max_calls_per_origin}"
            )
        if self.keepalive_expiry_seconds < 0:
            raise ValueError("keepalive_expiry_seconds must not be negative")


def open_transport(
    context: ssl.SSLContext, limits: PoolLimits, proxy: str | None
) -> httpx.AsyncBaseTransport:
    """httpx's own transport."""
    return httpx.AsyncHTTPTransport(
        verify=context,
        limits=httpx.Limits(
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry_seconds,
        ),
        proxy=proxy,
    )
