"""Changing the level of single loggers while the service runs."""

from __future__ import annotations

import logging
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, BeforeValidator

from tijolo.core import NotFoundException, OpsAccess, ValidationException
from tijolo.observability.configuration import level_number

logger = logging.getLogger(__name__)

ROOT = "root"
"""What the root logger is called."""


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class LogLevelSchema(BaseModel):
    """The level that was set on a logger; None where it follows the one above it."""

    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] | None, BeforeValidator(_upper)
    ]


def set_log_level(name: str, level: str | int | None) -> None:
    """Give the logger `name` (`root`, or `app.orders` and all below it) another level.

    It holds until the next change or the end of this process; other processes keep theirs.

    Args:
        level: None lets it follow the logger above it again.

    Raises:
        ValueError: there is no such level, or the root would have none.
    """
    if level is None and name == ROOT:
        raise ValueError("The root logger needs a level: there is none above it")
    number = logging.NOTSET if level is None else level_number(level)
    logging.getLogger(None if name == ROOT else name).setLevel(number)


def get_log_levels() -> dict[str, str]:
    """The loggers that have a level of their own, by name."""
    loggers = {ROOT: logging.getLogger()}
    known = list(logging.root.manager.loggerDict.items())
    loggers |= {name: one for name, one in known if isinstance(one, logging.Logger)}
    return {
        name: logging.getLevelName(loggers[name].level)
        for name in sorted(loggers)
        if loggers[name].level != logging.NOTSET
    }


def make_log_levels_router(
    *, access: OpsAccess, prefix: str = "/log-levels", tag: str = "logs"
) -> APIRouter:
    """`GET <prefix>` and `PUT <prefix>/{name}` of the levels of this process.

    Only a logger that exists can be changed: the names do not come from the caller alone. With
    several workers, only the one that answers changes.

    Args:
        access: who may do it.
    """

    async def read_levels() -> dict[str, str]:
        return get_log_levels()

    async def change_level(
        name: Annotated[str, Path(max_length=200)], change: LogLevelSchema
    ) -> dict[str, str]:
        if name != ROOT and not isinstance(
            logging.root.manager.loggerDict.get(name), logging.Logger
        ):
            raise NotFoundException("There is no such logger", code="LOGGER_NOT_FOUND")
        try:
            set_log_level(name, change.level)
        except ValueError as exc:
            raise ValidationException(str(exc), details={"field": "level"}) from exc
        logger.warning("the level of %s is now %s", name, change.level)
        return get_log_levels()

    router = APIRouter(prefix=prefix, tags=[tag], dependencies=[Depends(access)])
    router.add_api_route("", read_levels)
    router.add_api_route("/{name}", change_level, methods=["PUT"])
    return router
