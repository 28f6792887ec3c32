"""What one call of a cached thing is, and what it gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

from tijolo.cache.codecs import Codec
from tijolo.cache.policy import CachePolicy

T = TypeVar("T")
State = Literal["hit", "stale", "miss"]


@dataclass(slots=True)
class Call(Generic[T]):
    """Everything about one call of a cached thing."""

    name: str
    key: str
    tags: tuple[str, ...]
    codec: Codec[T]
    policy: CachePolicy
    compute: Callable[[], Awaitable[T]]
    ttl_of: Callable[[T], float | None]
    shareable: Callable[[T], bool] | None = None
    """Whether others may be given this result; None for always."""
    store: bool = True
    """Whether the result may be kept."""


class Loaded(NamedTuple, Generic[T]):
    """A result with its age; times are seconds since the epoch."""

    value: T
    state: State
    stored_at: float
    fresh_until: float


class Lease(NamedTuple):
    """The right to compute, and the versions of the tags when it began."""

    token: str
    versions: list[str | None]
