"""The application: settings in, FastAPI out."""

from __future__ import annotations

from fastapi import FastAPI

from desejos.routers import make_me_router, make_wishes_router
from desejos.settings import Settings
from desejos.wishes import Wishes
from tijolo.auth import Fetch, build_auth_deps, make_auth_validator
from tijolo.observability import HealthConfig
from tijolo.web import AppLifecycle, create_app


def make_app(settings: Settings | None = None, *, fetch: Fetch | None = None) -> FastAPI:
    """Build the service; ``uvicorn --factory desejos.app:make_app`` serves it.

    Args:
        settings: Default: the environment's.
        fetch: How the shop is reached; default: the standard library, in threads.
    """
    settings = settings or Settings()
    auth = build_auth_deps(settings, fetch=fetch)
    return create_app(
        settings,
        [make_wishes_router(auth, Wishes()), make_me_router(auth)],
        service_name="Desejos",
        service_version="0.1.0",
        # its details to who may also ask the shop
        health=HealthConfig(detail_secret=settings.PRIVATE_API_SECRET),
        lifecycle=AppLifecycle(
            resources={"tokens": auth},  # fetches the shop's keys, and lets go of them
            startup_validators=[make_auth_validator(settings)],
        ),
    )
