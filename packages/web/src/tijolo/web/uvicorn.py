"""uvicorn with the settings of ``run_server`` (extra ``server``)."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from tijolo.core import MissingExtraError

try:
    import uvicorn
except ImportError as exc:  # pragma: no cover - the isolated environment of the wheel tests
    raise MissingExtraError("tijolo-web", "server", "uvicorn") from exc


def run_uvicorn(
    app: str | FastAPI,
    *,
    host: str,
    port: int,
    reload: bool,
    workers: int,
    grace_seconds: int,
    options: dict[str, Any],
) -> None:
    """Serve until a signal; requests that run get ``grace_seconds``."""
    chosen: dict[str, Any] = {
        "host": host,
        "port": port,
        "reload": reload,
        "workers": workers,
        "timeout_graceful_shutdown": grace_seconds,
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,
        "log_config": None,
        # "auto" serves without the lifespan if its start raises
        "lifespan": "on",
    }
    uvicorn.run(app, **{**chosen, **options})
