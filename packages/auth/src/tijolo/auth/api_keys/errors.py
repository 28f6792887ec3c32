"""What may be wrong with what an owner asks for."""

from __future__ import annotations

from tijolo.core import ConflictException, NotFoundException, ValidationException


class ApiKeyNotFoundException(NotFoundException):
    """There is no such key of this user."""

    code = "API_KEY_NOT_FOUND"
    message = "There is no such API key"


class ApiKeyLimitException(ConflictException):
    """The user has as many keys as one may have."""

    code = "TOO_MANY_API_KEYS"
    message = "Revoke an API key first; there are as many as there may be"


class ApiKeyNotUsableException(ConflictException):
    """The key was revoked, rotated or has expired: nothing takes its place."""

    code = "API_KEY_NOT_USABLE"
    message = "The API key was revoked, rotated or has expired"


class ApiKeyRequestException(ValidationException):
    """A scope, a network or a lifetime that a key cannot have."""

    code = "INVALID_API_KEY_REQUEST"
    message = "An API key cannot have this"
