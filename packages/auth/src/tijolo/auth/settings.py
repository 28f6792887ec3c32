"""Settings of tokens: ``class Settings(JWTSettings, TokenSettings, BaseAppSettings)``."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tijolo.auth.key_ring import KeyRing
from tijolo.auth.keys import ALGORITHMS, InvalidKeyError, KeySchedule, TokenKey
from tijolo.auth.revocation import FailureMode, TokenMode
from tijolo.core import SigningSecret
from tijolo.core.secret_check import HOW_TO_MAKE_ONE

DEFAULT_ISSUER = "tijolo"
"""``JWT_ISSUER`` until one is named."""

_MAX_PEM_BYTES = 65_536
_NAME_OF_A_FILE = re.compile(r"[\w./\\:-]{1,250}\.(pem|key|p8|crt|pub|txt)")
"""Base64 has no dot."""


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("["):
        return json.loads(text)
    return [item.strip() for item in text.split(",") if item.strip()]


def _set(value: object) -> object:
    """None for a variable that a deployment declares and leaves empty."""
    return None if value == "" else value


def _public(value: object) -> object:
    if isinstance(value, str) and "PRIVATE KEY" in value:
        raise ValueError("a private key was given as the public one, which is shown")
    return _set(value)


OptionalText = Annotated[str | None, BeforeValidator(_set)]
PublicKeyText = Annotated[str | None, BeforeValidator(_public)]


class JWTKeySettings(BaseModel):
    """One more key, in its stage: what was signed with, or what will be."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)

    algorithm: str
    kid: str | None = None
    secret: SigningSecret | None = None
    private_key: SecretStr | None = None
    """PEM text, or the path of a file with it."""
    public_key: PublicKeyText = None
    signs_from: datetime | None = None
    signs_until: datetime | None = None
    verifies_until: datetime | None = None

    def token_key(self) -> TokenKey:
        """The key.

        Raises:
            InvalidKeyError: as ``TokenKey`` raises it.
        """
        schedule = KeySchedule(
            signs_from=self.signs_from,
            signs_until=self.signs_until,
            verifies_until=self.verifies_until,
        )
        return _key(
            self.algorithm, self.kid, self.secret, self.private_key, self.public_key, schedule
        )


