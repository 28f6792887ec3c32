"""Granian with the settings of ``run_server`` (extra ``granian``)."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tijolo.core import MissingExtraError

try:
    from granian import Granian
    from granian.constants import Interfaces
except ImportError as exc:  # pragma: no cover - the isolated environment of the wheel tests
    raise MissingExtraError("tijolo-web", "granian", "granian") from exc

_LOGGERS = ("_granian", "granian.access")


def run_granian(
    app: str,
    *,
    host: str,
    port: int,
    reload: bool,
    workers: int,
    grace_seconds: int,
    options: dict[str, Any],
) -> None:
    """Serve until a signal; a worker that is not done after ``grace_seconds`` is killed."""
    chosen: dict[str, Any] = {
        "address": host,
        "port": port,
        "interface": Interfaces.ASGI,
        "reload": reload,
        "workers": workers,
        "workers_kill_timeout": grace_seconds,
        "log_access": False,
        "log_dictconfig": _records_to_the_root(),
    }
    loader: Callable[[], ASGIApp] = functools.partial(_load, app)
    Granian(app, **{**chosen, **options}).serve(target_loader=loader, wrap_loader=False)


class _StrictLifespan:
    """An application whose lifespan says that it failed, where it would only raise.

    Granian takes the latter for an application without a lifespan, and serves it unconnected.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        told = False

        async def watching_send(message: Message) -> None:
            nonlocal told
            told = True
            await send(message)

        try:
            await self.app(scope, receive, watching_send)
        except Exception as exc:
            if not told:
                text = f"the application's start raised {type(exc).__name__}"
                await send({"type": "lifespan.startup.failed", "message": text})
            raise


def _load(path: str) -> ASGIApp:
    module, _, names = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in (names or "app").split("."):
        found = getattr(found, name)
    return _StrictLifespan(found)


def _records_to_the_root() -> dict[str, Any]:
    quiet: dict[str, Any] = {"handlers": [], "level": "INFO", "propagate": True}
    loggers = {name: dict(quiet) for name in _LOGGERS}
    return {"handlers": {}, "formatters": {}, "loggers": loggers}
