"""What the routes of API keys receive and answer."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field, SecretStr

from tijolo.core import BaseDTO, BaseSchema, UTCDatetime


class ApiKeyCreateSchema(BaseDTO):
    """A key that is wanted."""

    name: str = Field(min_length=1, max_length=120)
    scopes: list[str] = Field(min_length=1, max_length=100)
    expires_in_days: int | None = Field(default=None, ge=1, le=3650)
    networks: list[str] = Field(default=[], max_length=20)
    """Addresses and CIDR networks from which it may be used; none means any."""


class ApiKeyRotateSchema(BaseDTO):
    """How the old key ends."""

    overlap_seconds: int | None = Field(default=None, ge=0)
    """How long both are good; none means as long as the service allows."""


class ApiKeySchema(BaseSchema):
    """A key as its owner sees it, without the key."""

    id: UUID
    name: str
    hint: str
    scopes: list[str]
    networks: list[str]
    created_at: UTCDatetime
    expires_at: UTCDatetime
    last_used_at: UTCDatetime | None
    revoked_at: UTCDatetime | None
    revoked_reason: str | None
    successor_id: UUID | None


class NewApiKeySchema(ApiKeySchema):
    """A key just made; it is shown this once."""

    key: str = Field(repr=False)


class LeakedTokenSchema(BaseSchema):
    """One token of a report; where it was found is not kept."""

    token: SecretStr = Field(max_length=512)
