"""Typed integrations: a class that says what another service offers, and what it answers.

The class declares the endpoints, with their paths, versions, documentation and schemas; an
instance knows the base URL and the credentials, and owns the connections. The page
``/docintegration`` (``tijolo.http.web``) is made of the same declarations.
"""

from __future__ import annotations

import copy
import functools
import inspect
import re
import typing
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Concatenate,
    Generic,
    ParamSpec,
    Self,
    TypeVar,
    Unpack,
    cast,
    overload,
)
from urllib.parse import ParseResult, quote, urlparse

import httpx
from pydantic import PydanticUserError, SecretStr, TypeAdapter

from tijolo.core import BaseStrEnum
from tijolo.http import _intercept
from tijolo.http._call import RequestOptions
from tijolo.http._schemas import Answers
from tijolo.http.auth import Auth
from tijolo.http.circuit import CircuitSnapshot
from tijolo.http.client import HTTPClient
from tijolo.http.errors import IntegrationError
from tijolo.http.stability import StabilityPattern, patterns_of

__all__ = [
    "ApiHTTP",
    "Credentials",
    "Endpoint",
    "EndpointsDeclaration",
    "HTTPMethod",
    "IntegrationError",
    "IntegrationHTTP",
    "IntegrationRegistry",
]

P = ParamSpec("P")
R = TypeVar("R")
if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    AnswerT = TypeVarWithDefault("AnswerT", default=httpx.Response)
else:
    AnswerT = TypeVar("AnswerT")

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_STATUS_MODEL = re.compile(r"http([1-5](?:[0-9]{2}|xx))")


class HTTPMethod(BaseStrEnum):
    """Methods that an endpoint may have."""

    get = "GET"
    post = "POST"
    put = "PUT"
    patch = "PATCH"
    delete = "DELETE"
    head = "HEAD"
    options = "OPTIONS"


class Credentials(Mapping[str, str]):
    """Named secrets of an integration; ``repr`` shows their names."""

    def __init__(self, values: Mapping[str, SecretStr | str] | None = None) -> None:
        self._values = {
            name: value if isinstance(value, SecretStr) else SecretStr(value)
            for name, value in (values or {}).items()
        }

    def __getitem__(self, name: str) -> str:
        return self._values[name].get_secret_value()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Credentials({dict.fromkeys(self._values, '***')!r})"


class ApiHTTP:
    """What the method of an endpoint gets as its first argument: its integration, and the endpoint
    that is being called."""

    integration: ClassVar[IntegrationHTTP]
    client: HTTPClient
    base_url: str
    credentials: Credentials
    _current: _Current | None = None

    @property
    def endpoint(self) -> Endpoint[Any, Any]:
        """The endpoint that is being called.

        Raises:
            RuntimeError: outside of a call.
        """
        if self._current is None:
            raise RuntimeError(
                f"{type(self).__name__} has an endpoint only inside of an endpoint's method"
            )
        return self._current.endpoint

    @property
    def version(self) -> str:
        """Version of the endpoint."""
        return self.endpoint.version

    @property
    def httpmethod(self) -> str:
        """Method of the endpoint, ``POST``."""
        return self.endpoint.httpmethod.value

    @property
    def url(self) -> ParseResult:
        """Base URL and path of the endpoint; placeholders are not filled in."""
        return urlparse(self.base_url + self.endpoint.path)

    def url_for(self, **values: object) -> str:
        """Base URL and path of the endpoint, with ``values`` in its placeholders, quoted.

        Raises:
            ValueError: for a placeholder without a value, a value without a placeholder, or one
                that would make another path of it: empty, ``.`` or ``..``.
        """
        return self.base_url + self.endpoint.path_for(values)

    async def call(
        self, path: Mapping[str, object] | None = None, **options: Unpack[RequestOptions]
    ) -> AnswerT:
        """Send the endpoint's request, and return the ``httpx.Response``.

        To a type checker it is whatever the endpoint's method returns, because that may return
        the response as it is.

        Args:
            path: Values of the path's placeholders.
            **options: Those of ``HTTPClient.request``.
        """
        options.setdefault("route", self.endpoint.path)
        url = self.url_for(**(path or {}))
        return cast("AnswerT", await self.client.request(self.httpmethod, url, **options))


