"""From what an endpoint returned, now or before, to the response of one request."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from tijolo.cache._calls import Loaded
from tijolo.cache._http import (
    ResponseCodec,
    StoredResponse,
    field_names,
    none_match,
)

_CODEC = ResponseCodec()
_OF_A_304 = ("etag", "cache-control", "vary", "content-location", "expires", "age", "cache-status")


class Answer:
    """What an endpoint returned: its response, and whether others may have it."""

    __slots__ = ("private", "response", "stored")

    def __init__(
        self, stored: StoredResponse, private: str | None, response: Response | None = None
    ) -> None:
        self.stored, self.private, self.response = stored, private, response


class AnswerCodec:
    """Of the part that others may have."""

    fingerprint = _CODEC.fingerprint

    def encode(self, value: Answer) -> bytes:
        """The bytes."""
        return _CODEC.encode(value.stored)

    def decode(self, data: bytes) -> Answer:
        """The answer, for anybody."""
        return Answer(_CODEC.decode(data), None)


ANSWERS = AnswerCodec()


class Finisher:
    """Validators, freshness and what the dependencies set, for the answers of one endpoint."""

    def __init__(
        self,
        *,
        private: bool,
        vary: str,
        client_ttl: int,
        status_header: bool,
        now: Callable[[], float],
    ) -> None:
        self._private, self._vary_header, self._client_ttl = private, vary, client_ttl
        self._status_header, self._now = status_header, now

    def finish(
        self,
        request: Request,
        answer: Answer,
        per_request: list[tuple[str, str]],
        status: str,
        *,
        private: bool = False,
        loaded: Loaded[Answer] | None = None,
    ) -> Response:
        """The response with validators, and with what the dependencies set for this request."""
        if answer.private is not None and answer.response is not None:
            return self._untouched(answer.response, per_request, private)
        etag = answer.stored.header("etag") or ""
        fixed = {
            "etag": etag,
            "cache-control": self._control(answer.stored, private, per_request),
            "vary": self._merged_vary(answer.stored, per_request),
        }
        if loaded is not None and loaded.state != "miss":
            fixed["age"] = str(self._age(loaded))
        if self._status_header:
            fixed["cache-status"] = f"tijolo; {status}"
        headers = [pair for pair in answer.stored.headers if pair[0] not in fixed]
        headers += [(name, value) for name, value in fixed.items() if value]
        if none_match(_joined(request, "if-none-match"), etag):
            return _response(304, [h for h in headers if h[0] in _OF_A_304], b"", per_request)
        return _response(200, headers, answer.stored.body, per_request)

    def _untouched(
        self, response: Response, per_request: list[tuple[str, str]], private: bool
    ) -> Response:
        """An answer that is its caller's alone: as the endpoint made it."""
        for name, value in per_request:
            response.headers.append(name, value)
        if (private or "set-cookie" in response.headers) and response.status_code == 200:
            response.headers.setdefault("cache-control", "private")
        if self._status_header:
            response.headers.setdefault("cache-status", "tijolo; fwd=bypass")
        return response

    def _control(
        self, stored: StoredResponse, private: bool, per_request: list[tuple[str, str]]
    ) -> str:
        if any(name == "set-cookie" for name, _ in per_request):
            return "private, no-store"
        given = stored.header("cache-control")
        given = given or ", ".join(v for name, v in per_request if name == "cache-control")
        if given:
            return given
        scope = "private" if private or self._private else "public"
        if self._client_ttl:
            return f"{scope}, max-age={self._client_ttl}"
        return f"{scope}, no-cache"

    def _merged_vary(self, stored: StoredResponse, per_request: list[tuple[str, str]]) -> str:
        of_dependencies = [value for name, value in per_request if name == "vary"]
        given = ", ".join([stored.header("vary") or "", *of_dependencies])
        names = [name.strip() for name in self._vary_header.split(",") if name.strip()]
        names += sorted(field_names(given) - set(names))
        return ", ".join(names)

    def _age(self, loaded: Loaded[Answer]) -> int:
        return max(0, int(self._now() - loaded.stored_at))

    def status(self, loaded: Loaded[Answer]) -> str:
        """The parameters of ``Cache-Status`` (RFC 9211)."""
        left = int(loaded.fresh_until - self._now())
        if loaded.state == "miss":
            return "fwd=miss"
        return f"hit; ttl={left}"


def _joined(request: Request, name: str) -> str | None:
    values = request.headers.getlist(name)
    return ", ".join(values) if values else None


def _response(
    status: int,
    headers: list[tuple[str, str]],
    body: bytes,
    per_request: list[tuple[str, str]],
) -> Response:
    response = Response(body, status_code=status)
    own = [h for h in headers if h[0] != "content-length" or status == 200]
    named = {name for name, _ in own}
    own += [h for h in per_request if h[0] == "set-cookie" or h[0] not in named]
    if status == 200 and "content-length" not in named:
        own.append(("content-length", str(len(body))))
    response.raw_headers = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in own]
    return response
