"""The routes of accounts hold what their OpenAPI document says, for whatever anybody sends."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis
from fastapi.testclient import TestClient
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
from sqlalchemy import MetaData

from tijolo.auth import (
    HashService,
    JWTSettings,
    KeyRing,
    LoginThrottle,
    LoginThrottleSettings,
    MailThrottle,
    MemoryRevocationStore,
    PasswordUtils,
    TokenAuthenticator,
    TokenIssuer,
    TokenKey,
    TokenVerifier,
    make_introspection_router,
    make_jwks_router,
    make_revocation_router,
    make_token_dependency,
)
from tijolo.auth.users import (
    AuthSettings,
    BaseUserModel,
    TokenCookies,
    UserAuthService,
    UserStatus,
    make_auth_router,
    make_refresh_token_model,
    make_user_token_model,
)
from tijolo.core import BaseAppSettings
from tijolo.db import AsyncDatabaseManager
from tijolo.web import AppLifecycle, MemoryRateLimitStore, WebSettings, create_app

SECRET = "um-segredo-bem-comprido-de-verdade-0123456789"


def is_declared(ctx, response, case):
    """The status is named by the operation, and not only meant by its ``default``."""
    declared = case.operation.definition.raw["responses"]
    assert str(response.status_code) in declared, (response.status_code, sorted(declared))


CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    is_declared,
]


class Settings(WebSettings, AuthSettings, JWTSettings, BaseAppSettings):
    pass


class Account(BaseUserModel):
    __tablename__ = "accounts"
    metadata = MetaData()


AccountToken = make_user_token_model(Account, tablename="account_tokens")
AccountRefresh = make_refresh_token_model(Account, tablename="account_refresh")


class Dropped:
    """A mailer whose e-mails nobody reads."""

    async def deliver(self, mail):
        pass


class Codes:
    async def is_required(self, session, user):
        return user.email.startswith("mfa")

    async def verify(self, session, user, code):
        return "otp" if code == "492817" else None


def service_of(settings, db, issuer):
    # not what is measured here: a thousand attempts are all that can happen
    numbers = LoginThrottleSettings(
        AUTH_LOGIN_MAX_PER_ADDRESS=10_000, AUTH_MAIL_MAX_PER_ADDRESS=10_000
    )
    store = MemoryRateLimitStore()
    service = UserAuthService(
        user_model=Account,
        token_model=AccountToken,
        refresh_model=AccountRefresh,
        auth_settings=settings,
        jwt_settings=settings,
        db=db,
        email=Dropped(),
        hashing=HashService(PasswordUtils(rounds=10), workers=2, queue_limit=100),
        issuer=issuer,
        revocation=MemoryRevocationStore(),
        second_factor=Codes(),
        throttle=LoginThrottle(store, numbers),
    )
    return service, MailThrottle(store, numbers)


@pytest.fixture(scope="module")
def accounts(tmp_path_factory):
    pages = "https://loja.example/auth/pages"
    settings = Settings(
        _env_file=None,
        ENVIRONMENT="test",
        JWT_SECRET=SECRET,
        JWT_ISSUER="https://auth.example",
        AUTH_BACKEND_LINKS=True,
        AUTH_ACTIVATION_URL_TEMPLATE=f"{pages}/activate#token={{token}}",
        AUTH_PASSWORD_RESET_URL_TEMPLATE=f"{pages}/reset-password#token={{token}}",
        AUTH_EMAIL_CHANGE_URL_TEMPLATE=f"{pages}/confirm-email#token={{token}}",
    )
    folder = tmp_path_factory.mktemp("accounts")
    db = AsyncDatabaseManager(
        f"sqlite+aiosqlite:///{folder}/accounts.db",
        environment="test",
        metadata=Account.metadata,
        cursor_secret=SECRET,
    )
    ring = KeyRing([TokenKey.generate("ES256", kid="k1")])
    issuer = TokenIssuer.from_settings(settings, keys=ring)
    verifier = TokenVerifier.from_settings(settings, keys=ring)
    service, mails = service_of(settings, db, issuer)
    asked = make_token_dependency(SECRET, header_name="X-Internal-Token")
    tokens = TokenAuthenticator(verifier, revocation=service.revocation)
    routers = [
        make_auth_router(
            service,
            session_factory=db.session_dependency,
            cookies=TokenCookies(),
            mail_throttle=mails,
        ),
        make_jwks_router(ring),
        make_introspection_router(tokens, access=asked),
        make_revocation_router(verifier, service.revocation, access=asked),
    ]
    app = create_app(settings, routers, lifecycle=AppLifecycle(resources=[db, service]))

    async def fill():
        await db.create_tables()
        async with db.transaction() as session:
            user = await service.create_user(
                session, email="ana@example.com", password="cavalo correto bateria"
            )
            assert user.status is UserStatus.ACTIVE
            return (await service.start_login(session, user, amr=("pwd",))).access_token

    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.portal is not None
        yield app, client.portal.call(fill)


@pytest.mark.parametrize("known", [False, True], ids=["a-stranger", "somebody"])
def test_every_operation_keeps_its_promises(accounts, known):
    app, token = accounts
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    headers = {"Authorization": f"Bearer {token}", "X-Internal-Token": SECRET} if known else {}
    failures: list[str] = []
    seen = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.startswith("/health"):
            continue
        seen.add(operation.label)
        if known and "logout-everywhere" in operation.label:
            continue  # the rest would be a stranger's again
        strategy = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE) | (
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        )

        @hypothesis.settings(
            max_examples=15,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=strategy)
        def holds(case):
            case.call_and_validate(checks=CHECKS, headers=headers)

        try:
            holds()
        except BaseException as error:
            failures.append(f"{operation.label}: {error}")
    assert len(seen) >= 22, sorted(seen)
    assert not failures, "\n\n".join(failures)


def test_every_error_is_a_problem_document(accounts):
    app, _ = accounts
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                kinds = list(response.get("content", {}))
                if status[0] in "45" and not path.startswith(("/auth/pages", "/health")):
                    assert kinds == ["application/problem+json"], (method, path, status)
