"""Reads a signed token in compact form (RFC 7515): size, header, key, signature, then the claims.

PyJWT's algorithm objects say whether a signature is good. What is left out of PyJWT's ``decode``
is work done twice: the header of an issuer is the same text in every token, and a prepared key
needs no preparing.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterable
from typing import Any, NamedTuple, cast

from tijolo.auth.key_ring import KeySource
from tijolo.auth.keys import TokenKey
from tijolo.core import InvalidTokenException

MAX_TOKEN_BYTES = 8192
"""Longest token that is read: what fits into the headers that servers take."""

_MAX_HEADER_BYTES = 2048
_MAX_HEADERS = 128
# strict base64url: the other alphabet and padding are mapped to what is refused
_ALPHABET = bytes.maketrans(b"-_+/=", b"+/!!!")
_PADDING = (b"", b"!", b"==", b"=")
_parse = json.JSONDecoder().raw_decode


class UnknownKeyException(InvalidTokenException):
    """No key of that id; the issuer may have published a new one."""


class Header(NamedTuple):
    """What of a header counts."""

    kid: str | None
    algorithm: str


class CompactReader:
    """Verifies the signature and type of tokens, and parses their claims.

    Args:
        keys: Who may have signed.
        token_types: Accepted ``typ`` values (RFC 8725, section 3.11).
        max_token_bytes: What is longer is refused unread.
    """

    def __init__(
        self, keys: KeySource, *, token_types: Iterable[str], max_token_bytes: int = MAX_TOKEN_BYTES
    ) -> None:
        if isinstance(token_types, str):
            raise TypeError(f"token_types must be a list of types, got the text {token_types!r}")
        self._types = {_media_type(name) for name in token_types}
        if not self._types or max_token_bytes < 1:
            raise ValueError("a reader needs at least one token type, and room for a token")
        self.keys = keys
        self.max_token_bytes = max_token_bytes
        self._headers: dict[bytes, Header] = {}

    def read(self, raw: bytes) -> tuple[dict[str, Any], TokenKey]:
        """The claims of a token that one of the keys has signed.

        Raises:
            InvalidTokenException: for anything else.
        """
        try:
            signed, signature_part = raw.rsplit(b".", 1)
            header_part, payload_part = signed.split(b".")
            known = self._headers.get(header_part)
            header = known or self._header(header_part)
            key = self.keys.find(header.kid, header.algorithm)
            if key is None:
                raise UnknownKeyException
            good = key.implementation.verify(signed, key.verifier, _decode(signature_part))
            if not good:
                raise InvalidTokenException
            text = str(_decode(payload_part), "utf-8")
            found: tuple[Any, int] = _parse(text)
            claims, end = found
            if end != len(text) and text[end:].strip(" \t\r\n"):
                raise InvalidTokenException
        except (ValueError, RecursionError):
            raise InvalidTokenException from None
        if not isinstance(claims, dict):
            raise InvalidTokenException
        if known is None:
            # only headers of good tokens: nobody can fill this
            if len(self._headers) >= _MAX_HEADERS:
                self._headers.clear()
            self._headers[header_part] = header
        return cast("dict[str, Any]", claims), key

    def _header(self, part: bytes) -> Header:
        if len(part) > _MAX_HEADER_BYTES:
            raise InvalidTokenException
        text = str(_decode(part), "utf-8")
        header: object = json.loads(text, object_pairs_hook=_without_duplicates)
        if not isinstance(header, dict):
            raise InvalidTokenException
        fields = cast("dict[str, Any]", header)
        kid, algorithm, kind = fields.get("kid"), fields.get("alg"), fields.get("typ")
        # crit and b64 would change how the token is read (RFC 7515, section 4.1.11; RFC 7797).
        # jwk, jku, x5c and x5u are not looked at: a key that a token brings proves nothing
        if "crit" in fields or "b64" in fields:
            raise InvalidTokenException
        if not isinstance(algorithm, str) or not isinstance(fields.get("kid", ""), str):
            raise InvalidTokenException
        if not isinstance(kind, str) or _media_type(kind) not in self._types:
            raise InvalidTokenException
        return Header(kid, algorithm)


def ascii_bytes(token: Any, max_bytes: int) -> bytes:
    """The token as bytes, if it can be one at all.

    Raises:
        InvalidTokenException: when it is no text, too long, or not ASCII.
    """
    # called with whatever a client sent, or with what a caller's bug made of it
    if not isinstance(token, str) or len(token) > max_bytes:
        raise InvalidTokenException
    try:
        return token.encode("ascii")
    except UnicodeEncodeError:
        raise InvalidTokenException from None


def _decode(part: bytes) -> bytes:
    """Bytes of base64url without padding, in the one form in which they can be written."""
    rest = len(part) & 3
    text = part.translate(_ALPHABET) + _PADDING[rest]
    decoded = binascii.a2b_base64(text, strict_mode=True)
    # only the last group may have bits that nobody reads
    if rest and binascii.b2a_base64(decoded[1 - rest :], newline=False) != text[-4:]:
        raise ValueError("unused bits are set")
    return decoded


def _media_type(name: str) -> str:
    return name.lower().removeprefix("application/")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a member is there twice")
    return fields
