"""Settings of a service, and the check that keeps placeholder secrets out of production."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self, get_args

from pydantic import BaseModel, BeforeValidator, GetCoreSchemaHandler, SecretStr, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema
from pydantic_settings import BaseSettings, SettingsConfigDict

from tijolo.core._secrets import keep_secrets_verbatim
from tijolo.core.enums import BaseStrEnum

MIN_SECRET_BYTES = 32
"""Least length of a signing secret: the output of the hash it keys (RFC 7518, section 3.2)."""

_PLACEHOLDER = re.compile(
    r"change.?(me|this|it)|replace.?(me|this|with)|your.?(secret|key|token|password)"
    r"|^(secret(_?key)?|password|passwd|senha|segredo|default|example|exemplo|placeholder|test"
    r"|todo|none|null|admin|xxx+|insecure.*)$",
    re.IGNORECASE,
)

_HOW_TO_MAKE_ONE = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"


class Environment(BaseStrEnum):
    """Where the service runs; only the first three are forgiving."""

    LOCAL = "local"
    DEVELOPMENT = "development"
    TEST = "test"
    STAGING = "staging"
    PRODUCTION = "production"

    @property
    def is_development(self) -> bool:
        """Whether placeholders, open docs and destructive calls are acceptable here."""
        return self in {Environment.LOCAL, Environment.DEVELOPMENT, Environment.TEST}


class SigningKey:
    """Marks a ``SecretStr`` field that signs or encrypts; see :data:`SigningSecret`."""


SigningSecret = Annotated[SecretStr, SigningKey()]
"""A secret that signs. Outside development it must be 32 bytes or more and not a placeholder.

Use it as a field type: ``TOKEN_SECRET: SigningSecret``. An empty value means "not configured"
and is left to the code that needs it.
"""


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


class BaseAppSettings(BaseSettings):
    """Settings read once from the environment and ``.env``, then frozen.

    Compose it last: ``class Settings(DatabaseSettings, LogSettings, BaseAppSettings)``, so that
    this configuration wins. Construction fails, naming every offending variable, when a secret
    is not fit for ``ENVIRONMENT``; forgetting ``ENVIRONMENT`` means production, the strict side.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_prefix="",
        extra="ignore",
        case_sensitive=True,
        frozen=True,
        str_strip_whitespace=True,
        from_attributes=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    ENVIRONMENT: Annotated[Environment, BeforeValidator(_lower)] = Environment.PRODUCTION

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return keep_secrets_verbatim(handler(source))

    @model_validator(mode="after")
    def _secrets_are_fit(self) -> Self:
        if not self.ENVIRONMENT.is_development:
            problems = list(_secret_problems(self, prefix=self.model_config.get("env_prefix", "")))
            if problems:
                raise ValueError(
                    f"not fit for ENVIRONMENT={self.ENVIRONMENT.value}: {'; '.join(problems)}."
                    f" Make a secret with: {_HOW_TO_MAKE_ONE}"
                )
        return self


def _secret_problems(model: BaseModel, prefix: str = "") -> Iterator[str]:
    """One sentence for each secret of ``model`` (and the models in it) that must not be used."""
    for name, field in type(model).model_fields.items():
        for label, value in _flatten(f"{prefix}{name}", getattr(model, name)):
            if isinstance(value, SecretStr):
                reason = _unfit(value.get_secret_value(), field)
                if reason:
                    yield f"{label} {reason}"
            elif isinstance(value, BaseModel):
                yield from _secret_problems(value, prefix=f"{label}.")


def _flatten(label: str, value: object) -> Iterator[tuple[str, object]]:
    """A field's value, or each item of the list, tuple, set or dict it holds."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flatten(f"{label}[{key!r}]", item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for position, item in enumerate(value):
            yield from _flatten(f"{label}[{position}]", item)
    else:
        yield label, value


def _signs(annotation: object) -> bool:
    """Whether ``SigningKey`` marks the type or one inside it, as in ``list[SigningSecret]``."""
    if any(isinstance(item, SigningKey) for item in getattr(annotation, "__metadata__", ())):
        return True
    return any(_signs(argument) for argument in get_args(annotation))


def _unfit(secret: str, field: FieldInfo) -> str | None:
    if not secret:
        return None
    signs = _signs(field.annotation) or any(isinstance(m, SigningKey) for m in field.metadata)
    if _PLACEHOLDER.search(secret) or secret in _published_values(field):
        return "is a placeholder"
    if len(secret) > 3 and len(set(secret)) == 1:
        return "repeats one character"
    if signs and len(secret.encode("utf-8", "surrogatepass")) < MIN_SECRET_BYTES:
        return f"is shorter than {MIN_SECRET_BYTES} bytes"
    if signs and len(set(secret)) < 8:
        return "repeats a few characters"
    return None


def _published_values(field: FieldInfo) -> set[str]:
    """The field's default and examples: anybody who reads the code knows them."""
    values: list[Any] = [field.default, *(field.examples or ())]
    return {
        value.get_secret_value() if isinstance(value, SecretStr) else value
        for value in values
        if isinstance(value, (str, SecretStr))
    }
