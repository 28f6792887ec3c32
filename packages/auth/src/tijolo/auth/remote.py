"""The issuer is asked through a client that keeps its connections: tijolo-http's ``HTTPClient``.

The extra ``http`` installs it. Nothing is imported here: whatever has its ``request`` will do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from tijolo.auth.fetching import FetchError, FetchRequest, FetchResponse

__all__ = ["ClientFetch", "RequestingClient"]


class RequestingClient(Protocol):
    """What is used of ``tijolo.http.HTTPClient``."""

    @property
    def request(self) -> Callable[..., Awaitable[Any]]:
        """Call, and read the whole response: ``request(method, url, **options)``."""
        ...


class ClientFetch:
    """A ``Fetch`` over ``client``, which stays the caller's to close.

    Its retries and circuit apply; nothing is retried that is no GET. Redirects are not followed:
    keys come from where the settings say.

    Args:
        client: An ``HTTPClient`` without a ``base_url``, or with the issuer's.
    """

    def __init__(self, client: RequestingClient) -> None:
        self._client = client

    async def __call__(self, request: FetchRequest) -> FetchResponse:
        """Ask.

        Raises:
            FetchError: the answer is larger than allowed.
            Exception: what the client raises.
        """
        response = await self._client.request(
            request.method,
            request.url,
            headers=dict(request.headers),
            content=request.body,
            timeout=request.timeout_seconds,
            deadline=request.timeout_seconds,
            follow_redirects=False,
            max_response_bytes=request.max_bytes,
        )
        body: bytes = response.content
        if len(body) > request.max_bytes:
            raise FetchError(f"the answer is larger than {request.max_bytes} bytes")
        given: Mapping[str, str] = response.headers
        headers = {name.lower(): value for name, value in given.items()}
        return FetchResponse(status=response.status_code, headers=headers, body=body)
