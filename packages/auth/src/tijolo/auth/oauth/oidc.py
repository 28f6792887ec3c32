"""Providers of OpenID Connect: any issuer, by what it says of itself, and Google."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from pydantic import SecretStr

from tijolo.auth._claims import check_leeway
from tijolo.auth.jwks import JWKSClient
from tijolo.auth.oauth._exchange import ask_for_object, text_or_none
from tijolo.auth.oauth.clients import Endpoints, OAuthClient
from tijolo.auth.oauth.discovery import Discovery, ProviderMetadata
from tijolo.auth.oauth.errors import IDTokenError, OAuthError
from tijolo.auth.oauth.id_tokens import IDTokenVerifier
from tijolo.auth.oauth.models import OAuthFlow, OAuthTokens, OAuthUser
from tijolo.auth.remote import ClientFetch
from tijolo.http import HTTPClient

__all__ = ["GoogleOAuthClient", "OIDCProvider"]


class OIDCProvider(OAuthClient):
    """Any issuer of OpenID Connect: Keycloak, Entra ID, Auth0, Okta, ...

    Its endpoints and keys are found by discovery, at the first login, and kept. Every ID token is
    verified (OpenID Connect Core, 3.1.3.7), ``nonce`` included.

    Args:
        issuer: As it calls itself in its discovery document, to the letter.
        client_id: As registered there.
        client_secret: The same.
        redirect_uri: The address of our callback, as registered.
        provider_name: Its name here: part of our URLs, and of every identity that is stored.
        scopes: Default: ``openid email profile``; ``openid`` must be among them.
        http_client: As for ``OAuthClient``.
        metadata: Instead of discovery.
        trusted_audiences: Other clients that ID tokens may be for as well.
        leeway_seconds: How far clocks may differ.
        email_domains: Domains whose addresses the issuer hands out, such as a company's own;
            not those of addresses that its users bring with them.

    Raises:
        ValueError: for URLs that are not safe, scopes without ``openid``, metadata of another
            issuer, a leeway out of range, or a domain that is none.
    """

    default_scopes: ClassVar[tuple[str, ...]] = ("openid", "email", "profile")

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: SecretStr | str,
        redirect_uri: str,
        provider_name: str = "oidc",
        scopes: Sequence[str] | None = None,
        http_client: HTTPClient | None = None,
        metadata: ProviderMetadata | None = None,
        trusted_audiences: Iterable[str] = (),
        leeway_seconds: float = 30,
        email_domains: Iterable[str] = (),
    ) -> None:
        self.provider_name = provider_name
        super().__init__(
            client_id=client_id,
            client_secret=client_secret,
            redirect_uri=redirect_uri,
            scopes=scopes,
            http_client=http_client,
        )
        if "openid" not in self.scopes:
            raise ValueError("scopes must hold 'openid': without it there is no ID token")
        if metadata is not None and metadata.issuer != issuer:
            raise ValueError(f"metadata is that of {metadata.issuer!r}, not of {issuer!r}")
        self.issuer = issuer
        self._discovery = Discovery(issuer, self._http)
        self._metadata = metadata
        self._trusted = tuple(trusted_audiences)
        self._leeway = check_leeway(leeway_seconds)
        self._email_domains = _domains(email_domains)
        self._verifier: tuple[str, IDTokenVerifier] | None = None

    async def metadata(self) -> ProviderMetadata:
        """What the issuer says of itself.

        Raises:
            OAuthError: It does not, or not as it must.
        """
        return self._metadata or await self._discovery.get()

    async def endpoints(self) -> Endpoints:
        """Those of the metadata."""
        known = await self.metadata()
        return Endpoints(
            authorize_url=known.authorize_url,
            token_url=known.token_url,
            basic="client_secret_basic" in known.token_auth_methods,
            issuer=known.issuer,
            sends_issuer=known.sends_issuer,
        )

    async def exchange_code(self, code: str, *, flow: OAuthFlow) -> OAuthTokens:
        """The tokens for ``code``; ``claims`` are those of the ID token, which was verified.

        Raises:
            IDTokenError: There is none, or it does not hold.
            OAuthUnavailableError: The issuer does not answer.
            OAuthError: It does not take the code, or answers what it must not.
        """
        tokens = await super().exchange_code(code, flow=flow)
        if tokens.id_token is None:
            raise IDTokenError(reason="the answer has no ID token")
        verifier = self._id_tokens(await self.metadata())
        tokens.claims = await verifier.verify(
            tokens.id_token, nonce=flow.nonce, access_token=tokens.access_token
        )
        return tokens

    async def fetch_user(self, tokens: OAuthTokens) -> OAuthUser:
        """Who the user is: by the ID token, and by the userinfo endpoint for what it lacks.

        Raises:
            ValueError: for tokens whose ID token was not verified here.
            OAuthError: The endpoint answers what it must not, or of another user (5.3.2).
        """
        if tokens.claims is None:
            raise ValueError("these tokens were not verified; take those of exchange_code")
        claims: dict[str, Any] = tokens.claims
        if "email" in self.scopes and "email" not in claims:
            more = await self._userinfo(tokens, claims["sub"])
            # an address and whether it is verified come from the same place
            claims = {**more, **claims, "email_verified": more.get("email_verified")}
        verified = claims.get("email_verified")
        return OAuthUser(
            provider=self.provider_name,
            subject=claims["sub"],
            email=text_or_none(claims.get("email"), 320),
            # some send the text; what is not clearly true is not true
            email_verified=verified is True or verified == "true",
            name=text_or_none(claims.get("name"), 255),
            picture=text_or_none(claims.get("picture")),
            raw=claims,
            email_domains=self._domains_of(claims),
        )

    def _domains_of(self, claims: dict[str, Any]) -> frozenset[str]:
        return self._email_domains

    async def _userinfo(self, tokens: OAuthTokens, subject: str) -> dict[str, Any]:
        url = (await self.metadata()).userinfo_url
        if url is None:
            return {}
        bearer = {"Authorization": f"Bearer {tokens.access_token}"}
        found = await ask_for_object(self._http, "GET", url, "userinfo", headers=bearer)
        if found.get("sub") != subject:
            raise OAuthError(reason="userinfo: another user's")
        return found

    def _more_parameters(self, flow: OAuthFlow) -> dict[str, str]:
        return {"nonce": flow.nonce}

    def _id_tokens(self, known: ProviderMetadata) -> IDTokenVerifier:
        # the keys are remembered by the client of their URL
        if self._verifier is None or self._verifier[0] != known.jwks_url:
            keys = JWKSClient(known.jwks_url, ClientFetch(self._http))
            verifier = IDTokenVerifier(
                keys,
                issuer=self.issuer,
                client_id=self.client_id,
                trusted_audiences=self._trusted,
                leeway_seconds=self._leeway,
            )
            self._verifier = (known.jwks_url, verifier)
        return self._verifier[1]


class GoogleOAuthClient(OIDCProvider):
    """Google.

    An account there may have any address, which was its owner's when the account was made. Google
    hands out, and so speaks for, those of Gmail and of the Workspace in ``hd`` alone; see "Using
    Google ID token" of its guide *Verify the Google ID token on your server side*.

    Args:
        client_id: As registered there.
        client_secret: The same.
        redirect_uri: The address of our callback, as registered.
        scopes: Default: ``openid email profile``.
        http_client: As for ``OAuthClient``.
        hosted_domain: Only accounts of this Google Workspace domain; checked in the ID token,
            because the parameter ``hd`` only chooses what the page offers.

    Raises:
        ValueError: as for ``OIDCProvider``.
    """

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: SecretStr | str,
        redirect_uri: str,
        scopes: Sequence[str] | None = None,
        http_client: HTTPClient | None = None,
        hosted_domain: str | None = None,
    ) -> None:
        super().__init__(
            issuer="https://accounts.google.com",
            client_id=client_id,
            client_secret=client_secret,
            redirect_uri=redirect_uri,
            provider_name="google",
            scopes=scopes,
            http_client=http_client,
            email_domains=("gmail.com",),
        )
        self._hosted_domain = hosted_domain

    async def exchange_code(self, code: str, *, flow: OAuthFlow) -> OAuthTokens:
        """As ``OIDCProvider``.

        Raises:
            IDTokenError: also for an account of another domain than ``hosted_domain``.
        """
        tokens = await super().exchange_code(code, flow=flow)
        wanted = self._hosted_domain
        if wanted is not None and (tokens.claims or {}).get("hd") != wanted:
            raise IDTokenError(reason="hd is not the hosted domain")
        return tokens

    def _domains_of(self, claims: dict[str, Any]) -> frozenset[str]:
        workspace = text_or_none(claims.get("hd"), 255)
        own = super()._domains_of(claims)
        return own if workspace is None else own | {workspace.lower()}

    def _more_parameters(self, flow: OAuthFlow) -> dict[str, str]:
        chosen = {} if self._hosted_domain is None else {"hd": self._hosted_domain}
        return {**super()._more_parameters(flow), **chosen}


def _domains(names: Iterable[str]) -> frozenset[str]:
    if isinstance(names, str):
        raise TypeError(f"email_domains must be a list of names, got the text {names!r}")
    domains = frozenset(name.lower() for name in names)
    for name in domains:
        if not name.isascii() or not name.strip(".") or set(name) & set("@* "):
            raise ValueError(f"email_domains: {name!r} is no domain in ASCII, such as loja.example")
    return domains
