"""What may be wrong with a second factor, in terms that a client acts on."""

from __future__ import annotations

from tijolo.core import BadRequestException, ConflictException, ServiceUnavailableException


class InvalidMfaCodeException(BadRequestException):
    """The code is wrong, was used before, or comes too early or too late."""

    code = "INVALID_MFA_CODE"
    message = "The code is not valid, or not any more"


class MfaAlreadyEnabledException(ConflictException):
    """There is a second factor; it must be disabled before another takes its place."""

    code = "MFA_ALREADY_ENABLED"
    message = "The second factor is enabled already; disable it first"


class MfaNotEnabledException(ConflictException):
    """There is no second factor that this could be about."""

    code = "MFA_NOT_ENABLED"
    message = "The second factor is not enabled"


class MfaEnrolmentException(ConflictException):
    """There is nothing to confirm: no enrolment was begun, another took its place, or it ended."""

    code = "NO_MFA_ENROLMENT"
    message = "There is no enrolment to confirm, or not any more; begin again"


class MfaUnavailableException(ServiceUnavailableException):
    """Codes of the app cannot be checked: no key opens the secret. Recovery codes still count."""

    code = "MFA_UNAVAILABLE"
    message = "Codes cannot be checked now; a recovery code can"
