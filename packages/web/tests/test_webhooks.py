import asyncio
import base64
import hashlib
import hmac
from typing import Annotated, Any

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.background import BackgroundTask
from starlette.datastructures import Headers, QueryParams

from tijolo.core import BaseAppSettings
from tijolo.web import create_app, register_exception_handlers
from tijolo.web.webhooks import (
    Claim,
    Delivery,
    DeliveryState,
    HeaderScheme,
    HMACKeys,
    InvalidWebhookException,
    MemoryReplayStore,
    TokenKeys,
    WebhookSignatureVerifier,
    WebhookVerifier,
    presets,
)

SECRET = "a-secret-of-thirty-two-bytes-ok!"
NOW = 1_700_000_000.0


def delivery(body: bytes = b"", headers: Any = None, query: str = "", url: str = "") -> Delivery:
    pairs = list(headers.items()) if isinstance(headers, dict) else (headers or [])
    raw = [(k.lower().encode(), v.encode("latin-1")) for k, v in pairs]
    return Delivery(body=body, headers=Headers(raw=raw), query=QueryParams(query), url=url)


def digest(content: bytes, secret: str = SECRET, algorithm: str = "sha256") -> str:
    return hmac.new(secret.encode(), content, algorithm).hexdigest()


def app_with(verifier: WebhookVerifier, handler: Any = None) -> FastAPI:
    app = FastAPI()
    register_exception_handlers(app)
    app.state.ran = 0

    @app.post("/hook")
    async def hook(
        request: Request, body: Annotated[bytes, Depends(verifier.dependency())]
    ) -> dict[str, Any]:
        app.state.ran += 1
        if handler is not None:
            await handler(request)
        return {"size": len(body), "again": len(await request.body())}

    return app


