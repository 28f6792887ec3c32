"""Kept answers of FastAPI endpoints: never one caller's answer for another.

The dependencies of an endpoint run for every request, so authentication and authorisation are
never skipped; what is kept is what the endpoint itself does, and its serialisation.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar, cast, get_type_hints

from starlette.background import BackgroundTask
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from tijolo.cache._answers import ANSWERS, Answer, Finisher
from tijolo.cache._calls import Call
from tijolo.cache._http import (
    StoredResponse,
    decoded,
    directives,
    expires_in,
    max_age,
    presents_credentials,
    sorted_query,
    strong_etag,
    why_not_kept,
)
from tijolo.cache.cache import Cache
from tijolo.cache.decorator import HasCache, TagMaker, TagNames, make_policy, name_of, runner
from tijolo.cache.errors import UnkeyableArgumentError
from tijolo.cache.keys import Arguments, canonical
from tijolo.core import MissingExtraError, route_template, user_id_ctx

try:
    from fastapi.datastructures import DefaultPlaceholder
    from fastapi.routing import serialize_response
    from fastapi.security import SecurityScopes
    from fastapi.utils import is_body_allowed_for_status_code
except ImportError as exc:
    raise MissingExtraError("tijolo-cache", "web", "fastapi") from exc

__all__ = ["CREDENTIAL_HEADERS", "CachedEndpoint", "cached_response"]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
CREDENTIAL_HEADERS = (
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "x-auth-token",
    "x-token",
)
"""Request headers that say who asks, unless ``credentials=`` names others."""
_PER_REQUEST = (HTTPConnection, Response, BackgroundTask, SecurityScopes)
_SERIALIZE = frozenset(inspect.signature(serialize_response).parameters)


class CachedEndpoint(Protocol[P, R_co]):
    """An endpoint with a cache; ``__wrapped__`` is the endpoint without, for unit tests."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """The answer; FastAPI calls it with a request."""
        ...

    async def invalidate(self) -> bool:
        """Forget every answer of this endpoint, as ``Cache.invalidate_tags`` does."""
        ...


class EndpointDecorator(Protocol):
    """What ``cached_response(...)`` returns."""

    def __call__(self, endpoint: Callable[P, R], /) -> CachedEndpoint[P, R]:
        """The endpoint with a cache."""
        ...


def cached_response(
    cache: Cache | HasCache,
    *,
    ttl: float | None = None,
    principal: Callable[..., Any] | None = None,
    public: bool = False,
    vary: Sequence[str] = (),
    query: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    tags: TagNames = (),
    client_ttl: int = 0,
    credentials: Sequence[str] = CREDENTIAL_HEADERS,
    version: int | str = 1,
    max_query_bytes: int = 2_048,
    status_header: bool = True,
    **policy: Any,
) -> EndpointDecorator:
    """Keep the answers of a GET or HEAD endpoint; write it below ``@app.get(...)``.

    The key is method, scheme, host, path, sorted query, the request headers in ``vary``, the
    principal, and every parameter of the endpoint but the request itself. Unless ``principal`` or
    ``public`` says otherwise, a request with credentials is computed for its sender alone.
    Kept are complete answers with status 200 without ``Set-Cookie``, whose ``Cache-Control`` has
    no ``no-store``, ``private`` or ``no-cache`` and whose ``Vary`` is declared; ``max-age`` and
    ``s-maxage`` shorten their time (RFC 9111). Every answer has a strong ``ETag`` of its bytes and
    answers ``If-None-Match`` with 304 (RFC 9110). A kept one has an ``Age``, and all have a
    ``Cache-Status`` (RFC 9211). What the endpoint puts into ``BackgroundTasks`` runs only when the
    endpoint does.

    Args:
        cache: A :class:`~tijolo.cache.Cache`, or an ``AsyncRedisManager``.
        ttl: Seconds to live; the cache's default where it is not given.
        principal: Who asks: a function, async or not, of ``request`` and parameters of the
            endpoint, such as ``lambda user: user.id``. None is everybody without a name.
        public: The answer is the same for everybody, whatever credentials are sent.
        vary: Request headers that the answer depends on.
        query: The parameters that count; all where it is not given.
        ignore: Parameters of the endpoint that are no part of the key, such as a session.
        tags: See :func:`~tijolo.cache.cached`.
        client_ttl: ``max-age`` for browsers, which no invalidation reaches; 0 makes them ask each
            time, which an ETag makes cheap.
        credentials: Request headers that say who asks.
        version: Raise it when the meaning of the answer changes.
        max_query_bytes: A longer query is computed each time.
        status_header: Say ``Cache-Status``.
        policy: Fields of :class:`~tijolo.cache.CachePolicy`. A refresh always runs in a request.

    Raises:
        ValueError: ``principal`` and ``public`` together, a name that is no parameter.
        TypeError: a generator, an unknown option.
    """
    if principal is not None and public:
        raise ValueError("principal= and public= exclude each other")
    if client_ttl < 0 or max_query_bytes < 0:
        raise ValueError("client_ttl and max_query_bytes must be 0 or more")
    for option in ("condition", "negative", "negative_ttl"):
        if option in policy:
            raise ValueError(f"{option}= is for functions; an endpoint says no-store instead")
    if policy.get("background"):
        raise ValueError("background= needs resources of a request that may be over; leave it out")

    def decorate(endpoint: Callable[P, R]) -> CachedEndpoint[P, R]:
        store = cache if isinstance(cache, Cache) else cache.as_cache()
        kept = _Endpoint(
            store,
            endpoint,
            principal=principal,
            public=public,
            vary=vary,
            query=query,
            ignore=ignore,
            tags=tags,
            client_ttl=client_ttl,
            credentials=credentials,
            version=version,
            max_query_bytes=max_query_bytes,
            status_header=status_header,
            policy=make_policy(store, ttl, {**policy, "background": False}),
        )

        @functools.wraps(endpoint)
        async def answer(*owner: Any, **given: Any) -> Any:
            # a method's object comes by position
            by_position = zip(kept.signature.parameters, owner, strict=False)
            return await kept.answer({**dict(by_position), **given})

        wrapper: Any = answer
        wrapper.__signature__ = kept.signature
        wrapper.__annotations__ = {
            **{p.name: p.annotation for p in kept.signature.parameters.values()},
            "return": kept.signature.return_annotation,
        }
        wrapper.invalidate = kept.invalidate
        return cast("CachedEndpoint[P, R]", wrapper)

    return decorate


class _Endpoint:
    """One decorated endpoint."""

    def __init__(
        self,
        cache: Cache,
        endpoint: Callable[..., Any],
        *,
        principal: Callable[..., Any] | None,
        public: bool,
        vary: Sequence[str],
        query: Sequence[str] | None,
        ignore: Sequence[str],
        tags: TagNames,
        client_ttl: int,
        credentials: Sequence[str],
        version: int | str,
        max_query_bytes: int,
        status_header: bool,
        policy: Any,
    ) -> None:
        self._cache, self._policy = cache, policy
        self._run, self._is_async = runner(endpoint), inspect.iscoroutinefunction(endpoint)
        arguments = Arguments(endpoint)
        self._name = name_of(endpoint)
        self._vary = tuple(sorted({name.lower() for name in vary}))
        self._query = None if query is None else frozenset(query)
        self._credentials = frozenset(name.lower().encode("latin-1") for name in credentials)
        self._public, self._principal = public, principal
        self._max_query_bytes = max_query_bytes
        self._ignored = frozenset(ignore)
        _known("ignore", self._ignored, arguments.names)
        self._wanted: tuple[str, ...] = ()
        if principal is not None:
            self._wanted = tuple(inspect.signature(principal).parameters)
            _known("principal", set(self._wanted), (*arguments.names, "request"))
        self._tags = TagMaker(tags, arguments)
        self._own_tag = f"endpoint {self._name}"
        self._head = canonical([self._name, version])
        self.signature, self._request, self._response, self._added = _signature(endpoint)
        # what is kept for those without credentials does not vary by them
        free = () if public or principal is not None else credentials
        self._declared = frozenset(name.lower() for name in (*vary, *free))
        shared = () if public else tuple(name.lower() for name in credentials)
        self._finisher = Finisher(
            private=principal is not None,
            vary=", ".join(dict.fromkeys((*shared, *self._vary))),
            client_ttl=client_ttl,
            status_header=status_header,
            now=cache.loader.now,
        )

    async def invalidate(self) -> bool:
        """Forget every answer of this endpoint."""
        return await self._cache.invalidate_tags(self._own_tag)

    async def answer(self, given: dict[str, Any]) -> Any:
        """The response, kept or made now."""
        if self._request not in given or self._response not in given:
            raise TypeError(f"{self._name} needs a request; a unit test calls its __wrapped__")
        request: Request = given[self._request]
        injected: Response = given[self._response]
        own = {name: value for name, value in given.items() if name not in self._added}
        if request.method not in ("GET", "HEAD") or not self._cache.enabled:
            return await self._run(**own)
        before = decoded(injected.headers.raw)
        compute = functools.partial(self._compute, request, injected, own)
        # what a dependency says of this request counts, hit or not
        said = [pair for pair in before if pair[0] in ("cache-control", "vary")]
        key = None
        if why_not_kept(200, said, self._declared) is None:
            key = await self._key(request, own)
        if key is None:
            self._cache.stats.bypassed += 1
            self._cache.loader.reports.emit("bypass", route_template(request.scope))
            answer = await compute()
            return self._finisher.finish(request, answer, before, "fwd=bypass", private=True)
        loaded = await self._cache.loader.load(self._call(request, own, key, compute))
        return self._finisher.finish(
            request, loaded.value, before, self._finisher.status(loaded), loaded=loaded
        )

    def _call(
        self,
        request: Request,
        own: dict[str, Any],
        key: str,
        compute: Callable[[], Awaitable[Answer]],
    ) -> Call[Answer]:
        cache = self._cache
        return Call(
            route_template(request.scope),
            key,
            cache.keys.tags((self._own_tag, *self._tags.names(own))),
            ANSWERS,
            self._policy,
            compute,
            self._ttl_of,
            _shareable,
            store="no-store" not in directives(request.headers.get("cache-control")),
        )

    def _ttl_of(self, answer: Answer) -> float | None:
        stored = answer.stored
        allowed: float | None = max_age(stored.header("cache-control"))
        if allowed is None:
            allowed = expires_in(stored.header("expires"), self._cache.loader.now())
        ttl: float = self._policy.ttl
        ttl = ttl if allowed is None else min(ttl, allowed)
        return ttl if ttl > 0 else None

    # -- the key ---------------------------------------------------------------------------

    async def _key(self, request: Request, own: dict[str, Any]) -> str | None:
        """The key; None for a request that is computed for its sender alone."""
        scope = request.scope
        known = self._public or self._principal is not None
        if not known and (
            user_id_ctx.get() is not None or presents_credentials(scope, self._credentials)
        ):
            return None
        query = sorted_query(scope.get("query_string", b""), self._query, self._max_query_bytes)
        if query is None:
            return None
        parts = [
            request.method,
            scope.get("scheme", ""),
            request.headers.get("host", "").lower(),
            scope.get("root_path", ""),
            scope["path"],
            query,
            [(name, request.headers.getlist(name)) for name in self._vary],
            self._public,
            await self._who(request, own),
        ]
        text = self._head + canonical(parts) + self._arguments(own)
        return self._cache.keys.entry(self._name, text + ANSWERS.fingerprint)

    async def _who(self, request: Request, own: dict[str, Any]) -> object:
        if self._principal is None:
            return None
        known = {**own, "request": request}
        who = self._principal(**{name: known[name] for name in self._wanted})
        return await who if inspect.isawaitable(who) else who

    def _arguments(self, own: dict[str, Any]) -> str:
        out: list[str] = []
        for name, value in own.items():
            if name in self._ignored or isinstance(value, _PER_REQUEST):
                continue
            try:
                out.append(f"{name}={canonical(value)}")
            except (UnkeyableArgumentError, RecursionError) as exc:
                raise UnkeyableArgumentError(
                    f"{self._name}: {name!r}: {exc}. Where the answer does not depend on it, name"
                    " it in ignore=; else give its class a __cache_key__ method"
                ) from exc
        return "".join(out)

    # -- the answer ------------------------------------------------------------------------

    async def _compute(self, request: Request, injected: Response, own: dict[str, Any]) -> Answer:
        before = decoded(injected.headers.raw)
        result = await self._run(**own)
        if isinstance(result, Response):
            whole = isinstance(getattr(result, "body", None), bytes) and not hasattr(
                result, "body_iterator"
            )
            if not whole or result.background is not None:
                return Answer(StoredResponse((), b""), "not a plain response", result)
            response, added = result, []
        else:
            response = await self._serialized(request, injected, result)
            added = [pair for pair in decoded(injected.headers.raw) if pair not in before]
        headers = [*decoded(response.headers.raw), *added]
        cookies = [pair for pair in before if pair[0] == "set-cookie"]
        private = why_not_kept(response.status_code, [*headers, *cookies], self._declared)
        body = bytes(response.body)
        if private is None and not any(name == "etag" for name, _ in headers):
            kind = next((value for name, value in headers if name == "content-type"), "")
            headers.append(("etag", strong_etag(body, kind)))
        stored = StoredResponse(tuple(headers), body)
        if private is not None:
            for name, value in added:
                response.headers.append(name, value)
        return Answer(stored, private, response)

    async def _serialized(self, request: Request, injected: Response, result: Any) -> Response:
        """The response as FastAPI itself makes it: ``response_model`` and its options included."""
        route = _route(request.scope)
        if route is None:
            raise RuntimeError(f"{self._name} is no endpoint of FastAPI; return a Response there")
        is_default = isinstance(route.response_class, DefaultPlaceholder)
        fast = is_default and route.response_field is not None and "dump_json" in _SERIALIZE
        options: dict[str, Any] = {
            "field": route.response_field,
            "response_content": result,
            "include": route.response_model_include,
            "exclude": route.response_model_exclude,
            "by_alias": route.response_model_by_alias,
            "exclude_unset": route.response_model_exclude_unset,
            "exclude_defaults": route.response_model_exclude_defaults,
            "exclude_none": route.response_model_exclude_none,
            "is_coroutine": self._is_async,
            "dump_json": fast,
        }
        content = await serialize_response(
            **{name: value for name, value in options.items() if name in _SERIALIZE}
        )
        status = injected.status_code or route.status_code
        more: dict[str, Any] = {"status_code": status} if status else {}
        if fast:
            response = Response(content, media_type="application/json", **more)
        else:
            kind: Any = route.response_class.value if is_default else route.response_class
            response = cast("Response", kind(content, **more))
        if not is_body_allowed_for_status_code(response.status_code):
            response.body = b""
        return response


def _route(scope: MutableMapping[str, Any]) -> Any:
    """What FastAPI knows of the matched route, with what ``include_router`` added to it."""
    of_fastapi: Mapping[str, Any] = scope.get("fastapi") or {}
    routes: tuple[Any, ...] = (of_fastapi.get("effective_route_context"), scope.get("route"))
    for route in routes:
        if hasattr(route, "response_field"):
            return route
    return None


def _shareable(answer: Answer) -> bool:
    return answer.private is None


def _known(option: str, names: set[str] | frozenset[str], known: Sequence[str]) -> None:
    for name in sorted(names):
        if name not in known:
            raise ValueError(f"{option}: {name!r} is no parameter; there are: {', '.join(known)}")


def _signature(
    endpoint: Callable[..., Any],
) -> tuple[inspect.Signature, str, str, frozenset[str]]:
    """The endpoint's signature with a request and a response, and what those are called."""
    signature = inspect.signature(endpoint)
    try:
        hints = get_type_hints(endpoint, include_extras=True)
    except NameError as exc:
        raise TypeError(f"{name_of(endpoint)}: {exc} in its annotations") from exc
    parameters = [
        p.replace(annotation=hints.get(p.name, p.annotation)) for p in signature.parameters.values()
    ]
    added: list[str] = []
    names: list[str] = []
    for kind, name in ((Request, "tijolo_request"), (Response, "tijolo_response")):
        there = [p.name for p in parameters if _is(p.annotation, kind)]
        names.append(there[0] if there else name)
        if not there:
            added.append(name)
            parameters.append(
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind)
            )
    parameters.sort(key=lambda p: p.kind)
    returned = hints.get("return", signature.return_annotation)
    made = signature.replace(parameters=parameters, return_annotation=returned)
    return made, names[0], names[1], frozenset(added)


def _is(annotation: object, kind: type) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, kind)
