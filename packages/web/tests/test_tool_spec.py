import json
import re
from typing import Annotated, Any, Literal

import httpx
import pytest
from fastapi import Body, Cookie, FastAPI, Header
from pydantic import BaseModel, Field

from tijolo.core import BaseAppSettings, OpsAccess
from tijolo.web import create_app, make_tool_spec_router
from tijolo.web.tool_spec import LLM_TOOL, tool_spec

TOKEN = "ops-token-of-thirty-two-bytes-ok!"


class Node(BaseModel):
    name: str
    children: list["Node"] = []


class Settings(BaseAppSettings, env_file=None):
    pass


def service(**options: Any) -> FastAPI:
    app = create_app(Settings(ENVIRONMENT="production"))

    @app.get("/items/{item_id}", openapi_extra=dict(LLM_TOOL))
    async def read(
        item_id: int,
        limit: int = 10,
        x_key: Annotated[str | None, Header()] = None,
        session: Annotated[str | None, Cookie()] = None,
    ) -> None:
        """Read one item."""

    @app.post("/nodes", tags=["models"])
    async def add_node(node: Node) -> None: ...

    @app.post("/hidden", tags=["models"], openapi_extra={"x-llm-tool": False})
    async def hidden() -> None: ...

    @app.delete("/everything")
    async def delete_everything() -> None: ...

    @app.put("/both/{body}", openapi_extra=dict(LLM_TOOL))
    async def both(body: int, data: Annotated[Node | None, Body()] = None) -> None: ...

    options.setdefault("access", OpsAccess(token=TOKEN))
    app.include_router(make_tool_spec_router(**options))
    return app


async def ask(app: FastAPI, path: str = "/tool-spec", token: str | None = TOKEN) -> httpx.Response:
    headers = {"X-Ops-Token": token} if token else {}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://shop.example"
    ) as http:
        return await http.get(path, headers=headers)


async def test_only_what_opted_in_is_a_tool():
    app = service()
    names = [tool["function"]["name"] for tool in (await ask(app)).json()["tools"]]
    assert names == ["read_items__item_id__get", "both_both__body__put"]


async def test_a_tag_opts_in_and_an_operation_may_opt_out():
    spec = (await ask(service(tags=["models"]))).json()
    assert "add_node_nodes_post" in spec["operations"]
    assert not [name for name in spec["operations"] if "hidden" in name or "everything" in name]


async def test_a_tool_has_path_and_query_arguments_and_no_credentials():
    spec = (await ask(service())).json()
    function = spec["tools"][0]["function"]
    assert function["description"] == "Read\n\nRead one item."
    assert set(function["parameters"]["properties"]) == {"item_id", "limit"}
    assert function["parameters"]["required"] == ["item_id"]
    assert spec["operations"]["read_items__item_id__get"] == {
        "method": "GET",
        "path": "/items/{item_id}",
        "arguments": {"item_id": "path", "limit": "query"},
    }


async def test_a_recursive_body_is_complete_in_itself():
    spec = (await ask(service(tags=["models"]))).json()
    tool = next(t["function"] for t in spec["tools"] if t["function"]["name"].startswith("add_"))
    schema = tool["parameters"]
    assert schema["properties"]["body"] == {"$ref": "#/$defs/Node"}
    assert schema["required"] == ["body"]
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(schema)))
    assert references == {"#/$defs/Node"}
    assert schema["$defs"]["Node"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    assert set(schema["$defs"]) == {"Node"}


async def test_a_path_parameter_called_body_does_not_meet_the_body():
    operations = (await ask(service())).json()["operations"]
    arguments = operations["both_both__body__put"]["arguments"]
    assert arguments == {"body": "path", "request_body": "body"}


@pytest.mark.parametrize(
    ("style", "keys"),
    [
        ("openai", {"type", "function"}),
        ("anthropic", {"name", "description", "input_schema"}),
        ("mcp", {"name", "description", "inputSchema"}),
    ],
)
async def test_styles(style, keys):
    app = service()
    for _ in range(2):
        answer = await ask(app, f"/tool-spec?style={style}")
        assert set(answer.json()["tools"][0]) == keys
    assert (await ask(app, "/tool-spec?style=other")).status_code == 422
    with pytest.raises(ValueError, match="style must be"):
        tool_spec({}, style="other")  # type: ignore[arg-type]


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Owner(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


def test_a_schema_of_alternatives_is_complete_in_itself():
    app = FastAPI()

    @app.post("/owners", openapi_extra=dict(LLM_TOOL))
    async def add_owner(owner: Owner) -> None: ...

    document = app.openapi()
    schema = tool_spec(document, style="mcp")["tools"][0]["inputSchema"]
    mapping = schema["$defs"]["Owner"]["properties"]["pet"]["discriminator"]["mapping"]
    assert mapping == {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"}
    assert "#/components" not in json.dumps(schema)
    assert "#/components" in json.dumps(document["components"])  # which stays as it was


async def test_the_definitions_are_guarded():
    app = service()
    for token in (None, "wrong", "é"):
        headers = [(b"x-ops-token", token.encode())] if token else []
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://shop.example"
        ) as http:
            assert (await http.get("/tool-spec", headers=headers)).status_code == 401
    with pytest.raises(TypeError, match="access"):
        make_tool_spec_router({})  # type: ignore[call-arg]


def make() -> dict[str, Any]:
    return {"made": 1}


async def make_later() -> dict[str, Any]:
    return {"made": 2}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"made": 0}, {"made": 0}),
        (make, {"made": 1}),
        (make_later, {"made": 2}),
        (lambda: make_later(), {"made": 2}),
    ],
)
async def test_a_spec_of_one_s_own(spec, expected):
    app = service(spec=spec, path="/own", tag="tools")
    assert (await ask(app, "/own")).json() == expected
    assert app.openapi()["paths"]["/own"]["get"]["tags"] == ["tools"]


async def test_a_route_that_is_added_later_is_seen():
    app = service()
    assert len((await ask(app)).json()["tools"]) == 2
    app.add_api_route("/late", lambda: None, openapi_extra=dict(LLM_TOOL))
    app.openapi_schema = None
    assert len((await ask(app)).json()["tools"]) == 3


def test_names_fit_every_interface_and_are_unique():
    operation = {"x-llm-tool": True, "operationId": "ação/" + "x" * 100}
    document = {"paths": {f"/{n}": {"get": dict(operation)} for n in range(12)}}
    names = [tool["name"] for tool in tool_spec(document, style="mcp")["tools"]]
    assert len(set(names)) == 12
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in names)
    unnamed = {"paths": {"/": {"get": {"x-llm-tool": True}}}}
    assert tool_spec(unnamed, style="mcp")["tools"][0]["name"] == "get"


def test_a_document_without_anything_has_no_tools():
    assert tool_spec({}) == {"tools": [], "operations": {}}
