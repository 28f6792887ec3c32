"""Operations of the service as tool definitions for language models."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, cast

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool

from tijolo.core import OpsAccess

ToolStyle = Literal["openai", "anthropic", "mcp"]
SpecProvider = (
    dict[str, Any] | Callable[[], dict[str, Any]] | Callable[[], Awaitable[dict[str, Any]]]
)

TOOL_EXTENSION = "x-llm-tool"
LLM_TOOL: Mapping[str, Any] = MappingProxyType({TOOL_EXTENSION: True})
"""``openapi_extra=dict(LLM_TOOL)`` on a route lets language models see it."""

_METHODS = ("get", "put", "post", "delete", "patch")
_PLACES = ("path", "query")
_SCHEMAS = "#/components/schemas/"
_MAX_NAME = 64
_BODY = "body"


def make_tool_spec_router(
    spec: SpecProvider | None = None,
    *,
    access: OpsAccess,
    tags: Iterable[str] = (),
    path: str = "/tool-spec",
    tag: str = "meta",
    response_model: type[Any] | None = None,
) -> APIRouter:
    """A router with one route that describes the service's tools.

    Without ``spec`` these are the operations of the application's own OpenAPI document that opted
    in: with ``openapi_extra=dict(LLM_TOOL)``, or by one of ``tags``. Nothing is a tool by itself.
    ``?style=`` is ``openai`` (default), ``anthropic`` or ``mcp``.

    The tools are definitions, not permissions: whoever calls the operations for a model needs the
    credentials for that, and the operations check them as always.

    Args:
        spec: A document of your own, or a function or coroutine function that makes it.
        access: Who may read the definitions.
        tags: OpenAPI tags whose operations are tools.
        path: Path of the route.
        tag: OpenAPI tag of the route itself.
        response_model: Model of the answer.
    """

    async def guard(request: Request) -> None:
        await access(request)  # older FastAPIs cannot read the annotations of an object

    router = APIRouter(tags=[tag], dependencies=[Depends(guard)])
    endpoint = _own_spec(frozenset(tags)) if spec is None else _given_spec(spec)
    router.add_api_route(
        path,
        endpoint,
        methods=["GET"],
        response_model=response_model,
        name="tool_spec",
        summary="Definitions of the tools that this service offers to language models",
    )
    return router


def tool_spec(
    document: Mapping[str, Any], *, tags: Iterable[str] = (), style: ToolStyle = "openai"
) -> dict[str, Any]:
    """The tools in an OpenAPI document, and how to call them.

    ``tools`` is what a model's interface takes. ``operations`` says for each tool's name which
    request a call becomes: method, path, and for each argument whether it belongs to the path, the
    query or is the body. Header and cookie parameters are left out: they carry credentials, which
    no model should see or choose.

    Raises:
        ValueError: for an unknown style.
    """
    if style not in _SHAPES:
        raise ValueError(f"style must be one of {', '.join(_SHAPES)}; got {style!r}")
    chosen = frozenset(tags)
    tools: list[dict[str, Any]] = []
    operations: dict[str, dict[str, Any]] = {}
    for path, method, shared, operation in _operations(document):
        if operation.get(TOOL_EXTENSION) is False:
            continue
        if not operation.get(TOOL_EXTENSION) and chosen.isdisjoint(operation.get("tags", ())):
            continue
        name = _free_name(operation.get("operationId") or f"{method}_{path}", operations)
        schema, places = _input(document, [*shared, *operation.get("parameters", ())], operation)
        operations[name] = {"method": method.upper(), "path": path, "arguments": places}
        tools.append(_SHAPES[style](name, _description(operation), schema))
    return {"tools": tools, "operations": operations}


def _own_spec(tags: frozenset[str]) -> Callable[..., Any]:
    made: dict[str, tuple[object, dict[str, Any]]] = {}  # one for each style, of which there are 3

    async def tool_spec_of_service(request: Request, style: ToolStyle = "openai") -> Any:
        document = request.app.openapi()
        known = made.get(style)
        if known is None or known[0] is not document:  # FastAPI keeps the one it made
            known = made[style] = (document, tool_spec(document, tags=tags, style=style))
        return known[1]

    return tool_spec_of_service


def _given_spec(spec: SpecProvider) -> Callable[..., Any]:
    async def given_tool_spec() -> Any:
        if not callable(spec):
            return spec
        if inspect.iscoroutinefunction(spec):
            return await spec()
        made = await run_in_threadpool(spec)
        return await made if inspect.isawaitable(made) else made

    return given_tool_spec


def _operations(
    document: Mapping[str, Any],
) -> Iterator[tuple[str, str, list[dict[str, Any]], dict[str, Any]]]:
    for path, item in _member(document, "paths").items():
        for method in _METHODS:
            if method in item:
                yield path, method, item.get("parameters", []), item[method]


def _free_name(wanted: str, taken: Mapping[str, Any]) -> str:
    """A name that every interface takes: letters, digits, ``_`` and ``-``, at most 64 of them."""
    base = re.sub(r"[^A-Za-z0-9_-]+", "_", wanted).strip("_")[:_MAX_NAME] or "tool"
    name, number = base, 2
    while name in taken:
        name = f"{base[: _MAX_NAME - len(str(number)) - 1]}_{number}"
        number += 1
    return name


def _description(operation: Mapping[str, Any]) -> str:
    texts = [operation.get("summary"), operation.get("description")]
    return "\n\n".join(dict.fromkeys(text.strip() for text in texts if text))


def _input(
    document: Mapping[str, Any], parameters: Iterable[dict[str, Any]], operation: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The JSON Schema of the arguments, complete in itself, and where each argument belongs."""
    properties: dict[str, Any] = {}
    places: dict[str, str] = {}
    required: list[str] = []
    for parameter in parameters:
        name, place = parameter.get("name", ""), parameter.get("in")
        if place not in _PLACES:
            continue
        schema = dict(_member(parameter, "schema"))
        if parameter.get("description"):
            schema.setdefault("description", parameter["description"])
        properties[name], places[name] = schema, place
        if parameter.get("required") and name not in required:
            required.append(name)
    body = _member(operation, "requestBody")
    json_body = _member(_member(body, "content"), "application/json")
    if "schema" in json_body:
        argument = _BODY if _BODY not in properties else "request_body"
        properties[argument], places[argument] = json_body["schema"], "body"
        if body.get("required"):
            required.append(argument)
    whole: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
    return _self_contained(whole, document), places


