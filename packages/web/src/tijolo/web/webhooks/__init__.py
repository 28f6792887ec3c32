"""Verification of the webhooks that a service receives.

``WebhookSignatureVerifier`` for a shared secret, ``presets`` for senders by name, and, with the
extra ``webhooks``, ``asymmetric`` and ``asymmetric_presets`` for public keys.
"""

from tijolo.web.webhooks.errors import (
    InvalidWebhookException,
    WebhookAlreadyHandled,
    WebhookInProgressException,
)
from tijolo.web.webhooks.replay import DeliveryState, MemoryReplayStore, ReplayStore
from tijolo.web.webhooks.schemes import HeaderScheme
from tijolo.web.webhooks.signature import HMACKeys, TokenKeys, WebhookSignatureVerifier
from tijolo.web.webhooks.verifier import (
    Claim,
    Delivery,
    Keys,
    Scheme,
    VerifiedWebhook,
    WebhookVerifier,
)

__all__ = [
    "Claim",
    "Delivery",
    "DeliveryState",
    "HMACKeys",
    "HeaderScheme",
    "InvalidWebhookException",
    "Keys",
    "MemoryReplayStore",
    "ReplayStore",
    "Scheme",
    "TokenKeys",
    "VerifiedWebhook",
    "WebhookAlreadyHandled",
    "WebhookInProgressException",
    "WebhookSignatureVerifier",
    "WebhookVerifier",
]
