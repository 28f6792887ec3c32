"""What makes two requests the same: their key, who sent them, and what they say."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from random import getrandbits

from starlette.requests import Request
from starlette.types import Message, Receive, Scope

from tijolo.core import BadRequestException
from tijolo.web.body_limit import RequestBodyTooLargeException

PrincipalFunction = Callable[[Request], str | None] | Callable[[Request], Awaitable[str | None]]

MAX_KEY_CHARACTERS = 255
KEY_INVALID = "IDEMPOTENCY_KEY_INVALID"

# an sf-string (RFC 9651, section 3.3.3), or its characters bare, as many clients send them
_QUOTED = re.compile(rb'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE = re.compile(rb"[!#-+\--\[\]-~]+")
_ESCAPE = re.compile(rb"\\(.)")


def parse_key(values: Sequence[bytes]) -> str:
    """The key in the values of the ``Idempotency-Key`` lines of one request.

    Raises:
        BadRequestException: for several lines, no key, too long a key, or another character than
            printable ASCII.
    """
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
        self.key = _digest(
            principal,
            scope["method"].encode("latin-1"),
            scope["path"].encode("utf-8", "surrogatepass"),
            text.encode("ascii"),
        )
        self.fingerprint = _digest(scope.get("query_string", b""), body)
        # names an attempt and guards nothing, like a request's id
        self.owner = getrandbits(128).to_bytes(16).hex()


def credentials_of(scope: Scope, cookie_names: frozenset[bytes]) -> bytes:
    """The credentials of the request: ``Authorization``, and its cookies or those named."""
    found: list[bytes] = []
    for name, value in scope["headers"]:
        if name == b"authorization":
            found.append(name + value)
        elif name == b"cookie":
            found.append(name + (_named(value, cookie_names) if cookie_names else value))
    return b"\0".join(found)


async def read_body(receive: Receive, max_bytes: int) -> bytes | None:
    """The whole body; None if the client left before its end.

    Raises:
        RequestBodyTooLargeException: for more than ``max_bytes``.
    """
    body, more = b"", True
    chunks: list[bytes] = []
    size = 0
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body, more = message.get("body", b""), message.get("more_body", False)
        size += len(body)
        if size > max_bytes:
            raise RequestBodyTooLargeException(details={"max_bytes": max_bytes})
        chunks.append(body)
    return body if len(chunks) == 1 else b"".join(chunks)


def replaying(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives ``body`` again, then what the server says."""
    first: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def receive_again() -> Message:
        nonlocal first
        if first is None:
            return await receive()
        message, first = first, None
        return message

    return receive_again


def _named(cookies: bytes, names: frozenset[bytes]) -> bytes:
    pairs = [pair.strip(b" \t") for pair in cookies.split(b";")]
    return b";".join(sorted(pair for pair in pairs if pair.partition(b"=")[0] in names))


def _digest(*parts: bytes) -> str:
    """One digest of all parts; their lengths keep two ways to cut the same bytes apart."""
    head = b"".join([b"%d:" % len(part) for part in parts])
    return hashlib.sha256(head + b"".join(parts)).hexdigest()
