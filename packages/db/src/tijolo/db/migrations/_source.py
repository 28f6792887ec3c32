"""The database that the environment names."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr
from sqlalchemy.engine import URL

from tijolo.core import BaseAppSettings
from tijolo.db._url import parse_url


class EnvironmentSettings(BaseAppSettings):
    """``DATABASE_URL`` from the environment or ``.env``."""

    DATABASE_URL: SecretStr | None = None


def database_from_environment() -> tuple[URL, dict[str, Any]] | None:
    """URL and driver arguments; None when the environment names no database."""
    return database_of(EnvironmentSettings())


def database_of(settings: EnvironmentSettings) -> tuple[URL, dict[str, Any]] | None:
    if settings.DATABASE_URL is None:
        return None
    return parse_url(settings.DATABASE_URL), {}
