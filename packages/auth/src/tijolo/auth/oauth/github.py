"""GitHub, which speaks OAuth 2.0 and no OpenID Connect: the user is asked of its API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from pydantic import SecretStr

from tijolo.auth.oauth._exchange import ask, ask_for_object, check_endpoint, text_or_none
from tijolo.auth.oauth.clients import Endpoints, OAuthClient
from tijolo.auth.oauth.errors import OAuthError
from tijolo.auth.oauth.models import OAuthTokens, OAuthUser
from tijolo.http import HTTPClient

__all__ = ["GitHubOAuthClient"]

_ACCEPT = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


class GitHubOAuthClient(OAuthClient):
    """GitHub, or a GitHub Enterprise Server.

    ``subject`` is the account's number, which stays; its login name may be given to somebody
    else. The e-mail address is the primary one of those that GitHub has verified.

    Args:
        client_id: As registered there.
        client_secret: The same.
        redirect_uri: The address of our callback, as registered.
        scopes: Default: ``read:user user:email``.
        http_client: As for ``OAuthClient``.
        web_url: Of an own server: ``https://github.example.com``.
        api_url: The same: ``https://github.example.com/api/v3``.

    Raises:
        ValueError: for an empty id or secret, or URLs that are not safe.
    """

    provider_name = "github"
    default_scopes: ClassVar[tuple[str, ...]] = ("read:user", "user:email")

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: SecretStr | str,
        redirect_uri: str,
        scopes: Sequence[str] | None = None,
        http_client: HTTPClient | None = None,
        web_url: str = "https://github.com",
        api_url: str = "https://api.github.com",
    ) -> None:
        super().__init__(
            client_id=client_id,
            client_secret=client_secret,
            redirect_uri=redirect_uri,
            scopes=scopes,
            http_client=http_client,
        )
        web = check_endpoint(web_url, "web_url").rstrip("/")
        self._api = check_endpoint(api_url, "api_url").rstrip("/")
        self._endpoints = Endpoints(
            authorize_url=f"{web}/login/oauth/authorize",
            token_url=f"{web}/login/oauth/access_token",
        )

    async def endpoints(self) -> Endpoints:
        """Always the same: GitHub publishes no discovery document for logins."""
        return self._endpoints

    async def fetch_user(self, tokens: OAuthTokens) -> OAuthUser:
        """Who the user is, with the address that GitHub has verified.

        Raises:
            OAuthUnavailableError: GitHub does not answer.
            OAuthError: It answers what it must not.
        """
        headers = {**_ACCEPT, "Authorization": f"Bearer {tokens.access_token}"}
        raw = await ask_for_object(self._http, "GET", f"{self._api}/user", "user", headers=headers)
        number = raw.get("id")
        if type(number) is not int:
            raise OAuthError(reason="user: the account has no number")
        email = await self._verified_email(headers)
        return OAuthUser(
            provider=self.provider_name,
            subject=str(number),
            email=email or text_or_none(raw.get("email"), 320),
            email_verified=email is not None,
            name=text_or_none(raw.get("name"), 255) or text_or_none(raw.get("login"), 255),
            picture=text_or_none(raw.get("avatar_url")),
            raw=raw,
        )

    async def _verified_email(self, headers: dict[str, str]) -> str | None:
        """The primary address if it is verified: the one in the profile proves nothing."""
        status, answer = await ask(
            self._http,
            "GET",
            f"{self._api}/user/emails",
            "user emails",
            headers=headers,
            params={"per_page": 100},
        )
        if status in (403, 404):  # the user did not grant user:email
            return None
        if status != 200 or not isinstance(answer, list):
            raise OAuthError(reason=f"user emails: status {status}, or no list")
        for entry in cast("list[object]", answer):
            fields = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
            if fields.get("primary") is True and fields.get("verified") is True:
                return text_or_none(fields.get("email"), 320)
        return None
