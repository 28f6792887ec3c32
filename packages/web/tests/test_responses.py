import httpx
import pytest
from fastapi import APIRouter
from pydantic import BaseModel

from tijolo.core import BaseAppSettings, BasePaginationSchema, CursorPaginationSchema
from tijolo.web import ResponseFactory, Responses, SuccessEnvelope, create_app


class Settings(BaseAppSettings, env_file=None):
    pass


class Item(BaseModel):
    name: str


class Stored(Item):
    password: str = "hash"


router = APIRouter()


@router.get("/one")
async def one(responses: Responses) -> SuccessEnvelope[Item]:
    return responses.success(Stored(name="brick"), message="found", meta={"cached": False})


@router.post("/one")
async def create(responses: Responses) -> SuccessEnvelope[Item]:
    return responses.created(Stored(name="brick"), location="/one")


@router.post("/later")
async def later(responses: Responses) -> SuccessEnvelope[None]:
    return responses.accepted(None, location="/jobs/1", message="queued")


@router.get("/pages")
async def pages(responses: Responses) -> SuccessEnvelope[list[Item]]:
    found = [Stored(name="a"), Stored(name="b")]
    return responses.page(BasePaginationSchema(items=found, total=5, page=1, page_size=2, pages=3))


@router.get("/cursor")
async def cursor(responses: Responses) -> SuccessEnvelope[list[Item]]:
    return responses.page(CursorPaginationSchema(items=[Item(name="a")], next_cursor="x", limit=1))


@router.get("/bare")
async def bare() -> Item:
    return Item(name="bare")


@pytest.fixture
def app():
    return create_app(Settings(ENVIRONMENT="test"), router)


async def ask(app, path, method="GET"):
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as http:
        return await http.request(method, path, headers={"X-Request-ID": "order-1"})


async def test_a_success_has_its_data_message_meta_and_request_id(app):
    assert (await ask(app, "/one")).json() == {
        "data": {"name": "brick"},  # the response model filters: no password
        "message": "found",
        "meta": {"cached": False},
        "request_id": "order-1",
    }


async def test_created_and_accepted_say_where(app):
    created = await ask(app, "/one", "POST")
    assert (created.status_code, created.headers["location"]) == (201, "/one")
    later = await ask(app, "/later", "POST")
    assert (later.status_code, later.headers["location"]) == (202, "/jobs/1")
    assert (later.json()["data"], later.json()["message"]) == (None, "queued")


async def test_a_page_is_data_and_meta(app):
    answer = (await ask(app, "/pages")).json()
    assert answer["data"] == [{"name": "a"}, {"name": "b"}]
    assert answer["meta"] == {
        "total": 5, "page": 1, "page_size": 2, "pages": 3, "has_more": None,
    }  # fmt: skip
    assert (await ask(app, "/cursor")).json()["meta"]["next_cursor"] == "x"


async def test_nothing_else_is_enveloped(app):
    assert (await ask(app, "/bare")).json() == {"name": "bare"}
    assert (await ask(app, "/nowhere")).json()["code"] == "NOT_FOUND"


def test_the_document_shows_the_envelope(app):
    operation = app.openapi()["paths"]["/one"]["get"]
    shown = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    schema = app.openapi()["components"]["schemas"][shown.rpartition("/")[2]]
    assert schema["properties"]["data"] == {"$ref": "#/components/schemas/Item"}
    assert "parameters" not in operation
    assert ResponseFactory.__init__.__annotations__  # objects, not text
