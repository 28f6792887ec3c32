"""DKIM signatures (RFC 6376); needs the extra ``dkim``."""

from __future__ import annotations

import re
from typing import Any, cast

from pydantic import SecretStr

from tijolo.core import MissingExtraError

try:
    import dkim as _library  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
except ImportError as exc:
    raise MissingExtraError("tijolo-email", "dkim", "dkimpy") from exc

dkim: Any = cast("Any", _library)  # it has no types

_SIGNED_NAMES = """
    from to cc reply-to subject date message-id mime-version content-type
    content-transfer-encoding list-unsubscribe list-unsubscribe-post
"""
_SIGNED = _SIGNED_NAMES.split()
# both are written into a header as they are
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.\-]*[A-Za-z0-9_])?")


class DKIMSigner:
    """Signs every e-mail; RFC 8058 wants that for one-click unsubscription.

    Args:
        selector: The key is published at ``<selector>._domainkey.<domain>``.
        domain: The sender's, or one above it (DMARC alignment, RFC 7489, section 3.1).
        private_key: RSA, PEM, 2048 bits or so (RFC 8301).

    Raises:
        ValueError: the key cannot be read.
    """

    def __init__(self, *, selector: str, domain: str, private_key: SecretStr | str) -> None:
        if not (_NAME.fullmatch(selector) and _NAME.fullmatch(domain)):
            raise ValueError(
                f"DKIM needs an ASCII selector and domain, got {selector!r}, {domain!r}"
            )
        self.selector = selector
        self.domain = domain
        key = private_key.get_secret_value() if isinstance(private_key, SecretStr) else private_key
        # a lone surrogate becomes what is no key
        self._key = key.strip().encode(errors="replace")
        try:
            self(b"From: a@example.com\r\n\r\n", b"")
        except (dkim.DKIMException, ValueError, TypeError, IndexError, KeyError):
            problem = "the DKIM private key is not an RSA key in PEM"
        else:
            return
        raise ValueError(problem)  # without its cause, which may quote the key

    def __repr__(self) -> str:
        return f"{type(self).__name__}(selector={self.selector!r}, domain={self.domain!r})"

    def __call__(self, headers: bytes, body: bytes) -> bytes:
        """The ``DKIM-Signature`` field for a message. Blocking.

        Args:
            headers: With the empty line that ends them.
            body: In CRLF lines.
        """
        # given apart, the body is not split into lines, which would take the interpreter's lock
        # for as long as that takes
        signer = dkim.DKIM(headers)
        signer.body = body
        present = {line.split(b":")[0].lower().decode() for line in headers.split(b"\r\n")}
        # From is signed once more than it is there, so that nobody can add one (RFC 6376, 8.15)
        wanted = [name for name in _SIGNED if name in present] + ["from"]
        field: bytes = signer.sign(
            self.selector.encode(),
            self.domain.encode(),
            self._key,
            canonicalize=(b"relaxed", b"simple"),
            include_headers=[name.encode() for name in wanted],
        )
        return field
