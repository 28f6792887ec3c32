"""The endpoints that orchestrators and load balancers probe."""

from __future__ import annotations

import asyncio
import dataclasses
import hmac
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, SecretStr

from tijolo.core import Resource
from tijolo.observability.health import (
    HealthCheck,
    HealthCheckResult,
    HealthConfig,
    HealthReport,
    HealthStatus,
)
from tijolo.observability.health_monitor import HealthMonitor

logger = logging.getLogger(__name__)

_NO_STORE = {"Cache-Control": "no-store"}


class HealthResponse(BaseModel):
    """The body of a probe: `status` for everybody, the rest for who may see details."""

    status: str
    checks: list[HealthCheckResult] | None = None
    service: str | None = None
    version: str | None = None


_UNAVAILABLE = {
    "model": HealthResponse,
    "description": "A critical check fails, or the service is starting or draining.",
}


def make_health_router(
    *,
    db: Resource | None = None,
    checks: Mapping[str, HealthCheck] | None = None,
    prefix: str = "/health",
    tag: str = "health",
    service: str | None = None,
    version: str | None = None,
    expose_checks: bool = False,
    config: HealthConfig | None = None,
    ready: Callable[[], bool] | None = None,
) -> APIRouter:
    """`GET` and `HEAD` of `<prefix>/liveness`, `<prefix>/readiness` and `<prefix>` (readiness).

    Liveness runs nothing: a database that is down is no reason to restart the process. Readiness
    answers 503 while a critical check fails and while `ready` says no.

    Args:
        db: its `health_check` becomes the check `database`.
        checks: more checks, beside those of `config`.
        service: shown with the details.
        version: shown with the details.
        expose_checks: the same as `config.detail_public`.
        ready: whether the service takes traffic; a `Readiness` tells start-up from shutdown.

    Raises:
        ValueError: two checks have the same name, or `config.optional` names none.
    """
    config = _with_checks(config or HealthConfig(), db, checks or {})
    monitor = HealthMonitor(config, ready)
    details = {"service": service, "version": version}

    async def liveness() -> JSONResponse:
        return JSONResponse({"status": HealthStatus.OK}, headers=_NO_STORE)

    async def readiness(request: Request) -> JSONResponse:
        phase = monitor.phase
        if phase != "ready":
            return JSONResponse({"status": phase}, status_code=503, headers=_NO_STORE)
        report, detailed = await asyncio.gather(
            monitor.check(), _may_see_details(request, config, public=expose_checks)
        )
        return _answer(report, details if detailed else None)

    router = APIRouter(prefix=prefix, tags=[tag])
    _add_probe(router, "/liveness", liveness)
    for path in ("/readiness", "") if prefix else ("/readiness",):
        _add_probe(router, path, readiness, responses={503: _UNAVAILABLE})
    return router


def _add_probe(
    router: APIRouter,
    path: str,
    endpoint: Callable[..., Awaitable[JSONResponse]],
    responses: dict[int | str, dict[str, Any]] | None = None,
) -> None:
    router.add_api_route(path, endpoint, response_model=HealthResponse, responses=responses)
    # Of its own: two methods of one route would share an operation id.
    router.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)


def _with_checks(
    config: HealthConfig, db: Resource | None, checks: Mapping[str, HealthCheck]
) -> HealthConfig:
    named: dict[str, HealthCheck] = {} if db is None else {"database": db.health_check}
    for name, check in (*checks.items(), *config.named_checks().items()):
        if name in named:
            raise ValueError(f"Two health checks are named {name!r}; rename one of them")
        named[name] = check
    return dataclasses.replace(config, checks=named)


async def _may_see_details(request: Request, config: HealthConfig, *, public: bool) -> bool:
    if public or config.detail_public or _knows_secret(request, config):
        return True
    if config.detail_authorizer is None:
        return False
    try:
        async with asyncio.timeout(config.timeout):
            answer = config.detail_authorizer(request)
            return bool(await answer if inspect.isawaitable(answer) else answer)
    except Exception as exc:
        # The probe itself must be answered; only the details are refused.
        logger.warning("detail_authorizer raised %s; details are withheld", type(exc).__name__)
        return False


def _knows_secret(request: Request, config: HealthConfig) -> bool:
    secret = config.detail_secret
    expected = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    given = request.headers.get(config.detail_header)
    if not expected or not given:
        return False
    # Header bytes arrive as latin-1; str arguments would raise for a non-ASCII guess.
    return hmac.compare_digest(given.encode("latin-1"), expected.encode())


def _answer(report: HealthReport, details: Mapping[str, str | None] | None) -> JSONResponse:
    body: dict[str, Any] = {"status": report.status}
    if details is not None:
        body["checks"] = [check.model_dump(mode="json") for check in report.checks]
        body.update({name: value for name, value in details.items() if value is not None})
    status_code = 503 if report.status is HealthStatus.FAIL else 200
    return JSONResponse(body, status_code=status_code, headers=_NO_STORE)
