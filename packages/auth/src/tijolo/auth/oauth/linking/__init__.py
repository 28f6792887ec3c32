"""Accounts at other services, linked to the users here (extras ``oauth`` and ``users``)."""

import tijolo.auth.users as _users  # its MissingExtraError names the extra that is missing
from tijolo.auth.oauth.linking.accounts import OAuthAccounts
from tijolo.auth.oauth.linking.errors import (
    LastWayInException,
    OAuthAccountClosedError,
    OAuthIdentityTakenError,
    OAuthLinkRequiredError,
)
from tijolo.auth.oauth.linking.models import (
    BaseOAuthIdentityModel,
    make_oauth_identity_model,
)
from tijolo.auth.oauth.linking.router import (
    DeliverLogin,
    LinkResponseSchema,
    OAuthIdentitySchema,
    make_oauth_account_router,
)

del _users

__all__ = [
    "BaseOAuthIdentityModel",
    "DeliverLogin",
    "LastWayInException",
    "LinkResponseSchema",
    "OAuthAccountClosedError",
    "OAuthAccounts",
    "OAuthIdentitySchema",
    "OAuthIdentityTakenError",
    "OAuthLinkRequiredError",
    "make_oauth_account_router",
    "make_oauth_identity_model",
]
