from __future__ import annotations

import base64

import pytest

pytest.importorskip("cryptography")

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.datastructures import Headers, QueryParams

from tijolo.web.webhooks import Delivery, InvalidWebhookException
from tijolo.web.webhooks.asymmetric import (
    Ed25519WebhookSignatureVerifier,
    RSAWebhookSignatureVerifier,
)
from tijolo.web.webhooks.asymmetric_presets import standard_webhooks_ed25519, woovi

HOSTILE = ["", "é" * 64, "0", "zz", "AAAA", "A" * 344, "A" * 100_000, "=" * 8]


def pem_of(key) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def delivery(body: bytes, headers: dict[str, str]) -> Delivery:
    raw = [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()]
    return Delivery(body=body, headers=Headers(raw=raw), query=QueryParams(""))


@pytest.fixture(scope="module")
def rsa_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def ed_key():
    return Ed25519PrivateKey.generate()


@pytest.mark.parametrize(
    ("algorithm", "made"), [("sha256", hashes.SHA256), ("sha512", hashes.SHA512)]
)
def test_rsa_pkcs1v15(rsa_key, algorithm, made):
    verifier = RSAWebhookSignatureVerifier(pem_of(rsa_key), algorithm=algorithm)
    signature = base64.b64encode(rsa_key.sign(b"body", padding.PKCS1v15(), made())).decode()
    assert verifier.verify(b"body", signature)
    assert not verifier.verify(b"other", signature)
    assert verifier.check(delivery(b"body", {"x-webhook-signature": signature}))
    assert verifier.public_key_pem == pem_of(rsa_key)
    assert verifier.algorithm == algorithm


def test_rsa_pss_and_pkcs1_are_not_mixed(rsa_key):
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    signature = base64.b64encode(rsa_key.sign(b"body", pss, hashes.SHA256())).decode()
    assert RSAWebhookSignatureVerifier(pem_of(rsa_key), rsa_padding="pss").verify(
        b"body", signature
    )
    assert not RSAWebhookSignatureVerifier(pem_of(rsa_key)).verify(b"body", signature)


def test_several_public_keys_and_their_ids(rsa_key):
    old = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    verifier = RSAWebhookSignatureVerifier(
        {"new": pem_of(rsa_key), "old": pem_of(old).decode()}, key_id_header="X-Key"
    )
    signature = base64.b64encode(old.sign(b"x", padding.PKCS1v15(), hashes.SHA256())).decode()
    headers = {"x-webhook-signature": signature}
    assert verifier.check(delivery(b"x", {**headers, "X-Key": "old"})).key_id == "old"
    with pytest.raises(InvalidWebhookException):
        verifier.check(delivery(b"x", {**headers, "X-Key": "new"}))


@pytest.mark.parametrize("signature", HOSTILE)
def test_no_signature_makes_verify_raise(rsa_key, ed_key, signature):
    assert not RSAWebhookSignatureVerifier(pem_of(rsa_key)).verify(b"body", signature)
    assert not Ed25519WebhookSignatureVerifier(pem_of(ed_key)).verify(b"body", signature)