def client(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://hooks.example")


async def post(app: FastAPI, body: Any, headers: Any = None) -> httpx.Response:
    async with client(app) as http:
        return await http.post("/hook", content=body, headers=headers)


# --- the contract's verifier


def test_expected_and_verify_agree_for_hex_and_base64():
    for encoding in ("hex", "base64"):
        verifier = WebhookSignatureVerifier(SECRET, encoding=encoding, prefix="v1=")
        assert verifier.verify(b"body", verifier.expected(b"body"))
        assert not verifier.verify(b"other", verifier.expected(b"body"))


def test_the_attributes_of_the_contract_are_there():
    verifier = WebhookSignatureVerifier(SECRET, algorithm="sha512", prefix="s=")
    shown = (verifier.algorithm, verifier.header_name, verifier.encoding, verifier.prefix)
    assert shown == ("sha512", "X-Signature", "hex", "s=")


@pytest.mark.parametrize("secret", ["", b"", "   ", SecretStr(""), [], {}, [SECRET, ""], {"a": ""}])
def test_an_empty_secret_is_refused_when_the_verifier_is_built(secret):
    with pytest.raises(ValueError, match="secret"):
        WebhookSignatureVerifier(secret)


@pytest.mark.parametrize("algorithm", ["md5", "shake_128", "blake2b", "", "SHA256"])
def test_an_algorithm_off_the_list_is_refused_when_the_verifier_is_built(algorithm):
    with pytest.raises(ValueError, match="algorithm must be one of"):
        WebhookSignatureVerifier(SECRET, algorithm=algorithm)


@pytest.mark.parametrize(
    "options",
    [
        {"encoding": "base32"},
        {"header_name": "X Signature"},
        {"header_name": ""},
        {"timestamp_header": "X-Time", "content_format": b"{body}"},
        {"tolerance_seconds": 0},
        {"future_skew_seconds": -1},
        {"max_body_bytes": -1},
        {"lease_seconds": 0},
        {"tolerance_seconds": float("nan")},
        {"future_skew_seconds": float("nan")},
        {"lease_seconds": float("inf")},
        {"replay_ttl_seconds": float("inf")},
        {"replay_ttl_seconds": 0},
    ],
)
def test_options_that_cannot_work_are_refused_when_the_verifier_is_built(options):
    with pytest.raises(ValueError, match=r"must|no name"):
        WebhookSignatureVerifier(SECRET, **options)


def test_a_declared_prefix_has_to_be_there():
    verifier = WebhookSignatureVerifier(SECRET, prefix="sha256=")
    bare = digest(b"body")
    assert verifier.verify(b"body", f"sha256={bare}")
    assert not verifier.verify(b"body", bare)
    assert not verifier.verify(b"body", f"sha1={bare}")
    assert not verifier.verify(b"body", f"sha512={bare}")  # as long as the right one


@pytest.mark.parametrize("noise", ["!", "\n", " ", "-", "ä"])
def test_a_signature_with_noise_in_it_is_none(noise):
    verifier = WebhookSignatureVerifier(SECRET, encoding="base64")
    good = verifier.expected(b"body")
    assert not verifier.verify(b"body", good[:8] + noise + good[8:])


def test_no_secret_is_shown_by_a_repr():
    keys = HMACKeys({"k1": SECRET})
    assert SECRET not in repr(keys) + repr(WebhookSignatureVerifier(SECRET))


HOSTILE = ["", " ", "é" * 64, "ÿ" * 32, "0" * 63, "0" * 65, "g" * 64, "٠" * 64, "0x0",
           "0" * 9_000, "\x7f", "=", "====", "a" * 64 + "\x0b", "AAAA AAAA", "1_0"]  # fmt: skip


@pytest.mark.parametrize("signature", HOSTILE)
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_no_signature_makes_verify_raise(signature, encoding):
    assert not WebhookSignatureVerifier(SECRET, encoding=encoding).verify(b"body", signature)


@given(st.binary(max_size=200), st.text(max_size=200), st.sampled_from(["hex", "base64"]))
def test_nothing_but_the_signature_verifies(body, signature, encoding):
    verifier = WebhookSignatureVerifier(SECRET, encoding=encoding)
    assert verifier.verify(body, verifier.expected(body))
    assert not verifier.verify(body, signature)


async def test_a_signature_outside_ascii_is_a_401_and_not_a_500():
    app = app_with(WebhookSignatureVerifier(SECRET))
    answer = await post(app, b"body", [(b"X-Signature", "é".encode("latin-1") * 64)])
    assert answer.status_code == 401
    assert answer.json()["code"] == "INVALID_WEBHOOK_SIGNATURE"
    assert answer.headers["www-authenticate"] == "Signature"


async def test_the_dependency_gives_the_raw_body_which_can_be_read_again():
    verifier = WebhookSignatureVerifier(SECRET)
    answer = await post(
        app_with(verifier), b'{"a": 1}', {"X-Signature": verifier.expected(b'{"a": 1}')}
    )
    assert answer.json() == {"size": 8, "again": 8}


async def test_the_dependency_without_a_store_can_be_awaited_directly():
    verifier = WebhookSignatureVerifier(SECRET)
    scope = {
        "type": "http", "method": "POST", "path": "/", "query_string": b"", "scheme": "http",
        "headers": [(b"x-signature", verifier.expected(b"x").encode())],
    }  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": b"x"}

    assert await verifier.dependency()(Request(scope, receive)) == b"x"


async def test_the_answer_says_nothing_about_the_reason(records):
    verifier = WebhookSignatureVerifier(SECRET)
    app = app_with(verifier)
    shown = []
    for headers in ({}, {"X-Signature": "0" * 64}, {"X-Signature": "zz"}):
        body = (await post(app, b"body", headers)).json()
        body.pop("request_id")
        shown.append(body)
    assert shown[0] == shown[1] == shown[2]
    reasons = [r.getMessage() for r in records if "refused" in r.getMessage()]
    assert len(set(reasons)) == 3


async def test_error_message_is_the_caller_s():
    app = FastAPI()
    register_exception_handlers(app)
    verifier = WebhookSignatureVerifier(SECRET)
    wanted = Depends(verifier.dependency(error_message="Assinatura inválida"))
    app.add_api_route("/hook", lambda: {"ok": True}, methods=["POST"], dependencies=[wanted])
    assert (await post(app, b"")).json()["detail"] == "Assinatura inválida"


async def test_a_header_that_comes_twice_is_refused():
    verifier = WebhookSignatureVerifier(SECRET)
    good = verifier.expected(b"body")
    twice = [("X-Signature", good), ("X-Signature", good)]
    assert (await post(app_with(verifier), b"body", twice)).status_code == 401


# --- keys


def test_any_of_several_secrets_verifies_and_the_result_names_it():
    verifier = WebhookSignatureVerifier({"2026-11": SECRET, "2026-10": "old" * 11})
    old = delivery(b"x", {"X-Signature": digest(b"x", "old" * 11)})
    assert verifier.check(old).key_id == "2026-10"
    assert verifier.check(delivery(b"x", {"X-Signature": digest(b"x")})).key_id == "2026-11"


def test_a_key_id_header_tries_that_key_alone():
    verifier = WebhookSignatureVerifier({"a": SECRET, "b": "b" * 32}, key_id_header="X-Key")
    signed = {"X-Signature": digest(b"x")}
    assert verifier.check(delivery(b"x", {**signed, "X-Key": "a"})).key_id == "a"
    for wrong in ("b", "nobody", ""):
        with pytest.raises(InvalidWebhookException):
            verifier.check(delivery(b"x", {**signed, "X-Key": wrong}))


# --- timestamps


def timed(stamp: str, body: bytes = b"body") -> Delivery:
    signed = digest(stamp.encode("utf-8") + b"." + body)
    return delivery(body, [("X-Signature", signed), ("X-Time", stamp)])


def timed_verifier(**options: Any) -> WebhookSignatureVerifier:
    return WebhookSignatureVerifier(SECRET, timestamp_header="X-Time", clock=lambda: NOW, **options)


@pytest.mark.parametrize(
    ("age", "accepted"),
    [(0, True), (300, True), (301, False), (-30, True), (-31, False), (-300, False)],
)
def test_the_windows_are_one_sided(age, accepted):
    webhook = timed(str(int(NOW - age)))
    if accepted:
        assert timed_verifier().check(webhook).timestamp.timestamp() == NOW - age
    else:
        with pytest.raises(InvalidWebhookException):
            timed_verifier().check(webhook)


def test_tolerance_and_skew_are_options_and_none_accepts_any_age():
    assert timed_verifier(tolerance_seconds=None).check(timed("1"))
    assert timed_verifier(tolerance_seconds=1000).check(timed(str(int(NOW - 999))))
    with pytest.raises(InvalidWebhookException):
        timed_verifier(future_skew_seconds=0).check(timed(str(int(NOW + 1))))


def test_a_scheme_of_one_s_own_cannot_pass_without_an_age():
    def scheme(sent: Delivery) -> Claim:
        return Claim(signatures=[b"x"], contents=[sent.body], timestamp=float("nan"))

    with pytest.raises(InvalidWebhookException):
        WebhookVerifier(scheme, TokenKeys("x")).check(delivery())


def test_milliseconds_are_known_by_their_length():
    assert timed_verifier().check(timed(str(int(NOW * 1000)))).timestamp.timestamp() == NOW


def test_the_timestamp_is_part_of_what_is_signed():
    fresh = str(int(NOW))
    stale = timed(str(int(NOW - 3600)))
    moved = delivery(b"body", {"X-Signature": stale.header("X-Signature"), "X-Time": fresh})
    with pytest.raises(InvalidWebhookException):
        timed_verifier().check(moved)


@pytest.mark.parametrize(
    "stamp",
    ["", "x", "-1", "+1", "1.5", "1e9", "1_700_000_000", "9" * 15, "9" * 5000, "0x1", "nan", "²"],
)
def test_a_timestamp_that_is_no_plain_number_is_refused(stamp):
    with pytest.raises(InvalidWebhookException):
        timed_verifier(tolerance_seconds=None).check(timed(stamp))


def test_a_body_that_looks_like_the_format_is_signed_as_it_is():
    stamp, body = str(int(NOW)), b"{timestamp}.{body}"
    assert timed_verifier().check(timed(stamp, body)).body == body


# --- bodies


async def test_a_body_over_the_limit_is_a_413_declared_or_not():
    verifier = WebhookSignatureVerifier(SECRET, max_body_bytes=10)
    app = app_with(verifier)
    sent = 0

    async def chunks():
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b"12345"

    headers = {"X-Signature": verifier.expected(b"x")}
    assert (await post(app, b"x" * 11, headers)).status_code == 413
    assert (await post(app, chunks(), headers)).status_code == 413
    exact = {"X-Signature": verifier.expected(b"x" * 10)}
    assert (await post(app, b"x" * 10, exact)).status_code == 200
    assert app.state.ran == 1


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "x", "٣"])
async def test_a_hostile_content_length_is_no_500(length):
    verifier = WebhookSignatureVerifier(SECRET)
    headers = [(b"content-length", length.encode("utf-8"))]
    answer = await post(app_with(verifier), b"body", headers)
    assert answer.status_code in (401, 413)


