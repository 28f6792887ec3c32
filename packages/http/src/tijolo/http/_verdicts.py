"""What each way to fail says: whether to try again, and whether the other side is to blame."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

import httpx


@dataclass(frozen=True, slots=True)
class Verdict:
    """``retry``: another attempt may succeed. ``blame``: a failure in the eyes of the circuit."""

    retry: bool
    blame: bool


_TRANSIENT = Verdict(retry=True, blame=True)
_BROKEN = Verdict(retry=False, blame=True)
_OURS = Verdict(retry=False, blame=False)

# The first that fits counts.
_VERDICTS: tuple[tuple[type[BaseException], Verdict], ...] = (
    (httpx.PoolTimeout, Verdict(retry=True, blame=False)),  # our own connections are all in use
    (httpx.TimeoutException, _TRANSIENT),  # connect, read, write
    (httpx.NetworkError, _TRANSIENT),  # connect, read, write, close
    (httpx.RemoteProtocolError, _TRANSIENT),  # among others: a keep-alive connection just closed
    (httpx.ProxyError, _TRANSIENT),
    (httpx.DecodingError, _BROKEN),
    (httpx.LocalProtocolError, _OURS),
    (httpx.UnsupportedProtocol, _OURS),
    (OSError, _TRANSIENT),  # what a transport did not translate
)


def verdict(error: BaseException) -> Verdict:
    """What ``error`` says; for what is not an error of the wire, neither."""
    if isinstance(error, httpx.ConnectError) and _bad_certificate(error):
        return _BROKEN  # it will be as bad the next time
    for kind, found in _VERDICTS:
        if isinstance(error, kind):
            return found
    return _OURS


def _bad_certificate(error: BaseException) -> bool:
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return False
        if isinstance(seen, ssl.SSLCertVerificationError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
