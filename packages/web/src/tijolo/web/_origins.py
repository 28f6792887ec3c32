"""Origins (RFC 6454) as text that compares: lower case, without the scheme's own port."""

from __future__ import annotations

import re

from tijolo.web._shown import without_credentials

_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?"
)
_OWN_PORT = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def normalised_origin(text: str) -> str | None:
    """The origin in ``text``; None for what is no origin, such as ``null``."""
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        return None
    scheme, host, port = match["scheme"], match["host"], match["port"]
    if port is None or int(port) == _OWN_PORT.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}"


def checked_origin(text: str) -> str:
    """The origin in ``text``.

    Raises:
        ValueError: for ``null``, ``*`` and everything else that does not name one origin.
    """
    origin = normalised_origin(text)
    if origin is None:
        raise ValueError(
            f"{without_credentials(text)!r} is not an origin; write scheme://host[:port] without a"
            " path or a slash at the end"
        )
    return origin


def origin_of_url(url: str) -> str | None:
    """The origin of an http or https URL, as a ``Referer`` has it; None where there is none."""
    scheme, separator, rest = url.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if not separator or scheme.lower() not in ("http", "https") or "@" in authority:
        return None
    return normalised_origin(f"{scheme}://{authority}")