# --- replays


def signed_app(handler: Any = None, **options: Any) -> tuple[FastAPI, dict[str, str]]:
    options.setdefault("replay_store", MemoryReplayStore())
    verifier = WebhookSignatureVerifier(SECRET, **options)
    return app_with(verifier, handler), {"X-Signature": verifier.expected(b"body")}


async def test_a_repeated_delivery_runs_once_and_is_answered_with_success():
    app, headers = signed_app()
    assert [(await post(app, b"body", headers)).status_code for _ in range(3)] == [200] * 3
    assert app.state.ran == 1


async def test_thirty_racing_copies_run_the_handler_once():
    entered = asyncio.Event()

    async def slow(_: Request) -> None:
        entered.set()
        await asyncio.sleep(0.05)

    app, headers = signed_app(slow)
    answers = await asyncio.gather(*(post(app, b"body", headers) for _ in range(30)))
    assert app.state.ran == 1
    assert sorted({a.status_code for a in answers}) == [200, 409]
    refused = next(a for a in answers if a.status_code == 409)
    assert refused.json()["code"] == "WEBHOOK_IN_PROGRESS"
    assert refused.headers["retry-after"] == "60"


@pytest.mark.parametrize("error", [RuntimeError("x"), HTTPException(503), asyncio.CancelledError()])
async def test_a_handler_that_fails_leaves_the_delivery_to_the_next_try(error):
    errors = [error]

    async def fails_once(_: Request) -> None:
        if errors:
            raise errors.pop()

    app, headers = signed_app(fails_once)
    try:
        first = await post(app, b"body", headers)
    except asyncio.CancelledError:
        pass
    else:
        assert first.status_code >= 500
    assert (await post(app, b"body", headers)).status_code == 200
    assert app.state.ran == 2


@pytest.mark.parametrize(
    ("around", "own_response"), [(create_app, False), (create_app, True), (None, False)]
)
async def test_a_background_task_that_fails_does_not_open_a_delivery_to_repetition(
    around, own_response
):
    store = MemoryReplayStore()
    verifier = WebhookSignatureVerifier(SECRET, replay_store=store)
    app = around(BaseAppSettings(ENVIRONMENT="test")) if around else FastAPI()
    ran: list[bytes] = []
    states: list[DeliveryState] = []

    async def fails() -> None:
        key = verifier.check(delivery(b"body", headers)).replay_key
        states.append(await store.reserve(key, "other", lease_seconds=60))
        raise RuntimeError("mail server is down")

    @app.post("/hook")
    async def hook(
        body: Annotated[bytes, Depends(verifier.dependency())], tasks: BackgroundTasks
    ) -> Response:
        ran.append(body)
        if own_response:  # whose tasks take the place of FastAPI's
            return Response(background=BackgroundTask(fails))
        tasks.add_task(fails)
        return Response()

    headers = {"X-Signature": verifier.expected(b"body")}
    answers = [(await post(app, b"body", headers)).status_code for _ in range(3)]
    assert (answers, ran) == ([200] * 3, [b"body"])
    if not own_response:  # noted before the task began, however long that takes
        assert states == [DeliveryState.HANDLED]


async def test_an_answer_that_cannot_be_made_leaves_the_delivery_to_the_next_try():
    verifier = WebhookSignatureVerifier(SECRET, replay_store=MemoryReplayStore())
    app = FastAPI()
    ran: list[bytes] = []

    @app.post("/hook")
    async def hook(body: Annotated[bytes, Depends(verifier.dependency())]) -> int:
        ran.append(body)
        return "no number"  # type: ignore[return-value]

    headers = {"X-Signature": verifier.expected(b"body")}
    assert [(await post(app, b"body", headers)).status_code for _ in range(2)] == [500] * 2
    assert len(ran) == 2


async def test_a_handler_that_died_leaves_the_delivery_after_the_lease():
    now = [0.0]
    store = MemoryReplayStore(clock=lambda: now[0])
    assert await store.reserve("k", "a", lease_seconds=60) is DeliveryState.NEW
    assert await store.reserve("k", "b", lease_seconds=60) is DeliveryState.IN_PROGRESS
    now[0] = 60.0
    assert await store.reserve("k", "b", lease_seconds=60) is DeliveryState.NEW
    await store.release("k", "a")  # the dead one comes back: it is no longer its own
    assert await store.reserve("k", "c", lease_seconds=60) is DeliveryState.IN_PROGRESS


async def test_an_invalid_delivery_never_reaches_the_store():
    store = MemoryReplayStore()
    app, _ = signed_app(replay_store=store)
    await post(app, b"body", {"X-Signature": "0" * 64})
    assert len(store) == 0


