"""Where a test puts itself in place of the other services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tijolo.http.integration import Endpoint


class Interceptor(Protocol):
    """Answers every call of every endpoint, as long as it is the last of ``active``."""

    async def answer(
        self, endpoint: Endpoint[Any, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """What the endpoint's method would have returned."""


# Of the process, not of the context: a test client runs the application in another thread.
active: list[Interceptor] = []
