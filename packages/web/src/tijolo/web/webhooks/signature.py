"""Signatures by a shared secret: HMAC (RFC 2104)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Literal, Unpack

from pydantic import SecretStr

from tijolo.web.webhooks.header_verifier import HeaderOptions, HeaderVerifier
from tijolo.web.webhooks.schemes import Encoding, HeaderScheme
from tijolo.web.webhooks.verifier import Claim, first_matching

Algorithm = Literal["sha1", "sha256", "sha384", "sha512"]
Secret = str | bytes | SecretStr
Secrets = Secret | Sequence[Secret] | Mapping[str, Secret]
"""One secret, several while they are changed, or several by their names."""

ALGORITHMS: tuple[Algorithm, ...] = ("sha1", "sha256", "sha384", "sha512")
"""What is accepted. SHA-1 is sound inside HMAC (RFC 6151 is about MD5) and old senders use it."""


class HMACKeys:
    """Shared secrets, of which one has to fit; the newest first costs least.

    Raises:
        ValueError: for no secret, an empty one, or an algorithm that is not in ``ALGORITHMS``.
    """

    def __init__(self, secrets: Secrets, *, algorithm: Algorithm = "sha256") -> None:
        if algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}; got {algorithm!r}")
        self.algorithm = algorithm
        self._secrets = named_secrets(secrets)

    def __repr__(self) -> str:
        return f"HMACKeys({sorted(self._secrets)}, algorithm={self.algorithm!r})"

    def digest(self, content: bytes) -> bytes:
        """The signature of ``content`` by the first secret."""
        return hmac.digest(next(iter(self._secrets.values())), content, self.algorithm)

    def matching(self, claim: Claim) -> str | None:
        """Name of the secret that made one of the signatures, compared in constant time."""
        return first_matching(self._secrets, claim, self._fits)

    def _fits(self, secret: bytes, content: bytes, signatures: Sequence[bytes]) -> bool:
        return _is_among(hmac.digest(secret, content, self.algorithm), signatures)


class PlainHashKeys:
    """Secrets in front of the content under a plain SHA-256, as PagBank signs.

    Not HMAC: whoever has one signature can append to the content (length extension). The
    content has to be checked as JSON, which nothing appended to it can stay.
    """

    def __init__(self, secrets: Secrets, *, separator: bytes) -> None:
        self._separator = separator
        self._secrets = named_secrets(secrets)

    def matching(self, claim: Claim) -> str | None:
        """Name of the secret that made one of the signatures."""
        return first_matching(self._secrets, claim, self._fits)

    def _fits(self, secret: bytes, content: bytes, signatures: Sequence[bytes]) -> bool:
        return _is_among(hashlib.sha256(secret + self._separator + content).digest(), signatures)


class TokenKeys:
    """Secrets that the sender sends as they are; they sign nothing."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = named_secrets(secrets)

    def matching(self, claim: Claim) -> str | None:
        """Name of the secret that was sent."""
        return first_matching(self._secrets, claim, lambda secret, _, sent: _is_among(secret, sent))


class WebhookSignatureVerifier(HeaderVerifier):
    """HMAC of the body in a header, hex or base64.

    The plain scheme of many senders, and a sound one for your own with ``timestamp_header``:
    without a signed timestamp a delivery can be repeated for ever, unless a ``replay_store``
    remembers it. Secrets of 32 bytes or more resist guessing.

    Args:
        secret: The shared secret, or several while one is replaced: a list, or a mapping from
            key ids.
        algorithm: One of ``ALGORITHMS``.
        header_name: Header with the signature.
        encoding: ``hex`` or ``base64``.
        prefix: What stands before the signature, such as ``sha256=``. Once declared it has to be
            there.
        timestamp_header: Header with a Unix time that is signed as ``{timestamp}.{body}``.
        content_format: Another way to put the two together.
        key_id_header: Header that names the key of the mapping.
        options: ``sender`` and those of :class:`WebhookVerifier`.

    Raises:
        ValueError: for an empty secret, or an unknown algorithm or encoding.
    """

    def __init__(
        self,
        secret: Secrets,
        *,
        algorithm: Algorithm = "sha256",
        header_name: str = "X-Signature",
        encoding: Encoding = "hex",
        prefix: str = "",
        timestamp_header: str | None = None,
        content_format: bytes = b"{timestamp}.{body}",
        key_id_header: str | None = None,
        **options: Unpack[HeaderOptions],
    ) -> None:
        self._hmac = HMACKeys(secret, algorithm=algorithm)
        scheme = HeaderScheme(
            header_name=header_name,
            encoding=encoding,
            prefix=prefix,
            timestamp_header=timestamp_header,
            content_format=content_format,
            key_id_header=key_id_header,
        )
        super().__init__(scheme, self._hmac, **options)
        self.algorithm: Algorithm = algorithm
        self.encoding: Encoding = encoding
        self.prefix = prefix

    def expected(self, body: bytes) -> str:
        """What the header has to be for ``body``, by the first secret; for senders and tests."""
        digest = self._hmac.digest(body)
        text = digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode("ascii")
        return self.prefix + text


def named_secrets(secrets: Secrets) -> dict[str, bytes]:
    """The secrets by their names: those of a mapping, or their positions.

    Raises:
        ValueError: for no secret or an empty one, which would let everybody sign.
    """
    if isinstance(secrets, Mapping):
        named = dict(secrets)
    else:
        several = [secrets] if isinstance(secrets, (str, bytes, SecretStr)) else list(secrets)
        named = {str(position): secret for position, secret in enumerate(several)}
    raw = {name: _bytes(secret) for name, secret in named.items()}
    if not raw:
        raise ValueError("a webhook verifier needs a secret")
    for name, secret in raw.items():
        if not secret.strip():
            raise ValueError(f"webhook secret {name!r} is empty: everybody could sign with it")
    return raw


def _bytes(secret: Secret) -> bytes:
    text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    return text.encode("utf-8") if isinstance(text, str) else text


def _is_among(expected: bytes, given: Sequence[bytes]) -> bool:
    return any(hmac.compare_digest(expected, one) for one in given)
