"""One call: what was asked for, and the requests that its attempts send."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from typing import Any, TypedDict
from uuid import uuid4

import httpx

from tijolo.http.deadlines import Deadline, Timeouts
from tijolo.http.retry import IDEMPOTENT_METHODS

IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"

Body = bytes | str | AsyncIterable[bytes] | Callable[[], AsyncIterable[bytes]]


class RequestOptions(TypedDict, total=False):
    """What a call may say beyond its method and URL."""

    params: Mapping[str, Any] | Sequence[tuple[str, Any]] | None
    """Query parameters; those in the URL stay."""
    json: Any
    data: Any
    """A form."""
    files: Any
    """A multipart form, as httpx takes it; sent once, never again."""
    content: Body | None
    """A body. A stream is sent once, never again; a function that makes one is called for every
    attempt."""
    headers: Mapping[str, str] | None
    timeout: float | None
    """Seconds for reading, writing and a free connection; also the most for connecting."""
    deadline: float | None
    """Seconds for all attempts together; None for no limit."""
    idempotent: bool | None
    """Whether sending twice does no harm; by default what the method says."""
    idempotency_key: str | bool | None
    """The ``Idempotency-Key``; True makes one. It makes the call idempotent, and every attempt
    carries the same."""
    follow_redirects: bool
    max_response_bytes: int | None
    """Largest response; None for no limit."""
    route: str
    """The URL's template, ``/users/{id}``: the name of the call in logs and metrics, in place of
    the path."""


class Call:
    """One call, however many attempts it takes."""

    __slots__ = (
        "_extensions",
        "_headers",
        "_options",
        "_sent",
        "deadline",
        "follow_redirects",
        "idempotent",
        "max_response_bytes",
        "method",
        "origin",
        "route",
        "url",
    )

    def __init__(
        self,
        *,
        method: str,
        url: httpx.URL,
        origin: str,
        headers: httpx.Headers,
        options: RequestOptions,
        timeouts: Timeouts,
        max_response_bytes: int | None,
        follow_redirects: bool,
        clock: Callable[[], float],
    ) -> None:
        if unknown := options.keys() - RequestOptions.__optional_keys__:
            raise TypeError(
                f"a call has no option {', '.join(sorted(unknown))}; it has"
                f" {', '.join(sorted(RequestOptions.__optional_keys__))}"
            )
        self.method = method
        params = options.get("params")
        self.url = url if params is None else url.copy_merge_params(params)  # type: ignore[arg-type]
        self.origin = origin
        self.route = options.get("route", "")
        self.max_response_bytes = max_response_bytes
        self.follow_redirects = follow_redirects
        self.deadline = Deadline(options.get("deadline", timeouts.deadline), clock)
        self._options = options
        self._extensions: dict[str, Any] = {"timeout": timeouts.extension()}
        self._headers = headers
        self._headers.update(options.get("headers"))
        self.idempotent = self._idempotent()
        self._sent: httpx.Request | None = None

    def _idempotent(self) -> bool:
        key = self._options.get("idempotency_key")
        if key:
            self._headers[IDEMPOTENCY_KEY_HEADER] = str(uuid4()) if key is True else key
        said = self._options.get("idempotent")
        if said is not None:
            return said
        return self.method in IDEMPOTENT_METHODS or IDEMPOTENCY_KEY_HEADER in self._headers

    @property
    def sent(self) -> httpx.Request | None:
        """The first request; None before it."""
        return self._sent

    @property
    def replayable(self) -> bool:
        """Whether the body can be sent again."""
        sent = self._sent
        return sent is None or callable(self._options.get("content")) or _whole(sent)

    def request(self) -> httpx.Request:
        """The request of the next attempt."""
        sent = self._sent
        if sent is not None and _whole(sent):
            return httpx.Request(
                sent.method,
                sent.url,
                headers=sent.headers,
                stream=sent.stream,
                extensions=self._extensions,
            )
        content = self._options.get("content")
        self._sent = httpx.Request(
            self.method,
            self.url,
            headers=self._headers,
            content=content() if callable(content) else content,
            data=self._options.get("data"),
            files=self._options.get("files"),
            json=self._options.get("json"),
            extensions=self._extensions,
        )
        return self._sent


def _whole(request: httpx.Request) -> bool:
    return isinstance(request.stream, httpx.ByteStream)
