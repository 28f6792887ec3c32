"""Links in answers: for development, and for a caller on this machine."""

from __future__ import annotations

from ipaddress import ip_address

from starlette.requests import Request

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


def is_on_this_machine(request: Request) -> bool:
    """Whether the client itself is on the loopback, and not only a proxy of others."""
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
