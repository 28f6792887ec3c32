"""Recovery codes: what a user who lost the app types once (OWASP ASVS 5.0, 6.5.1 and 6.5.2)."""

from __future__ import annotations

import hashlib
import re
import secrets
from uuid import UUID

CODE_BITS = 120
"""Random bits of a code. From 112 on a plain SHA-256 of it may be stored (ASVS 6.5.2)."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32: no i, l, o, u
_LENGTH = CODE_BITS // 5
_GROUP = 6
_CODE = re.compile(f"[{_ALPHABET}]{{{_LENGTH}}}")
_READ_AS = str.maketrans({"o": "0", "i": "1", "l": "1", "-": None, " ": None})


def new_recovery_codes(count: int) -> list[str]:
    """``count`` codes, such as ``k7qm2x-0v9tbr-...``: 24 characters in groups of six."""
    return [_new_code() for _ in range(count)]


def _new_code() -> str:
    text = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return "-".join(text[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP))


def read_recovery_code(text: str) -> str | None:
    """``text`` as it is hashed; None if it cannot be a code.

    Case, hyphens and spaces do not matter; ``O`` is read as zero, ``I`` and ``L`` as one.
    """
    if len(text) > 4 * _LENGTH or not text.isascii():
        return None
    bare = text.strip().lower().translate(_READ_AS)
    return bare if _CODE.fullmatch(bare) else None


def recovery_code_hash(code: str, *, owner: UUID) -> str:
    """What is stored of a code that :func:`read_recovery_code` read: 64 hexadecimal digits."""
    return hashlib.sha256(
        b"tijolo recovery code\0" + owner.bytes + code.encode("ascii")
    ).hexdigest()
