"""Why somebody whom a provider knows does not come in here, or not yet."""

from __future__ import annotations

from tijolo.auth.oauth.errors import OAuthError
from tijolo.core import ConflictException

__all__ = [
    "LastWayInException",
    "OAuthAccountClosedError",
    "OAuthIdentityTakenError",
    "OAuthLinkRequiredError",
]


class OAuthLinkRequiredError(OAuthError):
    """Nothing is linked yet, and the e-mail address does not prove whose account it would be.

    The answer is the same whether there is an account with that address or not.
    """

    status_code = 409
    code = "OAUTH_LINK_REQUIRED"
    message = "No account is linked to this login; log in another way, then link it"


class OAuthAccountClosedError(OAuthError):
    """The linked account may not be used."""

    status_code = 403
    code = "OAUTH_ACCOUNT_CLOSED"
    message = "This account cannot be used"


class OAuthIdentityTakenError(OAuthError):
    """The account there is linked to another one here."""

    status_code = 409
    code = "OAUTH_IDENTITY_TAKEN"
    message = "This login is linked to another account"


class LastWayInException(ConflictException):
    """Without this identity its user could not log in any more."""

    code = "LAST_WAY_IN"
    message = "This is the only way into the account; set a password or link another login first"
