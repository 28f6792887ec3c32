"""Run the service with uvicorn, as ``ServerSettings`` say."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from tijolo.core import MissingExtraError
from tijolo.web.settings import ServerSettings

try:
    import uvicorn
except ImportError as exc:  # pragma: no cover - the isolated environment of the wheel tests
    raise MissingExtraError("tijolo-web", "server", "uvicorn") from exc


def run_server(
    app: str | FastAPI = "src.api.app:app",
    *,
    settings: ServerSettings | None = None,
    host: str | None = None,
    port: int | None = None,
    reload: bool | None = None,
    **uvicorn_kwargs: Any,
) -> None:
    """Serve ``app`` until it is told to stop.

    uvicorn's own reading of forwarding headers is off, because ``TRUSTED_PROXIES`` decides that,
    and so is its access log, because ours tells more and no secrets; ``uvicorn_kwargs`` may turn
    both on again.

    Args:
        app: The application, or its import path; ``reload`` needs the path.
        settings: Defaults of ``host``, ``port`` and ``reload``.

    Raises:
        ValueError: for ``reload`` with an application object.
    """
    chosen = ServerSettings.model_construct() if settings is None else settings
    reloading = chosen.SERVER_RELOAD if reload is None else reload
    if reloading and not isinstance(app, str):
        raise ValueError("reload needs the import path of the application, such as 'shop.main:app'")
    options: dict[str, Any] = {
        "host": chosen.SERVER_HOST if host is None else host,
        "port": chosen.SERVER_PORT if port is None else port,
        "reload": reloading,
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,
        "log_config": None,
        # "auto" serves without the lifespan if its start raises
        "lifespan": "on",
    }
    uvicorn.run(app, **{**options, **uvicorn_kwargs})
