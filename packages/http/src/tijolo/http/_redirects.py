"""The request that a redirect asks for (RFC 9110, section 15.4)."""

from __future__ import annotations

import httpx

from tijolo.http._origins import origin_of
from tijolo.http.errors import RedirectNotAllowedError

# What may go to another origin. A list of what to take off would miss the next X-Secret header.
_HARMLESS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "if-modified-since",
        "if-none-match",
        "range",
        "user-agent",
        "x-request-id",
    }
)
_OF_BODIES = ("content-length", "content-type", "content-encoding", "transfer-encoding")


def redirected(request: httpx.Request, response: httpx.Response) -> httpx.Request:
    """What to send next; over to another origin nothing goes along but harmless headers.

    Raises:
        RedirectNotAllowedError: from HTTPS to HTTP, with a body to another origin, with a body
            that cannot be sent again, or to what is not a URL.
    """
    origin = origin_of(request.url)
    url = _location(request, response, origin)
    method = _method(request.method, response.status_code)
    headers = request.headers.copy()
    # chunked bodies have no length, and 303 sends none at all
    framed = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    carried = framed and method == request.method
    elsewhere = origin_of(url) != origin
    if carried and elsewhere:
        raise RedirectNotAllowedError(origin, "a body does not follow to another origin")
    if carried and not isinstance(request.stream, httpx.ByteStream):
        raise RedirectNotAllowedError(origin, "the body was a stream and is used up")
    for name in list(headers):
        if (elsewhere and name not in _HARMLESS) or (not carried and name in _OF_BODIES):
            del headers[name]
    headers["Host"] = url.netloc.decode("ascii")
    stream = request.stream if carried else None
    return httpx.Request(method, url, headers=headers, stream=stream, extensions=request.extensions)


def _location(request: httpx.Request, response: httpx.Response, origin: str) -> httpx.URL:
    try:
        url = request.url.join(response.headers["location"])
    except (httpx.InvalidURL, ValueError) as error:
        raise RedirectNotAllowedError(origin, "the Location is not a URL") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise RedirectNotAllowedError(origin, "the Location is not an HTTP URL")
    if url.userinfo:
        raise RedirectNotAllowedError(origin, "the Location holds credentials")
    if request.url.scheme == "https" and url.scheme == "http":
        raise RedirectNotAllowedError(origin, "it leads from HTTPS to HTTP")
    return url


def _method(method: str, status: int) -> str:
    if status == 303 and method != "HEAD":
        return "GET"
    if status in (301, 302) and method == "POST":
        return "GET"  # what every client does (RFC 9110, section 15.4.2)
    return method
