"""Password hashes: bcrypt that never cuts, a pepper by choice, other schemes by extra.

The form of a stored hash:

    $2b$12$...            bcrypt of the password itself: under 72 bytes, readable by any library
    $tj1$-$2b$12$...      bcrypt(base64(HMAC-SHA384(password))), for what bcrypt alone would cut
    $tj1$<id>$2b$12$...   the same, keyed with the pepper of that id
    $argon2id$...         the extra ``argon2``; with a pepper again behind ``$tj1$<id>``

Sources: OWASP Password Storage Cheat Sheet (pre-hashing, peppering), NIST SP 800-63B (normalise,
accept every character and at least 64 of them), OWASP ASVS 5.0 section 6.2.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Mapping
from typing import Protocol

import bcrypt
from pydantic import SecretStr

MAX_PASSWORD_BYTES = 1024
"""Longest password that is hashed, in bytes of UTF-8: more is an attack, not a password."""

MIN_ROUNDS, MAX_ROUNDS = 10, 16
"""Range of the bcrypt cost: below it OWASP finds it too cheap, above it a login takes seconds."""

_BCRYPT_BYTES = 72
_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_TAGGED = re.compile(r"\$tj1\$(-|[a-z0-9]{1,16})(\$.+)", re.DOTALL)
_PEPPER_ID = re.compile(r"[a-z0-9]{1,16}")
_BCRYPT_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# without a pepper: separates these digests from anybody else's SHA-384 of a password, so that
# hashes stolen elsewhere cannot be tried here ("shucking")
_NO_PEPPER = b"tijolo.auth password pre-hash 1"


class PasswordScheme(Protocol):
    """A password hash other than bcrypt, such as ``tijolo.auth.argon2.Argon2Scheme``."""

    def hash(self, password: bytes) -> str:
        """A new hash, salted, as text that begins with ``$`` and says how it was made."""
        ...

    def verify(self, password: bytes, hashed: str) -> bool:
        """Whether ``hashed`` was made from ``password``."""
        ...

    def knows(self, hashed: str) -> bool:
        """Whether ``hashed`` is one of this scheme's."""
        ...

    def needs_rehash(self, hashed: str) -> bool:
        """Whether a new hash would be made with other parameters."""
        ...

    def dummy(self) -> str:
        """A hash of nothing that takes as long to verify as a real one."""
        ...


class PasswordTooLongError(ValueError):
    """The password has more than :data:`MAX_PASSWORD_BYTES` bytes."""


