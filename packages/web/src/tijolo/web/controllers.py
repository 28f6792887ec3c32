"""Endpoints as methods of a class, built for each request by FastAPI's own dependencies."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, ClassVar, TypeVar

# house: allow library, a hard dependency of starlette, whose cancel scopes it makes
from anyio import CancelScope
from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from tijolo.core import BaseAppSettings, Environment
from tijolo.web._logging import with_request_id

_ROUTES, _BEFORE, _AFTER = "__tijolo_routes__", "__tijolo_before__", "__tijolo_after__"
_DEVELOPMENT = "__tijolo_development__"
_OURS = "__tijolo_"
_SELF, _REQUEST = "self", "request_of_the_controller"
_log = with_request_id(logging.getLogger("tijolo.web.controllers"))

Method = TypeVar("Method", bound=Callable[..., Any])
Marked = TypeVar("Marked", bound=Callable[..., Any])


class Controller:
    """A class whose decorated methods are endpoints; ``make_controller_router`` routes to them.

    FastAPI builds an instance for each request: what ``__init__`` declares is injected as an
    endpoint's parameters are, path and query parameters and ``Depends`` alike. It runs on the
    event loop, so it must not block. A subclass inherits routes and hooks; a method that it
    overrides keeps its route.
    """

    prefix: ClassVar[str] = ""
    """Path in front of the routes."""
    tags: ClassVar[Sequence[str | Enum]] = ()
    """What OpenAPI groups the routes by; the class's name if there are none."""
    dependencies: ClassVar[Sequence[Any]] = ()
    """``Depends(...)`` that every route needs, such as a guard or ``cors(...).as_dependency``."""


@dataclass(frozen=True, kw_only=True)
class _Route:
    path: str
    methods: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict[str, Any])


def route(path: str, *, methods: Sequence[str], **options: Any) -> Callable[[Method], Method]:
    """Make a method the endpoint of ``path``; several decorators make several routes.

    Args:
        options: What ``APIRouter.add_api_route`` takes: ``status_code``, ``response_model``,
            ``summary``, ``dependencies`` and so on.

    Raises:
        ValueError: for a path without its slash.
        TypeError: for what is no function.
    """
    if path and not path.startswith("/"):
        raise ValueError(f"path {path!r} must start with a slash, or be empty")
    made = _Route(path=path, methods=tuple(methods), options=options)

    def decorate(method: Method) -> Method:
        _check_is_function(method, "a route")
        setattr(method, _ROUTES, [made, *getattr(method, _ROUTES, ())])
        return method

    return decorate


def get(path: str = "", **options: Any) -> Callable[[Method], Method]:
    """``GET``, as :func:`route`."""
    return route(path, methods=["GET"], **options)


def post(path: str = "", **options: Any) -> Callable[[Method], Method]:
    """``POST``, as :func:`route`."""
    return route(path, methods=["POST"], **options)


def put(path: str = "", **options: Any) -> Callable[[Method], Method]:
    """``PUT``, as :func:`route`."""
    return route(path, methods=["PUT"], **options)


def patch(path: str = "", **options: Any) -> Callable[[Method], Method]:
    """``PATCH``, as :func:`route`."""
    return route(path, methods=["PATCH"], **options)


def delete(path: str = "", **options: Any) -> Callable[[Method], Method]:
    """``DELETE``, as :func:`route`."""
    return route(path, methods=["DELETE"], **options)


def before_request(method: Method) -> Method:
    """Run ``method(self, request)`` before each endpoint, once its input is valid.

    A response that it returns is the answer, and the endpoint does not run; so does what it
    raises. Around an endpoint that streams it runs when the answer has begun, so that its error
    can only cut the answer off: whom not to let in is for ``dependencies``. Hooks run in the order
    of their definition, a base class's first.
    """
    _check_is_function(method, "a hook")
    setattr(method, _BEFORE, True)
    return method


def after_request(method: Method) -> Method:
    """Run ``method(self, request, error)`` after each endpoint, ``error`` None if it went well.

    It runs whatever happened, a hook's failure and the end of the client included, the last one
    defined first; one that fails keeps no other from running. The endpoint's own error is what
    the caller gets, else that of the first hook that failed; the others are logged.
    """
    _check_is_function(method, "a hook")
    setattr(method, _AFTER, True)
    return method


def development(marked: Marked) -> Marked:
    """Route to a method, or to a whole controller, in development environments only."""
    setattr(marked, _DEVELOPMENT, True)
    return marked


