"""Passwords, tokens, users and access control for FastAPI services."""

from tijolo.auth._compat import COMPAT as _COMPAT
from tijolo.auth._version import __version__
from tijolo.core.compat import enforce as _enforce

_enforce(_COMPAT, __version__)

from tijolo.auth.hashing import HashingBusyException, HashService
from tijolo.auth.password_policy import PasswordPolicy, WeakPasswordException, WeakReason
from tijolo.auth.passwords import (
    MAX_PASSWORD_BYTES,
    PasswordScheme,
    PasswordTooLongError,
    PasswordUtils,
)

__all__ = [
    "MAX_PASSWORD_BYTES",
    "HashService",
    "HashingBusyException",
    "PasswordPolicy",
    "PasswordScheme",
    "PasswordTooLongError",
    "PasswordUtils",
    "WeakPasswordException",
    "WeakReason",
    "__version__",
]
