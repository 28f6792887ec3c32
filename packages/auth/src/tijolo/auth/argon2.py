"""Argon2id (RFC 9106), the first choice of OWASP where its memory can be afforded."""

from __future__ import annotations

import secrets

from tijolo.core import MissingExtraError

try:
    import argon2
    from argon2.exceptions import InvalidHashError, VerificationError
except ImportError as exc:
    raise MissingExtraError("tijolo-auth", "argon2", "argon2-cffi") from exc

__all__ = ["Argon2Scheme"]


class Argon2Scheme:
    """Argon2id for ``PasswordUtils(scheme=Argon2Scheme())``; hashes of bcrypt still verify.

    Args:
        memory_kib: Memory of one hash, in KiB. OWASP: 19 MiB with two passes, or 46 with one.
        passes: Passes over the memory.
        lanes: Lanes that are computed at the same time.

    Raises:
        ValueError: for less than OWASP's smallest parameters.
    """

    def __init__(self, *, memory_kib: int = 19_456, passes: int = 2, lanes: int = 1) -> None:
        if memory_kib * passes < 7168 * 5 or lanes < 1 or passes < 1:
            raise ValueError(
                f"memory_kib={memory_kib}, passes={passes}, lanes={lanes} is below OWASP's"
                " smallest: 7168 KiB with 5 passes and one lane"
            )
        self._hasher = argon2.PasswordHasher(
            time_cost=passes, memory_cost=memory_kib, parallelism=lanes
        )

    def hash(self, password: bytes) -> str:
        """A new hash, with a salt of 16 bytes."""
        return self._hasher.hash(password)

    def verify(self, password: bytes, hashed: str) -> bool:
        """Whether ``hashed`` was made from ``password``."""
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    def knows(self, hashed: str) -> bool:
        """Whether ``hashed`` is Argon2id's, with parameters that can be afforded here."""
        if not hashed.startswith("$argon2id$"):
            return False
        try:
            stored = argon2.extract_parameters(hashed)
        except InvalidHashError:
            return False
        # nobody may plant a hash that takes all the memory
        return stored.memory_cost <= 1_048_576 and stored.time_cost <= 16

    def needs_rehash(self, hashed: str) -> bool:
        """Whether the parameters differ from those of new hashes."""
        return self._hasher.check_needs_rehash(hashed)

    def dummy(self) -> str:
        """A hash of random bytes that nobody has."""
        return self._hasher.hash(secrets.token_bytes(32))