class EndpointsDeclaration(ApiHTTP):
    """Base of the integrations: a class with ``integration = IntegrationHTTP(...)`` and endpoints.

    By custom its class ``Schema`` holds the models of successful answers. Its class ``SchemaError``
    holds those of errors, named after their status: ``http404``, ``http4xx``, ``default``.

    An instance is a ``Resource`` and belongs to the lifespan: ``connect``, ``disconnect``,
    ``health_check``.

    Args:
        base_url: Where the endpoints' paths start.
        credentials: For the methods, as ``api.credentials["NAME"]``; never shown.
        client: An open client, which stays the caller's to close; otherwise the instance has one
            of its own.
        auth: Credentials that the client sends by itself.
        **client_options: More arguments of that client.

    Raises:
        TypeError: when the class has no ``integration``, or an annotation cannot be evaluated.
        ValueError: for ``client`` together with what would make another.
    """

    def __init__(
        self,
        base_url: str = "",
        credentials: Mapping[str, SecretStr | str] | None = None,
        *,
        client: HTTPClient | None = None,
        auth: Auth | None = None,
        **client_options: Any,
    ) -> None:
        if not isinstance(getattr(type(self), "integration", None), IntegrationHTTP):
            raise TypeError(f"{type(self).__name__} needs integration = IntegrationHTTP(...)")
        if client is not None and (auth is not None or client_options):
            names = ", ".join(["auth"] * (auth is not None) + list(client_options))
            raise ValueError(f"client and {names} contradict each other; give them to the client")
        self.base_url = (base_url or (client.base_url if client else "")).rstrip("/")
        if not self.base_url:
            raise ValueError(f"{type(self).__name__} needs a base_url")
        if httpx.URL(self.base_url).userinfo:
            raise ValueError("base_url holds credentials, which the page shows; give them as auth=")
        self.credentials = Credentials(credentials)
        self._owns_client = client is None
        self.client = client or HTTPClient(base_url=self.base_url, auth=auth, **client_options)
        for endpoint in self.endpoints().values():
            endpoint.answers(type(self))  # now, and not in the first request

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"

    async def connect(self) -> None:
        """Open the connections, if they are this instance's."""
        if self._owns_client:
            await self.client.connect()

    async def disconnect(self) -> None:
        """Close them, if they are this instance's."""
        if self._owns_client:
            await self.client.disconnect()

    async def health_check(self) -> bool:
        """What the client's ``health_check`` says."""
        return await self.client.health_check()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()

    def at(self, endpoint: Endpoint[Any, Any]) -> Self:
        """This integration, as the method of ``endpoint`` sees it."""
        view = copy.copy(self)
        view._current = _Current(endpoint)
        return view

    @classmethod
    def endpoints(cls) -> dict[str, Endpoint[Any, Any]]:
        """The endpoints of the class by name, inherited ones included."""
        found: dict[str, Endpoint[Any, Any]] = {}
        for base in reversed(cls.__mro__):
            for name, value in vars(base).items():
                found.pop(name, None)  # overridden
                if isinstance(value, Endpoint):
                    found[name] = value  # pyright: ignore[reportUnknownArgumentType]
        return found

    def docs(self) -> dict[str, Any]:
        """The declaration and the circuits, fit for JSON; no credentials."""
        return {
            "name": self.integration.name,
            "doc": self.integration.doc,
            "base_url": self.base_url,
            "authentication": getattr(self.client.auth, "scheme", None),
            "endpoints": [each.docs(type(self)) for each in self.endpoints().values()],
            "circuits": [_circuit_docs(snapshot) for snapshot in self.client.circuits()],
        }


