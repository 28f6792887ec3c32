"""Settings of a database; compose them: ``class Settings(DatabaseSettings, BaseAppSettings)``."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings
from sqlalchemy.engine import URL

from tijolo.core import Environment, SigningSecret
from tijolo.db._url import parse_url

_DEFAULT_URL = "sqlite+aiosqlite:///./app.db"


class DatabaseSettings(BaseSettings):
    """Where the database is and how it is used; durations are in seconds.

    ``DATABASE_URL`` wins over the parts; with neither, it is the SQLite file ``./app.db``.
    With ``ENVIRONMENT=test``, ``DATABASE_TEST_URL`` wins over both, so that tests never reach
    the database of the service. A URL holds a password, so it is a secret: ask
    :meth:`database_url` for it.
    """

    DATABASE_URL: SecretStr = SecretStr("")
    DATABASE_TEST_URL: SecretStr = SecretStr("")

    DATABASE_DRIVER: str = "postgresql"
    DATABASE_HOST: str = ""
    DATABASE_PORT: int | None = Field(default=None, ge=1, le=65535)
    DATABASE_NAME: str = ""
    DATABASE_USER: str = ""
    DATABASE_PASSWORD: SecretStr = SecretStr("")

    DATABASE_ECHO: bool = False
    DATABASE_DEBUG: bool = False
    DATABASE_POOL_SIZE: int = Field(default=10, ge=1)
    DATABASE_MAX_OVERFLOW: int = Field(default=20, ge=0)
    DATABASE_POOL_RECYCLE: int = Field(default=3600, ge=1)
    DATABASE_POOL_TIMEOUT_SECONDS: float = Field(default=10.0, gt=0)
    DATABASE_POOL_PRE_PING: bool = True
    DATABASE_PGBOUNCER: bool = False

    DATABASE_CONNECT_TIMEOUT_SECONDS: float = Field(default=5.0, gt=0)
    DATABASE_STATEMENT_TIMEOUT_SECONDS: float = Field(default=30.0, ge=0)
    DATABASE_LOCK_TIMEOUT_SECONDS: float = Field(default=5.0, ge=0)
    DATABASE_IDLE_TRANSACTION_TIMEOUT_SECONDS: float = Field(default=60.0, ge=0)

    DATABASE_CURSOR_SECRET: SigningSecret = SecretStr("")

    @property
    def database_environment(self) -> Environment:
        """``ENVIRONMENT`` of the settings this is composed with; production without one."""
        return Environment(getattr(self, "ENVIRONMENT", Environment.PRODUCTION))

    def database_url(self) -> URL:
        """The URL; its ``str()`` and ``repr()`` hide the password.

        Raises:
            ValueError: It cannot be parsed, or the parts are not complete.
        """
        given = self.DATABASE_URL.get_secret_value()
        for_tests = self.DATABASE_TEST_URL.get_secret_value()
        if for_tests and self.database_environment is Environment.TEST:
            given = for_tests
        parts = self._url_of_parts()
        if given:
            return parse_url(given)
        return parts if parts is not None else parse_url(_DEFAULT_URL)

    def _url_of_parts(self) -> URL | None:
        """``URL.create`` quotes what it is given: any character may stand in a password."""
        host, name, port = self.DATABASE_HOST, self.DATABASE_NAME, self.DATABASE_PORT
        user, password = self.DATABASE_USER, self.DATABASE_PASSWORD.get_secret_value()
        driver = self.DATABASE_DRIVER
        if not host and not name:
            return None
        if not name:
            raise ValueError("DATABASE_HOST is set and DATABASE_NAME is not")
        if driver.partition("+")[0] == "sqlite":
            return parse_url(URL.create(driver, database=name))
        return parse_url(
            URL.create(
                driver,
                username=user or None,
                password=password or None,
                host=host or "localhost",
                port=port,
                database=name,
            )
        )

    def database_arguments(self) -> tuple[URL, dict[str, Any]]:
        """The URL and keyword arguments of a manager."""
        return self.database_url(), {
            "echo": self.DATABASE_ECHO,
            "debug": self.DATABASE_DEBUG,
            "pool_size": self.DATABASE_POOL_SIZE,
            "max_overflow": self.DATABASE_MAX_OVERFLOW,
            "pool_recycle": self.DATABASE_POOL_RECYCLE,
            "pool_timeout": self.DATABASE_POOL_TIMEOUT_SECONDS,
            "pool_pre_ping": self.DATABASE_POOL_PRE_PING,
            "pgbouncer": self.DATABASE_PGBOUNCER,
            "connect_timeout": self.DATABASE_CONNECT_TIMEOUT_SECONDS,
            "statement_timeout": self.DATABASE_STATEMENT_TIMEOUT_SECONDS or None,
            "lock_timeout": self.DATABASE_LOCK_TIMEOUT_SECONDS or None,
            "idle_transaction_timeout": self.DATABASE_IDLE_TRANSACTION_TIMEOUT_SECONDS or None,
            "environment": self.database_environment,
            "cursor_secret": self.DATABASE_CURSOR_SECRET,
        }
