"""Verifiers for senders that sign with a private key (extra ``webhooks``)."""

from __future__ import annotations

from typing import Unpack

from tijolo.web.webhooks.asymmetric import Ed25519Keys, PublicKeys, RSAKeys
from tijolo.web.webhooks.presets import standard_webhooks_scheme
from tijolo.web.webhooks.schemes import HeaderScheme
from tijolo.web.webhooks.verifier import Options, WebhookVerifier

WOOVI_PUBLIC_KEY = """\
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC/+NtIkjzevvqD+I3MMv3bLXDt
pvxBjY4BsRrSdca3rtAwMcRYYvxSnd7jagVLpctMiOxQO8ieUCKLSWHpsMAjO/zZ
WMKbqoG8MNpi/u3fp6zz0mcHCOSqYsPUUG19buW8bis5ZZ2IZgBObWSpTvJ0cnj6
HKBAA82Jln+lGwS1MwIDAQAB
-----END PUBLIC KEY-----
"""
"""The key that Woovi publishes for all its webhooks."""


def standard_webhooks_ed25519(
    public_key: PublicKeys, **options: Unpack[Options]
) -> WebhookVerifier:
    """Standard Webhooks, signatures ``v1a``: Ed25519 of ``{id}.{timestamp}.{body}``, base64.

    The key is what follows ``whpk_``. Source: the specification of standard-webhooks.
    """
    return WebhookVerifier(
        standard_webhooks_scheme("v1a"),
        Ed25519Keys(public_key),
        sender="standard_webhooks",
        **options,
    )


def woovi(
    public_key_pem: PublicKeys = WOOVI_PUBLIC_KEY, **options: Unpack[Options]
) -> WebhookVerifier:
    """Woovi (OpenPix): ``x-webhook-signature``, RSA-SHA256 of the body, base64.

    Source: developers.woovi.com, "Como validar o Webhook Signature?". One key of 1024 bits signs
    for **every customer** of Woovi: a delivery meant for another one is valid here, so look the
    charge up by its ``correlationID``. No timestamp: use a ``replay_store``. 1024 bits are fewer
    than NIST SP 800-131A wants.
    """
    return WebhookVerifier(
        HeaderScheme(header_name="x-webhook-signature", encoding="base64"),
        RSAKeys(public_key_pem, min_key_bits=1024),
        sender="woovi",
        **options,
    )