class IntegrationHTTP:
    """Name and description of an integration, and the decorator of its endpoints.

    Args:
        name: For people.
        doc: One sentence on what it is for.
    """

    def __init__(self, name: str, doc: str = "") -> None:
        self.name = name
        self.doc = doc

    def __repr__(self) -> str:
        return f"IntegrationHTTP({self.name!r})"

    def endpoint(
        self,
        httpmethod: HTTPMethod,
        path: str,
        version: str = "",
        docurl: str = "",
        *,
        errors: Mapping[int | str, Any] | None = None,
    ) -> Callable[[Callable[Concatenate[Any, P], Awaitable[R]]], Endpoint[P, R]]:
        """Declare a method as an endpoint.

        The method may return the ``httpx.Response``, or anything that fits its return annotation;
        the caller gets what the annotation says. An error status becomes its model: returned where
        the annotation names the model, else raised as ``IntegrationError``.

        Args:
            httpmethod: Method.
            path: Path below the base URL, ``/users/{id}``.
            version: Of the other service's interface.
            docurl: Its documentation, ``https://...``.
            errors: Models by status, besides those of ``SchemaError``.

        Raises:
            ValueError: for a path or a link that is none.
        """
        if not path.startswith("/"):
            raise ValueError(f"the path must start with a slash, got {path!r}")
        if docurl and urlparse(docurl).scheme not in ("http", "https"):
            raise ValueError(f"docurl must be an http(s) link, got {docurl!r}")

        def declare(func: Callable[Concatenate[Any, P], Awaitable[R]]) -> Endpoint[P, R]:
            return Endpoint(self, func, HTTPMethod(httpmethod), path, version, docurl, errors or {})

        return declare


@dataclass(frozen=True, slots=True)
class _Current:
    endpoint: Endpoint[Any, Any]


class Endpoint(Generic[P, R]):
    """A declared endpoint. On an instance of its integration it is a coroutine method."""

    def __init__(
        self,
        integration: IntegrationHTTP,
        func: Callable[..., Awaitable[Any]],
        httpmethod: HTTPMethod,
        path: str,
        version: str,
        docurl: str,
        errors: Mapping[int | str, Any],
    ) -> None:
        self.integration = integration
        self.httpmethod = httpmethod
        self.path = path
        self.version = version
        self.docurl = docurl
        self.name = getattr(func, "__name__", "endpoint")
        self._func = func
        self._errors = dict(errors)
        self._answers: dict[type, Answers] = {}
        self.__doc__ = func.__doc__

    def __repr__(self) -> str:
        return f"<Endpoint {self.integration.name}.{self.name}>"

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(
        self, instance: EndpointsDeclaration, owner: type
    ) -> Callable[P, Coroutine[Any, Any, R]]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Self: ...

    def __get__(self, instance: object, owner: type) -> Self | Callable[P, Coroutine[Any, Any, R]]:
        if isinstance(instance, EndpointsDeclaration):
            return functools.partial(self._call, instance)
        return self  # on the class

    async def _call(self, instance: EndpointsDeclaration, /, *args: Any, **kwargs: Any) -> Any:
        answers = self.answers(type(instance))
        if _intercept.active:
            answer = await _intercept.active[-1].answer(self, args, kwargs)
        else:
            answer = await self._func(instance.at(self), *args, **kwargs)
        return answers.read(answer)

    @property
    def patterns(self) -> tuple[StabilityPattern, ...]:
        """The stability patterns on the method, from the outside in."""
        return patterns_of(self._func)

    def signature(self) -> inspect.Signature:
        """Parameters of the method, without its first."""
        signature = inspect.signature(self._func)
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    def path_for(self, values: Mapping[str, object]) -> str:
        """The path with ``values``, quoted; see ``ApiHTTP.url_for``."""
        names = set(_PLACEHOLDER.findall(self.path))
        if names != set(values):
            raise ValueError(
                f"{self.path!r} takes {sorted(names) or 'no values'}, got {sorted(values)}"
            )
        for name, value in values.items():
            if str(value) in ("", ".", ".."):
                raise ValueError(f"{value!r} for {name!r} would make another path of {self.path!r}")
        return _PLACEHOLDER.sub(lambda match: quote(str(values[match[1]]), safe=""), self.path)

    def answers(self, owner: type) -> Answers:
        """What it may answer, declared in ``owner`` or above.

        Raises:
            TypeError: when the return annotation cannot be evaluated.
        """
        found = self._answers.get(owner)
        if found is None:
            errors = {**_status_models(owner), **self._errors}
            annotation = self._annotation(owner)
            found = Answers(self.integration.name, self.name, annotation, errors)
            self._answers[owner] = found
        return found

    def _annotation(self, owner: type) -> Any:
        func = inspect.unwrap(self._func)
        annotation = func.__annotations__.get("return", Any)
        names = {k: v for base in reversed(owner.__mro__) for k, v in vars(base).items()}
        names[owner.__name__] = owner
        holder = type("_Annotated", (), {"__annotations__": {"value": annotation}})
        try:
            return typing.get_type_hints(holder, func.__globals__, names)["value"]
        except NameError as error:
            raise TypeError(
                f"the return annotation of {self.name!r} names {error.name!r}, which is neither in"
                f" {owner.__name__} nor in its module"
            ) from error

    def docs(self, owner: type) -> dict[str, Any]:
        """The declaration, fit for JSON."""
        answers = self.answers(owner)
        return {
            "name": self.name,
            "method": self.httpmethod.value,
            "path": self.path,
            "version": self.version,
            "docurl": self.docurl,
            "doc": inspect.getdoc(self._func) or "",
            "parameters": [
                {
                    "name": parameter.name,
                    "type": _type_name(parameter.annotation),
                    "required": parameter.default is inspect.Parameter.empty,
                }
                for parameter in self.signature().parameters.values()
            ],
            "response": _json_schema(answers.success),
            "errors": {str(k): _schema(model) for k, model in answers.errors.items()},
            "patterns": [pattern.describe() for pattern in self.patterns],
        }