def make_controller_router(
    *controllers: type[Controller],
    environment: Environment | BaseAppSettings | None = None,
    prefix: str = "",
    route_class: type[APIRoute] = APIRoute,
) -> APIRouter:
    """A router with the routes of ``controllers``, for ``create_app`` or ``include_router``.

    Args:
        environment: Where the service runs, or its settings; what is marked ``development`` is
            left out unless this is a development environment. None means production.
        prefix: In front of each controller's own.
        route_class: Of every route; ``ConditionalRoute`` for methods with a ``CachePolicy``.

    Raises:
        ValueError: for a controller without routes.
        TypeError: for what is no controller, or an endpoint whose annotations cannot be resolved.
    """
    where = environment.ENVIRONMENT if isinstance(environment, BaseAppSettings) else environment
    developing = where is not None and where.is_development
    router = APIRouter(prefix=prefix)
    for controller in controllers:
        if not inspect.isclass(controller) or not issubclass(controller, Controller):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{controller!r} is no subclass of Controller")
        routes = _routes_of(controller)
        if not routes:
            raise ValueError(f"{controller.__name__} has no routes; decorate its methods")
        if developing or not getattr(controller, _DEVELOPMENT, False):
            own = _router_of(controller, routes, developing=developing, route_class=route_class)
            router.include_router(own)
    return router


def _router_of(
    controller: type[Controller],
    routes: dict[str, list[_Route]],
    *,
    developing: bool,
    route_class: type[APIRoute],
) -> APIRouter:
    router = APIRouter(
        route_class=route_class,
        prefix=controller.prefix,
        tags=list(controller.tags) or [controller.__name__],
        dependencies=list(controller.dependencies),
    )
    build, hooks = _builder(controller), _Hooks.of(controller)
    for name, made in routes.items():
        method = getattr(controller, name)
        marks = _marks_of(controller, name)
        if marks.get(_DEVELOPMENT, False) and not developing:
            continue
        endpoint = _endpoint(method, controller, build, hooks)
        for mark, value in marks.items():
            setattr(endpoint, mark, value)
        for one in made:
            options: dict[str, Any] = {"name": name, **one.options}
            router.add_api_route(one.path, endpoint, methods=list(one.methods), **options)
    return router


def _routes_of(controller: type[Controller]) -> dict[str, list[_Route]]:
    """Routes by the name of their method; an overriding method keeps those of the overridden."""
    found: dict[str, list[_Route]] = {}
    for cls in reversed(controller.__mro__):
        for name, member in vars(cls).items():
            if own := getattr(member, _ROUTES, None):
                found[name] = own
            elif name in found and not callable(member):
                del found[name]  # read = None takes the route away
    return found


def _marks_of(controller: type[Controller], name: str) -> dict[str, Any]:
    """What a method's decorators left on it, and on what it overrides, whose route it keeps.

    ``development``, ``no_cors`` and a cache policy close something: an overriding method would
    open it without a word. One that declares its own route declares the rest of it as well.
    """
    marks: dict[str, Any] = {}
    for cls in controller.__mro__:
        own: dict[str, Any] = getattr(vars(cls).get(name), "__dict__", {})
        marks = {**{key: own[key] for key in own if key.startswith(_OURS)}, **marks}
        if _ROUTES in own:
            break
    return marks


@dataclass(frozen=True)
class _Hooks:
    before: Sequence[Callable[..., Any]]
    after: Sequence[Callable[..., Any]]

    @classmethod
    def of(cls, controller: type[Controller]) -> _Hooks:
        before: dict[str, None] = {}
        after: dict[str, None] = {}
        for base in reversed(controller.__mro__):
            for name, member in vars(base).items():
                if getattr(member, _BEFORE, False):
                    before[name] = None
                if getattr(member, _AFTER, False):
                    after[name] = None
        methods = [[getattr(controller, name) for name in names] for names in (before, after)]
        return cls(methods[0], methods[1][::-1])

    def __bool__(self) -> bool:
        return bool(self.before or self.after)

    async def enter(self, controller: Controller, request: Request) -> Response | None:
        """Run what comes before; the response of one that answers itself."""
        for hook in self.before:
            answer = await _call(hook, controller, request)
            if isinstance(answer, Response):
                return answer
        return None

    async def leave(
        self, controller: Controller, request: Request, error: BaseException | None
    ) -> None:
        """Run all that comes after."""
        failed: Exception | None = None
        for hook in self.after:
            try:
                # anyio cancels each await anew in a scope that was cancelled
                with CancelScope(shield=True):
                    await _call(hook, controller, request, error)
            except Exception as exc:
                if failed is not None or error is not None:
                    _log.exception("hook %s failed", hook.__qualname__)
                else:
                    failed = exc
        if failed is not None:
            raise failed


