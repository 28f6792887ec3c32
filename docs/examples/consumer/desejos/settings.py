"""What the service reads from its environment; the mixins bring their own variables."""

from __future__ import annotations

from typing import Literal

from tijolo.auth import JWTSettings, TokenMode
from tijolo.core import BaseAppSettings
from tijolo.web import CORSSettings, ServerSettings, WebSettings


class Settings(JWTSettings, CORSSettings, ServerSettings, WebSettings, BaseAppSettings):
    """Settings of the wishes; `.env.example` shows the ones worth changing."""

    # other defaults than the mixin's: it verifies, and asks whether a token still holds
    AUTH_SERVICE_ROLE: Literal["issuer", "consumer"] = "consumer"
    TOKEN_MODE: TokenMode = TokenMode.STATEFUL
