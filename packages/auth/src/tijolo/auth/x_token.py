"""A shared secret in a header: for one service that calls another, and for nothing finer."""

# No `from __future__ import annotations`: FastAPI 0.121 does not resolve the annotations of an
# object that is called.
import hmac
import logging

from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.security.base import SecurityBase
from pydantic import SecretStr
from starlette.requests import HTTPConnection

from tijolo.core import UnauthorizedException

_MESSAGE = "Invalid or missing token"
_log = logging.getLogger("tijolo.auth.x_token")


class TokenDependency(SecurityBase):
    """Lets a request pass whose header holds the secret; made by :func:`make_token_dependency`."""

    def __init__(self, secret: SecretStr | str, *, header_name: str, error_message: str) -> None:
        self._secret = _bytes(secret)
        self._header = header_name.lower().encode("ascii")
        self._name = header_name
        self._message = error_message
        self.model = APIKey.model_validate({"in": APIKeyIn.header, "name": header_name})
        self.scheme_name = header_name
        if not self._secret:
            _log.warning("the secret of %s is empty: every request is refused", header_name)

    async def __call__(self, connection: HTTPConnection) -> None:
        """The dependency.

        Raises:
            UnauthorizedException: The header is missing, there twice, or wrong.
        """
        given = [value for name, value in connection.scope["headers"] if name == self._header]
        if len(given) != 1 or not _matches(given[0], self._secret):
            raise UnauthorizedException(self._message, headers={"WWW-Authenticate": self._name})


def make_token_dependency(
    secret: SecretStr | str, *, header_name: str = "X-Token", error_message: str = _MESSAGE
) -> TokenDependency:
    """A dependency that asks for ``secret`` in a header; an empty secret refuses everybody.

    Args:
        secret: What must be sent.
        header_name: Where.
        error_message: Shown to who is refused.
    """
    return TokenDependency(secret, header_name=header_name, error_message=error_message)


async def require_x_token(
    secret: SecretStr | str, token: str | None, *, error_message: str = _MESSAGE
) -> None:
    """Compare a header's value with ``secret``, in constant time.

    Raises:
        UnauthorizedException: They differ, or one of them is empty.
    """
    expected, given = _bytes(secret), token or ""
    # a header is read as Latin-1, whatever it was; a caller of ours may have the text itself
    as_sent = given.encode("latin-1") if given.isascii() or max(given) <= "\xff" else b""
    if not _matches(as_sent, expected) and not _matches(_bytes(given), expected):
        raise UnauthorizedException(error_message, headers={"WWW-Authenticate": "X-Token"})


def _matches(given: bytes, secret: bytes) -> bool:
    return bool(secret) and hmac.compare_digest(given, secret)


def _bytes(secret: SecretStr | str) -> bytes:
    text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    return text.encode("utf-8", "surrogatepass")
