"""What a caller of a service with sessions can be told."""

from __future__ import annotations

from tijolo.core import ServiceUnavailableException, ValidationException


class SessionStoreUnavailableException(ServiceUnavailableException):
    """The store did not answer, or not in time: whether there is a session is not known."""

    code = "SESSION_STORE_UNAVAILABLE"
    message = "Sessions cannot be read now; try again"

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=1)


class SessionDataTooLargeException(ValidationException):
    """The session's data would grow over the store's limit; nothing of the write was kept."""

    code = "SESSION_DATA_TOO_LARGE"
    message = "The session cannot hold that much"
