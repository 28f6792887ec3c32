"""``python -m tijolo.auth user ...``: accounts from the command line.

A password is asked for, or read from the standard input; never an argument, which everybody on
the machine can see and the shell remembers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable
from typing import Any, cast

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.users.addresses import normalize_email
from tijolo.auth.users.models import BaseUserModel, UserStatus
from tijolo.auth.users.service import UserAuthService
from tijolo.core import AppException, NotFoundException

_MOST_LISTED = 10_000
Command = Callable[[UserAuthService, AsyncSession, argparse.Namespace], Awaitable[str]]


async def run(service: UserAuthService, options: argparse.Namespace) -> int:
    """Do what ``options`` say with the accounts of ``service``; 1 when it was refused.

    The database and the mailer are connected for as long as it takes.
    """
    resources: list[Any] = [service.db, service]
    if hasattr(service.email, "connect"):
        resources.insert(1, service.email)
    for resource in resources:
        await resource.connect()
    try:
        async with service.db.transaction() as session:
            said = await _COMMANDS[options.user_command](service, session, options)
        await service.outbox.drain()
    except AppException as error:
        sys.stderr.write(f"{await _told(service, error)}\n")
        return 1
    finally:
        for resource in reversed(resources):
            await resource.disconnect()
    sys.stdout.write(f"{said}\n" if said else "")
    if service.outbox.failures:
        sys.stderr.write("the e-mail was not sent; see the log\n")
    return 1 if service.outbox.failures else 0


async def _told(service: UserAuthService, error: AppException) -> str:
    if error.code != "DATABASE_ERROR":
        return error.message
    models = (service.user_model, service.token_model, service.refresh_model)
    tables = [cast("Table", model.__table__) for model in models if model is not None]
    return await service.db.what_is_lacking(tables) or error.message


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``user``."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--service",
        required=True,
        metavar="module:name",
        help="a UserAuthService, or a function that makes one",
    )
    commands = parser.add_subparsers(dest="user_command", required=True)
    create = commands.add_parser(
        "create", parents=[shared], help="make an account; the password is asked for"
    )
    create.add_argument("email")
    create.add_argument("--name")
    create.add_argument("--admin", action="store_true")
    create.add_argument("--role", action="append", default=[], metavar="ROLE")
    create.add_argument(
        "--no-password", action="store_true", help="none: a reset link or a provider lets them in"
    )
    listing = commands.add_parser("list", parents=[shared], help="show accounts, by address")
    listing.add_argument("--status", choices=UserStatus.values())
    listing.add_argument("--after", default="", metavar="EMAIL", help="those behind that address")
    listing.add_argument("--limit", type=int, default=100)
    purge = commands.add_parser(
        "purge-pending", parents=[shared], help="delete accounts that were never opened"
    )
    purge.add_argument("--older-than-days", type=_days, required=True, metavar="N")
    for name, text in _ON_ONE.items():
        one = commands.add_parser(name, parents=[shared], help=text)
        one.add_argument("email")
        if name in ("promote", "demote"):
            one.add_argument("--role", action="append", default=[], metavar="ROLE")


async def _create(
    service: UserAuthService, session: AsyncSession, options: argparse.Namespace
) -> str:
    user = await service.create_user(
        session,
        email=options.email,
        password=options.password,
        name=options.name,
        is_admin=options.admin,
        roles=options.role,
    )
    return f"created {user.email}"


async def _list(
    service: UserAuthService, session: AsyncSession, options: argparse.Namespace
) -> str:
    model = service.user_model
    query = select(model).where(model.email > options.after).order_by(model.email)
    if options.status:
        query = query.where(model.status == UserStatus(options.status))
    users = await session.scalars(query.limit(min(max(1, options.limit), _MOST_LISTED)))
    return "\n".join(_line(user) for user in users)


async def _promote(
    service: UserAuthService, session: AsyncSession, options: argparse.Namespace
) -> str:
    user = await _find(service, session, options.email)
    admin = None if options.role else True
    await service.set_roles(session, user, {*user.roles, *options.role}, is_admin=admin)
    return _line(user)


async def _demote(
    service: UserAuthService, session: AsyncSession, options: argparse.Namespace
) -> str:
    user = await _find(service, session, options.email)
    admin = None if options.role else False
    await service.set_roles(session, user, {*user.roles} - {*options.role}, is_admin=admin)
    return _line(user)


async def _deactivate(
    service: UserAuthService, session: AsyncSession, options: argparse.Namespace
) -> str:
    user = await _find(service, session, options.email)
    await service.set_status(session, user, UserStatus.SUSPENDED)
    return _line(user)


async def _activate(
    service: UserAuthService, session: AsyncSession, options: argparse.Namespace
) -> str:
    user = await _find(service, session, options.email)
    await service.set_status(session, user, UserStatus.ACTIVE)
    return _line(user)


async def _reset(
    service: UserAuthService, session: AsyncSession, options: argparse.Namespace
) -> str:
    user = await _find(service, session, options.email)
    await service.send_password_reset(session, user)
    return f"a link goes to {user.email}"


async def _purge_pending(
    service: UserAuthService, session: AsyncSession, options: argparse.Namespace
) -> str:
    gone = last = await _purge_some(service, session, options)
    while last:
        last = await _purge_some(service, session, options)
        gone += last
    return f"deleted {gone}"


async def _purge_some(
    service: UserAuthService, session: AsyncSession, options: argparse.Namespace
) -> int:
    return await service.purge_pending(session, older_than_days=options.older_than_days)


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= _MOST_DAYS:
        raise argparse.ArgumentTypeError(f"must be 1 to {_MOST_DAYS}")
    return days


async def _find(service: UserAuthService, session: AsyncSession, email: str) -> BaseUserModel:
    user = await service.parts.find(session, normalize_email(email))
    if user is None:
        raise NotFoundException("There is no account with that address")
    return user


def _line(user: BaseUserModel) -> str:
    seen = user.last_login_at.isoformat(timespec="seconds") if user.last_login_at else "-"
    return "\t".join([user.email, str(user.status), ",".join(sorted(user.role_names)), seen])


_MOST_DAYS = 36_500
_ON_ONE = {
    "promote": "make an administrator, or give the roles that are named",
    "demote": "take that back",
    "deactivate": "suspend: nothing of theirs works any more",
    "activate": "open a pending or suspended account",
    "reset": "mail a link to choose a new password",
}
_COMMANDS: dict[str, Command] = {
    "create": _create,
    "list": _list,
    "promote": _promote,
    "demote": _demote,
    "deactivate": _deactivate,
    "activate": _activate,
    "reset": _reset,
    "purge-pending": _purge_pending,
}
