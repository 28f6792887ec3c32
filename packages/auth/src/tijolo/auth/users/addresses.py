"""One spelling for each mailbox, so that two accounts never share one."""

from __future__ import annotations

import unicodedata

from tijolo.core import MissingExtraError, ValidationException

try:
    from email_validator import EmailNotValidError, validate_email
except ImportError as exc:
    raise MissingExtraError("tijolo-auth", "users", "email-validator") from exc

_MAX_CHARACTERS = 320
_PRIVATE = ("internal",)  # what RFC 6761 and 6762 set apart is refused as no address
_MAX_LOCAL_BYTES = 64  # RFC 5321, section 4.5.3.1.1


class InvalidEmailException(ValidationException):
    """Not an address that an account can have."""

    code = "INVALID_EMAIL"
    message = "Not a valid e-mail address"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message, details={"field": "email"})


def normalize_email(value: str) -> str:
    """The form in which an address is stored, looked up and mailed to.

    The local part is composed and case-folded, the domain in its A-label form (RFC 5891). What
    another address could be taken for is refused rather than folded: compatibility characters,
    letters whose case folding is another spelling, other alphabets' letters that end as ASCII
    (Unicode TR 36, section 2.1.2).

    Raises:
        InvalidEmailException: It is no address, or not one that is safe as a name.
    """
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"an e-mail address is text, got {type(value).__name__}")
    given = value.strip()
    if len(given) > _MAX_CHARACTERS:
        raise InvalidEmailException
    try:
        found = validate_email(given, check_deliverability=False, globally_deliverable=False)
    except (EmailNotValidError, UnicodeError):
        raise InvalidEmailException from None
    typed_local, _, typed_domain = given.rpartition("@")
    local, domain = found.local_part, (found.ascii_domain or "").lower()
    folded = _composed(local.casefold())
    changed = unicodedata.normalize("NFKC", local) != local or local.lower() != local.casefold()
    into_ascii = any(not c.isascii() and _composed(c).isascii() for c in typed_local)
    domain_into_ascii = not typed_domain.isascii() and "xn--" not in domain
    too_long = len(folded.encode()) > _MAX_LOCAL_BYTES
    if changed or into_ascii or domain_into_ascii or too_long:
        raise InvalidEmailException
    return f"{folded}@{domain}"


def normalize_public_email(value: str) -> str:
    """:func:`normalize_email` of an address that e-mail reaches from anywhere.

    Raises:
        InvalidEmailException: It is no address, or its domain is a host of some network's own.
    """
    address = normalize_email(value)
    _, dot, top = address.rpartition("@")[2].rpartition(".")
    if not dot or top.isdigit() or top in _PRIVATE:
        raise InvalidEmailException(
            "No e-mail reaches that domain; give the whole address, such as ana@example.com"
        )
    return address


def normalize_email_or_none(value: str) -> str | None:
    """The same; None for what no account can have as its address."""
    try:
        return normalize_email(value)
    except InvalidEmailException:
        return None


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
