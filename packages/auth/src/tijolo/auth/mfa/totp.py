"""Time-based one-time passwords (RFC 6238), on the HOTP of the cryptography library."""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

SECRET_BYTES = 20
"""Length of a new secret: the output of SHA-1 (RFC 4226, section 4, requirement 6)."""

TotpAlgorithm = Literal["SHA1", "SHA256", "SHA512"]
_HASHES: dict[str, type[SHA1] | type[SHA256] | type[SHA512]] = {
    "SHA1": SHA1,
    "SHA256": SHA256,
    "SHA512": SHA512,
}


@dataclass(frozen=True, kw_only=True)
class TotpParameters:
    """What an app and the service agree on. Many apps silently ignore all but the defaults.

    HMAC-SHA-1 is not weakened by collisions of SHA-1 (RFC 6194, section 3.3).

    Args:
        digits: 6, 7 or 8.
        period_seconds: Length of a time step.
        algorithm: Of the HMAC.
        skew_steps: Steps before and after the present one whose codes count too: a clock that is
            wrong, a code that was typed late (RFC 6238, section 5.2).

    Raises:
        ValueError: for anything outside these ranges, 15 to 120 seconds, and 0 to 2 steps.
    """

    digits: int = 6
    period_seconds: int = 30
    algorithm: TotpAlgorithm = "SHA1"
    skew_steps: int = 1

    def __post_init__(self) -> None:
        ranges = {"digits": (6, 8), "period_seconds": (15, 120), "skew_steps": (0, 2)}
        for name, (least, most) in ranges.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"{name} must be a whole number, {least} to {most}, got {value!r}")
        if self.algorithm not in _HASHES:
            raise ValueError(f"algorithm must be SHA1, SHA256 or SHA512, got {self.algorithm!r}")

    def step_at(self, now: float) -> int:
        """The number of the time step of ``now`` (seconds since 1970)."""
        return int(now // self.period_seconds)

    def code(self, secret: bytes, step: int) -> str:
        """The one-time password of ``step``.

        Raises:
            ValueError: for a secret of less than 16 bytes (RFC 4226, section 4), a negative step.
        """
        hotp = HOTP(secret, self.digits, _HASHES[self.algorithm]())
        return hotp.generate(step).decode("ascii")

    def matching_step(
        self, secret: bytes, code: str, *, now: float, after: int | None = None
    ) -> int | None:
        """The latest step within the skew whose password is ``code``; None where there is none.

        Every step is computed and compared, in constant time.

        Args:
            secret: The shared secret.
            code: ASCII digits, nothing else.
            now: Seconds since 1970.
            after: The step that was used last: it, and those before it, count no more.
        """
        present = self.step_at(now)
        given = code.encode("utf-8", "surrogatepass")
        found = None
        for step in range(max(0, present - self.skew_steps), present + self.skew_steps + 1):
            right = hmac.compare_digest(self.code(secret, step).encode("ascii"), given)
            if right and (after is None or step > after):
                found = step
        return found

    def uri(self, secret: bytes, *, issuer: str, account: str) -> str:
        """The ``otpauth://`` text that apps read from a QR code.

        Args:
            secret: The shared secret: whoever reads the text has it.
            issuer: The service's name, without a colon.
            account: Which account of it, such as the e-mail address.

        Raises:
            ValueError: for an issuer that is empty or has a colon, which parts it from the account.
        """
        if not issuer or ":" in issuer:
            raise ValueError(f"issuer must be a name without a colon, got {issuer!r}")
        label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
        # not urlencode: apps show the plus that it makes of a space
        return (
            f"otpauth://totp/{label}?secret={secret_text(secret)}&issuer={quote(issuer, safe='')}"
            f"&algorithm={self.algorithm}&digits={self.digits}&period={self.period_seconds}"
        )


def new_secret() -> bytes:
    """160 random bits."""
    return secrets.token_bytes(SECRET_BYTES)


def secret_text(secret: bytes) -> str:
    """The secret in base32, for an app that cannot scan."""
    return base64.b32encode(secret).decode("ascii").rstrip("=")
