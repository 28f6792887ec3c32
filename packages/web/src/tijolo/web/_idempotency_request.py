"""What makes two requests the same: their key, who sent them, and what they say."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b
from os import urandom

from starlette.requests import Request
from starlette.types import Message, Receive, Scope

from tijolo.core import BadRequestException
from tijolo.web.body_limit import RequestBodyTooLargeException

PrincipalFunction = Callable[[Request], str | None] | Callable[[Request], Awaitable[str | None]]

IDEMPOTENCY_HEADER = "Idempotency-Key"
SCOPE_KEY = "tijolo.idempotency_key"
"""Where a request's scope holds its key; empty without one, absent where nothing guards it."""

MAX_KEY_CHARACTERS = 255
KEY_INVALID = "IDEMPOTENCY_KEY_INVALID"

# an sf-string (RFC 9651, section 3.3.3), or its characters bare, as many clients send them
_QUOTED = re.compile(rb'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE = re.compile(rb"[!#-+\--\[\]-~]+")
_PLAIN = re.compile(rb"[!#-+\--\[\]-~]{1,255}").fullmatch
_ESCAPE = re.compile(rb"\\(.)")


def parse_key(values: Sequence[bytes]) -> str:
    """The key in the values of the ``Idempotency-Key`` lines of one request.

    Raises:
        BadRequestException: for several lines, no key, too long a key, or another character than
            printable ASCII.
    """
    if len(values) == 1 and _PLAIN(values[0]):  # as nearly all are
        return values[0].decode("ascii")
    if len(values) > 1:
        raise BadRequestException("Send one Idempotency-Key, not several", code=KEY_INVALID)
    value = values[0].strip(b" \t")
    quoted = _QUOTED.fullmatch(value)
    key = _ESCAPE.sub(rb"\1", quoted[1]) if quoted else value
    if not quoted and not _BARE.fullmatch(value):
        raise BadRequestException(
            "Idempotency-Key must be printable ASCII, in double quotes if it has spaces or commas",
            code=KEY_INVALID,
        )
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS:
        raise BadRequestException(
            f"Idempotency-Key must have 1 to {MAX_KEY_CHARACTERS} characters", code=KEY_INVALID
        )
    return key.decode("ascii")


class Attempt:
    """One request with a key, as the store knows it."""

    __slots__ = ("fingerprint", "key", "owner")

    def __init__(self, scope: Scope, text: str, principal: bytes, body: bytes) -> None:
        path = scope["path"].encode("utf-8", "surrogatepass")
        query: bytes = scope.get("query_string", b"")
        # the lengths keep two ways to cut the same bytes apart
        same = b"%d:%b%d:%b%b %b" % (
            len(principal),
            principal,
            len(path),
            path,
            scope["method"].encode("latin-1"),
            text.encode("ascii"),
        )
        self.key = blake2b(same, digest_size=32).hexdigest()
        said = b"%d:%b%b" % (len(query), query, body)
        self.fingerprint = blake2b(said, digest_size=32).hexdigest()
        # not of `random`: processes that seed it alike would be one owner, and run a key twice
        self.owner = urandom(16).hex()


class Credentials:
    """The headers that say who calls, if nobody else does.

    Args:
        header_name: The header with the idempotency key.
        cookie_names: The cookies that matter; none means all.
    """

    def __init__(self, header_name: bytes, cookie_names: frozenset[bytes]) -> None:
        self._wanted = frozenset({header_name, b"authorization", b"x-api-key", b"cookie"})
        self._cookie_names = cookie_names

    def keys_and_credentials(self, scope: Scope) -> tuple[list[bytes], bytes]:
        """The values of the key's header, and the credentials of the request, in one pass."""
        wanted, keys, found, cookies = self._wanted, list[bytes](), b"", list[bytes]()
        for pair in scope["headers"]:
            name, value = pair
            if name not in wanted:
                continue
            if name == b"authorization" or name == b"x-api-key":
                found += b"\0%b:%b" % (name, value)
            elif name == b"cookie":
                cookies.append(value)
            else:
                keys.append(value)
        if cookies:
            found += self._of_the_caller(b"; ".join(cookies))  # HTTP/2 may cut them apart
        return keys, found

    def _of_the_caller(self, cookies: bytes) -> bytes:
        if self._cookie_names:
            pairs = [pair.strip(b" \t") for pair in cookies.split(b";")]
            named = (p for p in pairs if p.partition(b"=")[0].strip(b" \t") in self._cookie_names)
            cookies = b";".join(sorted(named))
        # cookies that nobody named are no more than none: one may be new at the second try
        return b"\0cookie:" + cookies if cookies else b""


async def read_body(receive: Receive, max_bytes: int) -> Message | None:
    """The whole body as one message; None if the client left before its end.

    Raises:
        RequestBodyTooLargeException: for more than ``max_bytes``.
    """
    message = await receive()
    if message.get("more_body", False):
        message = await _joined(message, receive, max_bytes)
    if message["type"] != "http.request":
        return None
    if len(message.get("body", b"")) > max_bytes:
        raise RequestBodyTooLargeException(details={"max_bytes": max_bytes})
    return message


async def _joined(message: Message, receive: Receive, max_bytes: int) -> Message:
    chunks: list[bytes] = []
    size = 0
    while message["type"] == "http.request":
        chunk = message.get("body", b"")
        size += len(chunk)
        chunks.append(chunk)
        if size > max_bytes or not message.get("more_body", False):
            return {"type": "http.request", "body": b"".join(chunks), "more_body": False}
        message = await receive()
    return message


def replaying(body: Message, receive: Receive) -> Receive:
    """A ``receive`` that gives ``body`` again, then what the server says."""
    first: Message | None = body

    async def receive_again() -> Message:
        nonlocal first
        if first is None:
            return await receive()
        message, first = first, None
        return message

    return receive_again
