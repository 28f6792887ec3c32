"""What happened to second factors."""

from __future__ import annotations

from tijolo.core import BaseStrEnum


class MfaEventKind(BaseStrEnum):
    """The kinds of ``AuthEvent`` that this package tells of: worth a notice to the user."""

    ENABLED = "mfa_enabled"
    DISABLED = "mfa_disabled"
    RECOVERY_CODES_RENEWED = "mfa_recovery_codes_renewed"
    RECOVERY_CODE_USED = "mfa_recovery_code_used"
