"""The logging settings of a service, and the call that applies them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tijolo.observability.configuration import DEFAULT_QUEUE_SIZE, LogFilter, configure_logging
from tijolo.observability.log_files import FileLimits
from tijolo.observability.redaction import Redactor


class LogSettings(BaseSettings):
    """Mix it in: `class Settings(LogSettings, BaseAppSettings)`."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    LOG_LEVEL: str = "INFO"
    LOG_JSON: bool = True
    """JSON lines; false for text."""
    LOG_STDOUT: bool = True
    LOG_DIR: str = ""
    """Directory of the log files; empty writes none."""
    LOG_FILE_MAX_BYTES: int = Field(default=10 * 1024 * 1024, ge=0)
    """Size at which a file is rotated; 0 never."""
    LOG_FILE_BACKUPS: int = Field(default=5, ge=1)
    LOG_FILE_RETENTION_DAYS: int = Field(default=0, ge=0)
    """Age at which rotated files are deleted; 0 keeps them until they are rotated out."""
    LOG_QUEUE_SIZE: int = Field(default=DEFAULT_QUEUE_SIZE, ge=0)
    """Records that may wait to be written; 0 writes in the caller."""
    LOG_REDACT_KEYS: Annotated[tuple[str, ...], NoDecode] = ()
    """More words that make a field secret, with commas between them or as a JSON list."""
    LOG_REDACT_CPF: bool = False
    """Hide CPF numbers."""

    @field_validator("LOG_LEVEL")
    @classmethod
    def _known_level(cls, value: str) -> str:
        name = value.strip().upper()
        if name not in logging.getLevelNamesMapping():
            raise ValueError(f"unknown log level {value!r}; use DEBUG, INFO, WARNING, ...")
        return name

    @field_validator("LOG_REDACT_KEYS", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            return json.loads(value)
        return tuple(word.strip() for word in value.split(",") if word.strip())


def configure_logging_from_settings(
    settings: LogSettings,
    *,
    sinks: Sequence[logging.Handler] = (),
    filters: Iterable[LogFilter] = (),
) -> logging.Logger:
    """`configure_logging` of the root logger with every value of `settings`.

    Raises:
        ValueError: nothing would be written anywhere.
    """
    if not (settings.LOG_STDOUT or settings.LOG_DIR or sinks):
        raise ValueError(
            "LOG_STDOUT is false and LOG_DIR is empty: no log would be written; set one of them"
        )
    return configure_logging(
        settings.LOG_LEVEL,
        json_output=settings.LOG_JSON,
        log_dir=settings.LOG_DIR or None,
        stdout=settings.LOG_STDOUT,
        limits=FileLimits(
            max_bytes=settings.LOG_FILE_MAX_BYTES,
            backup_count=settings.LOG_FILE_BACKUPS,
            retention_days=settings.LOG_FILE_RETENTION_DAYS or None,
        ),
        queue_size=settings.LOG_QUEUE_SIZE,
        redactor=Redactor(keys=settings.LOG_REDACT_KEYS, cpf=settings.LOG_REDACT_CPF),
        sinks=sinks,
        filters=filters,
    )
