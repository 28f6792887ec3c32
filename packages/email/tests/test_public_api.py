from __future__ import annotations

import subprocess
import sys

import tijolo.email

NAMES = """
Attachment BulkResult CapturedEmail ConsoleBackend DeliveryStatus EmailAddress
EmailAuthenticationError EmailBackend EmailBackendName EmailBusyError EmailConnectionError
EmailDeliveryError
EmailError EmailOutcomeUnknownError EmailRejectedError EmailSettings EmailTLSError
EmailTemplateError EmailTemplates EmailTooLargeError EmailUnsupportedError EmailUtils FileBackend
InvalidAddressError InvalidEmailError InvalidHeaderError MemoryBackend MemorySendKeys OutgoingEmail
PoolLimits PreparedEmail RecipientResult RetryPolicy SMTPBackend SMTPServer SMTPTimeouts SendEvent
SendKeyStore SendResult TLSMode Unsubscribe __version__ html_to_text
"""

WITHOUT_DKIM = """
import sys
sys.modules["dkim"] = None
import tijolo.email
try:
    import tijolo.email.dkim
except ImportError as error:
    print(type(error).__name__, error.command)
"""


def test_no_public_name_comes_or_goes_unnoticed():
    assert tijolo.email.__all__ == NAMES.split()
    for name in NAMES.split():
        assert hasattr(tijolo.email, name)


def test_every_error_has_a_code_of_its_own():
    errors = [
        each
        for name in NAMES.split()
        if isinstance(each := getattr(tijolo.email, name), type)
        and issubclass(each, tijolo.email.EmailError)
    ]
    codes = [each.code for each in errors]
    assert len(set(codes)) == len(codes) > 10


def test_an_extra_that_is_missing_says_how_to_get_it():
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_DKIM], capture_output=True, text=True, check=True
    )
    assert run.stdout == 'MissingExtraError python -m pip install "tijolo-email[dkim]"\n'
