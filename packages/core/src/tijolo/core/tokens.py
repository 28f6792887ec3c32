"""Opaque tokens: random strings whose hash, never the token, is stored.

The tokens carry 128 bits of entropy or more, so a plain SHA-256 is enough at rest: there is
nothing to guess (OWASP ASVS 5.0, 11.4). Passwords need a slow hash instead (tijolo-auth).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

MIN_TOKEN_BYTES = 16


def generate_opaque_token(nbytes: int = 32) -> tuple[str, str]:
    """Make a URL-safe token and the hash to store.

    Args:
        nbytes: Entropy in bytes, 16 (128 bits) or more.

    Returns:
        ``(token, token_hash)``: send the first, store the second.

    Raises:
        ValueError: for fewer than 16 bytes.
    """
    if nbytes < MIN_TOKEN_BYTES:
        raise ValueError(
            f"nbytes must be {MIN_TOKEN_BYTES} or more to resist guessing, got {nbytes}"
        )
    token = secrets.token_urlsafe(nbytes)
    return token, hash_opaque_token(token)


def hash_opaque_token(plaintext: str) -> str:
    """SHA-256 of the token, as 64 hexadecimal characters."""
    return hashlib.sha256(plaintext.encode("utf-8", "surrogatepass")).hexdigest()


def verify_opaque_token(plaintext: str, token_hash: str) -> bool:
    """Whether ``plaintext`` hashes to ``token_hash``, compared in constant time."""
    expected = hash_opaque_token(plaintext).encode("ascii")
    return hmac.compare_digest(expected, token_hash.encode("utf-8", "surrogatepass"))
