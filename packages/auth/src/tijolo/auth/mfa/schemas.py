"""What the routes of the second factor receive and answer."""

from __future__ import annotations

from pydantic import Field, SecretStr

from tijolo.core import BaseDTO, BaseSchema, UTCDatetime


class MfaStatusSchema(BaseSchema):
    """Whether there is a second factor."""

    enabled: bool
    enabled_at: UTCDatetime | None
    recovery_codes_left: int


class TotpEnrolmentSchema(BaseSchema):
    """What the app must be told; shown once."""

    secret: str = Field(repr=False)
    otpauth_uri: str = Field(repr=False)
    qr_svg: str = Field(repr=False)
    expires_at: UTCDatetime


class TotpConfirmSchema(BaseDTO):
    """A code of the app that was enrolled."""

    code: SecretStr = Field(min_length=1, max_length=64)
    log_out_everywhere: bool = False
    """End every login, this one included (OWASP ASVS 5.0, 7.4.3)."""


class TotpDisableSchema(BaseDTO):
    """The end of the second factor."""

    log_out_everywhere: bool = False


class RecoveryCodesSchema(BaseSchema):
    """Recovery codes; shown once."""

    recovery_codes: list[str] = Field(repr=False)
