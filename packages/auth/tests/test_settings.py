"""Settings, the gate at the start, and the dependencies of a service in one call (A2, row 47)."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import Depends, FastAPI
from pydantic import ValidationError

from tijolo.auth import (
    AuthProblem,
    CookieTransport,
    FetchResponse,
    InsecureAuthSettingsError,
    InvalidKeyError,
    JWKSClient,
    JWTSettings,
    JWTUtils,
    MemoryRevocationStore,
    Principal,
    RoleHierarchy,
    TokenIssuer,
    TokenMode,
    TokenSettings,
    TokenVerifier,
    build_auth_deps,
    check_auth_settings,
    make_auth_validator,
    make_token_dependency,
)
from tijolo.auth.__main__ import main
from tijolo.core import BaseAppSettings, UnfitSecretError
from tijolo.core.testing import assert_settings_read
from tijolo.web import AppLifecycle, create_app, register_exception_handlers

SECRET = "um-segredo-bem-comprido-de-verdade-0123456789"
OTHER = "outro-segredo-bem-comprido-de-verdade-98765432"


class Settings(JWTSettings, TokenSettings, BaseAppSettings, env_file=None):
    """What a service composes."""


def make(**values):
    return Settings(**{"JWT_SECRET": SECRET, "JWT_ISSUER": "shop", "TOKEN_SECRET": OTHER, **values})


def pem():
    private = ec.generate_private_key(ec.SECP256R1())
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def codes(settings, **options):
    return {problem.code: problem.severity for problem in check_auth_settings(settings, **options)}


def test_there_is_no_default_secret():
    """A2: anybody who had read the code could sign."""
    with pytest.raises(ValidationError, match="tokens need a key: set JWT_SECRET"):
        JWTSettings()
    with pytest.raises(ValidationError, match="tokens need a key"):
        JWTSettings(JWT_SECRET="")
    for unfit in ("change-me-change-me-change-me-32", "x" * 40, "short", "your-secret-key-" * 3):
        with pytest.raises(UnfitSecretError, match="JWT_SECRET") as error:
            make(JWT_SECRET=unfit)
        assert f"{unfit!r}" not in str(error.value)
        assert unfit == "short" or unfit not in str(error.value)
    with pytest.raises(InvalidKeyError, match=r"^JWT_SECRET: .*32 bytes.*token_urlsafe"):
        make(JWT_SECRET="short", ENVIRONMENT="development").key_ring()


def test_no_error_shows_a_secret():
    with pytest.raises(ValidationError) as error:
        make(JWT_ALGORITHM="none", JWT_PRIVATE_KEY="geheim")
    assert SECRET not in str(error.value)
    assert "geheim" not in str(error.value)
    assert SECRET not in repr(make())


def test_keys_and_algorithm_fit_together():
    for values, match in (
        ({"JWT_ALGORITHM": "none"}, "JWT_ALGORITHM: 'none' is not among"),
        ({"JWT_ALGORITHM": "ES256"}, "JWT_SECRET is for HS256, not ES256"),
        ({"JWT_SECRET": None, "JWT_PRIVATE_KEY": pem()}, "such as ES256"),
        ({"JWT_KEYS": [{"algorithm": "XX"}]}, "JWT_KEYS: 'XX' is not among"),
    ):
        with pytest.raises(ValidationError, match=match):
            make(**values)


def test_a_private_key_comes_as_text_or_as_a_file(tmp_path):
    text = pem()
    path = tmp_path / "key.pem"
    path.write_text(text)
    rings = [
        make(JWT_SECRET=None, JWT_ALGORITHM="ES256", JWT_PRIVATE_KEY=value).key_ring()
        for value in (text, text.replace("\n", "\\n"), str(path))
    ]
    assert len({ring.signing_key().kid for ring in rings}) == 1
    path.write_text("x" * 70_000)
    for value in ("geheim-ohne-kopf", str(path), str(tmp_path), "x" * 10_000, "\x00"):
        values = {"JWT_ALGORITHM": "ES256", "JWT_PRIVATE_KEY": value, "ENVIRONMENT": "test"}
        settings = make(JWT_SECRET=None, **values)
        with pytest.raises(InvalidKeyError, match="private key") as error:
            settings.key_ring()
        assert value not in str(error.value)


def test_a_file_that_is_not_there_is_named_and_a_key_that_lost_its_head_is_not(tmp_path):
    body = pem().splitlines()[1]
    for value, shown in ((str(tmp_path / "keys" / "jwt.pem"), True), (body, False)):
        settings = make(JWT_SECRET=None, JWT_ALGORITHM="ES256", JWT_PRIVATE_KEY=value)
        with pytest.raises(InvalidKeyError, match=r"^JWT_PRIVATE_KEY: the private key") as error:
            settings.key_ring()
        assert (value in str(error.value)) is shown


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "JWT_SECRET"),
        ({"JWT_JWKS_URL": "https://auth/jwks"}, "JWT_SECRET"),
        (
            {"JWT_SECRET": None, "JWT_ALGORITHM": "ES256", "JWT_PRIVATE_KEY": pem()},
            "JWT_PRIVATE_KEY",
        ),
        (
            {
                "JWT_SECRET": None,
                "JWT_JWKS_URL": "https://auth/jwks",
                "JWT_KEYS": [{"algorithm": "HS256", "secret": OTHER}],
            },
            "JWT_KEYS",
        ),
    ],
)
def test_a_consumer_that_could_sign_is_warned_whatever_it_has(values, named):
    found = check_auth_settings(make(AUTH_SERVICE_ROLE="consumer", **values))
    (message,) = [problem.message for problem in found if problem.code == "CONSUMER_CAN_SIGN"]
    assert f"has {named} can" in message
    assert not {"CONSUMER_CAN_SIGN"} & {p.code for p in check_auth_settings(make(**values))}


def test_a_consumer_with_a_jwks_alone_is_not_warned():
    settings = make(AUTH_SERVICE_ROLE="consumer", JWT_SECRET=None, JWT_JWKS_URL="https://auth/jwks")
    assert "CONSUMER_CAN_SIGN" not in {p.code for p in check_auth_settings(settings)}


def test_further_keys_rotate_by_schedule(monkeypatch):
    soon = datetime.now(UTC) + timedelta(hours=1)
    later = [
        {
            "algorithm": "HS256",
            "kid": "old",
            "secret": OTHER,
            "signs_until": "2026-01-01T00:00:00Z",
        },
        {"algorithm": "ES256", "kid": "next", "private_key": pem(), "signs_from": soon.isoformat()},
    ]
    monkeypatch.setenv("JWT_KEYS", json.dumps(later))
    ring = make(JWT_KEY_ID="now").key_ring()
    assert [key.kid for key in ring.keys] == ["old", "next", "now"]
    assert ring.signing_key().kid == "now"
    assert [key.kid for key in ring.published()] == ["next"]
    with pytest.raises(UnfitSecretError, match="JWT_KEYS"):
        make(JWT_KEYS=[{"algorithm": "HS256", "secret": "change-me"}])
    with pytest.raises(InvalidKeyError, match="needs a secret"):
        make(JWT_KEYS=[{"algorithm": "HS256"}]).key_ring()


def test_the_gate_finds_nothing_in_good_settings():
    assert check_auth_settings(make()) == []


@pytest.mark.parametrize(
    ("values", "code", "severity"),
    [
        ({"TOKEN_SECRET": ""}, "X_TOKEN_EMPTY", "warning"),
        ({"JWT_ISSUER": "tijolo"}, "DEFAULT_ISSUER", "warning"),
        ({"AUTH_SERVICE_ROLE": "consumer"}, "CONSUMER_CAN_SIGN", "warning"),
        ({"JWT_ACCESS_TTL_SECONDS": 3601}, "LONG_ACCESS_TTL", "warning"),
        ({"JWT_REFRESH_TTL_SECONDS": 60}, "REFRESH_SHORTER_THAN_ACCESS", "error"),
        ({"INTROSPECTION_URL": "https://a/i"}, "NO_PRIVATE_SECRET", "error"),
        ({"JWT_JWKS_URL": "http://auth/jwks"}, "PLAIN_HTTP", "error"),
        ({"TOKEN_MODE": "stateful", "AUTH_SERVICE_ROLE": "consumer"}, "NOBODY_TO_ASK", "warning"),
        (
            {"TOKEN_MODE": "stateful", "ACCESS_REVOCATION_FAILURE_MODE": "fail_open"},
            "FAILS_OPEN",
            "warning",
        ),
        ({"JWT_KEYS": [{"algorithm": "EdDSA", "private_key": pem()}]}, "UNUSABLE_KEY", "error"),
        ({"JWT_KEYS": [{"algorithm": "ES256", "private_key": pem()}]}, "ALGORITHM_MIX", "warning"),
        (
            {
                "JWT_SECRET": None,
                "JWT_KEYS": [
                    {
                        "algorithm": "ES256",
                        "private_key": pem(),
                        "signs_until": "2999-01-01T00:00:00Z",
                        "verifies_until": "2999-01-01T00:00:00Z",
                    }
                ],
            },
            "KEY_RETIRES_EARLY",
            "warning",
        ),
        (
            {
                "JWT_SECRET": None,
                "JWT_KEYS": [
                    {
                        "algorithm": "ES256",
                        "private_key": pem(),
                        "signs_until": "2999-01-01T00:00:00Z",
                    }
                ],
            },
            "SIGNING_ENDS",
            "warning",
        ),
        (
            {
                "JWT_SECRET": None,
                "JWT_KEYS": [
                    {
                        "algorithm": "ES256",
                        "private_key": pem(),
                        "signs_until": "2000-01-01T00:00:00Z",
                    }
                ],
            },
            "NOTHING_SIGNS",
            "error",
        ),
    ],
)
def test_the_gate_finds(values, code, severity):
    assert codes(make(**values)).get(code) == severity
    assert code not in codes(make(**values), ignore=[code])


def test_development_is_forgiven_what_only_it_may_do():
    values = {"JWT_JWKS_URL": "http://auth/jwks", "ENVIRONMENT": "development"}
    found = codes(make(JWT_SECRET="change-me-change-me-change-me-32", **values))
    assert found["PLAIN_HTTP"] == "warning"
    assert found["UNFIT_SECRET"] == "warning"
    loopback = make(JWT_JWKS_URL="http://127.0.0.1:8000/jwks", ENVIRONMENT="production")
    assert "PLAIN_HTTP" not in codes(loopback)


def test_settings_without_tokens_cannot_be_checked():
    with pytest.raises(TypeError, match="none of AuthSettings, JWTSettings and"):
        check_auth_settings(BaseAppSettings(_env_file=None))


async def test_the_gate_keeps_an_application_down(caplog):
    bad = make(JWT_REFRESH_TTL_SECONDS=60, JWT_ISSUER="tijolo")
    validator = make_auth_validator(bad)
    app = create_app(bad, lifecycle=AppLifecycle(startup_validators=[validator]))
    with pytest.raises(InsecureAuthSettingsError, match="REFRESH_SHORTER_THAN_ACCESS"):
        async with app.router.lifespan_context(app):
            pass
    assert "DEFAULT_ISSUER" in caplog.text
    await make_auth_validator(bad, ignore=["REFRESH_SHORTER_THAN_ACCESS"])()
    assert str(AuthProblem("error", "X", "y")) == "error X: y"


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        code = main(list(arguments))
        return code, capsys.readouterr().out

    return call


def test_the_command_is_run_as_a_module():
    command = [sys.executable, "-m", "tijolo.auth", "check", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "module:name" in done.stdout


def test_the_command_checks_the_environment(run):
    good = {"JWT_SECRET": SECRET, "JWT_ISSUER": "shop", "TOKEN_SECRET": OTHER}
    assert run("check", **good) == (0, "no problems found\n")
    code, output = run("check", **{**good, "JWT_REFRESH_TTL_SECONDS": "60", "TOKEN_SECRET": ""})
    assert code == 1
    assert output.splitlines()[0].startswith("error REFRESH_SHORTER_THAN_ACCESS: ")
    assert "warning X_TOKEN_EMPTY: " in output
    code, output = run("check", **{**good, "JWT_SECRET": "change-me-change-me-change-me-32"})
    assert code == 1
    assert "error SETTINGS_REFUSED" in output
    assert "change-me" not in output


def test_the_command_checks_named_settings(tmp_path, run, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "checked_shop.py").write_text(
        "from tijolo.auth import JWTSettings\n"
        f"settings = JWTSettings(JWT_SECRET={SECRET!r}, JWT_ISSUER='tijolo')\n"
        "class Bad(JWTSettings):\n    JWT_REFRESH_TTL_SECONDS: int = 1\n"
    )
    environment = {"JWT_SECRET": SECRET}
    assert run("check", "checked_shop:settings", **environment)[0] == 0
    assert run("check", "checked_shop:Bad", "--ignore", "DEFAULT_ISSUER", **environment)[0] == 1
    for name in ("checked_shop", "checked_shop:nothing", "nowhere_at_all:x", "os:sep"):
        assert run("check", name, **environment)[0] == 2


ISSUER = {"JWT_SECRET": None, "JWT_ALGORITHM": "ES256", "JWT_PRIVATE_KEY": pem()}


async def get(deps_of_routes, token=None, **more):
    app = FastAPI()
    register_exception_handlers(app)
    for name, dependency in deps_of_routes.items():

        async def read(found: Annotated[Any, Depends(dependency)]) -> Any:
            return found.subject if isinstance(found, Principal) else found

        app.get(f"/{name}")(read)
    transport = httpx.ASGITransport(app=app)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(transport=transport, base_url="https://x", **more) as http:
        return {name: await http.get(f"/{name}", headers=headers) for name in deps_of_routes}


def routes(deps):
    return {
        "user": deps.get_current_user,
        "maybe": deps.get_current_user_or_none,
        "admin": deps.get_current_active_admin,
        "superuser": deps.get_current_active_superuser,
        "writer": deps.require_role("writer"),
        "orders": deps.require_permission("orders"),
        "scope": deps.require_scope("a"),
        "recent": deps.require_recent_auth(max_age_seconds=60),
    }


def statuses(answers):
    return {name: answer.status_code for name, answer in answers.items()}


async def test_everything_in_one_call():
    settings = make()
    deps = build_auth_deps(settings)
    issuer = TokenIssuer.from_settings(settings)
    token = issuer.issue("7", roles=["admin"], permissions=["orders"]).token
    answers = await get(routes(deps), token)
    assert statuses(answers) == {
        "user": 200, "maybe": 200, "admin": 200, "superuser": 403, "writer": 200, "orders": 200,
        "scope": 403, "recent": 200,
    }  # fmt: skip
    nobody = statuses(await get(routes(deps)))
    assert nobody.pop("maybe") == 200
    assert set(nobody.values()) == {401}
    top = issuer.issue("7", roles=["superadmin"]).token
    assert statuses(await get(routes(deps), top))["superuser"] == 200
    await deps.connect()
    assert await deps.health_check()
    await deps.close()


async def test_current_user_is_what_the_loader_gives():
    settings = make()

    async def load(principal):
        return {"7": {"name": "Ana"}}.get(principal.subject)

    deps = build_auth_deps(settings, user_loader=load)
    app = FastAPI()

    @app.get("/me")
    async def me(user: deps.CurrentUser, maybe: deps.OptionalUser) -> Any:
        return [user, maybe]

    issuer = TokenIssuer.from_settings(settings)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://x") as http:
        for subject, status in (("7", 200), ("8", 401)):
            headers = {"Authorization": f"Bearer {issuer.issue(subject).token}"}
            assert (await http.get("/me", headers=headers)).status_code == status
    admin = await get(
        {"admin": deps.get_current_active_admin}, issuer.issue("7", roles=["admin"]).token
    )
    assert admin["admin"].json() == {"name": "Ana"}


@pytest.mark.parametrize("mode", list(TokenMode))
async def test_the_mode_alone_decides_whether_a_revocation_counts(mode, caplog):
    settings = make(TOKEN_MODE=mode, REVOCATION_CACHE_SECONDS=0)
    store = MemoryRevocationStore()
    deps = build_auth_deps(settings, revocation=store)
    made = TokenIssuer.from_settings(settings).issue("7")
    await store.revoke_token(made.token_id, expires_at=made.expires_at.timestamp())
    answer = (await get({"user": deps.get_current_user}, made.token))["user"]
    assert answer.status_code == (200 if mode is TokenMode.STATELESS else 401)
    assert ("is never asked" in caplog.text) is (mode is TokenMode.STATELESS)


def test_a_mode_that_asks_needs_somebody_to_ask():
    for mode in ("hybrid", "stateful"):
        with pytest.raises(ValueError, match=f"TOKEN_MODE={mode} has nobody to ask"):
            build_auth_deps(make(TOKEN_MODE=mode))


async def test_a_consumer_has_the_issuers_keys_and_asks_about_revocations():
    issuer_settings = make(**ISSUER)
    ring = issuer_settings.key_ring()
    active, asked = {"active": True}, []

    async def fetch(request):
        asked.append((request.method, request.url))
        if request.method == "POST":
            assert request.headers["X-Internal-Token"] == OTHER
            return FetchResponse(status=200, body=json.dumps(active).encode())
        keys = [key.to_jwk() for key in ring.published()]
        return FetchResponse(status=200, body=json.dumps({"keys": keys}).encode())

    consumer = make(
        JWT_SECRET=None,
        JWT_JWKS_URL="https://auth/jwks",
        TOKEN_MODE="stateful",
        AUTH_SERVICE_ROLE="consumer",
        INTROSPECTION_URL="https://auth/introspect",
        PRIVATE_API_SECRET=OTHER,
    )
    assert check_auth_settings(consumer) == []
    deps = build_auth_deps(consumer, fetch=fetch)
    assert deps.revocation_client is not None
    token = TokenIssuer.from_settings(issuer_settings, keys=ring).issue("7").token
    answer = (await get({"user": deps.get_current_user}, token))["user"]
    assert answer.json() == "7"
    active["active"] = False
    assert (await get({"user": deps.get_current_user}, token))["user"].status_code == 401
    assert asked[0] == ("GET", "https://auth/jwks")
    assert len(asked) == 3
    await deps.disconnect()


async def test_own_keys_hierarchy_and_cookie():
    settings = make()
    own = RoleHierarchy.from_order("owner", "clerk")
    cookie = CookieTransport(name="token")
    deps = build_auth_deps(settings, keys=settings.key_ring(), hierarchy=own, cookie=cookie)
    token = TokenIssuer.from_settings(settings).issue("7", roles=["owner", "admin"]).token
    wanted = {"clerk": deps.require_role("clerk"), "admin": deps.get_current_active_admin}
    answers = await get(wanted, cookies={"token": token})
    assert statuses(answers) == {"clerk": 200, "admin": 403}  # admin is not among these roles


def test_every_setting_is_read():
    consumer = {
        "JWT_SECRET": None, "JWT_JWKS_URL": "https://a/jwks", "TOKEN_MODE": "hybrid",
        "INTROSPECTION_URL": "https://a/i", "PRIVATE_API_SECRET": OTHER,
    }  # fmt: skip
    with assert_settings_read(JWTSettings, TokenSettings, by="tijolo.auth"):
        settings = make(JWT_KEYS=[{"algorithm": "HS256", "secret": OTHER}], JWT_KEY_ID="k")
        TokenIssuer.from_settings(settings)
        TokenVerifier.from_settings(settings)
        JWTUtils.from_settings(settings)
        make_token_dependency(settings.TOKEN_SECRET)
        check_auth_settings(settings)
        deps = build_auth_deps(make(**consumer))
        check_auth_settings(make(**consumer))
    assert isinstance(deps.authenticator.verifier.keys, JWKSClient)


def test_an_issuer_makes_no_token_that_the_settings_let_nobody_read():
    settings = make(JWT_MAX_TOKEN_BYTES=65_536)
    token = TokenIssuer.from_settings(settings).issue("7", roles=[f"role-{n}" for n in range(2000)])
    assert len(TokenVerifier.from_settings(settings).verify(token.token).roles) == 2000
    with pytest.raises(ValueError, match="verifiers read 8192"):
        TokenIssuer.from_settings(make()).issue("7", roles=[f"role-{n}" for n in range(2000)])


def test_a_variable_that_is_declared_and_empty_is_not_set():
    settings = JWTSettings(
        JWT_SECRET=SECRET, JWT_JWKS_URL="", INTROSPECTION_URL="", JWT_PUBLIC_KEY=""
    )
    assert settings.JWT_JWKS_URL is settings.INTROSPECTION_URL is settings.JWT_PUBLIC_KEY is None
    assert build_auth_deps(settings).revocation_client is None


@pytest.mark.parametrize("how", ["setting", "list"])
def test_a_private_key_given_as_the_public_one_is_refused_unseen(how):
    """Public keys are shown; whoever mixed the two up would find the private one in a log."""
    pem = "-----BEGIN PRIVATE KEY-----\ngeheim\n-----END PRIVATE KEY-----"
    given = (
        {"JWT_PUBLIC_KEY": pem}
        if how == "setting"
        else {"JWT_KEYS": [{"algorithm": "ES256", "public_key": pem}]}
    )
    with pytest.raises(ValidationError, match="given as the public one") as error:
        JWTSettings(JWT_ALGORITHM="ES256", **given)
    assert "geheim" not in str(error.value)


def test_a_key_is_not_read_from_a_file_without_an_end():
    with pytest.raises(InvalidKeyError, match="larger than"):
        JWTSettings(JWT_ALGORITHM="ES256", JWT_PRIVATE_KEY="/dev/zero").key_ring()
