"""Secrets that must be read again, encrypted at rest: Fernet, with keys that rotate."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr


class UnreadableSecretError(RuntimeError):
    """A sealed secret that no key opens, or that was sealed for somebody else."""


class SecretBox:
    """Seals secrets for their owners, and opens them for nobody else.

    What is sealed carries its owner's id inside, so that a row copied to another user is refused.

    Args:
        keys: Of Fernet (32 bytes in URL-safe base64); the first seals, every one opens. A new key
            goes in front, and the old one away once :meth:`open` calls nothing stale.

    Raises:
        ValueError: without a key, or for one that is none; the message does not show it.
    """

    def __init__(self, keys: Sequence[SecretStr | str]) -> None:
        if not keys:
            raise ValueError(f"no encryption key; {HOW_TO_MAKE_A_KEY}")
        fernets = [_fernet(key, position) for position, key in enumerate(keys)]
        self._current = fernets[0]
        self._all = MultiFernet(fernets)

    @staticmethod
    def generate_key() -> str:
        """A new key, as text for a setting."""
        return Fernet.generate_key().decode("ascii")

    def seal(self, secret: bytes, *, owner: UUID) -> str:
        """``secret``, encrypted and authenticated under the first key."""
        return self._current.encrypt(owner.bytes + secret).decode("ascii")

    def open(self, sealed: str, *, owner: UUID) -> bytes:
        """What was sealed for ``owner``.

        Raises:
            UnreadableSecretError: No key opens it, or it is another owner's.
        """
        try:
            content = self._all.decrypt(sealed.encode("utf-8"))
        except InvalidToken:
            raise UnreadableSecretError(
                "no key of MFA_ENCRYPTION_KEYS opens the secret; was one taken away too early?"
            ) from None
        if content[:16] != owner.bytes:
            raise UnreadableSecretError("the secret was sealed for another owner")
        return content[16:]

    def is_stale(self, sealed: str) -> bool:
        """Whether another key than the first seals it: time to seal it anew."""
        try:
            self._current.decrypt(sealed.encode("utf-8"))
        except InvalidToken:
            return True
        return False


HOW_TO_MAKE_A_KEY = (
    'make one with: python -c "from cryptography.fernet import Fernet;'
    ' print(Fernet.generate_key().decode())"'
)


def _fernet(key: SecretStr | str, position: int) -> Fernet:
    text = key.get_secret_value() if isinstance(key, SecretStr) else key
    try:
        return Fernet(text)
    except ValueError:
        raise ValueError(
            f"encryption key {position} is not 32 bytes in URL-safe base64; {HOW_TO_MAKE_A_KEY}"
        ) from None
