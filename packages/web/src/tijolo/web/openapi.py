"""OpenAPI that shows the errors this service really answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from tijolo.web.problems import PROBLEM_MEDIA_TYPE, ProblemDocument

_REPLACED = "#/components/schemas/HTTPValidationError"
_METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace", "query"}


def describe_problems(app: FastAPI) -> None:
    """Make the OpenAPI document of ``app`` show problem documents for its errors.

    Every operation gets a ``default`` response, and FastAPI's own 422 schema, which nothing
    answers any more, gives way to :class:`ProblemDocument`. Responses that a route declares are
    left alone.
    """
    build = app.openapi

    def openapi() -> dict[str, Any]:
        schema = build()
        if "ProblemDocument" not in schema.setdefault("components", {}).get("schemas", {}):
            _rewrite(schema)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _rewrite(schema: dict[str, Any]) -> None:
    components = schema["components"].setdefault("schemas", {})
    for operation in _operations(schema):
        responses = operation.setdefault("responses", {})
        if _is_fastapis_422(responses.get("422")):
            responses["422"] = _problem("The input was refused.")
        responses.setdefault("default", _problem("An error, told as an RFC 9457 document."))
    document = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    components.update(document.pop("$defs", {}))
    components["ProblemDocument"] = document
    if _REPLACED not in str(schema.get("paths")):
        components.pop("HTTPValidationError", None)
        components.pop("ValidationError", None)


def _operations(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for section in ("paths", "webhooks"):
        for item in schema.get(section, {}).values():
            yield from (operation for method, operation in item.items() if method in _METHODS)


def _is_fastapis_422(response: dict[str, Any] | None) -> bool:
    content = (response or {}).get("content", {}).get("application/json", {})
    return bool(content.get("schema", {}).get("$ref") == _REPLACED)


def _problem(description: str) -> dict[str, Any]:
    reference = {"$ref": "#/components/schemas/ProblemDocument"}
    return {"description": description, "content": {PROBLEM_MEDIA_TYPE: {"schema": reference}}}
