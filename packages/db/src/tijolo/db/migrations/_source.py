"""The database that the environment names."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import URL

from tijolo.core import BaseAppSettings
from tijolo.db.settings import DatabaseSettings

_NAMES = frozenset({"DATABASE_URL", "DATABASE_TEST_URL", "DATABASE_HOST", "DATABASE_NAME"})


class EnvironmentSettings(DatabaseSettings, BaseAppSettings):
    """``DATABASE_URL``, or its parts, from the environment or ``.env``."""


def database_from_environment() -> tuple[URL, dict[str, Any]] | None:
    """URL and driver arguments; None when the environment names no database."""
    settings = EnvironmentSettings()
    if not settings.model_fields_set & _NAMES:
        return None
    url, arguments = settings.database_arguments()
    return url, arguments.get("connect_args", {})
