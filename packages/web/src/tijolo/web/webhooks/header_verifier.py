"""What the verifiers of one signature in one header share, whatever made the signature."""

from __future__ import annotations

from typing import Unpack

from tijolo.web.webhooks.errors import InvalidWebhookException
from tijolo.web.webhooks.schemes import HeaderScheme
from tijolo.web.webhooks.verifier import Claim, Keys, Options, WebhookVerifier


class HeaderOptions(Options, total=False):
    """The options of ``WebhookVerifier`` that these verifiers pass on."""

    sender: str


class HeaderVerifier(WebhookVerifier):
    """The base of ``WebhookSignatureVerifier`` and of its asymmetric sisters."""

    def __init__(self, scheme: HeaderScheme, keys: Keys, **options: Unpack[HeaderOptions]) -> None:
        super().__init__(scheme, keys, **options)
        self._header = scheme
        self.header_name = scheme.header_name

    def verify(self, body: bytes, signature: str) -> bool:
        """Whether ``signature`` is that of ``body``; False for whatever cannot be read.

        It sees neither timestamp nor headers: :meth:`check` does.
        """
        try:
            claim = Claim(signatures=[self._header.decoded(signature)], contents=[body])
        except InvalidWebhookException:
            return False
        return self._keys.matching(claim) is not None
