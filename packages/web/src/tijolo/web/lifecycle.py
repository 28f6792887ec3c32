"""What starts before the first request and stops after the last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from tijolo.core import Resource
from tijolo.observability import LogQueueHandler, Readiness, unify_loggers
from tijolo.web.http_cache import check_policies

_LAST_WORD_SECONDS = 1.0
_log = logging.getLogger("tijolo.web.lifecycle")


@dataclass(frozen=True, kw_only=True)
class AppLifecycle:
    """What ``create_app`` runs around the time in which the service answers.

    Start: ``resources`` connect in order, ``startup_validators`` run, ``lifespan_extras`` are
    entered, the service is ready. Stop: it is not ready any more, then everything in reverse.
    Whatever had begun when the start failed is undone, the failing resource included; a failure
    while stopping never keeps the rest from stopping, and every failure is logged.
    """

    resources: Sequence[Resource] | Mapping[str, Resource] = ()
    """Connections, by the name of their health check; in a sequence the class's name is used."""
    startup_validators: Sequence[Callable[[], Awaitable[None]]] = ()
    """Each raises to keep the service from starting."""
    configure: Callable[[FastAPI], None] | None = None
    """Gets the finished application, to add what settings cannot say."""
    lifespan_extras: Sequence[
        Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any] | None]]
    ] = ()
    """Context managers; a mapping that one yields becomes ``request.state``."""
    shutdown_grace_seconds: float = 10.0
    """Longest time that each resource gets to disconnect."""

    def __post_init__(self) -> None:
        if self.shutdown_grace_seconds <= 0:
            raise ValueError(
                f"shutdown_grace_seconds must be positive, got {self.shutdown_grace_seconds}"
            )

    @property
    def named_resources(self) -> dict[str, Resource]:
        """The resources by the name of their health check."""
        if isinstance(self.resources, Mapping):
            return dict(self.resources)
        named: dict[str, Resource] = {}
        for resource in self.resources:
            name = type(resource).__name__
            count = sum(key == name or key.startswith(f"{name}_") for key in named)
            named[f"{name}_{count + 1}" if count else name] = resource
        return named


class Lifespan:
    """The ASGI lifespan of one application, and whether it takes traffic."""

    def __init__(self, lifecycle: AppLifecycle) -> None:
        self.lifecycle = lifecycle
        self.readiness = Readiness()

    @asynccontextmanager
    async def __call__(self, app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        """Start, serve, stop."""
        failures: list[Exception] = []
        check_policies(app)
        _take_over_the_servers_loggers()
        async with _reported(failures), AsyncExitStack() as stack:
            for name, resource in self.lifecycle.named_resources.items():
                stack.push_async_callback(self._disconnect, name, resource, failures)
                await resource.connect()
            for validate in self.lifecycle.startup_validators:
                await validate()
            state: dict[str, Any] = {}
            for extra in self.lifecycle.lifespan_extras:
                more = await stack.enter_async_context(extra(app))
                state.update(more or {})
            self.readiness.set_ready()
            try:
                yield state
            finally:
                self.readiness.drain()

    async def _disconnect(self, name: str, resource: Resource, failures: list[Exception]) -> None:
        try:
            await _within(self.lifecycle.shutdown_grace_seconds, resource.disconnect())
        except Exception as exc:
            _log.exception("resource %r did not disconnect", name)
            exc.add_note(f"while resource {name!r} was disconnecting")
            failures.append(exc)


@asynccontextmanager
async def _reported(failures: list[Exception]) -> AsyncGenerator[None]:
    """Raise the failures of the stop, unless an error of the start is on its way out already."""
    yield
    if failures:
        raise ExceptionGroup("not everything stopped cleanly", failures)


def _take_over_the_servers_loggers() -> None:
    """A server sets its loggers up after the service did, and prints queries unredacted."""
    if any(isinstance(handler, LogQueueHandler) for handler in logging.getLogger().handlers):
        unify_loggers()


async def _within(seconds: float, stopping: Awaitable[None]) -> None:
    """Wait for ``stopping`` in a task of its own, which is left behind if it ignores the end.

    Raises:
        TimeoutError: when it is not done after ``seconds``.
    """
    task = asyncio.ensure_future(stopping)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        in_time = task.done()
        task.cancel()
    if not in_time:
        await asyncio.wait({task}, timeout=min(seconds, _LAST_WORD_SECONDS))
    if task.cancelled() and in_time:
        raise RuntimeError("disconnect was cancelled from within")
    if not in_time:
        task.add_done_callback(_forget)
        raise TimeoutError(f"not done after {seconds} seconds")
    task.result()


def _forget(task: asyncio.Future[None]) -> None:
    if not task.cancelled():
        task.exception()
