"""What the managers of connections have in common."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Resource(Protocol):
    """Something with a connection: a database, a cache, a broker.

    ``create_app(..., lifecycle=AppLifecycle(resources=[db, redis]))`` connects them in order,
    disconnects them in reverse and offers their health checks.
    """

    async def connect(self) -> None:
        """Open the connection; a second call does nothing."""

    async def disconnect(self) -> None:
        """Close the connection; does nothing where there is none."""

    async def health_check(self) -> bool:
        """Whether the other side answers now; never raises."""
        ...
