"""What the shop reads from its environment; the mixins bring their own variables."""

from __future__ import annotations

from tijolo.core import BaseAppSettings
from tijolo.db import DatabaseSettings
from tijolo.observability import LogSettings
from tijolo.web import CORSSettings, ServerSettings, WebSettings


class Settings(
    DatabaseSettings, LogSettings, CORSSettings, ServerSettings, WebSettings, BaseAppSettings
):
    """Settings of the shop; `.env.example` shows the ones worth changing."""
