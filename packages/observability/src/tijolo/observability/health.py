"""What a service says about itself: the vocabulary of checks, their results and their options."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self

from fastapi import Request
from pydantic import BaseModel, ConfigDict, SecretStr, computed_field, field_validator


class HealthStatus(StrEnum):
    """The state of one check, or of the whole service."""

    OK = "ok"
    DEGRADED = "degraded"
    UNKNOWN = "unknown"
    FAIL = "fail"

    @classmethod
    def from_bool(cls, ok: bool) -> HealthStatus:
        """`OK` or `FAIL`."""
        return cls.OK if ok else cls.FAIL


class HealthAggregatePolicy(StrEnum):
    """Whether an `unknown` check lets the service take traffic."""

    LENIENT = "lenient"
    """503 only when a critical check failed."""
    STRICT = "strict"
    """503 also when the state of a critical check is unknown."""


class HealthCheckResult(BaseModel):
    """What one check found; `error` and `meta` are scrubbed of secrets before they are shown."""

    model_config = ConfigDict(frozen=True)

    name: str
    status: HealthStatus
    latency_ms: float | None = None
    error: str | None = None
    meta: dict[str, Any] | None = None

    @field_validator("latency_ms")
    @classmethod
    def _finite(cls, value: float | None) -> float | None:
        # JSON has no other numbers, and a probe must be answered.
        return value if value is not None and math.isfinite(value) else None

    @computed_field  # type: ignore[prop-decorator]  # mypy has no decorated properties
    @property
    def ok(self) -> bool:
        """Whether the status is `ok`."""
        return self.status is HealthStatus.OK

    @classmethod
    def from_bool(cls, name: str, ok: bool, **meta: Any) -> Self:
        """A result from a yes or no, with what else there is to say as `meta`."""
        return cls(name=name, status=HealthStatus.from_bool(ok), meta=meta or None)


HealthCheck = Callable[[], Awaitable[bool | HealthCheckResult]]
"""An async callable that says whether something works; raising means that it does not."""

DetailAuthorizer = Callable[[Request], bool | Awaitable[bool]]
"""Decides whether a request may see the single checks."""

Phase = Literal["initializing", "ready", "draining"]


class Readiness:
    """Whether the service takes traffic at all: not before start-up is done, not while it drains.

    Call it for a yes or no; give it to the health router as `ready`.
    """

    def __init__(self) -> None:
        self.phase: Phase = "initializing"

    def __call__(self) -> bool:
        """Whether the phase is `ready`."""
        return self.phase == "ready"

    def set_ready(self) -> None:
        """Start-up is done."""
        self.phase = "ready"

    def drain(self) -> None:
        """Shutdown has begun: load balancers shall stop sending requests."""
        self.phase = "draining"


@dataclass(frozen=True, kw_only=True)
class HealthConfig:
    """The checks of the readiness endpoint, how they are run and who sees their details."""

    checks: Mapping[str, HealthCheck] | Sequence[HealthCheck] = ()
    """By name; a bare sequence takes the names of the functions."""
    timeout: float = 0.5
    """Seconds for each check; all run at the same time, so also for all of them together."""
    policy: HealthAggregatePolicy = HealthAggregatePolicy.LENIENT
    optional: frozenset[str] = frozenset()
    """Names of checks whose failure only degrades the service (200, status `degraded`)."""
    cache_ttl: float = 2.0
    """Seconds for which a report is reused; 0 runs the checks for every probe."""
    detail_public: bool = False
    """Show the single checks to everybody."""
    detail_authorizer: DetailAuthorizer | None = None
    """Sync or async; raising or taking longer than `timeout` means no."""
    detail_secret: SecretStr | str | None = field(default=None, repr=False)
    """A request whose `detail_header` equals this sees the single checks; empty opens nothing."""
    detail_header: str = "X-Internal-Token"

    def __post_init__(self) -> None:
        if not self.timeout > 0:
            raise ValueError(
                f"HealthConfig.timeout must be more than 0 seconds, got {self.timeout!r}"
            )
        if not self.cache_ttl >= 0:
            raise ValueError(f"HealthConfig.cache_ttl must be 0 or more, got {self.cache_ttl!r}")

    def named_checks(self) -> dict[str, HealthCheck]:
        """The checks by name; functions of the same name in a sequence are numbered."""
        if isinstance(self.checks, Mapping):
            return dict(self.checks)
        named: dict[str, HealthCheck] = {}
        for check in self.checks:
            name = unnumbered = str(getattr(check, "__name__", type(check).__name__))
            number = 1
            while name in named:
                number += 1
                name = f"{unnumbered}-{number}"
            named[name] = check
        return named


class HealthReport(BaseModel):
    """The readiness of the service and the checks it follows from."""

    model_config = ConfigDict(frozen=True)

    status: HealthStatus
    checks: tuple[HealthCheckResult, ...] = ()
