"""OpenAPI that shows the errors this service really answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any, cast

from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from tijolo.web.problems import PROBLEM_MEDIA_TYPE, ProblemDocument, ProblemError

_SCHEMAS = "#/components/schemas/"
_MODES: tuple[JsonSchemaMode, ...] = ("validation", "serialization")
_METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace", "query"}


def describe_problems(app: FastAPI) -> None:
    """Make the OpenAPI document of ``app`` show problem documents for its errors.

    Every operation gets a ``default`` response, and FastAPI's own 422 schema, which nothing
    answers any more, gives way to :class:`ProblemDocument`. So do errors that a route declares by
    a description alone; other responses that it declares are left as they are.
    """
    build = app.openapi
    described: dict[str, Any] | None = None

    def openapi() -> dict[str, Any]:
        nonlocal described
        schema = build()
        if schema is not described:  # FastAPI keeps the one it made
            _rewrite(schema)
            described = schema
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _rewrite(schema: dict[str, Any]) -> None:
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    error = _added(components, ProblemError, {})
    # the document refers to the other model by whatever name that got
    document = _SCHEMAS + _added(components, ProblemDocument, {"ProblemError": error})
    for operation in _operations(schema):
        responses = operation.setdefault("responses", {})
        if _is_fastapis_422(responses.get("422")):
            responses["422"] = _problem("The input was refused.", document)
        told = _problem("An error, told as an RFC 9457 document.", document)
        responses.setdefault("default", told)
        for status, response in responses.items():
            if status[:1] in ("4", "5") and response.keys() <= {"description", "headers"}:
                responses[status] = {**response, "content": told["content"]}
    for name in ("HTTPValidationError", "ValidationError"):
        if repr(_SCHEMAS + name) not in str(schema):
            components.pop(name, None)


def _added(components: dict[str, Any], model: type[BaseModel], renamed: dict[str, str]) -> str:
    """Add the schema of ``model``, by a name that the service's own models do not have."""
    ours = [_schema_of(model, mode, renamed) for mode in _MODES]
    for number in count(1):
        name = f"{model.__name__}{number if number > 1 else ''}"
        if components.setdefault(name, ours[0]) in ours:
            return name
    raise AssertionError("unreachable")


def _schema_of(
    model: type[BaseModel], mode: JsonSchemaMode, renamed: dict[str, str]
) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=_SCHEMAS + "{model}", mode=mode)
    schema.pop("$defs", None)
    text = json.dumps(jsonable_encoder(schema, exclude_none=True))  # as FastAPI shows it
    for old, new in renamed.items():
        text = text.replace(f'"{_SCHEMAS}{old}"', f'"{_SCHEMAS}{new}"')
    return cast("dict[str, Any]", json.loads(text))


def _operations(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for section in ("paths", "webhooks"):
        for item in schema.get(section, {}).values():
            yield from (operation for method, operation in item.items() if method in _METHODS)


def _is_fastapis_422(response: dict[str, Any] | None) -> bool:
    content = (response or {}).get("content", {}).get("application/json", {})
    return bool(content.get("schema", {}).get("$ref") == f"{_SCHEMAS}HTTPValidationError")


def _problem(description: str, document: str) -> dict[str, Any]:
    content = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": document}}}
    return {"description": description, "content": content}