class PasswordUtils:
    """Makes and checks password hashes. Slow on purpose, and blocking: see ``HashService``.

    Args:
        rounds: bcrypt's cost, 10 to 16; each step doubles the time.
        peppers: Secrets by id (1 to 16 lower-case letters and digits), 32 bytes or more each,
            kept outside the database. New hashes use the last one; the others still verify.
        scheme: Makes the new hashes instead of bcrypt, whose hashes still verify.

    Raises:
        ValueError: for a cost out of range, or a pepper that is short or badly named.
    """

    def __init__(
        self,
        *,
        rounds: int = 12,
        peppers: Mapping[str, SecretStr | str] | None = None,
        scheme: PasswordScheme | None = None,
    ) -> None:
        if not MIN_ROUNDS <= rounds <= MAX_ROUNDS:
            raise ValueError(f"rounds must be {MIN_ROUNDS} to {MAX_ROUNDS}, got {rounds}")
        self.rounds = rounds
        self.scheme = scheme
        self._peppers = {name: _pepper(name, value) for name, value in (peppers or {}).items()}
        self._current = next(reversed(self._peppers), None)

    def __repr__(self) -> str:
        return f"PasswordUtils(rounds={self.rounds}, peppers={list(self._peppers)})"

    def hash(self, plain: SecretStr | str) -> str:
        """A new salted hash of ``plain``.

        Raises:
            PasswordTooLongError: ``plain`` has more than 1,024 bytes.
            ValueError: ``plain`` is empty.
        """
        password = _normal(plain)
        if not password:
            raise ValueError("an empty password cannot be hashed")
        if len(password) > MAX_PASSWORD_BYTES:
            raise PasswordTooLongError(
                f"the password has {len(password)} bytes; at most {MAX_PASSWORD_BYTES} are hashed"
            )
        tag = self._tag(password)
        made = self._make(password if tag is None else self._digest(password, tag))
        return made if tag is None else f"$tj1${tag}{made}"

    def verify(self, plain: SecretStr | str, hashed: str) -> bool:
        """Whether ``hashed`` was made from ``plain``; False for anything that is no hash."""
        password = _normal(plain)
        if not password or len(password) > MAX_PASSWORD_BYTES:
            return False
        tagged = _TAGGED.fullmatch(hashed)
        if tagged is None:
            return self._check(password, hashed)
        tag, inner = tagged.groups()
        if tag != "-" and tag not in self._peppers:
            return False
        return self._check(self._digest(password, tag), inner)

    def verify_and_update(self, plain: SecretStr | str, hashed: str) -> tuple[bool, str | None]:
        """Verify at a login, and renew a hash that :meth:`hash` would make otherwise today.

        Returns:
            Whether the password is right, and the hash to store instead, None to keep it.
        """
        if not self.verify(plain, hashed):
            return False, None
        cut = len(_normal(plain)) >= _BCRYPT_BYTES and _BCRYPT.fullmatch(hashed) is not None
        return True, self.hash(plain) if cut or self.needs_rehash(hashed) else None

    def needs_rehash(self, hashed: str) -> bool:
        """Whether :meth:`hash` would make ``hashed`` otherwise today.

        A hash of another library does not tell that it cut the password: see
        :meth:`verify_and_update`.
        """
        tagged = _TAGGED.fullmatch(hashed)
        tag, inner = tagged.groups() if tagged else (None, hashed)
        if (self._current or "-") != (tag or "-"):
            return True
        if self.scheme is not None:
            return not self.scheme.knows(inner) or self.scheme.needs_rehash(inner)
        found = _BCRYPT.fullmatch(inner)
        return found is None or int(found[1]) != self.rounds or not inner.startswith("$2b$")

    def is_cheaper(self, hashed: str) -> bool:
        """Whether ``hashed`` may take less time to verify than a new hash would."""
        tagged = _TAGGED.fullmatch(hashed)
        inner = tagged[2] if tagged else hashed
        if self.scheme is not None:
            return not self.scheme.knows(inner) or self.scheme.needs_rehash(inner)
        found = _BCRYPT.fullmatch(inner)
        return found is None or int(found[1]) < self.rounds

    def dummy(self) -> str:
        """A hash that no password fits and that costs as much to verify as a real one.

        Verify against it where there is no user, or the answer's time says so.
        """
        if self.scheme is not None:
            inner = self.scheme.dummy()
        else:
            text = "".join(secrets.choice(_BCRYPT_ALPHABET) for _ in range(51))
            # the last characters of a salt of 16 bytes and of a digest of 23 have unused bits
            inner = f"$2b${self.rounds:02}${text[:21]}.{text[21:]}."
        return f"$tj1${self._current or '-'}{inner}"

    def _tag(self, password: bytes) -> str | None:
        if self._current is not None:
            return self._current
        # of 72 bytes it reads all, and of more no more: whatever follows them would fit as well
        cut_by_bcrypt = len(password) >= _BCRYPT_BYTES or b"\0" in password
        return "-" if cut_by_bcrypt and self.scheme is None else None

    def _digest(self, password: bytes, tag: str) -> bytes:
        key = _NO_PEPPER if tag == "-" else self._peppers[tag]
        # base64: 64 bytes without a NUL, which bcrypt would take for the end
        return base64.b64encode(hmac.digest(key, password, "sha384"))

    def _make(self, password: bytes) -> str:
        if self.scheme is not None:
            return self.scheme.hash(password)
        return bcrypt.hashpw(password, bcrypt.gensalt(self.rounds)).decode("ascii")

    def _check(self, password: bytes, hashed: str) -> bool:
        if self.scheme is not None and self.scheme.knows(hashed):
            return self.scheme.verify(password, hashed)
        found = _BCRYPT.fullmatch(hashed)
        # a cost of 31 would take a day: nobody may plant one
        if found is None or not 4 <= int(found[1]) <= MAX_ROUNDS or b"\0" in password:
            return False
        try:
            # hashes made elsewhere, by libraries that cut, still let their owners in
            return bcrypt.checkpw(password[:_BCRYPT_BYTES], hashed.encode("ascii"))
        except ValueError:  # a salt that only looks like one
            return False


def _normal(plain: SecretStr | str) -> bytes:
    """The bytes of a password: composed (NIST SP 800-63B), otherwise exactly as it was typed."""
    text = plain.get_secret_value() if isinstance(plain, SecretStr) else plain
    # what is longer is refused anyway; composing it takes the square of its length, and the
    # interpreter's lock
    if len(text) <= MAX_PASSWORD_BYTES:
        text = unicodedata.normalize("NFC", text)
    return text.encode("utf-8", "surrogatepass")


def _pepper(name: str, value: SecretStr | str) -> bytes:
    secret = (value.get_secret_value() if isinstance(value, SecretStr) else value).encode()
    if not _PEPPER_ID.fullmatch(name):
        raise ValueError(f"pepper id {name!r}: use 1 to 16 lower-case letters and digits")
    if len(secret) < 32:
        raise ValueError(f"pepper {name!r} has {len(secret)} bytes; it needs 32 or more")
    return hashlib.sha384(secret).digest() if len(secret) > 128 else secret
