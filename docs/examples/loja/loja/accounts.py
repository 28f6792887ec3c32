"""Who the shop's users are: accounts, their tokens, and what others may ask about those."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from loja.clients import RedisClients
from loja.models import RefreshToken, User, UserToken
from loja.settings import Settings
from tijolo.auth import (
    AuthDeps,
    LoginThrottle,
    MailThrottle,
    build_auth_deps,
    make_introspection_router,
    make_jwks_router,
    make_token_dependency,
)
from tijolo.auth.users import UserAuthService, make_auth_router
from tijolo.db import AsyncDatabaseManager
from tijolo.email import EmailUtils
from tijolo.web import MemoryRateLimitStore, RateLimitStore
from tijolo.web.redis import RedisRateLimitStore


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """What makes accounts and tokens, and what protects routes."""

    service: UserAuthService
    auth: AuthDeps
    attempts: RateLimitStore
    """Log-ins and e-mails, counted for all replicas where there is a Redis."""


def make_accounts(
    settings: Settings, db: AsyncDatabaseManager, email: EmailUtils, clients: RedisClients
) -> Accounts:
    """As ``settings`` say."""
    attempts = _attempts(settings, clients)
    service = UserAuthService(
        user_model=User,
        token_model=UserToken,
        refresh_model=RefreshToken,
        auth_settings=settings,
        jwt_settings=settings,
        db=db,
        email=email,
        throttle=LoginThrottle(attempts, settings),
    )
    epochs = service.make_epoch_checker()
    auth = build_auth_deps(settings, keys=service.issuer.keys, revocation=epochs)
    return Accounts(service=service, auth=auth, attempts=attempts)


def make_accounts_routers(
    settings: Settings, db: AsyncDatabaseManager, accounts: Accounts
) -> list[APIRouter]:
    """`/auth/...`, the public keys, and `/introspect` for services that share the secret."""
    routers = [
        make_auth_router(
            accounts.service,
            session_factory=db.session_dependency,
            mail_throttle=MailThrottle(accounts.attempts, settings),
        ),
        make_jwks_router(accounts.service.issuer.keys),
    ]
    secret = settings.PRIVATE_API_SECRET
    if secret is not None and secret.get_secret_value():
        service = make_token_dependency(secret, header_name="X-Internal-Token")
        routers.append(make_introspection_router(accounts.auth.authenticator, access=service))
    return routers


def make_service() -> UserAuthService:
    """For `python -m tijolo.auth user ... --service loja.accounts:make_service`."""
    settings = Settings()
    db = AsyncDatabaseManager.from_settings(settings)
    email, clients = EmailUtils.from_settings(settings), RedisClients()
    return make_accounts(settings, db, email, clients).service


def _attempts(settings: Settings, clients: RedisClients) -> RateLimitStore:
    if settings.RATE_LIMIT_REDIS_URL is None:
        return MemoryRateLimitStore()
    client = clients.open(settings.RATE_LIMIT_REDIS_URL)
    return RedisRateLimitStore(client, prefix="loja:attempts:")