class JWTSettings(BaseSettings):
    """Who signs tokens, with what, for whom, and who asks whether they were revoked.

    ``JWT_SECRET`` has no default: without a secret, a key pair or a JWKS to verify with, the
    settings are refused.
    """

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    JWT_SECRET: SigningSecret | None = None
    """For HS256, HS384 and HS512: 32, 48 or 64 bytes or more."""
    JWT_ALGORITHM: str = "HS256"
    JWT_PRIVATE_KEY: SecretStr | None = None
    """PEM text, or the path of a file with it. It signs."""
    JWT_PUBLIC_KEY: PublicKeyText = None
    """The same of the public key; alone it only verifies."""
    JWT_KEY_ID: str | None = None
    """``kid``. Default: the key's thumbprint (RFC 7638)."""
    JWT_KEYS: list[JWTKeySettings] = []
    """Further keys as JSON: those published ahead, and those whose tokens are still about."""
    JWT_JWKS_URL: OptionalText = None
    """Verify with the keys that the issuer publishes there, instead of own ones."""

    JWT_JWKS_CACHE_SECONDS: int = Field(default=300, ge=1)
    """Age at which those keys are renewed."""

    JWT_ISSUER: str = Field(default=DEFAULT_ISSUER, min_length=1)
    JWT_AUDIENCE: Annotated[list[str], NoDecode, BeforeValidator(_split)] = []
    """Whom tokens are for. Default: the issuer."""
    JWT_CLIENT_ID: str = Field(default="first-party", min_length=1)
    JWT_ACCESS_TTL_SECONDS: int = Field(default=900, ge=1)
    JWT_REFRESH_TTL_SECONDS: int = Field(default=604_800, ge=1)
    JWT_LEEWAY_SECONDS: int = Field(default=5, ge=0, le=300)
    JWT_MAX_TOKEN_BYTES: int = Field(default=8192, ge=256, le=65_536)
    JWT_VERIFIED_CACHE_SIZE: int = Field(default=4096, ge=0)

    TOKEN_MODE: TokenMode = TokenMode.STATELESS
    """``stateless``, ``hybrid`` or ``stateful``: who is asked whether a token was revoked."""
    REVOCATION_CACHE_SECONDS: float = Field(default=10.0, ge=0, le=300)
    """``hybrid``: how long an answer is believed."""
    ACCESS_REVOCATION_FAILURE_MODE: FailureMode = FailureMode.CLOSED
    """``fail_closed`` or ``fail_open``: what happens while nobody can be asked."""
    INTROSPECTION_URL: OptionalText = None
    """A consumer in ``hybrid`` or ``stateful`` mode asks its issuer here (RFC 7662)."""
    PRIVATE_API_SECRET: SigningSecret | None = None
    """What services show each other: to introspect, and to revoke."""
    AUTH_SERVICE_ROLE: Literal["issuer", "consumer"] = "issuer"

    @model_validator(mode="after")
    def _has_keys(self) -> Self:
        named = [("JWT_ALGORITHM", self.JWT_ALGORITHM)]
        for name, algorithm in named + [("JWT_KEYS", key.algorithm) for key in self.JWT_KEYS]:
            if algorithm not in ALGORITHMS:
                known = ", ".join(sorted(ALGORITHMS))
                raise ValueError(f"{name}: {algorithm!r} is not among {known}")
        if self.JWT_ALGORITHM.startswith("HS"):
            if (self.JWT_PRIVATE_KEY or self.JWT_PUBLIC_KEY) and not self.JWT_SECRET:
                raise ValueError(
                    "JWT_PRIVATE_KEY and JWT_PUBLIC_KEY need a JWT_ALGORITHM such as ES256"
                )
        elif _given(self.JWT_SECRET):
            raise ValueError(
                f"JWT_SECRET is for HS256, not {self.JWT_ALGORITHM}: set JWT_PRIVATE_KEY"
            )
        if not self._own_key and not self.JWT_KEYS and not self.JWT_JWKS_URL:
            raise ValueError(
                "tokens need a key: set JWT_SECRET, or JWT_ALGORITHM and JWT_PRIVATE_KEY, or"
                " JWT_JWKS_URL where another service signs"
            )
        return self

    @property
    def _own_key(self) -> bool:
        secret = _given(self.JWT_SECRET) or _given(self.JWT_PRIVATE_KEY)
        return secret or bool(self.JWT_PUBLIC_KEY)

    @property
    def audience(self) -> list[str]:
        """``JWT_AUDIENCE``, or the issuer where none is named."""
        return self.JWT_AUDIENCE or [self.JWT_ISSUER]

    def key_ring(self) -> KeyRing:
        """The keys; reads files, so call it at the start.

        Raises:
            InvalidKeyError: for a key that cannot be used.
            ValueError: when only ``JWT_JWKS_URL`` is set, whose keys a ``JWKSClient`` has.
        """
        keys = [key.token_key() for key in self.JWT_KEYS]
        if self._own_key:
            keys.append(self._make_own_key())
        if not keys:
            raise ValueError("these settings have no keys of their own; use a JWKSClient")
        return KeyRing(keys)

    def _make_own_key(self) -> TokenKey:
        try:
            return _key(
                self.JWT_ALGORITHM,
                self.JWT_KEY_ID,
                self.JWT_SECRET,
                self.JWT_PRIVATE_KEY,
                self.JWT_PUBLIC_KEY,
                KeySchedule(),
            )
        except InvalidKeyError as error:
            if self.JWT_ALGORITHM.startswith("HS"):
                advice = f"JWT_SECRET: {error}; make one with: {HOW_TO_MAKE_ONE}"
            else:
                names = {
                    "JWT_PRIVATE_KEY": self.JWT_PRIVATE_KEY,
                    "JWT_PUBLIC_KEY": self.JWT_PUBLIC_KEY,
                }
                advice = f"{', '.join(name for name, key in names.items() if key)}: {error}"
            raise InvalidKeyError(advice) from None


class TokenSettings(BaseSettings):
    """The shared secret of :func:`make_token_dependency`."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    TOKEN_SECRET: SigningSecret = SecretStr("")
    """Empty: not configured, and everybody is refused."""


def _given(secret: SecretStr | None) -> bool:
    return secret is not None and bool(secret.get_secret_value())


def _key(
    algorithm: str,
    kid: str | None,
    secret: SecretStr | None,
    private: SecretStr | None,
    public: str | None,
    schedule: KeySchedule,
) -> TokenKey:
    if algorithm.startswith("HS"):
        if secret is None:
            raise InvalidKeyError(f"a key of {algorithm} needs a secret")
        return TokenKey.from_secret(secret, algorithm=algorithm, kid=kid, schedule=schedule)
    pem = None if private is None else _pem(private.get_secret_value(), "private key")
    return TokenKey.from_pem(
        private=pem,
        public=None if public is None else _pem(public, "public key"),
        algorithm=algorithm,
        kid=kid,
        schedule=schedule,
    )


def _pem(text: str, what: str) -> str:
    """PEM text as it is, with line ends that an environment variable may have lost; or a file's."""
    if "-----BEGIN" in text:
        return text.replace("\\n", "\n")
    try:
        with Path(text).open("rb") as file:
            content = file.read(_MAX_PEM_BYTES + 1)
        if len(content) > _MAX_PEM_BYTES:
            raise InvalidKeyError(f"the file of the {what} is larger than {_MAX_PEM_BYTES} bytes")
        return content.decode("ascii")
    except InvalidKeyError:
        raise
    except (OSError, ValueError) as error:
        # the value only where it is the name of a file: it may be a key that lost its first line
        shown = f": {text!r}" if _NAME_OF_A_FILE.fullmatch(text) else ""
        raise InvalidKeyError(
            f"the {what} is neither PEM text nor a file that can be read"
            f" ({type(error).__name__}{shown})"
        ) from None
