"""Verifiers for senders that a service meets, by the rules that these publish.

Each docstring says where the rule stands, and what it does not protect against. Every preset
takes the options of :class:`~tijolo.web.webhooks.WebhookVerifier`: ``replay_store``,
``tolerance_seconds``, ``max_body_bytes`` and so on. Each takes several secrets while one is
replaced. Those that need ``cryptography`` are in :mod:`tijolo.web.webhooks.asymmetric_presets`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Unpack
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

from pydantic import SecretStr

from tijolo.web.webhooks.errors import InvalidWebhookException
from tijolo.web.webhooks.schemes import (
    HeaderScheme,
    decode_all,
    decode_signature,
    only,
    read_pairs,
    read_timestamp,
)
from tijolo.web.webhooks.signature import (
    HMACKeys,
    PlainHashKeys,
    Secrets,
    TokenKeys,
    named_secrets,
)
from tijolo.web.webhooks.verifier import (
    Claim,
    Delivery,
    Keys,
    Options,
    Scheme,
    WebhookVerifier,
)

MAX_FORM_FIELDS = 1000
_URL = re.compile(r"[!-\"$-~]+")  # printable ASCII but '#'


def stripe(secret: Secrets, **options: Unpack[Options]) -> WebhookVerifier:
    """Stripe: ``Stripe-Signature: t=…,v1=…``, HMAC-SHA256 of ``{t}.{body}``, hex.

    Source: docs.stripe.com/webhooks/signatures and stripe-python's ``_webhook.py``. Signatures
    of other versions (``v0``) are ignored, so that nobody can ask for the weaker one.
    """

    def scheme(delivery: Delivery) -> Claim:
        pairs = read_pairs(delivery.header("Stripe-Signature"))
        stamp = only(pairs, "t")
        timestamp = read_timestamp(stamp)
        return Claim(
            signatures=decode_all((text for name, text in pairs if name == "v1"), "hex"),
            contents=[stamp.encode("ascii") + b"." + delivery.body],
            timestamp=timestamp,
        )

    return _verifier("stripe", scheme, HMACKeys(secret), options)


def github(secret: Secrets, **options: Unpack[Options]) -> WebhookVerifier:
    """GitHub: ``X-Hub-Signature-256: sha256=…``, HMAC-SHA256 of the body, hex.

    Source: docs.github.com, "Validating webhook deliveries". No timestamp: a delivery can be
    repeated for ever without a ``replay_store``. ``X-GitHub-Delivery`` and ``X-GitHub-Event`` are
    not signed.
    """
    scheme = HeaderScheme(header_name="X-Hub-Signature-256", prefix="sha256=")
    return _verifier("github", scheme, HMACKeys(secret), options)


def meta(app_secret: Secrets, **options: Unpack[Options]) -> WebhookVerifier:
    """WhatsApp, Instagram, Messenger: ``X-Hub-Signature-256: sha256=…`` with the app's secret.

    Source: developers.facebook.com/docs/graph-api/webhooks/getting-started, "Validating
    Payloads". The body arrives with its non-ASCII characters escaped, as it was signed: the raw
    bytes have to be checked, not JSON that was written again. No timestamp: use a
    ``replay_store``. The ``GET`` that confirms the address (``hub.verify_token``) is not signed.
    """
    scheme = HeaderScheme(header_name="X-Hub-Signature-256", prefix="sha256=")
    return _verifier("meta", scheme, HMACKeys(app_secret), options)


def slack(signing_secret: Secrets, **options: Unpack[Options]) -> WebhookVerifier:
    """Slack: ``X-Slack-Signature: v0=…``, HMAC-SHA256 of ``v0:{timestamp}:{body}``, hex.

    Source: api.slack.com/authentication/verifying-requests-from-slack.
    """
    scheme = HeaderScheme(
        header_name="X-Slack-Signature",
        prefix="v0=",
        timestamp_header="X-Slack-Request-Timestamp",
        content_format=b"v0:{timestamp}:{body}",
    )
    return _verifier("slack", scheme, HMACKeys(signing_secret), options)


def shopify(client_secret: Secrets, **options: Unpack[Options]) -> WebhookVerifier:
    """Shopify: ``X-Shopify-Hmac-SHA256``, HMAC-SHA256 of the body, base64.

    Source: shopify.dev/docs/apps/build/webhooks/verify-deliveries. No timestamp: use a
    ``replay_store``. ``X-Shopify-Webhook-Id``, topic and shop are not signed.
    """
    scheme = HeaderScheme(header_name="X-Shopify-Hmac-SHA256", encoding="base64")
    return _verifier("shopify", scheme, HMACKeys(client_secret), options)


def standard_webhooks(secret: Secrets, **options: Unpack[Options]) -> WebhookVerifier:
    """Standard Webhooks and Svix: ``webhook-signature: v1,…``, HMAC-SHA256, base64.

    Signed is ``{id}.{timestamp}.{body}``; the headers ``svix-id``, ``svix-timestamp`` and
    ``svix-signature`` are read where the standard ones are not there. The secret is what follows
    ``whsec_``, base64. Source: the specification of standard-webhooks, and docs.svix.com,
    "Verifying Webhooks Manually". For ``v1a`` see ``asymmetric_presets``.

    Raises:
        ValueError: for a secret that is not base64.
    """
    keys = HMACKeys({name: _svix_secret(name, raw) for name, raw in named_secrets(secret).items()})
    return _verifier("standard_webhooks", standard_webhooks_scheme("v1"), keys, options)


def mercado_pago(secret: Secrets, **options: Unpack[Options]) -> WebhookVerifier:
    """Mercado Pago: ``x-signature: ts=…,v1=…``, HMAC-SHA256 of a manifest, hex.

    The manifest is ``id:{data.id of the query};request-id:{x-request-id};ts:{ts};``, without what
    is not there. Source: mercadopago.com.br/developers, "Webhooks", and the validator of
    mercadopago/sdk-python.

    The **body is not signed**: take nothing from it; ask the API for the resource ``data.id``.
    The documentation wants ``data.id`` in lower case, the SDK as it came: either is accepted.
    Notifications of QR codes and old IPN are not signed at all and are refused.
    """
    return _verifier("mercado_pago", _mercado_pago_scheme, HMACKeys(secret), options)


def pagbank(token: Secrets, **options: Unpack[Options]) -> WebhookVerifier:
    """PagBank (PagSeguro): ``x-authenticity-token``, SHA-256 of ``{token}-{body}``, hex.

    Source: developer.pagbank.com.br/reference/confirmar-autenticidade-da-notificacao. A plain
    hash, not HMAC: something can be appended to a signed body, so refuse a body that is not
    JSON. No timestamp: use a ``replay_store``, and ask the API for the order before acting.
    """
    scheme = HeaderScheme(header_name="x-authenticity-token")
    return _verifier("pagbank", scheme, PlainHashKeys(token, separator=b"-"), options)


def pagarme(api_key: Secrets, **options: Unpack[Options]) -> WebhookVerifier:
    """Pagar.me's postbacks (API v3 and v4): ``X-Hub-Signature``, HMAC-SHA1 of the body, hex.

    Source: docs.pagar.me/v3/reference/validando-um-postback; the header is accepted with and
    without ``sha1=``. No timestamp: use a ``replay_store``. API v5 documents no signature: put
    HTTP Basic authentication in front of its endpoint.
    """

    def scheme(delivery: Delivery) -> Claim:
        text = delivery.header("X-Hub-Signature").removeprefix("sha1=")
        return Claim(signatures=[decode_signature(text, "hex")], contents=[delivery.body])

    return _verifier("pagarme", scheme, HMACKeys(api_key, algorithm="sha1"), options)


def asaas(access_token: Secrets, **options: Unpack[Options]) -> WebhookVerifier:
    """Asaas: the token of the webhook's configuration, as it is, in ``asaas-access-token``.

    Source: docs.asaas.com/docs/about-webhooks. A **static token signs nothing**: whoever has seen
    one delivery can send any other. Ask the API before acting. A ``replay_store`` only keeps
    honest repetitions apart.
    """
    return _verifier(
        "asaas", token_header_scheme("asaas-access-token"), TokenKeys(access_token), options
    )


def efi(hmac_value: Secrets, **options: Unpack[Options]) -> WebhookVerifier:
    """Efí (Gerencianet) Pix with ``x-skip-mtls-checking: true``: ``?hmac=…`` of the address.

    Source: dev.efipay.com.br/docs/api-pix/webhooks and Efí's community (canal Pix, 2025-01-17).
    Despite its name the value is chosen once, at registration: it is a **static token and signs
    nothing**. It is part of the address, so keep queries out of access logs. Efí recommends mTLS,
    which a proxy in front of the service has to check, and its address 34.193.116.226 besides.
    """

    def scheme(delivery: Delivery) -> Claim:
        values = delivery.query.getlist("hmac")
        if len(values) != 1:
            raise InvalidWebhookException(f"{len(values)} parameters hmac")
        given = values[0].encode("utf-8", "surrogatepass")
        return Claim(signatures=[given], contents=[delivery.body])

    return _verifier("efi", scheme, TokenKeys(hmac_value), options)


def twilio(
    auth_token: Secrets, *, public_url: str | None = None, **options: Unpack[Options]
) -> WebhookVerifier:
    """Twilio: ``X-Twilio-Signature``, HMAC-SHA1 of the address and the sorted form, base64.

    A body that is not a form is signed by ``bodySHA256`` in the query. Source:
    twilio.com/docs/usage/security and twilio-python's ``RequestValidator``. No timestamp: use a
    ``replay_store``.

    Args:
        public_url: Scheme and host that Twilio calls, such as ``https://api.example.com``. Give
            it behind a proxy: the request's own are what the proxy, or a forged ``Host``, says.
    """

    def scheme(delivery: Delivery) -> Claim:
        given = delivery.header("X-Twilio-Signature")
        return Claim(
            signatures=[decode_signature(given, "base64")],
            contents=_twilio_contents(delivery, public_url),
        )

    return _verifier("twilio", scheme, HMACKeys(auth_token, algorithm="sha1"), options)


def standard_webhooks_scheme(version: str) -> Scheme:
    """The scheme of Standard Webhooks for ``v1`` (HMAC) or ``v1a`` (Ed25519)."""

    def scheme(delivery: Delivery) -> Claim:
        family = "webhook" if "webhook-id" in delivery.headers else "svix"
        message_id = delivery.header(f"{family}-id")
        stamp = delivery.header(f"{family}-timestamp")
        timestamp = read_timestamp(stamp)
        if not message_id or "." in message_id:
            # a dot would let the id and the timestamp of another message stand for this one's
            raise InvalidWebhookException("malformed message id")
        given = delivery.header(f"{family}-signature").split(" ", 32)
        marked = (text.partition(",") for text in given)
        texts = (text for mark, _, text in marked if mark == version)
        head = f"{message_id}.{stamp}.".encode("utf-8", "surrogatepass")
        return Claim(
            signatures=decode_all(texts, "base64"),
            contents=[head + delivery.body],
            timestamp=timestamp,
            message_id=message_id,
        )

    return scheme


def token_header_scheme(header_name: str) -> Scheme:
    """The whole value of a header is the secret."""

    def scheme(delivery: Delivery) -> Claim:
        given = delivery.header(header_name).encode("latin-1", "replace")
        return Claim(signatures=[given], contents=[delivery.body])

    return scheme


def _verifier(sender: str, scheme: Scheme, keys: Keys, options: Options) -> WebhookVerifier:
    return WebhookVerifier(scheme, keys, sender=sender, **options)


def _svix_secret(name: str, raw: bytes) -> SecretStr | bytes:
    try:
        return base64.b64decode(raw.strip().removeprefix(b"whsec_"), validate=True)
    except ValueError:
        raise ValueError(f"webhook secret {name!r} is not base64, as 'whsec_…' has to be") from None


def _mercado_pago_scheme(delivery: Delivery) -> Claim:
    pairs = read_pairs(delivery.header("x-signature"))
    stamp = only(pairs, "ts")
    timestamp = read_timestamp(stamp)
    ids = delivery.query.getlist("data.id")
    request_ids = delivery.headers.getlist("x-request-id")
    if len(ids) > 1 or len(request_ids) > 1 or any(";" in text for text in ids + request_ids):
        # a semicolon would let one part of a signed manifest pass for another
        raise InvalidWebhookException("ambiguous manifest")
    data_id = ids[0].strip() if ids else ""
    request_id = request_ids[0].strip() if request_ids else ""
    spellings = dict.fromkeys((data_id.lower(), data_id))
    return Claim(
        signatures=decode_all((text for name, text in pairs if name == "v1"), "hex"),
        contents=[_mercado_pago_manifest(spelling, request_id, stamp) for spelling in spellings],
        timestamp=timestamp,
    )


def _mercado_pago_manifest(data_id: str, request_id: str, stamp: str) -> bytes:
    parts: Mapping[str, str] = {"id": data_id, "request-id": request_id, "ts": stamp}
    text = "".join(f"{name}:{value};" for name, value in parts.items() if value)
    return text.encode("utf-8", "surrogatepass")


def _twilio_contents(delivery: Delivery, public_url: str | None) -> list[bytes]:
    url = delivery.url
    if not _URL.fullmatch(url):
        # urlsplit would cut a fragment off and drop tabs, which the application sees in its query
        raise InvalidWebhookException("no address that a sender calls")
    if public_url is not None:
        asked = _split(url)
        url = public_url.rstrip("/") + urlunsplit(("", "", asked.path, asked.query, ""))
    signed = _twilio_form(delivery)
    digests = delivery.query.getlist("bodySHA256")
    if digests:
        if digests != [hashlib.sha256(delivery.body).hexdigest()]:
            raise InvalidWebhookException("the body's hash is another")
        signed = ""
    # Twilio signs with or without the scheme's own port; its libraries accept both
    return [(spelling + signed).encode("utf-8", "surrogatepass") for spelling in _ports(url)]


def _twilio_form(delivery: Delivery) -> str:
    """The form's fields sorted by name, each name once with its values, sorted and unique."""
    kind = delivery.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not delivery.body:
        return ""
    if kind != "application/x-www-form-urlencoded":
        if "bodySHA256" in delivery.query:
            return ""
        raise InvalidWebhookException("a body that nothing signs")
    try:
        fields = parse_qsl(
            delivery.body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS
        )
    except ValueError:
        raise InvalidWebhookException("the form cannot be read") from None
    values: dict[str, set[str]] = {}
    for name, value in fields:
        values.setdefault(name, set()).add(value)
    return "".join(name + value for name in sorted(values) for value in sorted(values[name]))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # a Host header such as "[" is none
        raise InvalidWebhookException("no host in the address") from None


def _ports(url: str) -> list[str]:
    parts = _split(url)
    host = parts.netloc.rpartition("@")[2]
    try:
        port = parts.port
    except ValueError:
        raise InvalidWebhookException("no port in the address") from None
    bare = host if port is None else host.rpartition(":")[0]
    default = 443 if parts.scheme == "https" else 80
    spellings = {bare: None, f"{bare}:{port or default}": None}
    return [urlunsplit(parts._replace(netloc=netloc)) for netloc in spellings]
