"""The command line. The database comes from the settings, never from an argument: arguments show
in the list of processes.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from tijolo.core import MissingExtraError
from tijolo.db.migrations import (
    AlembicHelper,
    MigrationError,
    MigrationLockTimeoutError,
    SchemaAheadError,
    SchemaStatus,
)
from tijolo.db.migrations._source import EnvironmentSettings
from tijolo.db.waiting import DatabaseUnreachableError

OK, NOT_IN_SYNC, ERROR, UNREACHABLE, LOCKED, AHEAD = range(6)

_STATUSES = """\
exit status: 0 done (check: in sync); 1 check: behind or drift; 2 error;
3 database not reachable; 4 another process migrates; 5 schema ahead of this code"""
_EXPECTED = (
    MigrationError,
    DatabaseUnreachableError,
    MissingExtraError,
    SQLAlchemyError,
    ValueError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    options = _parser().parse_args(arguments)
    _log_to_stderr()
    try:
        return _COMMANDS[options.command](_helper(options), options)
    except Exception as exc:
        if options.traceback:
            traceback.print_exc()
        sys.stderr.write(f"error: {_sentence(exc)}\n")
        return _status(exc)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tijolo.db",
        description="Migrations of the database that the settings name (DATABASE_URL).",
        epilog=_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", default="alembic.ini", help="the ini file (%(default)s)")
    parser.add_argument("--section", default="alembic", help="its section (%(default)s)")
    parser.add_argument(
        "--settings", metavar="MODULE:NAME", help="settings object, class or function to use"
    )
    parser.add_argument("--lock-timeout", type=float, default=300.0, metavar="SECONDS")
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_revisions(commands)
    _add_reports(commands)
    _add_waits(commands)
    return parser


def _add_revisions(commands: Any) -> None:
    init = commands.add_parser("init", help="write a migration environment")
    init.add_argument("directory", nargs="?", default="alembic")
    init.add_argument("--module", help="the module that imports every model")
    init.add_argument("--attr", default="BaseModel", help="the base or MetaData in it")
    revision = commands.add_parser("revision", help="write a revision from the models")
    revision.add_argument("message")
    revision.add_argument("--empty", action="store_true", help="to be filled by hand")
    revision.add_argument("--head", default="head")
    upgrade = commands.add_parser("upgrade", help="apply revisions")
    upgrade.add_argument("revision", nargs="?", default="head")
    upgrade.add_argument("--sql", action="store_true", help="print the SQL instead")
    downgrade = commands.add_parser("downgrade", help="undo revisions")
    downgrade.add_argument("revision", nargs="?", default="-1")
    downgrade.add_argument("--sql", action="store_true", help="print the SQL of from:to instead")
    downgrade.add_argument("--force", action="store_true", help="allow base outside development")
    stamp = commands.add_parser("stamp", help="note a revision without running anything")
    stamp.add_argument("revision", nargs="?", default="head")
    stamp.add_argument("--purge", action="store_true", help="forget what was noted before")


def _add_reports(commands: Any) -> None:
    commands.add_parser("check", help="compare models, revisions and database")
    commands.add_parser("current", help="the database's revision")
    commands.add_parser("heads", help="the newest revisions")
    history = commands.add_parser("history", help="all revisions")
    history.add_argument("--verbose", action="store_true")


def _add_waits(commands: Any) -> None:
    for name, text in (
        ("wait", "wait until the database answers"),
        ("prestart", "wait, then upgrade: before the service starts"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS")
        command.add_argument("--interval", type=float, default=1.0, metavar="SECONDS")


def _helper(options: argparse.Namespace) -> AlembicHelper:
    common = {"section": options.section, "lock_timeout_seconds": options.lock_timeout}
    if options.settings is None:
        environment = EnvironmentSettings().ENVIRONMENT
        return AlembicHelper(options.config, environment=environment, **common)
    return AlembicHelper.from_settings(_settings(options.settings), options.config, **common)


def _settings(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError, ValueError) as exc:
        raise ValueError(f"--settings {path!r}: {exc}; expected package.module:Name") from exc
    return found() if callable(found) else found


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("tijolo.db")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _print(text: str) -> int:
    sys.stdout.write(text.rstrip("\n") + "\n" if text else "")
    return OK


def _init(helper: AlembicHelper, options: argparse.Namespace) -> int:
    helper.init(options.directory, metadata_module=options.module, metadata_attr=options.attr)
    return _print(f"{options.directory} and {options.config} [{options.section}] written")


def _revision(helper: AlembicHelper, options: argparse.Namespace) -> int:
    written = helper.revision(options.message, autogenerate=not options.empty, head=options.head)
    return _print(str(written.path))


def _upgrade(helper: AlembicHelper, options: argparse.Namespace) -> int:
    if options.sql:
        return _print(helper.upgrade(options.revision, sql=True))
    helper.upgrade(options.revision)
    return OK


def _downgrade(helper: AlembicHelper, options: argparse.Namespace) -> int:
    if options.sql:
        return _print(helper.downgrade(options.revision, sql=True))
    helper.downgrade(options.revision, force=options.force)
    return OK


def _stamp(helper: AlembicHelper, options: argparse.Namespace) -> int:
    helper.stamp(options.revision, purge=options.purge)
    return OK


def _check(helper: AlembicHelper, options: argparse.Namespace) -> int:
    report = helper.report()
    _print(str(report))
    return OK if report.status is SchemaStatus.IN_SYNC else NOT_IN_SYNC


def _current(helper: AlembicHelper, options: argparse.Namespace) -> int:
    return _print(helper.current() or "")


def _heads(helper: AlembicHelper, options: argparse.Namespace) -> int:
    return _print("\n".join(helper.heads()))


def _history(helper: AlembicHelper, options: argparse.Namespace) -> int:
    return _print(helper.history(verbose=options.verbose))


def _wait(helper: AlembicHelper, options: argparse.Namespace) -> int:
    helper.wait(timeout_seconds=options.timeout, interval_seconds=options.interval)
    return OK


def _prestart(helper: AlembicHelper, options: argparse.Namespace) -> int:
    _wait(helper, options)
    helper.upgrade()
    return OK


_COMMANDS: dict[str, Callable[[AlembicHelper, argparse.Namespace], int]] = {
    "init": _init,
    "revision": _revision,
    "upgrade": _upgrade,
    "downgrade": _downgrade,
    "stamp": _stamp,
    "check": _check,
    "current": _current,
    "heads": _heads,
    "history": _history,
    "wait": _wait,
    "prestart": _prestart,
}


def _status(exc: BaseException) -> int:
    if isinstance(exc, DatabaseUnreachableError):
        return UNREACHABLE
    if isinstance(exc, MigrationLockTimeoutError):
        return LOCKED
    return AHEAD if isinstance(exc, SchemaAheadError) else ERROR


def _sentence(exc: BaseException) -> str:
    """What went wrong, without values: settings may hold a password, SQL the data of users."""
    if isinstance(exc, ValidationError):
        problems = exc.errors(include_input=False, include_url=False, include_context=False)
        return "; ".join(
            ": ".join(filter(None, [".".join(map(str, problem["loc"])), problem["msg"]]))
            for problem in problems
        )
    if not isinstance(exc, _EXPECTED):  # a mistake in env.py or the models, most likely
        return f"{type(exc).__name__}: {exc} (--traceback shows where)"
    original = getattr(exc, "orig", None)
    return str(exc) if original is None else f"{type(exc).__name__}: {original}"
