"""What an API key looks like: a prefix that names it, random characters, and their checksum."""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY = 43  # 256 bits
_CHECKSUM = 6  # 62**6 > 2**32
_SHOWN = 4
_PREFIX = re.compile(r"[a-z][a-z0-9]{0,15}(_[a-z0-9]{1,16}){0,2}")


class ApiKeyFormat:
    """Keys such as ``tj_live_4kQz…``: found by secret scanners, refused without a query when wrong.

    43 characters of base62 hold 256 random bits; six more are the CRC-32 of everything before
    them, so that a scanner, and this service, tell a key from what only looks like one. The
    checksum proves nothing about where a key comes from.

    Args:
        prefix: Names the service and the environment, such as ``tj_live``: lower-case letters
            and digits, in up to three words with underscores.

    Raises:
        ValueError: for another prefix.
    """

    def __init__(self, prefix: str) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise ValueError(
                f"prefix {prefix!r} must be one to three words of lower-case letters and digits,"
                " such as 'tj_live'"
            )
        self.prefix = prefix
        self.pattern = f"{prefix}_[0-9A-Za-z]{{{_BODY + _CHECKSUM}}}"
        """A regular expression, for secret scanners."""
        self._matches = re.compile(self.pattern).fullmatch

    def generate(self) -> str:
        """A new key."""
        unsigned = f"{self.prefix}_" + "".join(secrets.choice(_BASE62) for _ in range(_BODY))
        return unsigned + _checksum(unsigned)

    def is_well_formed(self, text: str) -> bool:
        """Whether ``text`` has the form of a key, and the checksum is right."""
        if self._matches(text) is None:
            return False
        return text[-_CHECKSUM:] == _checksum(text[:-_CHECKSUM])

    def looks_like_one(self, text: str) -> bool:
        """Whether ``text`` begins as a key does: it was meant to be one, right or wrong."""
        return text.startswith(f"{self.prefix}_")

    def hint(self, key: str) -> str:
        """The begin of ``key``, by which its owner knows it again."""
        return key[: len(self.prefix) + 1 + _SHOWN]


def api_key_hash(key: str) -> str:
    """What is stored of a key: 64 hexadecimal digits. 256 random bits need no slow hash."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode("ascii")), ""
    for _ in range(_CHECKSUM):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits
