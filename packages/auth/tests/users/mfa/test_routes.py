"""The second factor over HTTP: who may enrol, confirm, renew and disable, and what is shown."""

import base64
import json
from types import SimpleNamespace
from typing import Annotated, Any

import httpx
import pytest
from cryptography.fernet import Fernet
from fastapi import Depends, FastAPI

pytest.importorskip("segno")
pytest.importorskip("email_validator")
pytest.importorskip("tijolo.db")

import tijolo.auth.api_keys
import tijolo.auth.mfa
from tijolo.auth import JWTSettings, build_auth_deps
from tijolo.auth.mfa import (
    MfaService,
    MfaSettings,
    TotpParameters,
    TotpSecondFactor,
    make_mfa_router,
)
from tijolo.web import MemoryRateLimitStore, register_exception_handlers

KEY = Fernet.generate_key().decode()
PARAMETERS = TotpParameters()


@pytest.fixture
def backend():
    return "sqlite"


@pytest.fixture
async def site(db, names, make_service, events, clock, models):
    """An application with the routes of the second factor, and a client of it."""
    await db.create_tables()
    settings = MfaSettings(MFA_ENCRYPTION_KEYS=[KEY], MFA_ISSUER="Loja")
    factor = TotpSecondFactor.from_settings(
        settings,
        models.totp,
        models.codes,
        store=MemoryRateLimitStore(),
        on_event=events.append,
        clock=clock,
    )
    users = make_service(second_factor=factor)
    auth = build_auth_deps(JWTSettings(JWT_SECRET=names.SECRET, JWT_ISSUER="https://auth.example"))
    app = FastAPI()
    register_exception_handlers(app)
    app.include_router(
        make_mfa_router(
            MfaService(factor, settings),
            users=users,
            auth=auth,
            session_factory=db.session_dependency,
        )
    )
    step_up = auth.require_recent_auth(max_age_seconds=300, amr={"otp"})

    @app.post("/pix")
    async def pay(principal: Annotated[Any, Depends(step_up)]) -> str:
        return principal.subject

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield SimpleNamespace(client=client, users=users, app=app)


@pytest.fixture
def log_in(site, db, ana, names):
    """Headers of a new login of Ana, with a code where one is asked for."""

    async def make(code=None):
        async with db.transaction() as session:
            made = await site.users.login(session, email=ana.email, password=names.PASSWORD)
        if code is not None:
            async with db.transaction() as session:
                made = await site.users.complete_login(session, token=made.token, code=code)
        return {"Authorization": f"Bearer {made.access_token}"}

    return make


@pytest.fixture
def code_of(clock):
    def code(secret, steps=0):
        step = PARAMETERS.step_at(clock().timestamp()) + steps
        return PARAMETERS.code(base64.b32decode(secret), step)

    return code


@pytest.fixture
async def enabled(site, log_in, code_of):
    """Ana has an app, and headers of the login that enrolled it."""
    headers = await log_in()
    enrolment = (await site.client.post("/auth/mfa/totp/enrol", headers=headers)).json()
    code = code_of(enrolment["secret"], -1)
    answer = await site.client.post("/auth/mfa/totp/confirm", json={"code": code}, headers=headers)
    codes = answer.json()["recovery_codes"]
    return SimpleNamespace(headers=headers, secret=enrolment["secret"], codes=codes)


async def test_each_change_is_mailed_to_its_user(site, enabled, log_in, code_of, mailbox, ana):
    headers = await log_in(code_of(enabled.secret))
    for path in ("recovery-codes", "totp/disable"):
        done = await site.client.post(f"/auth/mfa/{path}", json={}, headers=headers)
        assert done.status_code < 300, done.text
    refused = await site.client.post("/auth/mfa/totp/disable", json={}, headers=headers)
    assert refused.status_code >= 400
    await site.users.outbox.drain()
    assert [(mail.to, mail.kind, mail.context["change"]) for mail in mailbox.mails] == [
        (ana.email, "credentials_changed", "mfa_enabled"),
        (ana.email, "credentials_changed", "mfa_recovery_codes_renewed"),
        (ana.email, "credentials_changed", "mfa_disabled"),
    ]


async def status_of(site, headers):
    return (await site.client.get("/auth/mfa", headers=headers)).json()


async def test_an_app_is_enrolled_and_confirmed(site, log_in, code_of):
    headers = await log_in()
    assert await status_of(site, headers) == {
        "enabled": False,
        "enabled_at": None,
        "recovery_codes_left": 0,
    }
    enrolled = await site.client.post("/auth/mfa/totp/enrol", headers=headers)
    secret = enrolled.json()["secret"]
    assert enrolled.headers["Cache-Control"] == "no-store"
    assert enrolled.json()["otpauth_uri"].startswith("otpauth://totp/Loja:")
    assert enrolled.json()["qr_svg"].startswith("<svg")
    assert (await status_of(site, headers))["enabled"] is False
    body = {"code": code_of(secret)}
    confirmed = await site.client.post("/auth/mfa/totp/confirm", json=body, headers=headers)
    assert confirmed.headers["Cache-Control"] == "no-store"
    assert len(confirmed.json()["recovery_codes"]) == 10
    status = await status_of(site, headers)
    assert (status["enabled"], status["recovery_codes_left"]) == (True, 10)


async def test_a_refusal_is_kept_by_no_cache_either(site, log_in):
    headers = await log_in()
    refused = await site.client.post("/auth/mfa/totp/confirm", json={}, headers=headers)
    assert (refused.status_code, refused.headers["Cache-Control"]) == (422, "no-store")
    stranger = await site.client.get("/auth/mfa")
    assert (stranger.status_code, stranger.headers["Cache-Control"]) == (401, "no-store")


async def test_the_login_that_enrolled_is_not_strong_enough_to_disable(
    site, enabled, log_in, code_of
):
    """Whoever stole an access token must not take the second factor off."""
    for path in ("totp/disable", "recovery-codes"):
        weak = await site.client.post(f"/auth/mfa/{path}", json={}, headers=enabled.headers)
        assert weak.status_code == 401
        assert 'error="insufficient_user_authentication"' in weak.headers["WWW-Authenticate"]
    strong = await log_in(code_of(enabled.secret))
    renewed = await site.client.post("/auth/mfa/recovery-codes", headers=strong)
    assert not set(renewed.json()["recovery_codes"]) & set(enabled.codes)
    gone = await site.client.post("/auth/mfa/totp/disable", json={}, headers=strong)
    assert gone.status_code == 204
    assert (await status_of(site, strong))["enabled"] is False
    assert await log_in()


async def test_a_login_by_recovery_code_can_part_with_a_lost_app(site, enabled, log_in):
    headers = await log_in(enabled.codes[0])
    gone = await site.client.post("/auth/mfa/totp/disable", json={}, headers=headers)
    assert gone.status_code == 204


async def test_an_old_login_changes_nothing(site, ana):
    issued = site.users.issuer.issue(str(ana.id), auth_time=1_000_000, amr=["pwd", "otp"])
    headers = {"Authorization": f"Bearer {issued.token}"}
    for path in ("totp/enrol", "totp/confirm", "totp/disable", "recovery-codes"):
        answer = await site.client.post(
            f"/auth/mfa/{path}", json={"code": "000000"}, headers=headers
        )
        assert answer.status_code == 401, path
        assert "max_age" in answer.headers["WWW-Authenticate"]
    assert (await site.client.get("/auth/mfa", headers=headers)).status_code == 200


async def test_strangers_and_ended_logins_see_nothing(site, db, names, ana, log_in):
    headers = await log_in()
    async with db.transaction() as session:
        user = await session.get(names.User, ana.id)
        await site.users.end_everything(session, user)
    for refused in ({}, headers):
        assert (await site.client.get("/auth/mfa", headers=refused)).status_code == 401
        answer = await site.client.post("/auth/mfa/totp/enrol", headers=refused)
        assert answer.status_code == 401


@pytest.mark.parametrize("path", ["confirm", "disable"])
async def test_a_change_can_end_every_login(site, log_in, code_of, path):
    """ASVS 5.0, 7.4.3."""
    headers = await log_in()
    secret = (await site.client.post("/auth/mfa/totp/enrol", headers=headers)).json()["secret"]
    body = {"code": code_of(secret), "log_out_everywhere": path == "confirm"}
    await site.client.post("/auth/mfa/totp/confirm", json=body, headers=headers)
    if path == "disable":
        headers = await log_in(code_of(secret, 1))
        body = {"log_out_everywhere": True}
        await site.client.post("/auth/mfa/totp/disable", json=body, headers=headers)
    assert (await site.client.get("/auth/mfa", headers=headers)).status_code == 401


async def test_a_step_up_asks_for_a_code_of_the_app(site, enabled, log_in, code_of):
    refused = await site.client.post("/pix", headers=enabled.headers)
    assert refused.json()["details"]["amr_values"] == ["otp"]
    by_recovery = await log_in(enabled.codes[0])
    assert (await site.client.post("/pix", headers=by_recovery)).status_code == 401
    strong = await log_in(code_of(enabled.secret))
    assert (await site.client.post("/pix", headers=strong)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        {"code": ""},
        {"code": None},
        {"code": 123456},
        {"code": "1" * 65},
        {"code": "\ud800"},
        {"code": "000000", "unknown": 1},
    ],
)
async def test_a_body_that_is_no_code_is_refused_and_not_echoed(site, log_in, body):
    headers = await log_in()
    await site.client.post("/auth/mfa/totp/enrol", headers=headers)
    answer = await site.client.post(
        "/auth/mfa/totp/confirm",
        content=json.dumps(body),
        headers=headers | {"Content-Type": "application/json"},
    )
    assert answer.status_code in (400, 422)
    assert "1" * 65 not in answer.text


async def test_problems_have_stable_codes(site, log_in, code_of):
    headers = await log_in()

    async def confirm(code):
        answer = await site.client.post(
            "/auth/mfa/totp/confirm", json={"code": code}, headers=headers
        )
        return answer.status_code, answer.json().get("code")

    assert await confirm("000000") == (409, "NO_MFA_ENROLMENT")
    enrolled = await site.client.post("/auth/mfa/totp/enrol", headers=headers)
    for _ in range(5):
        assert await confirm("000000") == (400, "INVALID_MFA_CODE")
    assert await confirm("000000") == (429, "TOO_MANY_REQUESTS")
    again = await site.client.post("/auth/mfa/totp/enrol", headers=headers)
    assert again.status_code == 200
    assert again.json()["secret"] != enrolled.json()["secret"]


# settings and names


def test_the_settings_come_from_the_environment(monkeypatch):
    old = Fernet.generate_key().decode()
    monkeypatch.setenv("MFA_ENCRYPTION_KEYS", f"{KEY}, {old}")
    monkeypatch.setenv("MFA_ISSUER", "Loja do Zé")
    settings = MfaSettings()
    assert [key.get_secret_value() for key in settings.MFA_ENCRYPTION_KEYS] == [KEY, old]
    assert KEY not in repr(settings)
    monkeypatch.setenv("MFA_ENCRYPTION_KEYS", json.dumps([old]))
    assert [key.get_secret_value() for key in MfaSettings().MFA_ENCRYPTION_KEYS] == [old]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"MFA_ENCRYPTION_KEYS": []}, "no encryption key"),
        ({"MFA_ENCRYPTION_KEYS": ["um-segredo-que-nao-e-chave"]}, "encryption key 0"),
        ({"MFA_ENCRYPTION_KEYS": "[1"}, "MFA_ENCRYPTION_KEYS"),
        ({"MFA_ISSUER": ""}, "MFA_ISSUER"),
        ({"MFA_ISSUER": "a:b"}, "MFA_ISSUER"),
        ({"MFA_ATTEMPT_LIMITS": "many"}, "MFA_ATTEMPT_LIMITS"),
        ({"MFA_SKEW_STEPS": 3}, "MFA_SKEW_STEPS"),
        ({"MFA_RECOVERY_CODES": 1}, "MFA_RECOVERY_CODES"),
    ],
)
def test_settings_that_would_not_protect_are_refused(wrong, message):
    given = {"MFA_ENCRYPTION_KEYS": [KEY], "MFA_ISSUER": "Loja"} | wrong
    with pytest.raises(ValueError, match=message) as refused:
        MfaSettings(**given)
    assert "um-segredo" not in str(refused.value)


def test_there_is_no_second_factor_without_a_key(monkeypatch):
    monkeypatch.delenv("MFA_ENCRYPTION_KEYS", raising=False)
    with pytest.raises(ValueError, match="MFA_ENCRYPTION_KEYS"):
        MfaSettings(MFA_ISSUER="Loja")


MFA_NAMES = """
    BaseRecoveryCodeModel BaseTotpModel CodeAttempts InvalidMfaCodeException
    MfaAlreadyEnabledException MfaEnrolmentException MfaEventKind MfaNotEnabledException
    MfaService MfaSettings MfaStatus MfaUnavailableException SecretBox TotpEnrolment
    TotpParameters TotpSecondFactor UnreadableSecretError make_mfa_router
    make_recovery_code_model make_totp_model
"""
API_KEY_NAMES = """
    API_KEY_HEADER ApiKeyAuthenticator ApiKeyEventKind ApiKeyFormat ApiKeyLimitException
    ApiKeyNotFoundException ApiKeyNotUsableException ApiKeyRequestException ApiKeyService
    ApiKeySettings BaseApiKeyModel NewApiKey RevokedReason make_api_key_dependency
    make_api_key_model make_api_keys_router make_leak_report_router
"""


@pytest.mark.parametrize(
    ("module", "names"), [(tijolo.auth.mfa, MFA_NAMES), (tijolo.auth.api_keys, API_KEY_NAMES)]
)
def test_the_public_names_are_these(module, names):
    assert module.__all__ == names.split()
    assert all(hasattr(module, name) for name in module.__all__)
