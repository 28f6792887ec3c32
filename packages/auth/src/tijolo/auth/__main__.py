"""``python -m tijolo.auth check [module:Settings]``: what is wrong with a service's settings."""

from __future__ import annotations

import argparse
import importlib
import sys

from pydantic import BaseModel, ValidationError

from tijolo.auth.check import check_auth_settings
from tijolo.auth.settings import JWTSettings, TokenSettings
from tijolo.core import BaseAppSettings, UnfitSecretError


class _EnvironmentSettings(JWTSettings, TokenSettings, BaseAppSettings):
    """What is checked when no settings are named."""


def main(arguments: list[str] | None = None) -> int:
    """Print the problems; 1 when one of them is an error, 2 when nothing could be checked."""
    parser = argparse.ArgumentParser(prog="python -m tijolo.auth")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="check the settings; exit 1 on an error")
    check.add_argument(
        "settings",
        nargs="?",
        metavar="module:name",
        help="a settings class or object; default: the environment",
    )
    check.add_argument("--ignore", action="append", default=[], metavar="CODE")
    options = parser.parse_args(arguments)
    try:
        problems = check_auth_settings(_load(options.settings), ignore=options.ignore)
    except (UnfitSecretError, ValidationError) as error:
        _say(f"error SETTINGS_REFUSED: {error}")
        return 1
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        _say(f"cannot check: {error}")
        return 2
    for problem in problems:
        _say(str(problem))
    failed = any(problem.severity == "error" for problem in problems)
    if not problems:
        _say("no problems found")
    return 1 if failed else 0


def _load(name: str | None) -> BaseModel:
    if name is None:
        return _EnvironmentSettings()
    module, _, attribute = name.partition(":")
    if not attribute:
        raise ValueError(f"{name!r} is not module:name")
    found = getattr(importlib.import_module(module), attribute)
    made = found() if callable(found) else found
    if not isinstance(made, BaseModel):
        raise TypeError(f"{name} is no settings class or object")
    return made


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
