"""A second factor: one-time passwords of an app, and recovery codes for when it is lost."""

from tijolo.core import MissingExtraError

try:
    import segno as _segno

    import tijolo.auth.users as _users
except ImportError as exc:
    raise MissingExtraError("tijolo-auth", "mfa", exc.name or "segno") from exc

del _segno, _users

from tijolo.auth.mfa.attempts import CodeAttempts
from tijolo.auth.mfa.errors import (
    InvalidMfaCodeException,
    MfaAlreadyEnabledException,
    MfaEnrolmentException,
    MfaNotEnabledException,
    MfaUnavailableException,
)
from tijolo.auth.mfa.events import MfaEventKind
from tijolo.auth.mfa.models import (
    BaseRecoveryCodeModel,
    BaseTotpModel,
    make_recovery_code_model,
    make_totp_model,
)
from tijolo.auth.mfa.router import make_mfa_router
from tijolo.auth.mfa.sealing import SecretBox, UnreadableSecretError
from tijolo.auth.mfa.second_factor import TotpSecondFactor
from tijolo.auth.mfa.service import MfaService, MfaStatus, TotpEnrolment
from tijolo.auth.mfa.settings import MfaSettings
from tijolo.auth.mfa.totp import TotpParameters

__all__ = [
    "BaseRecoveryCodeModel",
    "BaseTotpModel",
    "CodeAttempts",
    "InvalidMfaCodeException",
    "MfaAlreadyEnabledException",
    "MfaEnrolmentException",
    "MfaEventKind",
    "MfaNotEnabledException",
    "MfaService",
    "MfaSettings",
    "MfaStatus",
    "MfaUnavailableException",
    "SecretBox",
    "TotpEnrolment",
    "TotpParameters",
    "TotpSecondFactor",
    "UnreadableSecretError",
    "make_mfa_router",
    "make_recovery_code_model",
    "make_totp_model",
]