def _endpoint(
    method: Callable[..., Any],
    controller: type[Controller],
    build: Callable[..., Any],
    hooks: _Hooks,
) -> Any:
    """A function that FastAPI takes for ``method``, with the instance as a dependency."""
    streams = inspect.isasyncgenfunction(method) or inspect.isgeneratorfunction(method)
    endpoint: Any = (_streaming if streams else _answering)(method, hooks)
    functools.update_wrapper(endpoint, method)
    del endpoint.__wrapped__  # FastAPI would look at the method, and ask the caller for ``self``
    endpoint.__signature__ = _signature(method, controller, build, hooks)
    return endpoint


def _answering(method: Callable[..., Any], hooks: _Hooks) -> Any:
    if not hooks:

        async def plain(**given: Any) -> Any:
            return await _call(method, given.pop(_SELF), **given)

        return plain

    async def hooked(**given: Any) -> Any:
        controller, request = given.pop(_SELF), given.pop(_REQUEST)
        error: BaseException | None = None
        try:
            answer = await hooks.enter(controller, request)
            if answer is not None:
                return answer
            return await _call(method, controller, **given)
        except BaseException as exc:
            error = exc
            raise
        finally:
            await hooks.leave(controller, request, error)

    return hooked


def _streaming(method: Callable[..., Any], hooks: _Hooks) -> Any:
    """For what FastAPI streams, item by item; a hook's response cannot take its place."""

    async def stream(**given: Any) -> AsyncGenerator[Any]:
        controller, request = given.pop(_SELF), given.pop(_REQUEST, None)
        error: BaseException | None = None
        try:
            if request is not None and await hooks.enter(controller, request) is not None:
                raise RuntimeError(
                    f"a before_request hook of {type(controller).__name__} answered for"
                    f" {method.__name__}, which streams; raise an error instead"
                )
            made = method(controller, **given)
            items = made if inspect.isasyncgen(made) else iterate_in_threadpool(made)
            async for item in items:
                yield item
        except BaseException as exc:
            error = exc
            raise
        finally:
            if request is not None:
                await hooks.leave(controller, request, error)

    return stream


async def _call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a method of either kind; a plain one in a thread, as FastAPI does."""
    if inspect.iscoroutinefunction(function):
        return await function(*args, **kwargs)
    return await run_in_threadpool(function, *args, **kwargs)


def _signature(
    method: Callable[..., Any],
    controller: type[Controller],
    build: Callable[..., Any],
    hooks: _Hooks,
) -> inspect.Signature:
    given = _resolved(method, f"{controller.__name__}.{method.__name__}")
    named = inspect.Parameter.KEYWORD_ONLY
    instance = inspect.Parameter(_SELF, named, annotation=Annotated[controller, Depends(build)])
    parameters = [p.replace(kind=named) for p in list(given.parameters.values())[1:]]
    extra = [inspect.Parameter(_REQUEST, named, annotation=Request)] if hooks else []
    return given.replace(parameters=[instance, *parameters, *extra])


def _builder(controller: type[Controller]) -> Callable[..., Any]:
    """A dependency that builds the controller; asynchronous, so that it needs no thread."""

    async def build(**given: Any) -> Controller:
        return controller(**given)

    named = inspect.Parameter.KEYWORD_ONLY
    parameters: list[inspect.Parameter] = []
    if controller.__init__ is not object.__init__:
        given = _resolved(controller.__init__, f"{controller.__name__}.__init__")
        parameters = [p.replace(kind=named) for p in list(given.parameters.values())[1:]]
    build.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return build


def _resolved(function: Callable[..., Any], name: str) -> inspect.Signature:
    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError as exc:
        raise TypeError(
            f"{name}: the annotation {exc.name!r} cannot be resolved; define it at the top of its"
            " module"
        ) from exc
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"{name}: FastAPI cannot fill {parameter}")
    return signature


def _check_is_function(method: object, what: str) -> None:
    if not inspect.isfunction(method):
        kind = type(method).__name__
        raise TypeError(f"{what} needs a plain method, got {kind}; put other decorators above")
