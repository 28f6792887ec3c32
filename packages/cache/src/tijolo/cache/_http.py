"""What HTTP says about kept responses: RFC 9111 (caching), RFC 9110 (conditional requests)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl

from tijolo.cache.codecs import UnfaithfulValueError

_DIRECTIVE = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^,\s]*))?')
_ENTITY_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
NOT_KEPT = ("no-store", "private", "no-cache")
"""Directives of a response that a cache for many must not keep (section 5.2.2)."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A complete 200; names of headers are lower case."""

    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """All values of a header as one, None where it is absent."""
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None


class ResponseCodec:
    """The headers as JSON, a line feed, the body as it is."""

    fingerprint = "response-1"

    def encode(self, value: StoredResponse) -> bytes:
        """The bytes."""
        try:
            return json.dumps(value.headers).encode() + b"\n" + value.body
        except (TypeError, ValueError) as exc:
            raise UnfaithfulValueError("headers are no text") from exc

    def decode(self, data: bytes) -> StoredResponse:
        """The response."""
        head, _, body = data.partition(b"\n")
        headers = tuple((str(name), str(value)) for name, value in json.loads(head))
        return StoredResponse(headers, body)


def directives(header: str | None) -> dict[str, str | None]:
    """``Cache-Control`` by directive; names are lower case, quotes are taken off."""
    found: dict[str, str | None] = {}
    for match in _DIRECTIVE.finditer(header or ""):
        value: str | None = match[2]
        if value is not None and value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        found.setdefault(match[1].lower(), value)
    return found


def max_age(header: str | None) -> int | None:
    """Seconds that the response's own ``Cache-Control`` allows; s-maxage wins (section 5.2.2.10).

    What is no number of seconds counts as 0 (section 4.2.1: treat it as stale).
    """
    given = directives(header)
    for name in ("s-maxage", "max-age"):
        if name in given:
            value = given[name] or ""
            return int(value[:10]) if re.fullmatch(r"[0-9]+", value) else 0
    return None


def expires_in(header: str | None, now: float) -> float | None:
    """Seconds until ``Expires``; what is no date, such as ``0``, is over (section 5.3)."""
    if header is None:
        return None
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return 0.0
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now


def strong_etag(body: bytes, content_type: str) -> str:
    """An entity tag of the bytes alone: equal in every process (RFC 9110, section 8.8.3)."""
    state = hashlib.blake2b(
        body, digest_size=16, key=hashlib.sha256(content_type.encode()).digest()
    )
    return f'"{state.hexdigest()}"'


def none_match(header: str | None, etag: str) -> bool:
    """Whether ``If-None-Match`` names ``etag``: a list or ``*``, compared weakly (13.1.2)."""
    if header is None:
        return False
    if header.strip() == "*":
        return True
    opaque = etag.removeprefix("W/")
    return any(match[1] == opaque for match in _ENTITY_TAG.finditer(header))


def field_names(header: str | None) -> set[str]:
    """The names in a ``Vary``, in lower case."""
    return {name.strip().lower() for name in (header or "").split(",") if name.strip()}


def sorted_query(
    query: bytes, only: frozenset[str] | None, max_bytes: int
) -> list[tuple[str, str]] | None:
    """The parameters by name, repeats in their order; None for what is too long to be a key."""
    if not query:
        return []
    if len(query) > max_bytes:
        return None
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="utf-8",
                      errors="surrogateescape")  # fmt: skip
    kept = [(name, value) for name, value in pairs if only is None or name in only]
    return sorted(kept, key=lambda pair: pair[0])


def why_not_kept(
    status: int, headers: Iterable[tuple[str, str]], vary: frozenset[str]
) -> str | None:
    """Why a response may be given to its own caller alone; None where it may be kept."""
    if status != 200:
        return f"status {status}"
    listed = list(headers)
    if any(name == "set-cookie" for name, _ in listed):
        return "Set-Cookie"
    control = directives(", ".join(v for name, v in listed if name == "cache-control"))
    for directive in NOT_KEPT:
        if directive in control:
            return directive
    undeclared = field_names(", ".join(v for name, v in listed if name == "vary")) - vary
    return f"Vary: {', '.join(sorted(undeclared))}" if undeclared else None


def decoded(raw: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Headers as text, names in lower case."""
    return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw]


def presents_credentials(scope: Mapping[str, Any], names: frozenset[bytes]) -> bool:
    """Whether a request says who sends it: a header, a certificate, or what a middleware found.

    That is Starlette's ``user``, or ``user``, ``user_id`` or ``principal`` in ``request.state``.
    """
    extensions: Mapping[str, Any] = scope.get("extensions") or {}
    tls: Mapping[str, Any] = extensions.get("tls") or {}
    state: Mapping[str, Any] = scope.get("state") or {}
    return (
        any(name.lower() in names for name, _ in scope.get("headers", ()))
        or bool(tls.get("client_cert_chain"))
        or bool(getattr(scope.get("user"), "is_authenticated", False))
        or any(_is_somebody(state.get(name)) for name in ("user", "user_id", "principal"))
    )


def _is_somebody(who: object) -> bool:
    return who is not None and bool(getattr(who, "is_authenticated", True))