async def test_the_memory_store_is_bounded_and_says_once_that_it_overflows(records):
    now = [0.0]
    store = MemoryReplayStore(max_entries=3, clock=lambda: now[0])
    for number in range(10):
        await store.reserve(str(number), "a", lease_seconds=60)
    assert len(store) == 3
    assert await store.reserve("9", "a", lease_seconds=60) is DeliveryState.IN_PROGRESS
    assert sum("deliveries to remember" in r.getMessage() for r in records) == 1
    now[0] = 61.0
    await store.reserve("new", "a", lease_seconds=60)
    assert len(store) == 1
    with pytest.raises(ValueError, match="max_entries"):
        MemoryReplayStore(max_entries=0)


async def test_two_senders_that_share_a_store_do_not_meet():
    store = MemoryReplayStore()
    body = b"same"
    keys = {
        WebhookSignatureVerifier(SECRET, sender=name, replay_store=store)
        .check(delivery(body, {"X-Signature": digest(body)}))
        .replay_key
        for name in ("a", "b")
    }
    assert len(keys) == 2


async def test_an_unsigned_id_does_not_make_a_new_delivery():
    verifier = presets.github(SECRET)
    signed = {"X-Hub-Signature-256": f"sha256={digest(b'x')}"}
    first = verifier.check(delivery(b"x", {**signed, "X-GitHub-Delivery": "1"}))
    second = verifier.check(delivery(b"x", {**signed, "X-GitHub-Delivery": "2"}))
    assert first.replay_key == second.replay_key


async def test_webhook_dependency_tells_key_and_time():
    verifier = timed_verifier()
    app = FastAPI()
    register_exception_handlers(app)

    @app.post("/hook")
    async def hook(
        webhook: Annotated[Any, Depends(verifier.webhook_dependency())],
    ) -> dict[str, Any]:
        return {"key": webhook.key_id, "time": webhook.timestamp.isoformat()}

    stamp = str(int(NOW))
    headers = {"X-Signature": digest(f"{stamp}.body".encode()), "X-Time": stamp}
    answer = await post(app, b"body", headers)
    assert answer.json() == {"key": "0", "time": "2023-11-14T22:13:20+00:00"}
    assert (await post(app, b"other", headers)).status_code == 401


# --- presets, by published vectors where there are any

SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
    b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
    b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
    b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TWILIO_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
TWILIO_FORM = (
    b"CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212"
    b"&Caller=%2B14158675309"
)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def at(moment: float):
    return lambda: moment


def test_github_s_published_vector():
    verifier = presets.github("It's a Secret to Everybody")
    header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert verifier.check(delivery(b"Hello, World!", {"X-Hub-Signature-256": header}))
    with pytest.raises(InvalidWebhookException):
        verifier.check(delivery(b"Hello, World?", {"X-Hub-Signature-256": header}))


