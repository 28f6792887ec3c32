"""What can go wrong with an e-mail.

    EmailError (AppException)
    ├── InvalidEmailError 422            the message cannot be made
    │   ├── InvalidAddressError
    │   ├── InvalidHeaderError
    │   └── EmailTooLargeError 413
    ├── EmailTemplateError 500           a template is missing or does not render
    └── EmailDeliveryError 503           the server did not take it
        ├── EmailConnectionError         no answer, no connection
        │   └── EmailBusyError           all of them in use for too long
        ├── EmailTLSError                no STARTTLS, or a certificate that does not hold
        ├── EmailAuthenticationError
        ├── EmailUnsupportedError 422    the server cannot carry such an address
        ├── EmailRejectedError           refused for every recipient
        └── EmailOutcomeUnknownError     lost when the server may have it already

No text of theirs holds a password, an address that was not given by the caller, or a body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tijolo.core import AppException

if TYPE_CHECKING:
    from tijolo.email.results import RecipientResult


class EmailError(AppException):
    """Base of the errors of this package."""

    status_code = 500
    code = "EMAIL_ERROR"
    message = "The e-mail could not be sent"


class InvalidEmailError(EmailError):
    """The message cannot be made of what was given."""

    status_code = 422
    code = "EMAIL_INVALID"
    message = "The e-mail is not valid"


class InvalidAddressError(InvalidEmailError):
    """Not one address (RFC 5321, section 4.1.2; RFC 6531 for other alphabets)."""

    code = "EMAIL_ADDRESS_INVALID"
    message = "Invalid e-mail address"


class InvalidHeaderError(InvalidEmailError):
    """A header that would break, or forge, the message (RFC 5322, section 2.2)."""

    code = "EMAIL_HEADER_INVALID"
    message = "Invalid e-mail header"


class EmailTooLargeError(InvalidEmailError):
    """Larger than our limit, or than the server's (RFC 1870)."""

    status_code = 413
    code = "EMAIL_TOO_LARGE"
    message = "The e-mail is too large"


class EmailTemplateError(EmailError):
    """A template is missing, does not compile, or uses a variable that it was not given."""

    code = "EMAIL_TEMPLATE_ERROR"
    message = "The e-mail template could not be rendered"


class EmailDeliveryError(EmailError):
    """The server did not take the message.

    Args:
        message: One sentence for people.
        transient: Whether a later attempt may succeed.
        smtp_code: The server's reply code (RFC 5321, section 4.2), None without a reply.
        reply: The server's words, for operators: it is not part of the HTTP answer.
    """

    status_code = 503
    code = "EMAIL_DELIVERY_FAILED"

    def __init__(
        self,
        message: str | None = None,
        *,
        transient: bool = False,
        smtp_code: int | None = None,
        reply: str = "",
    ) -> None:
        super().__init__(message)
        self.transient = transient
        self.smtp_code = smtp_code
        self.reply = reply


class EmailConnectionError(EmailDeliveryError):
    """The server cannot be reached, or was lost before it got the message."""

    code = "EMAIL_SERVER_UNREACHABLE"
    message = "The e-mail server cannot be reached"


class EmailBusyError(EmailConnectionError):
    """All connections were in use for as long as we wait for one."""

    code = "EMAIL_BUSY"
    message = "All connections to the e-mail server are in use"


class EmailTLSError(EmailDeliveryError):
    """The connection could not be encrypted; nothing was sent in clear."""

    code = "EMAIL_TLS_FAILED"
    message = "The connection to the e-mail server could not be encrypted"


class EmailAuthenticationError(EmailDeliveryError):
    """The server does not accept the user name and password."""

    code = "EMAIL_AUTHENTICATION_FAILED"
    message = "The e-mail server refused our credentials"


class EmailUnsupportedError(EmailDeliveryError):
    """The server lacks an extension that the message needs."""

    status_code = 422
    code = "EMAIL_UNSUPPORTED"
    message = "The e-mail server cannot carry this message"


class EmailRejectedError(EmailDeliveryError):
    """No recipient was accepted; :attr:`recipients` says why for each.

    Args:
        message: One sentence for people.
        recipients: The answer for each recipient's address.
    """

    code = "EMAIL_REJECTED"
    message = "The e-mail server refused the message"

    def __init__(
        self,
        message: str | None = None,
        *,
        transient: bool = False,
        smtp_code: int | None = None,
        reply: str = "",
        recipients: Mapping[str, RecipientResult] | None = None,
    ) -> None:
        super().__init__(message, transient=transient, smtp_code=smtp_code, reply=reply)
        self.recipients = dict(recipients or {})


class EmailOutcomeUnknownError(EmailDeliveryError):
    """The connection was lost while the server had the message; it is never sent again.

    RFC 5321, section 4.2.5: only the reply to the end of the data says who is responsible.
    """

    code = "EMAIL_OUTCOME_UNKNOWN"
    message = "It is not known whether the e-mail was sent"
