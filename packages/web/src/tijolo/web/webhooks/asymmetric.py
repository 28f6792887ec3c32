"""Signatures by a private key that only the sender has: RSA and Ed25519 (extra ``webhooks``)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, Unpack

from tijolo.core import MissingExtraError
from tijolo.web.webhooks.header_verifier import HeaderOptions, HeaderVerifier
from tijolo.web.webhooks.schemes import Encoding, HeaderScheme
from tijolo.web.webhooks.verifier import Claim, first_matching

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
except ImportError as exc:  # pragma: no cover - the isolated environment of the wheel tests
    raise MissingExtraError("tijolo-web", "webhooks", "cryptography") from exc

RSAAlgorithm = Literal["sha256", "sha384", "sha512"]
RSAPadding = Literal["pkcs1v15", "pss"]
PEM = str | bytes
PublicKeys = PEM | Sequence[PEM] | Mapping[str, PEM]
"""One public key, several while they are changed, or several by their names."""

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


class RSAKeys:
    """RSA public keys, of which one has to fit.

    Raises:
        ValueError: for what is no RSA public key in PEM, a key shorter than ``min_key_bits``, or
            an algorithm or padding that is not accepted.
    """

    def __init__(
        self,
        public_keys: PublicKeys,
        *,
        algorithm: RSAAlgorithm = "sha256",
        rsa_padding: RSAPadding = "pkcs1v15",
        min_key_bits: int = 2048,
    ) -> None:
        if algorithm not in _HASHES:
            raise ValueError(f"algorithm must be one of {', '.join(_HASHES)}; got {algorithm!r}")
        if rsa_padding not in ("pkcs1v15", "pss"):
            raise ValueError(f"rsa_padding must be 'pkcs1v15' or 'pss', got {rsa_padding!r}")
        self._hash = _HASHES[algorithm]()
        self._padding = (
            padding.PKCS1v15()
            if rsa_padding == "pkcs1v15"
            else padding.PSS(mgf=padding.MGF1(self._hash), salt_length=padding.PSS.AUTO)
        )
        self._keys = {
            name: _rsa_key(name, pem, min_key_bits) for name, pem in _named(public_keys).items()
        }

    def matching(self, claim: Claim) -> str | None:
        """Name of the key that made one of the signatures."""
        return first_matching(self._keys, claim, self._fits)

    def _fits(self, key: RSAPublicKey, content: bytes, signatures: Sequence[bytes]) -> bool:
        how = self._padding, self._hash
        return any(_holds(partial(key.verify, one, content, *how)) for one in signatures)


class Ed25519Keys:
    """Ed25519 public keys (RFC 8032), of which one has to fit.

    Args:
        public_keys: PEM, 32 raw bytes, or these as hexadecimal digits or base64; a ``whpk_`` of
            Standard Webhooks may stand in front.

    Raises:
        ValueError: for what is none of these.
    """

    def __init__(self, public_keys: PublicKeys) -> None:
        self._keys = {name: _ed25519_key(name, key) for name, key in _named(public_keys).items()}

    def matching(self, claim: Claim) -> str | None:
        """Name of the key that made one of the signatures."""
        return first_matching(self._keys, claim, self._fits)

    def _fits(self, key: Ed25519PublicKey, content: bytes, signatures: Sequence[bytes]) -> bool:
        return any(_holds(partial(key.verify, one, content)) for one in signatures)


class RSAWebhookSignatureVerifier(HeaderVerifier):
    """RSA signature of the body, base64 in a header.

    Args:
        public_key_pem: The sender's public key, or several: a list, or a mapping from key ids.
        algorithm: ``sha256``, ``sha384`` or ``sha512``.
        header_name: Header with the signature.
        rsa_padding: ``pkcs1v15`` (RFC 8017, section 8.2) or ``pss`` (section 8.1).
        min_key_bits: Shortest key that is accepted. NIST SP 800-131A wants 2048.
        timestamp_header: As in ``WebhookSignatureVerifier``, with what follows.

    Raises:
        ValueError: for a key or an option that is not accepted.
    """

    def __init__(
        self,
        public_key_pem: PublicKeys,
        *,
        algorithm: RSAAlgorithm = "sha256",
        header_name: str = "x-webhook-signature",
        rsa_padding: RSAPadding = "pkcs1v15",
        min_key_bits: int = 2048,
        encoding: Encoding = "base64",
        timestamp_header: str | None = None,
        content_format: bytes = b"{timestamp}.{body}",
        key_id_header: str | None = None,
        **options: Unpack[HeaderOptions],
    ) -> None:
        keys = RSAKeys(
            public_key_pem,
            algorithm=algorithm,
            rsa_padding=rsa_padding,
            min_key_bits=min_key_bits,
        )
        scheme = HeaderScheme(
            header_name=header_name,
            encoding=encoding,
            timestamp_header=timestamp_header,
            content_format=content_format,
            key_id_header=key_id_header,
        )
        super().__init__(scheme, keys, **options)
        self.public_key_pem = next(iter(_named(public_key_pem).values()))
        self.algorithm: RSAAlgorithm = algorithm


class Ed25519WebhookSignatureVerifier(HeaderVerifier):
    """Ed25519 signature in a header, of the body or of a timestamp and the body.

    Discord's interactions, for one: ``header_name="X-Signature-Ed25519"``,
    ``timestamp_header="X-Signature-Timestamp"``, ``content_format=b"{timestamp}{body}"``,
    ``encoding="hex"``.

    Args:
        public_key: As in :class:`Ed25519Keys`.
        header_name: Header with the signature.
        encoding: ``hex`` or ``base64``.
        timestamp_header: As in ``WebhookSignatureVerifier``, with what follows.

    Raises:
        ValueError: for a key or an option that is not accepted.
    """

    def __init__(
        self,
        public_key: PublicKeys,
        *,
        header_name: str = "X-Signature-Ed25519",
        encoding: Encoding = "base64",
        timestamp_header: str | None = None,
        content_format: bytes = b"{timestamp}.{body}",
        key_id_header: str | None = None,
        **options: Unpack[HeaderOptions],
    ) -> None:
        scheme = HeaderScheme(
            header_name=header_name,
            encoding=encoding,
            timestamp_header=timestamp_header,
            content_format=content_format,
            key_id_header=key_id_header,
        )
        super().__init__(scheme, Ed25519Keys(public_key), **options)


def _named(keys: PublicKeys) -> dict[str, bytes]:
    if isinstance(keys, Mapping):
        named = dict(keys)
    else:
        several = [keys] if isinstance(keys, (str, bytes)) else list(keys)
        named = {str(position): key for position, key in enumerate(several)}
    if not named:
        raise ValueError("a webhook verifier needs a public key")
    return {name: k.encode("utf-8") if isinstance(k, str) else k for name, k in named.items()}


def _rsa_key(name: str, pem: bytes, min_bits: int) -> RSAPublicKey:
    try:
        key = load_pem_public_key(pem)
    except Exception as exc:
        raise ValueError(f"public key {name!r} is not a PEM public key") from exc
    if not isinstance(key, RSAPublicKey):
        raise ValueError(f"public key {name!r} is {type(key).__name__}, not RSA")
    if key.key_size < min_bits:
        raise ValueError(
            f"public key {name!r} has {key.key_size} bits, fewer than min_key_bits={min_bits}"
        )
    return key


def _ed25519_key(name: str, text: bytes) -> Ed25519PublicKey:
    if text.lstrip().startswith(b"-----BEGIN"):
        try:
            key = load_pem_public_key(text)
        except Exception as exc:
            raise ValueError(f"public key {name!r} is not a PEM public key") from exc
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError(f"public key {name!r} is {type(key).__name__}, not Ed25519")
        return key
    raw = text if len(text) == 32 else _decoded(text.strip().removeprefix(b"whpk_"))
    if len(raw) != 32:
        raise ValueError(f"public key {name!r} is not 32 bytes, raw, in hex, in base64 or in PEM")
    return Ed25519PublicKey.from_public_bytes(raw)


def _decoded(text: bytes) -> bytes:
    try:
        if len(text) == 64:
            return binascii.unhexlify(text)
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _holds(check: Callable[[], None]) -> bool:
    try:
        check()
    except InvalidSignature:
        return False
    return True
