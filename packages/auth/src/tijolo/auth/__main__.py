"""``python -m tijolo.auth check|user``: what is wrong with settings, and accounts by hand."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
from typing import Any

from pydantic import BaseModel, ValidationError

from tijolo.auth.check import check_auth_settings
from tijolo.auth.settings import JWTSettings, TokenSettings
from tijolo.core import BaseAppSettings, MissingExtraError, UnfitSecretError


class _EnvironmentSettings(JWTSettings, TokenSettings, BaseAppSettings):
    """What is checked when no settings are named."""


def main(arguments: list[str] | None = None) -> int:
    """Do what is asked: 0 when it was done, 1 when it was refused, 2 when it could not be tried."""
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
    user = commands.add_parser("user", help="make, list and change accounts")
    try:
        from tijolo.auth.users import commands as user_commands
    except MissingExtraError as error:
        user.set_defaults(missing=str(error))
        user.add_argument("anything", nargs="*")
        options, _ = parser.parse_known_args(arguments)
    else:
        user_commands.add_arguments(user)
        options = parser.parse_args(arguments)
    return _check(options) if options.command == "check" else _user(options)


def _check(options: argparse.Namespace) -> int:
    """Print the problems; 1 when one of them is an error, 2 when nothing could be checked."""
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


def _user(options: argparse.Namespace) -> int:
    if hasattr(options, "missing"):
        _say(options.missing)
        return 2
    from tijolo.auth.users import UserAuthService, commands
    from tijolo.auth.users._password_input import read_password

    try:
        _refuse_what_is_no_text(options)
        found = _named(options.service)
        service = found if isinstance(found, UserAuthService) else found()
        if not isinstance(service, UserAuthService):
            raise TypeError(f"{options.service} is no UserAuthService")
        if options.user_command == "create":
            options.password = None if options.no_password else read_password()
    except (ImportError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        _say(f"cannot begin: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    return asyncio.run(commands.run(service, options))


def _refuse_what_is_no_text(options: argparse.Namespace) -> None:
    for name, value in vars(options).items():
        try:
            str(value).encode("utf-8")
        except UnicodeEncodeError:  # bytes of the shell that are none
            raise ValueError(f"{name} is no text in UTF-8") from None


def _named(name: str) -> Any:
    module, _, attribute = name.partition(":")
    if not attribute:
        raise ValueError(f"{name!r} is not module:name")
    return getattr(importlib.import_module(module), attribute)


def _load(name: str | None) -> BaseModel:
    if name is None:
        return _EnvironmentSettings()
    found = _named(name)
    made = found() if callable(found) else found
    if not isinstance(made, BaseModel):
        raise TypeError(f"{name} is no settings class or object")
    return made


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
