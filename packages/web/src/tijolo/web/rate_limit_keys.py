"""Whose units a request uses: functions from a request to the key of its caller.

A key of None means that nobody knows who calls, and is not limited: one key for all unknown
callers would let any of them shut out the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_network

from starlette.requests import Request
from starlette.types import Scope

from tijolo.core import user_id_ctx
from tijolo.web.client_ip import get_client_ip_from_scope, parse_ip

KeyFunction = Callable[[Request], str | None] | Callable[[Request], Awaitable[str | None]]

DEFAULT_IPV6_PREFIX = 64


def key_by_client_address(
    *, ipv6_prefix: int = DEFAULT_IPV6_PREFIX, trusted_header: str | None = None
) -> Callable[[Request], str | None]:
    """Build the key function of the client's address, behind proxies that of ``TRUSTED_PROXIES``.

    Args:
        ipv6_prefix: Bits of an IPv6 address that name a client: a household or a server is given
            a whole /64, and may send each request from another address of it.
        trusted_header: As in :func:`~tijolo.web.get_client_ip`.
    """
    check_prefix(ipv6_prefix)

    def key(request: Request) -> str | None:
        address = get_client_ip_from_scope(request.scope, trusted_header=trusted_header)
        return None if address is None else grouped_address(address, ipv6_prefix)

    return key


def key_by_header(name: str) -> Callable[[Request], str | None]:
    """Build the key function of the value of a header, such as ``X-API-Key``.

    Without the header it is the client's address. The value itself is not kept, only its digest.
    Whoever invents values has new units with each: limit by header only what has verified the
    value before, and keep a limit by address in front.
    """
    fallback = key_by_client_address()

    def key(request: Request) -> str | None:
        value = request.headers.get(name)
        if not value:
            return fallback(request)
        return f"header:{hashlib.sha256(value.encode('latin-1')).hexdigest()[:32]}"

    return key


def key_by_user(request: Request) -> str | None:
    """The key of the user who was authenticated for this request, else of the client's address.

    The user is that of ``tijolo.core.user_id_ctx``, or of Starlette's ``AuthenticationMiddleware``.
    Authentication must come first: use it in a dependency after that of the user.
    """
    user_id = user_id_ctx.get()
    if user_id is None:
        user = request.scope.get("user")
        if user is not None and getattr(user, "is_authenticated", False):
            user_id = str(user.identity)
    return _by_address(request) if user_id is None else f"user:{user_id}"


def address_key(scope: Scope, ipv6_prefix: int, trusted_header: str | None) -> str | None:
    """What :func:`key_by_client_address` finds, without a ``Request``."""
    if trusted_header is not None:
        address = get_client_ip_from_scope(scope, trusted_header=trusted_header)
        return None if address is None else grouped_address(address, ipv6_prefix)
    client = scope.get("client")
    return grouped_address(client[0], ipv6_prefix) if client and client[0] else None


def check_prefix(bits: int) -> None:
    """Refuse a number of bits that names no client."""
    if not 16 <= bits <= 128:
        raise ValueError(f"ipv6_prefix must be 16 to 128 bits, got {bits}")


@lru_cache(maxsize=16_384)
def grouped_address(text: str, ipv6_prefix: int) -> str | None:
    """Make ``text`` a key: an IPv6 network, an IPv4 address, or the name of a test client."""
    address = parse_ip(text)
    if address is None:
        # the path of the socket that a proxy connects to says nothing about who is behind it
        return None if text.startswith(("/", "unix")) else text
    if isinstance(address, IPv6Address):
        return str(ip_network((address, ipv6_prefix), strict=False))
    return str(address)


_by_address = key_by_client_address()
