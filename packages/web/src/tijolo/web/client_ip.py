"""Whose request it is when a proxy stands in between.

``X-Forwarded-For`` is what the client sent plus what each proxy appended, so only its right end
can be believed, and only if the connection comes from a proxy of ours. ``TrustedProxyMiddleware``
walks it from the right, past addresses of our own proxies, to the first that is not ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from tijolo.web._shown import without_credentials

IPAddress = IPv4Address | IPv6Address
ForwardedHeader = Literal["X-Forwarded-For", "Forwarded"]

MAX_HOPS = 32
_NETWORKS_KEY = "tijolo.trusted_proxies"
_PEER_KEY = "tijolo.peer"
_FORWARDED_PAIR = re.compile(r'(?:^|;)\s*([A-Za-z]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;,\s"]*)\s*(?=;|$)')
_SECURE_SCHEME = {("http", "https"): "https", ("websocket", "https"): "wss"}
_PLAIN_SCHEME = {("http", "http"): "http", ("websocket", "http"): "ws"}


class TrustedNetworks:
    """The addresses of our own proxies.

    Args:
        networks: Addresses and CIDR networks, such as ``10.0.0.0/8``.

    Raises:
        ValueError: naming what is neither.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(_network(item) for item in networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: object) -> bool:
        return isinstance(address, (IPv4Address, IPv6Address)) and any(
            address in network for network in self._networks
        )


class TrustedProxyMiddleware:
    """Put the client's address and scheme into the scope when the peer is a trusted proxy.

    ``scope["client"]`` becomes the first address from the right that is not one of ours. If what
    stands there is no address, the client is unknown and ``scope["client"]`` is None: giving the
    proxy's address instead would make strangers share one rate limit.

    Exactly one header is read: a proxy that sets one of the two passes the other on as the client
    wrote it.

    Args:
        trusted_proxies: Addresses and CIDR networks of the proxies.
        header: The header that they set.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        trusted_proxies: Sequence[str],
        header: ForwardedHeader = "X-Forwarded-For",
    ) -> None:
        self.app = app
        self._networks = TrustedNetworks(trusted_proxies)
        self._header = header.lower().encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Rewrite ``client`` and ``scheme`` for HTTP and WebSocket scopes."""
        if scope["type"] in ("http", "websocket") and _PEER_KEY not in scope:
            scope[_PEER_KEY] = scope.get("client")
            scope[_NETWORKS_KEY] = self._networks
            if _peer(scope) in self._networks:
                self._believe(scope)
        await self.app(scope, receive, send)

    def _believe(self, scope: Scope) -> None:
        if self._header == b"forwarded":
            hops, schemes = _read_forwarded(scope)
        else:
            hops = _values(scope, self._header)
            schemes = _values(scope, b"x-forwarded-proto")
        if not hops:
            return
        position = _client_position(hops, self._networks)
        address = parse_ip(hops[position])
        scope["client"] = None if address is None else (str(address), 0)
        scheme = schemes[position] if len(schemes) == len(hops) else (schemes or [""])[-1]
        key = (scope["type"], scheme.lower())
        new_scheme = _SECURE_SCHEME.get(key) or _PLAIN_SCHEME.get(key)
        if new_scheme:
            scope["scheme"] = new_scheme


def get_client_ip(request: Request, *, trusted_header: str | None = None) -> str | None:
    """The client's address in canonical form; None when nobody knows it.

    None is not an address: never use it as a key that strangers would share.

    Args:
        trusted_header: A header that the proxies set to the client's address, such as
            ``CF-Connecting-IP``. It is believed only if the connection comes from one of the
            proxies that ``TrustedProxyMiddleware`` knows; from anybody else it is ignored.
    """
    return get_client_ip_from_scope(request.scope, trusted_header=trusted_header)


def get_client_ip_from_scope(scope: Scope, *, trusted_header: str | None = None) -> str | None:
    """The same as :func:`get_client_ip`, from an ASGI scope."""
    if trusted_header is not None:
        networks: TrustedNetworks | None = scope.get(_NETWORKS_KEY)
        if networks is not None and _peer(scope) in networks:
            hops = _values(scope, trusted_header.lower().encode("latin-1"))
            if hops:
                address = parse_ip(hops[_client_position(hops, networks)])
                return None if address is None else str(address)
    client = scope.get("client")
    if not client or not client[0]:
        return None
    # the server's own word, not a header's: kept even where it is a socket's path
    address = parse_ip(client[0])
    return client[0] if address is None else str(address)


def parse_ip(text: str) -> IPAddress | None:
    """The address in ``text``, which may carry a port or brackets; None where there is none.

    IPv4-mapped IPv6 addresses become IPv4: both mean one client.
    """
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _peer(scope: Scope) -> IPAddress | None:
    client = scope[_PEER_KEY] if _PEER_KEY in scope else scope.get("client")
    return parse_ip(client[0]) if client and client[0] else None


def _client_position(hops: Sequence[str], networks: TrustedNetworks) -> int:
    """Index of the first hop from the right that is not one of our proxies."""
    last = max(0, len(hops) - MAX_HOPS)
    for position in range(len(hops) - 1, last, -1):
        if parse_ip(hops[position]) not in networks:
            return position
    return last


def _values(scope: Scope, name: bytes) -> list[str]:
    """Members of a comma-separated header, over all its lines, in order."""
    lines = [value for key, value in scope["headers"] if key == name]
    members = b",".join(lines).decode("latin-1").split(",") if lines else []
    return [member.strip() for member in members if member.strip()]


def _read_forwarded(scope: Scope) -> tuple[list[str], list[str]]:
    """``for`` and ``proto`` of each element of ``Forwarded`` (RFC 7239, section 4)."""
    hops: list[str] = []
    schemes: list[str] = []
    for element in _values(scope, b"forwarded"):
        pairs = {k.lower(): v.strip('"') for k, v in _FORWARDED_PAIR.findall(element)}
        hops.append(pairs.get("for", ""))
        schemes.append(pairs.get("proto", ""))
    return hops, schemes


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        shown = without_credentials(text)
        raise ValueError(
            f"trusted proxy {shown!r} is no address or CIDR network such as '10.0.0.0/8'"
        ) from None  # the cause would show all of it