def test_keys_and_options_that_cannot_work_are_refused(rsa_key, ed_key):
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for key, options, told in (
        (pem_of(short), {}, "1024 bits"),
        (pem_of(ed_key), {}, "not RSA"),
        ("", {}, "not a PEM"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", {}, "not a PEM"),
        ([], {}, "needs a public key"),
        (pem_of(rsa_key), {"algorithm": "sha1"}, "algorithm"),
        (pem_of(rsa_key), {"rsa_padding": "oaep"}, "rsa_padding"),
    ):
        with pytest.raises(ValueError, match=told):
            RSAWebhookSignatureVerifier(key, **options)
    for key, told in (
        (pem_of(rsa_key), "not Ed25519"),
        ("AAAA", "not 32 bytes"),
        ("", "not 32 bytes"),
    ):
        with pytest.raises(ValueError, match=told):
            Ed25519WebhookSignatureVerifier(key)


def test_ed25519_key_in_every_spelling(ed_key):
    raw = ed_key.public_key().public_bytes_raw()
    signature = base64.b64encode(ed_key.sign(b"body")).decode()
    for key in (raw, raw.hex(), base64.b64encode(raw), pem_of(ed_key)):
        assert Ed25519WebhookSignatureVerifier(key).verify(b"body", signature)
    assert not Ed25519WebhookSignatureVerifier(raw).verify(b"other", signature)


def test_ed25519_with_a_timestamp_the_way_of_discord(ed_key):
    verifier = Ed25519WebhookSignatureVerifier(
        ed_key.public_key().public_bytes_raw().hex(),
        encoding="hex",
        timestamp_header="X-Signature-Timestamp",
        content_format=b"{timestamp}{body}",
        clock=lambda: 1_700_000_000,
    )
    headers = {
        "X-Signature-Ed25519": ed_key.sign(b"1700000000{}").hex(),
        "X-Signature-Timestamp": "1700000000",
    }
    assert verifier.check(delivery(b"{}", headers))
    with pytest.raises(InvalidWebhookException):
        verifier.check(delivery(b"{}", {**headers, "X-Signature-Timestamp": "1700000001"}))


def test_standard_webhooks_published_ed25519_vector():
    seed = base64.b64decode("VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=")
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    key = "whpk_" + base64.b64encode(public).decode()
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqta"
        "iHeYGb7KaaBRdM5WqyeFiL8Ag==",
    }
    verifier = standard_webhooks_ed25519(key, clock=lambda: 1614265330)
    assert verifier.check(delivery(b'{"test": 2432232314}', headers))
    symmetric = {
        **headers,
        "webhook-signature": headers["webhook-signature"].replace("v1a,", "v1,"),
    }
    with pytest.raises(InvalidWebhookException):
        verifier.check(delivery(b'{"test": 2432232314}', symmetric))


CHARGE = (
    '"status": "COMPLETED", "customer": { "name": "Antonio Victor", "taxID": { "taxID":'
    ' "12345678976", "type": "BR:CPF" }, "email": "antoniocliente@example.com", "correlationID":'
    ' "4979ceba-2132-4292-bd90-bee7fb2125e4" }, "value": 1000, "comment": "Pagamento OpenPix",'
    ' "transactionID": "ea83401ed4834b3ea6f1f283b389af29", "correlationID":'
    ' "417bae21-3d08-4cdb-9c2d-fee63c89e9e4", "paymentLinkID":'
    ' "34697ed2-3790-4b60-8512-e7465b142d84", "createdAt": "2021-03-12T12:43:54.528Z",'
    ' "updatedAt": "2021-03-12T12:44:09.360Z"'
)
PERSON = (
    '{ "correlationID": "9134e286-6f71-427a-bf00-241681624586", "email": "email1@example.com",'
    ' "name": "Loma", "phone": "+5511999999999", "taxID": { "taxID": "47043622050", "type":'
    ' "BR:CPF" } }'
)
WOOVI_BODY = (
    '{ "pixQrCode": null, "charge": { ' + CHARGE + ', "brCode": "https://api.openpix.com.br/'
    'openpix/openpix/testing?transactionID=ea83401ed4834b3ea6f1f283b389af29" }, "pix": { "charge":'
    " { " + CHARGE + ' }, "customer": ' + PERSON + ', "payer": ' + PERSON + ', "time":'
    ' "2021-03-12T12:44:09.269Z", "value": 1, "transactionID": "ea83401ed4834b3ea6f1f283b389af29",'
    ' "infoPagador": "OpenPix testing" }, "company": { "id": "624f46f9e93f9f521c8308d7", "name":'
    ' "Pizzaria do José", "taxID": "4722767300014" }, "account": { "clientId":'
    ' "ZOJ64B9B-ZM1W-89MI-4UCI-OP2LVIU6NY75" } }'
).encode()
WOOVI_SIGNATURE = (
    "lL2nnXgmLFGgxJ8+jCDguqouU4ucrIxYJcU5SPrJFaNcJajTJHYVldqc/z4YFIjAjtPEALe699WosgPY08W7CLpid"
    "vtm06Qwa4YMB0l/DcTS93O91NdSH/adjugEKiOb76Zj/0jB8mqOmWCFYbweOBa17bssuEkd5Lw7Q5L314Y="
)


def test_woovi_s_published_vector():
    assert woovi().check(delivery(WOOVI_BODY, {"x-webhook-signature": WOOVI_SIGNATURE}))
    with pytest.raises(InvalidWebhookException):
        woovi().check(delivery(WOOVI_BODY + b" ", {"x-webhook-signature": WOOVI_SIGNATURE}))