class IntegrationRegistry:
    """The integrations of a service: what the page shows, and one ``Resource`` for all of them."""

    def __init__(self, integrations: Iterable[EndpointsDeclaration] = ()) -> None:
        self._integrations: list[EndpointsDeclaration] = []
        for integration in integrations:
            self.add(integration)

    def add(self, integration: EndpointsDeclaration) -> None:
        """Register one.

        Raises:
            TypeError: for a class in place of an instance.
            ValueError: for one that is registered.
        """
        if not isinstance(integration, EndpointsDeclaration):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"expected an instance of an integration, got {integration!r}")
        if any(known is integration for known in self._integrations):
            raise ValueError(f"{integration!r} is registered already")
        self._integrations.append(integration)

    def __iter__(self) -> Iterator[EndpointsDeclaration]:
        return iter(tuple(self._integrations))

    def __len__(self) -> int:
        return len(self._integrations)

    async def connect(self) -> None:
        """Open every integration; when one fails, those before it are closed again."""
        for position, integration in enumerate(self._integrations):
            try:
                await integration.connect()
            except BaseException:
                for opened in reversed(self._integrations[:position]):
                    await opened.disconnect()
                raise

    async def disconnect(self) -> None:
        """Close every integration, in reverse; what one of them raises is raised at the end."""
        failed: Exception | None = None
        for integration in reversed(self._integrations):
            try:
                await integration.disconnect()
            except Exception as error:
                failed = failed or error
        if failed is not None:
            raise failed

    async def health_check(self) -> bool:
        """Whether all of them are well."""
        return all([await integration.health_check() for integration in self._integrations])

    def docs(self) -> list[dict[str, Any]]:
        """All declarations, fit for JSON."""
        return [integration.docs() for integration in self._integrations]


def _status_models(owner: type) -> dict[int | str, Any]:
    models: dict[int | str, Any] = {}
    holder: Any = getattr(owner, "SchemaError", None)
    for base in reversed(getattr(holder, "__mro__", ())):
        for name, value in vars(base).items():
            if name == "default":
                models["default"] = value
            elif match := _STATUS_MODEL.fullmatch(name):
                models[int(match[1]) if match[1].isdigit() else match[1]] = value
    return models


def _schema(model: Any) -> dict[str, Any]:
    return _json_schema(TypeAdapter(model))


def _json_schema(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    try:
        return adapter.json_schema()
    except PydanticUserError:  # one model that has none does not cost the whole page
        return {"description": "This model has no JSON schema."}


def _type_name(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _circuit_docs(snapshot: CircuitSnapshot) -> dict[str, Any]:
    return {
        "name": snapshot.name,
        "state": snapshot.state.value,
        "calls": snapshot.calls,
        "failures": snapshot.failures,
        "retry_after_seconds": round(snapshot.retry_after_seconds, 1),
    }
