"""A login under way lives in its browser: one sealed cookie for each, so for each tab.

The service keeps nothing until a login comes back: whoever begins a million of them fills the
memory of nobody. The cookie binds the login to the browser, which a signed ``state`` alone does
not (RFC 9700, section 4.7).
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr
from starlette.requests import HTTPConnection
from starlette.responses import Response

from tijolo.auth.oauth.models import OAuthFlow
from tijolo.core.secret_check import MIN_SECRET_BYTES
from tijolo.web import clear_cookie, set_cookie

__all__ = ["FlowCookies", "PendingLogin", "StateSecret"]

StateSecret = SecretStr | str
MAX_TABS = 5
"""Logins that one browser may have under way; the oldest gives way."""

_MAX_COOKIE = 3072


@dataclass(frozen=True, kw_only=True)
class PendingLogin:
    """What a login must know when its browser returns."""

    provider: str
    flow: OAuthFlow = field(repr=False)
    return_to: str
    begun_by: str | None = None
    """Who was logged in already, and wants to link the account there to the one here."""
    begun_at: float


class FlowCookies:
    """Seals logins into cookies and opens them again. Fernet does the cryptography.

    Args:
        secret: 32 bytes or more; several while one is replaced, of which the first seals.
        ttl_seconds: How long a user may take at the provider.
        secure: Whether the cookies are for https alone. False is for development on browsers
            that do not take ``http://localhost`` for safe.
        clock: Seconds since the epoch.

    Raises:
        ValueError: for no secret, a short one, or no time.
    """

    def __init__(
        self,
        secret: StateSecret | Sequence[StateSecret],
        *,
        ttl_seconds: int = 600,
        secure: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        several = [secret] if isinstance(secret, (str, SecretStr)) else list(secret)
        if not several or ttl_seconds < 1:
            raise ValueError("logins need a secret to be sealed with, and 1 second or more")
        self._fernet = MultiFernet([_fernet(one) for one in several])
        self.ttl_seconds = ttl_seconds
        self._secure = secure
        self._prefix = "__Host-oauth-" if secure else "oauth-"
        self._clock = clock

    def now(self) -> float:
        """The moment a login begins."""
        return self._clock()

    def set(self, connection: HTTPConnection, response: Response, pending: PendingLogin) -> None:
        """Give ``pending`` to the browser, and take back what is too many."""
        text = json.dumps(asdict(pending), separators=(",", ":")).encode()
        sealed = self._fernet.encrypt_at_time(text, int(self._clock())).decode("ascii")
        if len(sealed) > _MAX_COOKIE:
            raise ValueError("the login does not fit into a cookie; shorten return_to")
        for name in self._surplus(connection):
            self._clear(response, name)
        set_cookie(
            response,
            self._name(pending.flow.state),
            sealed,
            max_age=self.ttl_seconds,
            secure=self._secure,
        )

    def get(self, connection: HTTPConnection, state: str) -> PendingLogin | None:
        """The login of that state, if this browser began it and has not taken too long."""
        pending = self._opened(connection.cookies.get(self._name(state), ""))
        # the name holds a part of the digest alone
        return pending if pending is not None and pending.flow.state == state else None

    def clear(self, response: Response, state: str) -> None:
        """Take back the cookie of that state."""
        self._clear(response, self._name(state))

    def _clear(self, response: Response, name: str) -> None:
        clear_cookie(response, name, secure=self._secure)

    def _name(self, state: str) -> str:
        return f"{self._prefix}{state_id(state)[:16]}"

    def _surplus(self, connection: HTTPConnection) -> list[str]:
        ours = [name for name in connection.cookies if name.startswith(self._prefix)]
        begun = {name: self._opened(connection.cookies[name]) for name in ours}
        ages = {name: 0.0 if p is None else p.begun_at for name, p in begun.items()}
        return sorted(ours, key=ages.__getitem__)[: max(0, len(ours) - MAX_TABS + 1)]

    def _opened(self, sealed: str) -> PendingLogin | None:
        if len(sealed) > _MAX_COOKIE:
            return None
        try:
            text = self._fernet.decrypt_at_time(
                sealed.encode("utf-8", "surrogatepass"), self.ttl_seconds, int(self._clock())
            )
        except InvalidToken:
            return None
        fields: dict[str, Any] = json.loads(text)
        flow = OAuthFlow(**fields.pop("flow"))
        return PendingLogin(flow=flow, **fields)


def state_id(state: str) -> str:
    """The digest by which a state is known: 64 hexadecimal characters."""
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()


def _fernet(secret: StateSecret) -> Fernet:
    text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    material = text.encode("utf-8", "surrogatepass")
    if len(material) < MIN_SECRET_BYTES:
        raise ValueError(f"the secret of OAuth states must have {MIN_SECRET_BYTES} bytes or more")
    # derived, so that a secret that also does other things says nothing there
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"tijolo.auth.oauth state")
    return Fernet(base64.urlsafe_b64encode(derive.derive(material)))
