"""Signatures by a shared secret: HMAC (RFC 2104)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pydantic import SecretStr

from tijolo.web.webhooks.errors import InvalidWebhookException
from tijolo.web.webhooks.replay import ReplayStore
from tijolo.web.webhooks.schemes import Encoding, HeaderScheme
from tijolo.web.webhooks.verifier import (
    DEFAULT_FUTURE_SKEW_SECONDS,
    DEFAULT_TOLERANCE_SECONDS,
    Claim,
    WebhookVerifier,
)

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
        for name, secret in self._secrets.items():
            if claim.key_id is not None and claim.key_id != name:
                continue
            for content in claim.contents:
                expected = hmac.digest(secret, content, self.algorithm)
                if any(hmac.compare_digest(expected, given) for given in claim.signatures):
                    return name
        return None


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
        for name, secret in self._secrets.items():
            for content in claim.contents:
                expected = hashlib.sha256(secret + self._separator + content).digest()
                if any(hmac.compare_digest(expected, given) for given in claim.signatures):
                    return name
        return None


class TokenKeys:
    """Secrets that the sender sends as they are; they sign nothing."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = named_secrets(secrets)

    def matching(self, claim: Claim) -> str | None:
        """Name of the secret that was sent."""
        for name, secret in self._secrets.items():
            if any(hmac.compare_digest(secret, given) for given in claim.signatures):
                return name
        return None


class WebhookSignatureVerifier(WebhookVerifier):
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
        tolerance_seconds: As in :class:`WebhookVerifier`, with the rest of them.

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
        sender: str = "",
        tolerance_seconds: float | None = DEFAULT_TOLERANCE_SECONDS,
        future_skew_seconds: float = DEFAULT_FUTURE_SKEW_SECONDS,
        replay_store: ReplayStore | None = None,
        replay_ttl_seconds: float = 86_400,
        lease_seconds: float = 60,
        max_body_bytes: int = 1_048_576,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._hmac = HMACKeys(secret, algorithm=algorithm)
        self._header = HeaderScheme(
            header_name=header_name,
            encoding=encoding,
            prefix=prefix,
            timestamp_header=timestamp_header,
            content_format=content_format,
            key_id_header=key_id_header,
        )
        super().__init__(
            self._header,
            self._hmac,
            sender=sender,
            tolerance_seconds=tolerance_seconds,
            future_skew_seconds=future_skew_seconds,
            replay_store=replay_store,
            replay_ttl_seconds=replay_ttl_seconds,
            lease_seconds=lease_seconds,
            max_body_bytes=max_body_bytes,
            clock=clock,
        )
        self.algorithm: Algorithm = algorithm
        self.header_name = header_name
        self.encoding: Encoding = encoding
        self.prefix = prefix

    def expected(self, body: bytes) -> str:
        """What the header has to be for ``body``, by the first secret; for senders and tests."""
        digest = self._hmac.digest(body)
        text = digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode("ascii")
        return self.prefix + text

    def verify(self, body: bytes, signature: str) -> bool:
        """Whether ``signature`` is that of ``body``; False for whatever cannot be read.

        It sees neither timestamp nor headers: :meth:`check` does.
        """
        try:
            claim = Claim(signatures=[self._header.decoded(signature)], contents=[body])
        except InvalidWebhookException:
            return False
        return self._hmac.matching(claim) is not None


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
