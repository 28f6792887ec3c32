"""``python -m loja``: migrate, fill an empty shop, serve."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import sys
from pathlib import Path

import uvicorn

from loja.app import make_app
from loja.seed import seed
from loja.settings import DEFAULT_BASE, Settings
from tijolo.auth.user_settings import LINKS
from tijolo.db import AlembicHelper, AsyncDatabaseManager

ALEMBIC_INI = Path(__file__).parents[1] / "alembic.ini"


def migrate(settings: Settings) -> None:
    """Bring the database to the newest revision; replicas that start together take turns."""
    AlembicHelper.from_settings(settings, str(ALEMBIC_INI)).upgrade()


async def fill(settings: Settings) -> bool:
    """Put a few customers and products into an empty shop."""
    db = AsyncDatabaseManager.from_settings(settings)
    await db.connect()
    try:
        return await seed(db)
    finally:
        await db.disconnect()


def main(arguments: list[str] | None = None) -> int:
    """Serve the shop until it is interrupted."""
    settings = Settings()
    parser = argparse.ArgumentParser(prog="loja", description=__doc__)
    parser.add_argument("--host", default=settings.SERVER_HOST)
    parser.add_argument("--port", type=int, default=settings.SERVER_PORT)
    options = parser.parse_args(arguments)
    try:
        listener = _listen(options.host, options.port)
    except OSError as exc:
        sys.stderr.write(
            f"cannot listen on {options.host}:{options.port}: {exc.strerror};"
            " choose another one with --port\n"
        )
        return 1
    migrate(settings)
    seeded = asyncio.run(fill(settings))
    base = f"http://{options.host}:{listener.getsockname()[1]}"
    print(
        f"\nThe shop is at {base}{' (freshly filled)' if seeded else ''}\n"
        f"  {base}/docs               try it\n"
        f"  {base}/customers          customers, products and orders are beside it\n"
        f"  {base}/shelf              a page with a form\n"
        f"  {base}/auth/...           POST signup and login; e-mails are shown here\n"
        f"  {base}/enter              the same with a browser; /devices is beside it\n"
        f"  {base}/metrics, /logs, /docintegration   what it does\n"
        f"  {base}/health/readiness   whether it is fit to serve\n",
        flush=True,
    )
    config = uvicorn.Config(
        make_app(_reached_at(settings, base)), log_config=None, access_log=False
    )
    # uvicorn raises it once more after it has shut down
    with listener, contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def _reached_at(settings: Settings, base: str) -> Settings:
    """Links of e-mails lead here, and tokens name it, where the settings name no other place."""
    places = {*LINKS, "JWT_ISSUER"} - settings.model_fields_set
    here = {name: getattr(settings, name).replace(DEFAULT_BASE, base) for name in places}
    return settings.model_copy(update=here)


def _listen(host: str, port: int) -> socket.socket:
    """Take the port before anything else is done, so that a busy one changes nothing."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


if __name__ == "__main__":
    sys.exit(main())
