"""How to reach an SMTP server: encryption, limits, times; each a value that is checked once."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from os import PathLike

from tijolo.core import BaseStrEnum


class TLSMode(BaseStrEnum):
    """How the connection is encrypted."""

    PLAIN = "plain"
    """Not at all; port 25. For a relay on this host or network."""
    STARTTLS = "starttls"
    """Upgraded before anything is said (RFC 3207), never skipped; port 587."""
    TLS = "tls"
    """From the first byte (RFC 8314, section 3.3); port 465."""

    @property
    def default_port(self) -> int:
        """The port that goes with it."""
        return {TLSMode.PLAIN: 25, TLSMode.STARTTLS: 587, TLSMode.TLS: 465}[self]


@dataclass(frozen=True, kw_only=True)
class SMTPTimeouts:
    """The longest each phase may take, in seconds (RFC 5321, section 4.5.3.2)."""

    connect_seconds: float = 10.0
    """Name, connection, greeting, encryption and login together."""
    command_seconds: float = 30.0
    """The reply to MAIL, RCPT and DATA."""
    data_seconds: float = 120.0
    """Each block of the message, and the reply to its end: too short a time here is an e-mail of
    which nobody knows whether it was sent."""

    def __post_init__(self) -> None:
        _positive(self, "connect_seconds", "command_seconds", "data_seconds")


@dataclass(frozen=True, kw_only=True)
class PoolLimits:
    """How many connections there are, and how long each is used."""

    max_connections: int = 4
    wait_seconds: float = 30.0
    """The longest wait for a connection when all are in use; then ``EmailConnectionError``."""
    idle_seconds: float = 30.0
    """After so long without work a connection is closed."""
    noop_after_seconds: float = 5.0
    """After so long without work the server is asked whether it is still there."""
    max_messages: int = 100
    """Messages on one connection; providers limit that."""

    def __post_init__(self) -> None:
        _positive(self, "max_connections", "wait_seconds", "idle_seconds", "max_messages")
        if self.noop_after_seconds < 0:
            raise ValueError(f"noop_after_seconds must be 0 or more: {self.noop_after_seconds}")


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Further attempts after a transient refusal (4yz) or a lost connection.

    The pause after attempt ``n`` is random between 0 and
    ``min(max_delay_seconds, base_delay_seconds * 2 ** (n - 1))``.
    """

    attempts: int = 3
    """In all; 1 never tries again."""
    base_delay_seconds: float = 0.5
    max_delay_seconds: float = 10.0

    def __post_init__(self) -> None:
        _positive(self, "attempts", "base_delay_seconds", "max_delay_seconds")

    def longest_pause(self, attempt: int) -> float:
        """The upper end of the pause after ``attempt``, from 1."""
        return min(self.max_delay_seconds, self.base_delay_seconds * 2.0 ** min(attempt - 1, 60))


@dataclass(frozen=True, kw_only=True)
class SMTPServer:
    """Where to, and as whom.

    Raises:
        ValueError: a password would travel in clear, or port and mode contradict each other.
    """

    host: str
    port: int | None = None
    """None takes the one of ``tls``."""
    tls: TLSMode = TLSMode.STARTTLS
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    oauth_token: Callable[[], Awaitable[str]] | None = field(default=None, repr=False)
    """Instead of a password: gives a fresh access token for each connection (XOAUTH2)."""
    allow_insecure_auth: bool = False
    """Log in without encryption on a network that you trust."""
    local_hostname: str | None = None
    """What we call ourselves in EHLO; None asks the system."""
    ca_file: str | PathLike[str] | None = None
    """Certificates to trust instead of the system's, PEM."""
    tls_context: ssl.SSLContext | None = field(default=None, repr=False)
    """Everything about TLS, instead of ``ca_file``: a client certificate, for example."""

    def __post_init__(self) -> None:
        if set(self.host) & set("/@"):
            # not quoted: a URL may hold the password
            raise ValueError("an SMTP host is a name or an address, without a scheme or a login")
        if not _is_host(self.host):
            raise ValueError(f"SMTP host {self.host!r} is not the name of a server")
        if self.local_hostname is not None and not _is_word(self.local_hostname):
            raise ValueError(f"local_hostname {self.local_hostname!r} is not the name of a host")
        if self.port is not None and not 1 <= self.port <= 65535:
            raise ValueError(f"SMTP port must be 1 to 65535, got {self.port}")
        if self.port == 465 and self.tls is not TLSMode.TLS:
            raise ValueError(f"port 465 is TLS from the first byte (RFC 8314), not {self.tls}")
        if (self.password is not None or self.oauth_token) and not self.username:
            raise ValueError("an SMTP password or token was given without a user name")
        if self.password is not None and self.oauth_token:
            raise ValueError("give either an SMTP password or oauth_token")
        if self.ca_file is not None and self.tls_context is not None:
            raise ValueError("give either ca_file or tls_context")
        if self.username and self.tls is TLSMode.PLAIN and not self._may_log_in_clear:
            raise ValueError(
                f"refusing to send the SMTP password to {self.host!r} in clear: use starttls or"
                " tls, or allow_insecure_auth on a network that you trust"
            )

    @property
    def effective_port(self) -> int:
        """The port, given or of the mode."""
        return self.tls.default_port if self.port is None else self.port

    @property
    def _may_log_in_clear(self) -> bool:
        return self.allow_insecure_auth or is_loopback(self.host)

    def make_tls_context(self) -> ssl.SSLContext | None:
        """What encrypts; certificate and name are always verified. Blocking: it reads files."""
        if self.tls is TLSMode.PLAIN:
            return None
        if self.tls_context is not None:
            return self.tls_context
        return ssl.create_default_context(cafile=self.ca_file)


def is_loopback(host: str) -> bool:
    """Whether what is sent to ``host`` stays on this machine."""
    if host.lower() in {"localhost", "localhost."}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_host(host: str) -> bool:
    try:
        encoded = host.encode("idna")  # as the system's resolver will want it
    except UnicodeError:
        return False
    return bool(encoded) and host == host.strip() and host.isprintable()


def _is_word(text: str) -> bool:
    return text.isascii() and text.isprintable() and bool(text) and " " not in text


Clock = Callable[[], float]
"""Monotonic seconds."""


def _positive(options: object, *names: str) -> None:
    for name in names:
        value: float = getattr(options, name)
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value}")
