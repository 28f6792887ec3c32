"""Anti-CSRF tokens: signed, bound to a session and to a cookie, different on every page."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence

from pydantic import SecretStr

from tijolo.core.secret_check import HOW_TO_MAKE_ONE

MIN_KEY_BYTES = 32
_SALT_BYTES = 16
_TOKEN_CHARACTERS = 64  # of 16 + 32 bytes, in base64 without padding
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")

TokenSecret = str | SecretStr


def generate_csrf_token(n_bytes: int = 32) -> str:
    """A random URL-safe text, which the cookie holds.

    Args:
        n_bytes: Entropy in bytes, 16 (128 bits) or more.

    Raises:
        ValueError: for fewer.
    """
    if n_bytes < 16:
        raise ValueError(f"n_bytes must be 16 or more to resist guessing, got {n_bytes}")
    return secrets.token_urlsafe(n_bytes)


class CSRFTokens:
    """Makes and checks tokens (OWASP CSRF Prevention, "Signed Double-Submit Cookie").

    A token is a salt and an HMAC-SHA256 over salt, session and cookie. It is worth nothing in
    another session, nor beside another cookie, and no two pages show the same one (which keeps
    BREACH from reading it out of compressed answers).

    Args:
        secret: The signing secret, or several: the first signs, all are accepted.

    Raises:
        ValueError: for a secret of fewer than 32 bytes, or none.
    """

    def __init__(self, secret: TokenSecret | Sequence[TokenSecret]) -> None:
        several = [secret] if isinstance(secret, (str, SecretStr)) else list(secret)
        self._keys = [_Key(one) for one in several]
        if not self._keys:
            raise ValueError("CSRF tokens need a secret")

    def make(self, *, session: str | None, cookie: str) -> str:
        """A token for ``session`` (None before there is one) and ``cookie``."""
        salt = secrets.token_bytes(_SALT_BYTES)
        mac = self._keys[0].mac(_content(salt, session, cookie))
        return base64.urlsafe_b64encode(salt + mac).decode("ascii")

    def holds(self, token: bytes, *, session: str | None, cookie: str) -> bool:
        """Whether ``token`` was made for exactly these; False for whatever cannot be read."""
        if len(token) != _TOKEN_CHARACTERS or token.translate(None, _ALPHABET):
            return False
        raw = binascii.a2b_base64(token.translate(_TO_STANDARD))
        content, mac = _content(raw[:_SALT_BYTES], session, cookie), raw[_SALT_BYTES:]
        return any(hmac.compare_digest(key.mac(content), mac) for key in self._keys)


class _Key:
    """HMAC-SHA256 (RFC 2104) under one key, whose two pads are hashed only once."""

    def __init__(self, secret: TokenSecret) -> None:
        text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
        raw = text.encode("utf-8", "surrogatepass")
        if len(raw.strip()) < MIN_KEY_BYTES:
            raise ValueError(
                f"a CSRF secret (CSRF_SECRET) must have {MIN_KEY_BYTES} bytes or more, in"
                f" development too; make one with: {HOW_TO_MAKE_ONE}"
            )
        # derived, so that a secret that also signs other things says nothing there
        key = hmac.digest(raw, b"tijolo.csrf.v1", "sha256").ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))

    def mac(self, content: bytes) -> bytes:
        """The HMAC of ``content``."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(content)
        outer.update(inner.digest())
        return outer.digest()


def _content(salt: bytes, session: str | None, cookie: str) -> bytes:
    if session is None:
        return salt + b"-\0" + cookie.encode("latin-1")
    bound = session.encode("utf-8", "surrogatepass")
    return b"%b%d:%b\0%b" % (salt, len(bound), bound, cookie.encode("latin-1"))
