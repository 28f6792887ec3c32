"""Base classes for what a service receives and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema

from tijolo.core._secrets import strip_all_but_secrets
from tijolo.core.clock import to_utc
from tijolo.core.dicts import modify_dict


def _in_utc(value: datetime) -> datetime:
    try:
        return to_utc(value)
    except OverflowError:
        raise ValueError("this moment has no date in UTC") from None


UTCDatetime = Annotated[datetime, AfterValidator(_in_utc)]
"""A datetime that is aware and in UTC after validation; a naive one is taken to be UTC."""


class BaseSchema(BaseModel):
    """Base of every schema: unknown fields ignored, attributes read, strings stripped.

    Secrets (``SecretStr``, ``Secret[str]``) are never stripped: a password is what was typed. The
    text of a validation error does not show the input, save a wrong discriminator and the name
    of a field that is not allowed. ``str_strip_whitespace=False`` in a subclass's ``model_config``
    turns the stripping off.
    """

    model_config = ConfigDict(
        extra="ignore",
        from_attributes=True,
        use_enum_values=True,
        validate_assignment=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema = handler(source)
        if cls.model_config.get("str_strip_whitespace") is False:
            return schema
        return strip_all_but_secrets(schema, handler)

    def to_dict(
        self, exclude: list[str] | None = None, include: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The fields that are not None, without ``exclude`` and with ``include`` on top."""
        return modify_dict(self.model_dump(exclude_none=True), exclude, include)

    def to_json(self) -> str:
        """The schema as JSON text."""
        return self.model_dump_json()


class BaseDTO(BaseSchema):
    """A strict request body: a field it does not know is an error, not noise."""

    model_config = ConfigDict(extra="forbid")


class BaseResponseSchema(BaseSchema):
    """The four columns every record of ``tijolo.db.BaseModel`` carries; times are UTC."""

    id: UUID
    is_active: bool
    created_at: UTCDatetime
    updated_at: UTCDatetime
