"""Settings of a service, and the check that keeps placeholder secrets out of production."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    GetCoreSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema
from pydantic_settings import BaseSettings, SettingsConfigDict

from tijolo.core._secrets import strip_all_but_secrets
from tijolo.core.enums import BaseStrEnum
from tijolo.core.missing_settings import explained
from tijolo.core.secret_check import (
    HOW_TO_MAKE_ONE,
    SigningKey,
    SigningSecret,
    UnfitSecretError,
    unfit_secrets,
)

__all__ = ["BaseAppSettings", "Environment", "SigningKey", "SigningSecret", "UnfitSecretError"]


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


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


class BaseAppSettings(BaseSettings):
    """Settings read once from the environment and ``.env``, then frozen.

    Compose it last: ``class Settings(DatabaseSettings, LogSettings, BaseAppSettings)``, so that
    this configuration wins. Forgetting ``ENVIRONMENT`` means production, the strict side.

    Raises:
        UnfitSecretError: naming every variable whose secret is not fit for ``ENVIRONMENT``.
        ValidationError: for a value that is none; for a variable that is missing it says which,
            where to set it and, of a secret that signs, how to make one.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_prefix="",
        extra="ignore",
        case_sensitive=True,
        frozen=True,
        from_attributes=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    ENVIRONMENT: Annotated[Environment, BeforeValidator(_lower)] = Environment.PRODUCTION

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return strip_all_but_secrets(handler(source), handler)

    @model_validator(mode="wrap")
    @classmethod
    def _what_is_missing_is_explained(
        cls, given: Any, handler: ModelWrapValidatorHandler[Self]
    ) -> Self:
        try:
            return handler(given)
        except ValidationError as error:
            raise explained(error, cls) from None

    @model_validator(mode="after")
    def _secrets_are_fit(self) -> Self:
        problems = [] if self.ENVIRONMENT.is_development else list(unfit_secrets(self))
        if problems:
            # not a ValueError: Pydantic would attach every raw setting to its report
            raise UnfitSecretError(
                f"not fit for ENVIRONMENT={self.ENVIRONMENT.value}: {'; '.join(problems)}."
                f" Make a secret with: {HOW_TO_MAKE_ONE}"
            )
        return self