def _self_contained(schema: dict[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """``schema`` with the components that it needs as ``$defs``, recursive ones included."""
    components = _member(_member(document, "components"), "schemas")
    needed: dict[str, Any] = {}

    def local(node: object) -> Any:
        if isinstance(node, list):
            return [local(item) for item in cast("list[object]", node)]
        if not isinstance(node, dict):
            return node
        made = {key: local(value) for key, value in cast("dict[str, Any]", node).items()}
        if "$ref" in made:
            made["$ref"] = moved(made["$ref"])
        choice = made.get("discriminator")
        if (
            isinstance(choice, dict) and "mapping" in choice
        ):  # by which of its members alternatives are told apart
            mapping = _member(cast("dict[str, Any]", choice), "mapping")
            choice["mapping"] = {value: moved(to) for value, to in mapping.items()}
        return made

    def moved(reference: object) -> object:
        if not isinstance(reference, str) or not reference.startswith(_SCHEMAS):
            return reference
        name = reference.removeprefix(_SCHEMAS)
        if name not in needed:
            needed[name] = None  # before its own references, which may lead back to it
            needed[name] = local(components.get(name, {}))
        return f"#/$defs/{name}"

    made: dict[str, Any] = local(schema)
    return {**made, "$defs": needed} if needed else made


def _member(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    return value.get(name) or {}


def _openai(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    function = {"name": name, "description": description, "parameters": schema}
    return {"type": "function", "function": function}


def _anthropic(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "description": description, "input_schema": schema}


def _mcp(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "description": description, "inputSchema": schema}


_SHAPES: dict[str, Callable[[str, str, dict[str, Any]], dict[str, Any]]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "mcp": _mcp,
}
