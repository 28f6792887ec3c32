"""What operators see: the log, the integrations, the tools for language models."""

from __future__ import annotations

from fastapi import APIRouter

from loja.addresses import Ceps
from loja.settings import Settings
from tijolo.core import OpsAccess
from tijolo.http.integration import IntegrationRegistry
from tijolo.http.web import make_integrations_router
from tijolo.observability import LogBuffer, make_logs_router
from tijolo.web import make_tool_spec_router

LOOPBACK = ("127.0.0.0/8", "::1")


def make_operations_routers(settings: Settings, ceps: Ceps, log: LogBuffer) -> list[APIRouter]:
    """`/logs`, `/docintegration` and, in development, `/tool-spec`, where somebody may see them."""
    developing = settings.ENVIRONMENT.is_development
    networks = LOOPBACK if developing else ()
    if settings.OPS_TOKEN is None and not networks:
        return []
    access = OpsAccess(token=settings.OPS_TOKEN, networks=networks)
    routers = [
        make_logs_router(buffer=log, access=access),
        make_integrations_router(IntegrationRegistry([ceps]), access=access),
    ]
    if developing:
        routers.append(make_tool_spec_router(access=access))
    return routers
