"""E-mail addresses: one of them, parsed strictly, ready for the envelope and for a header."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass

import idna

from tijolo.email.errors import InvalidAddressError
from tijolo.email.headers import encode_phrase

MAX_LOCAL_BYTES = 64
MAX_ADDRESS_BYTES = 254
MAX_NAME_CHARACTERS = 500
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+"
_DOT_ATOM = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_QUOTED = re.compile(r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"')
_QUOTED_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class EmailAddress:
    """An address such as ``Ana <ana@exemplo.com.br>``, in parts that are already checked.

    Build it with :meth:`parse`, or of parts where the name comes from a form:
    ``EmailAddress.of("ana@exemplo.com.br", name=form.name)``.
    """

    local: str
    """What is left of the @; another alphabet needs a server with SMTPUTF8 (RFC 6531)."""
    domain: str
    """ASCII: an internationalised domain is in its A-label form (RFC 5891)."""
    name: str = ""
    """The display name, unencoded."""

    def __post_init__(self) -> None:
        # whichever way it was built: nothing else stands between its parts and the headers
        for part in (self.local, self.domain, self.name):
            _refuse_unprintable(part)
        if len(self.name) > MAX_NAME_CHARACTERS:
            raise InvalidAddressError(
                f"a display name has at most {MAX_NAME_CHARACTERS} characters"
            )
        if not (_DOT_ATOM.fullmatch(self.local) or _QUOTED.fullmatch(self.local)):
            raise InvalidAddressError(
                f"{self.spec!r} is not one e-mail address; give several as a list, one each"
            )
        if len(self.local.encode()) > MAX_LOCAL_BYTES:
            raise InvalidAddressError(
                f"{self.spec!r}: more than {MAX_LOCAL_BYTES} bytes before the @"
            )
        if len(self.spec.encode()) > MAX_ADDRESS_BYTES:
            raise InvalidAddressError(f"{self.spec!r} is longer than {MAX_ADDRESS_BYTES} bytes")
        if self.domain != _ascii_domain(self.domain):
            raise InvalidAddressError(
                f"{self.domain!r} is not a domain as it travels; EmailAddress.of makes one"
            )

    @classmethod
    def parse(cls, text: str | EmailAddress) -> EmailAddress:
        """One address, with or without a display name.

        Raises:
            InvalidAddressError: it is none, it is several, or it holds control characters.
        """
        if isinstance(text, EmailAddress):
            return text
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"an e-mail address is a str, got {type(text).__name__}")
        # a well-formed one is below 1 kB; more is not worth looking at
        if len(text) > 1024:
            raise InvalidAddressError(f"an e-mail address of {len(text)} characters is too long")
        given = text.strip(" ")
        if not (given.endswith(">") and "<" in given):
            return cls.of(given)
        name, _, spec = given[:-1].rpartition("<")
        return cls.of(spec.strip(" "), name=_unquoted(name.strip(" ")))

    @classmethod
    def of(cls, spec: str, *, name: str = "") -> EmailAddress:
        """The address ``spec`` (``local@domain``) with a display name of any characters.

        Raises:
            InvalidAddressError: as in :meth:`parse`.
        """
        _refuse_unprintable(spec)
        local, at, domain = spec.rpartition("@")
        if not at or not local or not domain:
            raise InvalidAddressError(f"{spec!r} is not an e-mail address: local@domain is wanted")
        # the same mailbox whichever way its accents were typed (RFC 6532, section 3.1)
        return cls(unicodedata.normalize("NFC", local), _ascii_domain(domain), name)

    @property
    def spec(self) -> str:
        """``local@domain``, as the envelope has it."""
        return f"{self.local}@{self.domain}"

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only a server with SMTPUTF8 can carry it."""
        return not self.local.isascii()

    def header(self) -> str:
        """Its form in a header: ASCII, save a local part that is not."""
        return f"{encode_phrase(self.name)} <{self.spec}>" if self.name else self.spec

    def __str__(self) -> str:
        if not self.name:
            return self.spec
        escaped = self.name.replace("\\", r"\\").replace('"', r"\"")
        return f'"{escaped}" <{self.spec}>'


def _unquoted(name: str) -> str:
    """A display name as it is meant: quoted, or plain words without ``<``, ``>``, ``"``."""
    if quoted := _QUOTED_NAME.fullmatch(name):
        return re.sub(r"\\(.)", r"\1", quoted[1])
    if any(char in name for char in '<>"'):
        raise InvalidAddressError(
            f"{name!r} is no display name; quote it, or give several addresses as a list"
        )
    return name


def _refuse_unprintable(text: str) -> None:
    # Cc controls, Cs lone surrogates, Zl and Zp: what ends a line somewhere
    for char in text:
        if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}:
            raise InvalidAddressError(f"an e-mail address must not contain {char!r}")


def _ascii_domain(domain: str) -> str:
    if domain.startswith("[") and domain.endswith("]"):
        return _literal(domain)
    try:
        name = idna.encode(domain, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as exc:
        raise InvalidAddressError(f"{domain!r} is not a domain: {exc}") from exc
    if name.endswith("."):
        raise InvalidAddressError(f"{domain!r} is not a domain: it ends with a dot")
    return name.lower()


def _literal(domain: str) -> str:
    """An address literal (RFC 5321, section 4.1.3): ``[192.0.2.1]``, ``[IPv6:2001:db8::1]``."""
    inner = domain[1:-1]
    prefix, kind = ("IPv6:", ipaddress.IPv6Address) if ":" in inner else ("", ipaddress.IPv4Address)
    try:
        return f"[{prefix}{kind(inner.removeprefix(prefix))}]"
    except ValueError as exc:
        raise InvalidAddressError(f"{domain!r} is not an address literal") from exc
