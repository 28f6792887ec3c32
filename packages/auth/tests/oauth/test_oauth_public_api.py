from __future__ import annotations

import pytest

pytest.importorskip("tijolo.http.client", reason="tijolo-http is not installed")

import tijolo.auth.oauth

PUBLIC = """
    Endpoints ErrorHandler GitHubOAuthClient GoogleOAuthClient IDTokenError IDTokenVerifier
    LoginHandler MemoryUsedStates OAuthClient OAuthDeniedError OAuthError OAuthFlow OAuthLogin
    OAuthLogins OAuthSettings OAuthStateError OAuthTokens OAuthUnavailableError OAuthUser
    OIDCProvider ProviderMetadata UnsafeReturnException UsedStates UsedStatesFullException
    generate_oauth_state make_oauth_router
"""


def test_the_public_names_are_these():
    assert tijolo.auth.oauth.__all__ == PUBLIC.split()
    assert all(hasattr(tijolo.auth.oauth, name) for name in PUBLIC.split())
