"""What an endpoint may answer, read from its return annotation and its error schemas."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from pydantic import TypeAdapter, ValidationError

from tijolo.http.errors import IntegrationError

_MOST_ERRORS = 100
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


class Answers:
    """The declared answers of one endpoint.

    Args:
        integration: Name of the integration.
        endpoint: Name of the endpoint.
        annotation: The evaluated return annotation.
        errors: Error models by status (``400``), class of statuses (``"4xx"``) or ``"default"``.
    """

    def __init__(
        self,
        integration: str,
        endpoint: str,
        annotation: Any,
        errors: Mapping[int | str, Any],
    ) -> None:
        self._integration = integration
        self._endpoint = endpoint
        self.errors = dict(errors)
        members = _members(annotation)
        models = list(self.errors.values())
        self._returned = [member for member in members if member in models]
        success = [member for member in members if member not in models]
        self.raw = httpx.Response in success
        self.empty = type(None) in success
        self.text = str in success
        self.binary = bytes in success
        kept = [member for member in success if member is not httpx.Response]
        self.success: TypeAdapter[Any] = TypeAdapter(_union(kept) if kept else Any)
        self._all: TypeAdapter[Any] = TypeAdapter(_union([*kept, *self._returned] or [Any]))

    def read(self, answer: Any) -> Any:
        """What the method returned, as one of the declared types.

        Raises:
            IntegrationError: for an error status, and for what fits no declared type.
        """
        if not isinstance(answer, httpx.Response):
            return self._fit(lambda: self._all.validate_python(answer), None)
        if answer.status_code >= 300:
            return self._error(answer)
        if self.raw:
            return answer
        if self.binary:
            return answer.content
        if self.empty and not answer.content:
            return None
        if self.text and "json" not in answer.headers.get("content-type", ""):
            return answer.text
        return self._fit(lambda: self.success.validate_json(answer.content), answer)

    def _error(self, response: httpx.Response) -> Any:
        status = response.status_code
        for key in (status, f"{status // 100}xx", "default"):
            if key in self.errors:
                break
        else:
            raise self._failed(f"answered {status}", response)
        model = self.errors[key]
        adapter: TypeAdapter[Any] = TypeAdapter(model)
        error = self._fit(lambda: adapter.validate_json(response.content), response)
        if model in self._returned:
            return error
        raise self._failed(f"answered {status}", response, error)

    def _fit(self, validate: Callable[[], Any], response: httpx.Response | None) -> Any:
        try:
            return validate()
        except ValidationError as error:
            raise self._failed(f"the answer does not fit at {_places(error)}", response) from None

    def _failed(
        self, reason: str, response: httpx.Response | None, error: Any = None
    ) -> IntegrationError:
        return IntegrationError(
            self._integration, self._endpoint, reason, response=response, error=error
        )


def _places(error: ValidationError) -> str:
    """Where the answer does not fit, without its data: keys of a mapping are data as well.

    Listing errors takes a microsecond and a kilobyte each, and 10 MiB hold three million.
    """
    count = error.error_count()
    if count > _MOST_ERRORS:
        return f"{count} places"
    found = error.errors(include_url=False, include_context=False, include_input=False)
    places = [".".join(map(_step, each["loc"])) or "body" for each in found[:5]]
    return ", ".join(places)


def _step(key: int | str) -> str:
    plain = isinstance(key, int) or _FIELD.fullmatch(key)
    return str(key) if plain else "*"


def _members(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return list(typing.get_args(annotation))
    return [type(None) if annotation is None else annotation]


def _union(members: list[Any]) -> Any:
    return typing.Union[tuple(members)]  # noqa: UP007, the members are only known now