def test_slack_s_published_vector():
    headers = {
        "X-Slack-Request-Timestamp": "1531420618",
        "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    secret = "8f742231b10e8888abcd99yyyzzz85a5"
    assert presets.slack(secret, clock=at(1531420618 + 60)).check(delivery(SLACK_BODY, headers))
    with pytest.raises(InvalidWebhookException):
        presets.slack(secret).check(delivery(SLACK_BODY, headers))  # years later


@pytest.mark.parametrize("family", ["webhook", "svix"])
def test_standard_webhooks_published_vector_under_both_names(family):
    headers = {name.replace("webhook", family): value for name, value in STANDARD.items()}
    verifier = presets.standard_webhooks(STANDARD_SECRET, clock=at(1614265330))
    assert verifier.check(delivery(STANDARD_BODY, headers)).message_id == STANDARD["webhook-id"]


def test_standard_webhooks_several_signatures_and_other_versions():
    good = STANDARD["webhook-signature"]
    verifier = presets.standard_webhooks(STANDARD_SECRET, clock=at(1614265330))
    many = {**STANDARD, "webhook-signature": f"v1,AAAA v1a,AAAA {good} v2,x"}
    assert verifier.check(delivery(STANDARD_BODY, many))
    for hidden in (good.replace("v1,", "v2,"), "", "v1", "v1,", " ".join(["v1,AAAA"] * 17)):
        with pytest.raises(InvalidWebhookException):
            verifier.check(delivery(STANDARD_BODY, {**STANDARD, "webhook-signature": hidden}))


def test_standard_webhooks_id_with_the_separator_is_refused():
    # id "a" with the body "T.{}" and id "a.T" with the body "{}" would be the same signed bytes
    raw = base64.b64decode(STANDARD_SECRET.removeprefix("whsec_"))
    stamp = int(NOW)
    signature = base64.b64encode(hmac.digest(raw, f"a.{stamp}.{stamp}.{{}}".encode(), "sha256"))
    shared = {"webhook-timestamp": str(stamp), "webhook-signature": f"v1,{signature.decode()}"}
    verifier = presets.standard_webhooks(STANDARD_SECRET, clock=at(NOW))
    assert verifier.check(delivery(f"{stamp}.{{}}".encode(), {**shared, "webhook-id": "a"}))
    with pytest.raises(InvalidWebhookException):
        verifier.check(delivery(b"{}", {**shared, "webhook-id": f"a.{stamp}"}))


def test_a_standard_webhooks_secret_that_is_not_base64_is_refused():
    with pytest.raises(ValueError, match="not base64"):
        presets.standard_webhooks("whsec_not base64!")


async def test_a_resent_standard_webhook_is_the_same_delivery():
    raw = base64.b64decode(STANDARD_SECRET.removeprefix("whsec_"))

    def sent_at(stamp: int) -> dict[str, str]:
        content = f"msg_1.{stamp}.".encode() + b"{}"
        signature = base64.b64encode(hmac.digest(raw, content, "sha256")).decode()
        return {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(stamp),
            "webhook-signature": f"v1,{signature}",
        }

    now = [NOW]
    app = app_with(
        presets.standard_webhooks(
            STANDARD_SECRET, clock=lambda: now[0], replay_store=MemoryReplayStore()
        )
    )
    assert (await post(app, b"{}", sent_at(int(NOW)))).status_code == 200
    now[0] += 3600
    assert (await post(app, b"{}", sent_at(int(now[0])))).status_code == 200
    assert app.state.ran == 1


def stripe_header(stamp: int, body: bytes, secret: str = SECRET, version: str = "v1") -> str:
    return f"t={stamp},{version}={digest(f'{stamp}.'.encode() + body, secret)}"


def test_stripe_signs_time_and_body():
    verifier = presets.stripe(SECRET, clock=at(NOW))
    stamp, body = int(NOW), b'{"object": "event"}'
    assert verifier.check(delivery(body, {"Stripe-Signature": stripe_header(stamp, body)}))
    rotating = f"{stripe_header(stamp, body)},v1={'0' * 64},v0=junk"
    assert verifier.check(delivery(body, {"Stripe-Signature": rotating}))


@pytest.mark.parametrize(
    "header",
    [
        stripe_header(int(NOW), b"{}", version="v0"),
        stripe_header(int(NOW) - 301, b"{}"),
        stripe_header(int(NOW) + 31, b"{}"),
        f"t={int(NOW)},{stripe_header(int(NOW), b'{}')}",
        stripe_header(int(NOW), b"{}").replace("t=", "T="),
        "t=1,v1=é",
        ",,,=,=",
        "v1=" + "0" * 64,
        ",".join(["v1=00"] * 40),
    ],
)
def test_stripe_headers_that_do_not_hold(header):
    with pytest.raises(InvalidWebhookException):
        presets.stripe(SECRET, clock=at(NOW)).check(delivery(b"{}", {"Stripe-Signature": header}))


def test_shopify_is_base64_of_the_body():
    signature = base64.b64encode(hmac.digest(SECRET.encode(), b'{"id":1}', "sha256")).decode()
    verifier = presets.shopify(SECRET)
    assert verifier.check(delivery(b'{"id":1}', {"X-Shopify-Hmac-SHA256": signature}))
    with pytest.raises(InvalidWebhookException):
        verifier.check(delivery(b'{"id":1}', {"X-Shopify-Hmac-SHA256": digest(b'{"id":1}')}))


def test_meta_is_checked_on_the_escaped_bytes_as_they_came():
    body = b'{"text":"\\u00e4\\u00f6"}'
    header = {"X-Hub-Signature-256": f"sha256={digest(body)}"}
    assert presets.meta(SECRET).check(delivery(body, header))
    with pytest.raises(InvalidWebhookException):
        presets.meta(SECRET).check(delivery('{"text":"äö"}'.encode(), header))


def mercado_pago(data_id: str, request_id: str, stamp: int, signed: str) -> Delivery:
    headers = {"x-signature": f"ts={stamp},v1={digest(signed.encode())}"}
    if request_id:
        headers["x-request-id"] = request_id
    query = str(QueryParams([("data.id", data_id), ("type", "payment")] if data_id else []))
    return delivery(b'{"unsigned": true}', headers, query)


MP_NOW = int(NOW)


@pytest.mark.parametrize(
    ("data_id", "request_id", "manifest"),
    [
        ("999999999", "abc123", f"id:999999999;request-id:abc123;ts:{MP_NOW};"),
        ("ORD01JQ4S", "abc123", f"id:ord01jq4s;request-id:abc123;ts:{MP_NOW};"),
        ("ORD01JQ4S", "abc123", f"id:ORD01JQ4S;request-id:abc123;ts:{MP_NOW};"),
        ("999999999", "", f"id:999999999;ts:{MP_NOW};"),
        ("", "abc123", f"request-id:abc123;ts:{MP_NOW};"),
    ],
)
def test_mercado_pago_manifest_as_documentation_and_sdk_write_it(data_id, request_id, manifest):
    verifier = presets.mercado_pago(SECRET, clock=at(NOW))
    assert verifier.check(mercado_pago(data_id, request_id, MP_NOW, manifest))
    with pytest.raises(InvalidWebhookException):
        verifier.check(mercado_pago("1", request_id, MP_NOW, manifest))


def test_mercado_pago_milliseconds():
    stamp = MP_NOW * 1000
    sent = mercado_pago("1", "r", stamp, f"id:1;request-id:r;ts:{stamp};")
    assert presets.mercado_pago(SECRET, clock=at(NOW)).check(sent)


def test_mercado_pago_parts_of_a_manifest_cannot_change_places():
    signed = f"id:1;request-id:r;ts:{MP_NOW};"
    shifted = mercado_pago("1;request-id:r", "", MP_NOW, signed)
    with pytest.raises(InvalidWebhookException):
        presets.mercado_pago(SECRET, clock=at(NOW)).check(shifted)


def test_mercado_pago_stale_and_unsigned_are_refused():
    old = MP_NOW - 301
    verifier = presets.mercado_pago(SECRET, clock=at(NOW))
    stale = mercado_pago("1", "r", old, f"id:1;request-id:r;ts:{old};")
    for refused in (stale, delivery(b"{}", {}, "topic=payment&id=1")):
        with pytest.raises(InvalidWebhookException):
            verifier.check(refused)


def test_pagbank_hashes_token_hyphen_body():
    body = b'{"id":"ORDE_1","status":"PAID"}'
    header = {"x-authenticity-token": hashlib.sha256(SECRET.encode() + b"-" + body).hexdigest()}
    assert presets.pagbank([SECRET, "other" * 7]).check(delivery(body, header))
    with pytest.raises(InvalidWebhookException):
        presets.pagbank("other" * 7).check(delivery(body, header))


def test_pagarme_with_and_without_its_prefix():
    signature = digest(b"id=1&event=x", algorithm="sha1")
    for header in (signature, f"sha1={signature}"):
        assert presets.pagarme(SECRET).check(delivery(b"id=1&event=x", {"X-Hub-Signature": header}))
    with pytest.raises(InvalidWebhookException):
        presets.pagarme(SECRET).check(delivery(b"id=2", {"X-Hub-Signature": signature}))


def test_static_tokens_of_asaas_and_efi():
    assert presets.asaas(SECRET).check(delivery(b"{}", {"asaas-access-token": SECRET}))
    assert presets.efi(SECRET).check(delivery(b"{}", query=str(QueryParams(hmac=SECRET))))
    for wrong in ("", SECRET[:-1], SECRET + "x", "é"):
        with pytest.raises(InvalidWebhookException):
            presets.asaas(SECRET).check(delivery(b"{}", {"asaas-access-token": wrong}))
        with pytest.raises(InvalidWebhookException):
            presets.efi(SECRET).check(delivery(b"{}", query=str(QueryParams(hmac=wrong))))
    with pytest.raises(InvalidWebhookException):
        presets.efi(SECRET).check(delivery(b"{}", query=f"hmac={SECRET}&hmac=x"))


@pytest.mark.parametrize(
    ("url", "body", "signature"),
    [
        (TWILIO_URL, TWILIO_FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (TWILIO_URL.replace(".com", ".com:1234"), TWILIO_FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (TWILIO_URL, TWILIO_FORM, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (TWILIO_URL.replace("https", "http"), TWILIO_FORM, "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        (
            TWILIO_URL,
            b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234",
            "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
        ),
    ],
)
def test_twilio_s_published_vectors_for_forms(url, body, signature):
    sent = delivery(body, {**FORM, "X-Twilio-Signature": signature}, url.partition("?")[2], url)
    assert presets.twilio("12345").check(sent)
    other = delivery(body + b"&a=b", {**FORM, "X-Twilio-Signature": signature}, "", url)
    with pytest.raises(InvalidWebhookException):
        presets.twilio("12345").check(other)


def test_twilio_s_published_vector_for_json():
    body = b'{"property": "value", "boolean": true}'
    query = (
        "foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
    )
    url = f"https://mycompany.com/myapp.php?{query}"
    headers = {
        "Content-Type": "application/json",
        "X-Twilio-Signature": "a9nBmqA0ju/hNViExpshrM61xv4=",
    }
    assert presets.twilio("12345").check(delivery(body, headers, query, url))
    for changed in (b"{}", b""):
        with pytest.raises(InvalidWebhookException):
            presets.twilio("12345").check(delivery(changed, headers, query, url))


def test_twilio_behind_a_proxy_takes_the_public_address():
    inner = TWILIO_URL.replace("https://mycompany.com", "http://10.0.0.7:8000")
    headers = {**FORM, "X-Twilio-Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}
    sent = delivery(TWILIO_FORM, headers, "foo=1&bar=2", inner)
    assert presets.twilio("12345", public_url="https://mycompany.com").check(sent)
    with pytest.raises(InvalidWebhookException):
        presets.twilio("12345").check(sent)


@pytest.mark.parametrize("host", ["[::1", "[", "]", "a@b@[", "h:99999", "h:x", "é", "a\tb", ""])
@pytest.mark.parametrize("public_url", [None, "https://mycompany.com"])
def test_twilio_refuses_what_is_no_address_and_never_crashes(host, public_url):
    sent = delivery(b"", {"X-Twilio-Signature": "AAAA"}, "", f"http://{host}/x")
    with pytest.raises(InvalidWebhookException):
        presets.twilio("12345", public_url=public_url).check(sent)


@pytest.mark.parametrize("unsigned", ["#&amount=9", "\t", "#"])
def test_twilio_nothing_can_be_added_to_the_query_that_was_signed(unsigned):
    signed = "https://mycompany.com/hook?amount=1"
    signature = base64.b64encode(hmac.digest(b"12345", signed.encode(), "sha1")).decode()
    verifier = presets.twilio("12345", public_url="https://mycompany.com")

    def sent(query: str) -> Delivery:
        headers = {"X-Twilio-Signature": signature}
        return delivery(b"", headers, query, f"http://10.0.0.7:8000/hook?{query}")

    assert verifier.check(sent("amount=1"))
    with pytest.raises(InvalidWebhookException):
        verifier.check(sent(f"amount=1{unsigned}"))


async def test_twilio_signs_the_path_as_it_was_asked_for():
    app = FastAPI()
    register_exception_handlers(app)
    wanted = Depends(presets.twilio("12345").dependency())
    app.add_api_route("/{name}", lambda name: {}, methods=["POST"], dependencies=[wanted])
    url = "http://hooks.example/s%C3%A3o?x=%41"
    signature = base64.b64encode(hmac.digest(b"12345", f"{url}a1".encode(), "sha1")).decode()
    async with client(app) as http:
        answer = await http.post(
            url, content=b"a=1", headers={**FORM, "X-Twilio-Signature": signature}
        )
    assert answer.status_code == 200


PRESETS = {
    "stripe": "Stripe-Signature", "github": "X-Hub-Signature-256", "meta": "X-Hub-Signature-256",
    "slack": "X-Slack-Signature", "shopify": "X-Shopify-Hmac-SHA256",
    "mercado_pago": "x-signature", "pagbank": "x-authenticity-token",
    "pagarme": "X-Hub-Signature", "asaas": "asaas-access-token", "twilio": "X-Twilio-Signature",
}  # fmt: skip


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("value", HOSTILE)
def test_no_preset_raises_anything_but_its_refusal(name, value):
    verifier = getattr(presets, name)(SECRET)
    value = value.encode("utf-8").decode("latin-1")
    for headers in ([], [(PRESETS[name], value)], [(PRESETS[name], value)] * 2):
        with pytest.raises(InvalidWebhookException):
            verifier.check(delivery(b"\xff\x00", headers, "data.id=1&hmac=x", "http://x:99999/y"))


@pytest.mark.parametrize("name", [*PRESETS, "standard_webhooks", "efi"])
def test_no_preset_accepts_an_empty_secret(name):
    with pytest.raises(ValueError, match="empty"):
        getattr(presets, name)("")


def test_a_scheme_of_one_s_own_is_a_header_scheme_with_keys():
    verifier = WebhookVerifier(
        HeaderScheme(header_name="X-Mine"), HMACKeys(SECRET, algorithm="sha384")
    )
    assert verifier.check(delivery(b"x", {"X-Mine": digest(b"x", algorithm="sha384")}))
