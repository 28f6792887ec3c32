"""From where a key may be used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from tijolo.auth.api_keys.errors import ApiKeyRequestException

MAX_NETWORKS = 20

_Network = IPv4Network | IPv6Network


def read_networks(texts: Iterable[str]) -> list[str]:
    """``texts`` in CIDR notation, each once; a single address becomes a network of one.

    Raises:
        ApiKeyRequestException: for what is neither, a network with bits of a host, one of
            IPv4 addresses written as IPv6, or more than 20.
    """
    found: dict[str, None] = {}
    for text in texts:
        found[str(_network(text))] = None
    if len(found) > MAX_NETWORKS:
        raise ApiKeyRequestException(f"A key has at most {MAX_NETWORKS} networks")
    return list(found)


def _network(text: str) -> _Network:
    try:
        network = ip_network(text.strip())
    except ValueError:
        raise ApiKeyRequestException(
            f"{text[:64]!r} is no address or CIDR network such as '203.0.113.0/24'"
        ) from None
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        # clients' addresses are compared as IPv4: it would match nobody
        raise ApiKeyRequestException(f"Write the network {text[:64]!r} as IPv4")
    return network


def is_inside(networks: Sequence[str], address: str | None) -> bool:
    """Whether ``address`` is in one of ``networks``. One that nobody knows is in none."""
    if address is None:
        return False
    try:
        client = ip_address(address)
    except ValueError:  # a unix socket's path
        return False
    return any(client in network for network in _parsed(tuple(networks)))


@lru_cache(maxsize=1024)
def _parsed(networks: tuple[str, ...]) -> tuple[_Network, ...]:
    return tuple([ip_network(text) for text in networks])
