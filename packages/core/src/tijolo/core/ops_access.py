"""Who may see the pages that describe the service itself: metrics, logs, integrations."""

# No `from __future__ import annotations`: FastAPI 0.121 does not resolve the annotations of an
# object that is called, and would take `request` for a query parameter.
import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import SecretStr
from starlette.requests import Request

from tijolo.core.exceptions import UnauthorizedException

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class OpsAccess:
    """Guards the pages that describe the service itself, and fails closed.

    One object for all of them: ``/metrics``, the log viewer, the page of integrations. A request
    may pass when it carries the token or comes from one of the networks; either is enough, so
    that a scraper inside the cluster and an engineer outside it can share the page. Use it as a
    FastAPI dependency, ``Depends(access)``, or ask :meth:`allows` in a middleware.

    The address is that of ``scope["client"]``: behind a proxy, the proxy's own unless something
    such as ``tijolo.web.TrustedProxyMiddleware`` has resolved it. A network that holds the proxy
    would let everybody in.

    Args:
        token: What the request must carry in ``header``, or as ``Authorization: Bearer``.
        networks: Addresses and CIDR blocks, such as ``"10.0.0.0/8"`` or ``"::1"``.
        header: The header that carries the token.
        allow_anonymous: Let everybody in: for development, or where a separate port or the
            network keeps others out. Refused together with ``token`` or ``networks``.

    Raises:
        ValueError: when nothing says who may pass, or for a network that is none.
    """

    def __init__(
        self,
        *,
        token: SecretStr | str | None = None,
        networks: Iterable[str] = (),
        header: str = "X-Ops-Token",
        allow_anonymous: bool = False,
    ) -> None:
        text = token.get_secret_value() if isinstance(token, SecretStr) else token
        self._token = (text or "").encode("utf-8", "surrogatepass")
        self._networks = [_network(text) for text in _not_text(networks)]
        self._header = header.lower().encode("ascii")
        self._anonymous = allow_anonymous
        restricted = bool(self._token or self._networks)
        if not restricted and not allow_anonymous:
            raise ValueError(
                "OpsAccess needs a token or networks, or it would show the service's inside to"
                " everybody; allow_anonymous=True says that this is meant"
            )
        if restricted and allow_anonymous:
            raise ValueError("allow_anonymous=True would make the token and the networks useless")

    def __repr__(self) -> str:
        token = "'***'" if self._token else "None"
        networks = [str(network) for network in self._networks]
        return f"OpsAccess(token={token}, networks={networks}, allow_anonymous={self._anonymous})"

    def allows(self, scope: Mapping[str, Any]) -> bool:
        """Whether the request of this ASGI scope may pass."""
        return self._anonymous or self._carries_token(scope) or self._comes_from_network(scope)

    async def __call__(self, request: Request) -> None:
        """The FastAPI dependency.

        Raises:
            UnauthorizedException: when the request may not pass.
        """
        if not self.allows(request.scope):
            raise UnauthorizedException(code="OPS_ACCESS_DENIED")

    def _carries_token(self, scope: Mapping[str, Any]) -> bool:
        if not self._token:
            return False
        given = b""
        for name, value in scope.get("headers") or ():
            if name == self._header:
                given = value
                break
            if name == b"authorization" and value[:7].lower() == b"bearer ":
                given = value[7:].strip()
        return hmac.compare_digest(given, self._token)

    def _comes_from_network(self, scope: Mapping[str, Any]) -> bool:
        client = scope.get("client")
        if not self._networks or not client:
            return False
        try:
            address = ipaddress.ip_address(client[0])
        except ValueError:  # a Unix socket, or a test client's name
            return False
        # a dual-stack socket shows IPv4 peers as ::ffff:a.b.c.d
        mapped = getattr(address, "ipv4_mapped", None)
        address = mapped or address
        return any(address in network for network in self._networks)


def _not_text(networks: Iterable[str]) -> Iterable[str]:
    if isinstance(networks, str):
        raise TypeError(f"networks must be a list of networks, got the text {networks!r}")
    return networks


def _network(text: str) -> _Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is no network; expected an address or a CIDR block such as '10.0.0.0/8'"
        ) from error
