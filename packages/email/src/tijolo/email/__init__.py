"""E-mail from templates over pooled SMTP, with backends for development and tests."""

from tijolo.core.compat import enforce as _enforce
from tijolo.email._compat import COMPAT as _COMPAT
from tijolo.email._version import __version__

_enforce(_COMPAT, __version__)

from tijolo.email.addresses import EmailAddress
from tijolo.email.backend import EmailBackend
from tijolo.email.content import Attachment, html_to_text
from tijolo.email.email_utils import EmailUtils
from tijolo.email.errors import (
    EmailAuthenticationError,
    EmailBusyError,
    EmailConnectionError,
    EmailDeliveryError,
    EmailError,
    EmailOutcomeUnknownError,
    EmailRejectedError,
    EmailTemplateError,
    EmailTLSError,
    EmailTooLargeError,
    EmailUnsupportedError,
    InvalidAddressError,
    InvalidEmailError,
    InvalidHeaderError,
)
from tijolo.email.local_backends import CapturedEmail, ConsoleBackend, FileBackend, MemoryBackend
from tijolo.email.message import OutgoingEmail, Unsubscribe
from tijolo.email.prepared import PreparedEmail
from tijolo.email.results import (
    BulkResult,
    DeliveryStatus,
    RecipientResult,
    SendEvent,
    SendResult,
)
from tijolo.email.send_keys import MemorySendKeys, SendKeyStore
from tijolo.email.settings import EmailBackendName, EmailSettings
from tijolo.email.smtp import SMTPBackend
from tijolo.email.smtp_options import (
    PoolLimits,
    RetryPolicy,
    SMTPServer,
    SMTPTimeouts,
    TLSMode,
)
from tijolo.email.templates import EmailTemplates

__all__ = [
    "Attachment",
    "BulkResult",
    "CapturedEmail",
    "ConsoleBackend",
    "DeliveryStatus",
    "EmailAddress",
    "EmailAuthenticationError",
    "EmailBackend",
    "EmailBackendName",
    "EmailBusyError",
    "EmailConnectionError",
    "EmailDeliveryError",
    "EmailError",
    "EmailOutcomeUnknownError",
    "EmailRejectedError",
    "EmailSettings",
    "EmailTLSError",
    "EmailTemplateError",
    "EmailTemplates",
    "EmailTooLargeError",
    "EmailUnsupportedError",
    "EmailUtils",
    "FileBackend",
    "InvalidAddressError",
    "InvalidEmailError",
    "InvalidHeaderError",
    "MemoryBackend",
    "MemorySendKeys",
    "OutgoingEmail",
    "PoolLimits",
    "PreparedEmail",
    "RecipientResult",
    "RetryPolicy",
    "SMTPBackend",
    "SMTPServer",
    "SMTPTimeouts",
    "SendEvent",
    "SendKeyStore",
    "SendResult",
    "TLSMode",
    "Unsubscribe",
    "__version__",
    "html_to_text",
]
