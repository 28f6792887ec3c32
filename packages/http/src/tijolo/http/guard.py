"""Calls to URLs that somebody else chose: webhooks, push endpoints, discovery documents.

A URL may name this service's own network, a cloud's metadata service, or a name that resolves to
a public address when it is checked and to 127.0.0.1 when it is used ("DNS rebinding"). The guard
resolves once, at the moment of connecting, checks every address, and connects to what it checked
(OWASP Server-Side Request Forgery Prevention, case 2).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import httpcore
import httpx

from tijolo.http._pool_transport import PoolTransport
from tijolo.http.errors import AddressNotAllowedError
from tijolo.http.pool import PoolLimits

__all__ = ["AddressGuard", "AddressNotAllowedError", "Resolver"]

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a host name, as text; raises ``OSError`` when there are none."""

_MOST_ADDRESSES = 16
_resolving = ThreadPoolExecutor(8, thread_name_prefix="tijolo-resolver")  # no thread until used
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address

# The IANA special-purpose registries, RFC 6890 and what came after it, and one public address that
# is a cloud's inside.
_SPECIAL: tuple[tuple[IPNetwork, str], ...] = tuple(
    (ipaddress.ip_network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared, behind a carrier's NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "Azure's own services, WireServer among them"),
        ("169.254.0.0/16", "link-local, where clouds keep their metadata"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::1/128", "loopback"),
        ("::/128", "unspecified"),
        ("fe80::/10", "link-local"),
        ("fc00::/7", "private"),
        ("ff00::/8", "multicast"),
        ("2001::/23", "protocol assignments, Teredo among them"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
    )
)


class AddressGuard:
    """Which URLs may be called and which addresses connected to.

    Give it to ``HTTPClient(guard=guard)``, or its ``transport()`` to an ``httpx.AsyncClient``.
    Every connection is checked when it is opened, that of a redirect too. The certificate is
    checked against the host's name, as ever. Proxies are not used: behind one there is no address
    to check.

    Args:
        schemes: Allowed schemes.
        ports: Allowed ports; by default those of ``schemes``; None for any.
        hosts: Allowed host names, ``*.example.com`` for all below one; None for any.
        allow_networks: CIDR networks that may be connected to although they are not public.
        deny_networks: CIDR networks that may not although they are; wins over ``allow_networks``.
        resolver: Resolves names; the system's by default.

    Raises:
        ValueError: for what is not a network, a scheme or a port.
    """

    def __init__(
        self,
        *,
        schemes: Iterable[str] = ("https",),
        ports: Iterable[int] | None = (),
        hosts: Iterable[str] | None = None,
        allow_networks: Iterable[str] = (),
        deny_networks: Iterable[str] = (),
        resolver: Resolver | None = None,
    ) -> None:
        self._schemes = frozenset(schemes)
        if not self._schemes or not self._schemes <= {"http", "https"}:
            raise ValueError(f"schemes must be of http and https, got {sorted(self._schemes)}")
        defaults = {{"http": 80, "https": 443}[scheme] for scheme in self._schemes}
        self._ports = None if ports is None else frozenset(ports) or frozenset(defaults)
        self._hosts = None if hosts is None else frozenset(_host(name) for name in hosts)
        self._allowed = tuple(ipaddress.ip_network(network) for network in allow_networks)
        self._denied = tuple(ipaddress.ip_network(network) for network in deny_networks)
        self._resolver = resolver or _system_resolver

    def check_url(self, url: str | httpx.URL) -> httpx.URL:
        """Check what can be checked without asking anybody: scheme, userinfo, host, port.

        Passing it says nothing about the address; that is checked when connecting.

        Raises:
            AddressNotAllowedError: with the rule that refused it in ``reason``.
        """
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, TypeError, UnicodeError) as error:
            raise AddressNotAllowedError("", "not a URL") from error
        host = parsed.raw_host.decode("ascii")
        if parsed.scheme not in self._schemes:
            raise AddressNotAllowedError(host, f"the scheme is not {_or(self._schemes)}")
        if parsed.userinfo:
            raise AddressNotAllowedError(host, "the URL holds credentials")
        self._check_host(host, parsed.port or {"http": 80, "https": 443}[parsed.scheme])
        if (literal := _literal(host)) is not None:
            self.check_address(host, literal)
        return parsed

    def _check_host(self, host: str, port: int) -> None:
        if not host:
            raise AddressNotAllowedError(host, "no host")
        if self._ports is not None and port not in self._ports:
            raise AddressNotAllowedError(host, f"port {port} is not allowed")
        if self._hosts is not None and not _listed(_host(host), self._hosts):
            raise AddressNotAllowedError(host, "the host is not on the list")

    def check_address(self, host: str, address: IPAddress) -> None:
        """Check one address.

        Raises:
            AddressNotAllowedError: for one that is not public and not allowed, or denied.
        """
        plain = _embedded(address)
        for form in {address, plain}:
            if any(form in network for network in self._denied):
                raise AddressNotAllowedError(host, f"{address} is in a denied network")
        if any(plain in network for network in self._allowed):
            return
        reason = _not_public(plain)
        if reason is not None:
            raise AddressNotAllowedError(host, f"{address} is not public: {reason}")

    async def resolve(self, host: str, port: int) -> tuple[IPAddress, ...]:
        """The addresses of ``host``, every one of them checked.

        Raises:
            AddressNotAllowedError: when one is not allowed. One public address among private
                ones does not make a name good.
            OSError: when the name does not resolve.
        """
        literal = _literal(host)
        if literal is not None:
            self.check_address(host, literal)
            return (literal,)
        texts = await self._resolver(host, port)
        found: dict[IPAddress, None] = {}
        for text in texts:
            try:
                address = ipaddress.ip_address(text)
            except ValueError:
                raise AddressNotAllowedError(host, "it resolves to what is no address") from None
            self.check_address(host, address)
            found[address] = None
        if not found:
            raise OSError(f"{host!r} has no address")
        return tuple(found)[:_MOST_ADDRESSES]

    def transport(
        self, *, verify_tls: bool | ssl.SSLContext = True, limits: PoolLimits | None = None
    ) -> httpx.AsyncBaseTransport:
        """A transport that this guard watches; whoever takes it closes it."""
        context = httpx.create_ssl_context(verify=verify_tls)
        return _GuardedTransport(self, context, limits or PoolLimits())


class _GuardedTransport(PoolTransport):
    def __init__(self, guard: AddressGuard, context: ssl.SSLContext, limits: PoolLimits) -> None:
        super().__init__(context, limits, _GuardedBackend(guard))
        self._guard = guard

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._guard.check_url(request.url)
        # a caller could otherwise have the certificate of another name accepted
        if "sni_hostname" in request.extensions:
            raise AddressNotAllowedError(request.url.host, "sni_hostname is not allowed")
        return await super().handle_async_request(request)


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections to checked addresses only. TLS above it still sees the name."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._inner = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109, the signature is httpcore's
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve once, check, and try the addresses in turn within ``timeout`` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        addresses = await self._resolved(host, port, timeout)
        failure: Exception | None = None
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            share = None if end is None else (end - time.monotonic()) / left
            if share is not None and share <= 0:
                break
            try:
                return await self._inner.connect_tcp(
                    str(address), port, share, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectTimeout(f"no time left to connect to {host!r}")

    async def _resolved(self, host: str, port: int, seconds: float | None) -> tuple[IPAddress, ...]:
        try:
            async with asyncio.timeout(seconds):
                return await self._guard.resolve(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host!r} was not resolved in time") from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host!r} was not resolved") from error

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109, the signature is httpcore's
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise AddressNotAllowedError(path, "a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        """As the backend below does it."""
        await self._inner.sleep(seconds)


async def _system_resolver(host: str, port: int) -> Sequence[str]:
    # not in the loop's own threads: whoever chooses the name chooses how long its servers take,
    # and `asyncio.to_thread` and the connections to our own database wait for those threads
    def resolve() -> list[str]:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [str(entry[4][0]) for entry in found]

    return await asyncio.get_running_loop().run_in_executor(_resolving, resolve)


def _host(name: str) -> str:
    return name.lower().rstrip(".")


def _listed(host: str, hosts: frozenset[str]) -> bool:
    labels = host.split(".")
    above = (f"*.{'.'.join(labels[i:])}" for i in range(1, len(labels)))
    return host in hosts or any(name in hosts for name in above)


def _or(names: Iterable[str]) -> str:
    return " or ".join(sorted(names))


def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _embedded(address: IPAddress) -> IPAddress:
    """The IPv4 address that ``address`` stands for, or itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _not_public(address: IPAddress) -> str | None:
    for network, reason in _SPECIAL:
        if address in network:
            return reason
    if isinstance(address, ipaddress.IPv6Address) and (
        address not in _GLOBAL_V6 or address.scope_id is not None
    ):
        return "not global unicast"
    # what a later registry adds, as far as this Python knows it
    return None if address.is_global else "not global"
