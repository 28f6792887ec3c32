"""``python -m tijolo.db``: wait for the database and migrate it.

The database is that of ``DATABASE_URL`` or of the ``DATABASE_*`` parts, in the environment or in
``.env``. Exit status 0: done; 1: failed, or models and database have drifted apart; 2: wrong use;
3: the database cannot be reached.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from tijolo.core import BaseAppSettings, ServiceUnavailableException
from tijolo.db.manager import AsyncDatabaseManager
from tijolo.db.migrations import AlembicHelper
from tijolo.db.prestart import wait_for_database
from tijolo.db.settings import DatabaseSettings

FAILED, UNREACHABLE = 1, 3


class _Settings(DatabaseSettings, BaseAppSettings):
    """The part of a service's settings that is needed here."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except ServiceUnavailableException as exc:
        print(f"error: {exc.message}", file=sys.stderr)  # noqa: T201
        return UNREACHABLE
    except (RuntimeError, ValueError, OSError, _command_error()) as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201
        return FAILED


def _command_error() -> type[Exception]:
    from alembic.util import CommandError  # noqa: PLC0415

    return CommandError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tijolo.db", description=__doc__)
    parser.add_argument("--config", default="alembic.ini", help="Alembic's ini file")
    commands = parser.add_subparsers(dest="command", required=True)
    prestart = commands.add_parser("prestart", help="wait for the database, then migrate it")
    prestart.add_argument("--timeout", type=float, default=60.0, help="seconds, default 60")
    prestart.add_argument("--interval", type=float, default=1.0, help="seconds, default 1")
    prestart.add_argument("--no-upgrade", action="store_true", help="only wait")
    for name, default in (("upgrade", "head"), ("downgrade", "-1"), ("stamp", "head")):
        commands.add_parser(name).add_argument("revision", nargs="?", default=default)
    revision = commands.add_parser("revision", help="write a migration")
    revision.add_argument("-m", "--message", required=True)
    revision.add_argument("--empty", action="store_true", help="do not compare with the models")
    for name in ("check", "current", "heads", "history"):
        commands.add_parser(name)
    init = commands.add_parser("init", help="write the ini file and the environment")
    init.add_argument("directory", nargs="?", default="alembic")
    init.add_argument("--metadata", default="tijolo.db:BaseModel", help="module:attribute")
    return parser


def _run(options: argparse.Namespace) -> int:
    settings = _Settings()
    helper = AlembicHelper(
        options.config, db_url=settings.database_url(), environment=settings.ENVIRONMENT
    )
    if options.command == "prestart":
        return _prestart(options, settings, helper)
    if options.command == "check":
        return _say("in sync") if helper.check() else _say("drift", FAILED)
    if options.command == "init":
        module, _, attribute = options.metadata.partition(":")
        helper.init(
            options.directory, metadata_module=module, metadata_attr=attribute or "BaseModel"
        )
    elif options.command == "revision":
        helper.revision(options.message, autogenerate=not options.empty)
    elif options.command in {"upgrade", "downgrade", "stamp"}:
        getattr(helper, options.command)(options.revision)
    elif options.command == "heads":
        _say("\n".join(helper.heads()))
    else:
        _say(str(getattr(helper, options.command)()))
    return 0


def _prestart(
    options: argparse.Namespace, settings: DatabaseSettings, helper: AlembicHelper
) -> int:
    db = AsyncDatabaseManager.from_settings(settings)
    asyncio.run(wait_for_database(db, timeout=options.timeout, interval=options.interval))
    if not options.no_upgrade and Path(options.config).exists():
        helper.upgrade()
    return 0


def _say(text: str, status: int = 0) -> int:
    print(text)  # noqa: T201
    return status


if __name__ == "__main__":
    sys.exit(main())
