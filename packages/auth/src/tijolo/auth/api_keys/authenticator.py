"""From the text of an API key to the one who may act."""

from __future__ import annotations

from datetime import datetime
from typing import Any

# house: allow library, the extra is called users: keys belong to them
from sqlalchemy import Row, select
from starlette.requests import HTTPConnection

from tijolo.auth.api_keys.format import api_key_hash
from tijolo.auth.api_keys.last_used import LastUsed
from tijolo.auth.api_keys.models import BaseApiKeyModel
from tijolo.auth.api_keys.networks import is_inside
from tijolo.auth.api_keys.service import ApiKeyService
from tijolo.auth.authenticator import Authenticator
from tijolo.auth.challenges import InvalidRequestException
from tijolo.auth.dependencies import UNAUTHORIZED_MESSAGE
from tijolo.auth.principal import Principal, freeze
from tijolo.auth.users import BaseUserModel
from tijolo.core import ExpiredTokenException, InvalidTokenException, UnauthorizedException
from tijolo.db import AsyncDatabaseManager
from tijolo.web import get_client_ip_from_scope

API_KEY_HEADER = "X-API-Key"
_HEADER = API_KEY_HEADER.lower().encode("ascii")
_MOST_CHARACTERS = 256
_Found = Row[BaseApiKeyModel, BaseUserModel]


class ApiKeyAuthenticator:
    """Says whom an API key speaks for; satisfies ``Authenticator``. A ``Resource``.

    The key comes as ``Authorization: Bearer`` or as ``X-API-Key``. What has not the form of one
    goes to ``tokens``, so that one dependency takes keys and access tokens alike. Each request
    with a well-formed key is one query; one with a wrong checksum is none.

    The principal has the key's scopes and nothing else: no roles, no ``amr``, no ``auth_time``.
    So a key passes no check of roles, and cannot make other keys or change its owner's account.

    Args:
        keys: The service.
        db: Keys are looked up, and ``last_used_at`` is written, in transactions of their own.
        tokens: Who is asked about everything else, such as ``build_auth_deps(...).authenticator``.
        trusted_ip_header: For the client's address; see :func:`tijolo.web.get_client_ip`.
    """

    def __init__(
        self,
        keys: ApiKeyService,
        db: AsyncDatabaseManager,
        *,
        tokens: Authenticator | None = None,
        trusted_ip_header: str | None = None,
    ) -> None:
        self._keys, self._db, self._tokens = keys, db, tokens
        self._trusted_ip_header = trusted_ip_header
        self._last_used = LastUsed(
            db, keys.key_model, every_seconds=keys.settings.AUTH_API_KEY_LAST_USED_SECONDS
        )

    async def authenticate(self, token: str) -> Principal:
        """Whom ``token`` speaks for, where it does not matter from where it came.

        A key that may be used from certain networks only is refused: use the dependencies.

        Raises:
            ExpiredTokenException: The key was good once.
            InvalidTokenException: It never was, was revoked, or its owner is no more active.
        """
        return await self._authenticate(token, None)

    async def authenticate_request(
        self, connection: HTTPConnection, token: str | None
    ) -> Principal:
        """The same for a request; ``token`` is what it bears, apart from ``X-API-Key``.

        Raises:
            InvalidRequestException: It bears a token and a key, or several keys.
            UnauthorizedException: It bears neither, or one that is not good from there.
        """
        sent = [value for name, value in connection.scope["headers"] if name == _HEADER]
        if len(sent) > 1 or (sent and token is not None):
            raise InvalidRequestException
        address = get_client_ip_from_scope(connection.scope, trusted_header=self._trusted_ip_header)
        if sent:
            return await self._authenticate_key(sent[0].decode("latin-1"), address)
        if token is None:
            raise UnauthorizedException(UNAUTHORIZED_MESSAGE)
        return await self._authenticate(token, address)

    async def connect(self) -> None:
        """Nothing to open: the database is its own manager's."""

    async def disconnect(self) -> None:
        """Wait for what is being written about the use of keys; before the database's end."""
        await self._last_used.close()

    async def health_check(self) -> bool:
        """True: the database has its own health check."""
        return True

    async def _authenticate(self, token: str, address: str | None) -> Principal:
        if self._tokens is not None and not self._keys.format.looks_like_one(token):
            return await self._tokens.authenticate(token)
        return await self._authenticate_key(token, address)

    async def _authenticate_key(self, key: str, address: str | None) -> Principal:
        if len(key) > _MOST_CHARACTERS or not self._keys.format.is_well_formed(key):
            raise InvalidTokenException
        found = await self._find(key)
        if found is None:
            raise InvalidTokenException
        row, user = found
        now = self._keys.clock()
        self._check(row, user, address, now)
        self._last_used.note(row.id, before=row.last_used_at, now=now)
        return _principal(row, row.scopes, self._keys.grantable(user))

    async def _find(self, key: str) -> _Found | None:
        keys, users = self._keys.key_model, self._keys.user_model
        query = select(keys, users).join(users, users.id == keys.user_id)
        async with self._db.read_only() as session:
            found = await session.execute(query.where(keys.key_hash == api_key_hash(key)))
            return found.one_or_none()

    def _check(
        self, row: BaseApiKeyModel, user: BaseUserModel, address: str | None, now: datetime
    ) -> None:
        if row.revoked_at is not None or row.auth_epoch < user.auth_epoch or not user.may_log_in:
            raise InvalidTokenException("The API key was revoked", code="TOKEN_REVOKED")
        if row.expires_at <= now:
            raise ExpiredTokenException("The API key has expired")
        if row.networks and not is_inside(row.networks, address):
            # no word of the network: whoever stole the key need not know that it is good
            raise InvalidTokenException


def _principal(row: BaseApiKeyModel, scopes: list[str], grantable: frozenset[str]) -> Principal:
    claims: dict[str, Any] = {"api_key_id": str(row.id), "api_key_name": row.name}
    return Principal(
        subject=str(row.user_id),
        token_id=str(row.id),
        client_id=f"api_key:{row.id}",
        issued_at=row.created_at.timestamp(),
        expires_at=row.expires_at.timestamp(),
        scopes=grantable.intersection(scopes),
        epoch=row.auth_epoch,
        claims=freeze(claims),
    )
