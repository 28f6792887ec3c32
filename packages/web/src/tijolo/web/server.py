"""Run the service as ``ServerSettings`` say, with uvicorn or with Granian."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from tijolo.web.settings import ServerEngine, ServerSettings


def run_server(
    app: str | FastAPI = "src.api.app:app",
    *,
    settings: ServerSettings | None = None,
    host: str | None = None,
    port: int | None = None,
    reload: bool | None = None,
    workers: int | None = None,
    engine: ServerEngine | None = None,
    **options: Any,
) -> None:
    """Serve ``app`` until SIGTERM or SIGINT, then let requests that run come to their end.

    The server's own reading of forwarding headers is off, because ``TRUSTED_PROXIES`` decides
    that, and so is its access log, because ours tells more and no secrets. Its other records go
    where the service's logging sends them. A lifespan that fails keeps the server from starting.

    Args:
        app: The application, or its import path; ``reload``, several workers and Granian need
            the path.
        settings: Defaults of the other arguments.
        engine: ``uvicorn`` (extra ``server``) or ``granian`` (extra ``granian``).
        options: What ``uvicorn.run`` or ``granian.Granian`` takes besides; it wins.

    Raises:
        ValueError: for an application object where an import path is needed, or an engine that
            is neither.
        MissingExtraError: where the engine is not installed.
    """
    chosen = ServerSettings.model_construct() if settings is None else settings
    reloading = chosen.SERVER_RELOAD if reload is None else reload
    processes = chosen.SERVER_WORKERS if workers is None else workers
    name = chosen.SERVER_ENGINE if engine is None else engine
    needs_path = {
        "reload": reloading,
        "several workers": processes > 1,
        "granian": name != "uvicorn",
    }
    for reason, needed in needs_path.items():
        if needed and not isinstance(app, str):
            raise ValueError(
                f"{reason} needs the import path of the application, such as 'shop.main:app'"
            )
    _runner(name)(
        app,
        host=chosen.SERVER_HOST if host is None else host,
        port=chosen.SERVER_PORT if port is None else port,
        reload=reloading,
        workers=processes,
        grace_seconds=chosen.SERVER_GRACEFUL_TIMEOUT_SECONDS,
        options=options,
    )


def _runner(engine: str) -> Any:
    # one of the two is enough: each module asks for its own extra
    if engine == "uvicorn":
        from tijolo.web.uvicorn import run_uvicorn

        return run_uvicorn
    if engine == "granian":
        from tijolo.web.granian import run_granian

        return run_granian
    raise ValueError(f"engine must be 'uvicorn' or 'granian', got {engine!r}")
