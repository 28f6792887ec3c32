"""From the text of a token to the one who may act: verified, and not revoked."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from starlette.requests import HTTPConnection

from tijolo.auth._compact import UnknownKeyException
from tijolo.auth.principal import Principal
from tijolo.auth.revocation import RevocationChecker, RevocationUnavailableException
from tijolo.auth.token_verifier import TokenVerifier
from tijolo.core import AppException, InvalidTokenException


class Authenticator(Protocol):
    """What the dependencies of this package ask."""

    async def authenticate(self, token: str) -> Principal:
        """Who ``token`` speaks for.

        Raises:
            UnauthorizedException: for a token that is not good, or not any more.
            ServiceUnavailableException: when that cannot be told now.
        """
        ...


@runtime_checkable
class RequestAuthenticator(Authenticator, Protocol):
    """An authenticator that looks at more of a request than its bearer token.

    The dependencies of this package then ask :meth:`authenticate_request`.
    """

    async def authenticate_request(
        self, connection: HTTPConnection, token: str | None
    ) -> Principal:
        """Who ``connection`` speaks for.

        Args:
            connection: The request.
            token: Of its ``Authorization`` header, or cookie; None without one.

        Raises:
            UnauthorizedException: for credentials that are not good, or none.
            BadRequestException: for several.
            ServiceUnavailableException: when that cannot be told now.
        """
        ...


class TokenAuthenticator:
    """Verifies a token, then asks whether it was revoked.

    Args:
        verifier: Signature and claims.
        revocation: Asked at every call; None believes tokens until they expire (stateless).
            What it raises is a 503; ``GuardedChecker`` adds a deadline and a choice.
    """

    def __init__(
        self, verifier: TokenVerifier, *, revocation: RevocationChecker | None = None
    ) -> None:
        self.verifier = verifier
        self.revocation = revocation

    async def authenticate(self, token: str) -> Principal:
        """Who ``token`` speaks for.

        Raises:
            ExpiredTokenException: The token was good once.
            InvalidTokenException: It never was, is not for us, or was revoked.
            ServiceUnavailableException: The keys or the revocations cannot be asked for.
        """
        try:
            principal = self.verifier.verify(token)
        except UnknownKeyException:
            principal = await self.verifier.verify_with_refresh(token)
        if self.revocation is None:
            return principal
        try:
            revoked = await self.revocation.is_revoked(principal, token)
        except AppException:
            raise
        except Exception as error:
            raise RevocationUnavailableException(retry_after_seconds=1) from error
        if revoked:
            raise InvalidTokenException("The token was revoked", code="TOKEN_REVOKED")
        return principal
