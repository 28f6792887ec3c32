"""Settings of the second factor: ``class Settings(MfaSettings, ..., BaseAppSettings)``."""

from __future__ import annotations

import json
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tijolo.auth.mfa.sealing import HOW_TO_MAKE_A_KEY, SecretBox
from tijolo.auth.mfa.totp import TotpParameters
from tijolo.core import SigningSecret
from tijolo.web.rate_limits import rate_limits


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.strip()
    return json.loads(text) if text.startswith("[") else [s.strip() for s in text.split(",") if s]


class MfaSettings(BaseSettings):
    """One-time passwords and recovery codes."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    MFA_ENCRYPTION_KEYS: Annotated[list[SigningSecret], NoDecode, BeforeValidator(_split)] = Field(
        description=f"a Fernet key, the same on every replica; {HOW_TO_MAKE_A_KEY}"
    )
    """Fernet keys, the newest first: it seals, all of them open. Separated by commas."""
    MFA_ISSUER: str = Field(min_length=1, max_length=64, pattern=r"^[^:]+$")
    """The service's name, as the app shows it."""
    MFA_SKEW_STEPS: int = Field(default=1, ge=0, le=2)
    """Steps of 30 seconds by which a clock may be wrong."""
    MFA_ATTEMPT_LIMITS: str = "5/15minutes,50/30days"
    """How many wrong codes an account has. NIST SP 800-63B allows 100 in a row."""
    MFA_ENROLMENT_TTL_SECONDS: int = Field(default=600, ge=60, le=86_400)
    """How long the QR code may be scanned and confirmed."""
    MFA_RECOVERY_CODES: int = Field(default=10, ge=4, le=50)
    MFA_RECENT_AUTH_SECONDS: int = Field(default=300, ge=30, le=3600)
    """How long ago the login may be that changes the second factor."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        try:
            SecretBox(self.MFA_ENCRYPTION_KEYS)
        except ValueError as error:
            raise ValueError(f"MFA_ENCRYPTION_KEYS: {error}") from None
        try:
            rate_limits(self.MFA_ATTEMPT_LIMITS)
        except ValueError as error:
            raise ValueError(f"MFA_ATTEMPT_LIMITS: {error}") from None
        return self

    def secret_box(self) -> SecretBox:
        """The box of ``MFA_ENCRYPTION_KEYS``."""
        return SecretBox(self.MFA_ENCRYPTION_KEYS)

    def totp_parameters(self) -> TotpParameters:
        """Those that every app knows, with this skew."""
        return TotpParameters(skew_steps=self.MFA_SKEW_STEPS)
