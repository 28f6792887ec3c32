"""View sets over HTTP, on every database."""

# ruff: noqa: RUF012

from __future__ import annotations

from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import ForeignKey, MetaData, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from tijolo.core import (
    BaseDTO,
    BasePaginationFilterSchema,
    BaseResponseSchema,
    CursorPaginationFilterSchema,
)
from tijolo.db import (
    NAMING_CONVENTION,
    AsyncDatabaseManager,
    BaseModel,
    BaseRepository,
    SoftDeleteMixin,
    VersionMixin,
    on_commit,
)

pytest.importorskip("fastapi")
import httpx
from fastapi import Depends, FastAPI, Header, HTTPException

from tijolo.db.viewsets import ViewSet


class Base(BaseModel):
    __abstract__ = True
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Shop(Base):
    __tablename__ = "view_shop"
    name: Mapped[str] = mapped_column(String(40))


class Basket(VersionMixin, Base):
    __tablename__ = "view_basket"
    owner: Mapped[str] = mapped_column(String(40))
    note: Mapped[str] = mapped_column(String(80), default="none")
    shop_id: Mapped[UUID | None] = mapped_column(ForeignKey("view_shop.id"), default=None)
    shop: Mapped[Shop | None] = relationship(lambda: Shop, lazy="raise")
    items: Mapped[list[Item]] = relationship(
        lambda: Item, cascade="all, delete-orphan", lazy="raise", order_by=lambda: Item.sku
    )
    address: Mapped[Address | None] = relationship(
        lambda: Address, cascade="all, delete-orphan", lazy="raise", uselist=False
    )


class Item(Base):
    __tablename__ = "view_item"
    __table_args__ = (UniqueConstraint("basket_id", "sku"),)
    basket_id: Mapped[UUID] = mapped_column(ForeignKey("view_basket.id"))
    sku: Mapped[str] = mapped_column(String(20))
    quantity: Mapped[int] = mapped_column(default=1)
    notes: Mapped[list[Note]] = relationship(
        lambda: Note, cascade="all, delete-orphan", lazy="raise", order_by=lambda: Note.text
    )


class Note(Base):
    __tablename__ = "view_note"
    item_id: Mapped[UUID] = mapped_column(ForeignKey("view_item.id"))
    text: Mapped[str] = mapped_column(String(40))


class Address(Base):
    __tablename__ = "view_address"
    basket_id: Mapped[UUID] = mapped_column(ForeignKey("view_basket.id"), unique=True)
    street: Mapped[str] = mapped_column(String(40))


class Page(SoftDeleteMixin, Base):
    __tablename__ = "view_page"
    slug: Mapped[str] = mapped_column(String(40), unique=True)
    secret: Mapped[str] = mapped_column(String(40), default="hidden")


class NoteIn(BaseDTO):
    id: UUID | None = None
    text: str


class ItemIn(BaseDTO):
    id: UUID | None = None
    sku: str
    quantity: int = 1
    notes: list[NoteIn] = []


class AddressIn(BaseDTO):
    street: str


class BasketCreate(BaseDTO):
    owner: str
    note: str = "from the schema"
    shop_id: UUID | None = None
    items: list[ItemIn] = []
    address: AddressIn | None = None


class BasketUpdate(BaseDTO):
    version: int | None = None
    owner: str | None = None
    note: str | None = None
    items: list[ItemIn] | None = None
    address: AddressIn | None = None


class NoteOut(BaseResponseSchema):
    text: str


class ItemOut(BaseResponseSchema):
    sku: str
    quantity: int
    notes: list[NoteOut]


class AddressOut(BaseResponseSchema):
    street: str


class ShopOut(BaseResponseSchema):
    name: str


class BasketOut(BaseResponseSchema):
    owner: str
    note: str
    version: int
    items: list[ItemOut]
    address: AddressOut | None
    shop: ShopOut | None


class PageOut(BaseResponseSchema):
    slug: str


class PageIn(BaseDTO):
    slug: str


class BasketFilter(BasePaginationFilterSchema):
    owner: str | None = None


class BasketViews(ViewSet[Basket]):
    model = Basket
    response_schema = BasketOut
    create_schema = BasketCreate
    update_schema = BasketUpdate
    filter_schema = BasketFilter


class PageViews(ViewSet[Page]):
    model = Page
    response_schema = PageOut
    create_schema = PageIn
    filter_schema = CursorPaginationFilterSchema
    actions = ("list", "retrieve", "create", "delete")


def client_of(db, *views):
    app = FastAPI()
    for each in views:
        app.include_router(each.make_router(db, prefix=f"/{each.model.__name__.lower()}s"))
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://shop")


@pytest.fixture
async def views_db(db_url):
    manager = AsyncDatabaseManager(
        db_url,
        environment="test",
        cursor_secret="k" * 16 + "0123456789abcdef",
        metadata=Base.metadata,
    )
    await manager.connect()
    await manager.create_tables()
    async with manager.engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            await connection.execute(table.delete())
    yield manager
    await manager.disconnect()


@pytest.fixture
async def baskets(views_db):
    db = views_db
    async with client_of(db, BasketViews, PageViews) as client:
        yield client


async def new(client, **values):
    answer = await client.post("/baskets", json={"owner": "ana", **values})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_row_is_created_read_listed_changed_and_removed(baskets):
    made = await baskets.post("/baskets", json={"owner": "ana"})
    assert made.status_code == 201
    assert made.headers["location"] == f"/baskets/{made.json()['id']}"
    path = made.headers["location"]

    assert (await baskets.get(path)).json() == made.json()
    listed = (await baskets.get("/baskets")).json()
    assert (listed["total"], listed["items"]) == (1, [made.json()])
    changed = await baskets.patch(path, json={"note": "fragile"})
    assert (changed.status_code, changed.json()["note"]) == (200, "fragile")
    assert changed.json()["owner"] == "ana"
    assert (await baskets.delete(path)).status_code == 204
    assert (await baskets.get(path)).status_code == 404
    assert (await baskets.patch(path, json={})).status_code == 404
    assert (await baskets.delete(path)).status_code == 404


async def test_the_defaults_of_the_create_schema_count(baskets):
    assert (await new(baskets))["note"] == "from the schema"


async def test_the_list_takes_the_filters_of_its_schema(baskets):
    await new(baskets)
    await new(baskets, owner="bia")
    found = (await baskets.get("/baskets", params={"owner": "bia"})).json()
    assert [row["owner"] for row in found["items"]] == ["bia"]
    assert (await baskets.get("/baskets", params={"page_size": 1000})).status_code == 422
    assert (await baskets.get("/baskets", params={"order_by": "password"})).status_code == 422


@pytest.mark.parametrize("key", ["x", "1", "", " ", "00000000-0000-0000-0000-00000000000", "%00"])
async def test_a_key_that_is_none_is_the_caller_s_mistake(baskets, key):
    for method in ("GET", "PATCH", "DELETE"):
        answer = await baskets.request(method, f"/baskets/{key}", json={})
        assert answer.status_code in (404, 405, 307, 422)


async def test_nested_rows_come_with_their_parent_and_are_shown(baskets):
    made = await new(
        baskets,
        items=[{"sku": "tea", "quantity": 2, "notes": [{"text": "loose"}]}, {"sku": "mate"}],
        address={"street": "Rua A"},
    )
    assert [(item["sku"], item["quantity"]) for item in made["items"]] == [("mate", 1), ("tea", 2)]
    assert made["items"][1]["notes"][0]["text"] == "loose"
    assert made["address"]["street"] == "Rua A"
    assert (await baskets.get(f"/baskets/{made['id']}")).json() == made


async def test_a_list_of_nested_rows_becomes_what_was_sent(baskets):
    made = await new(
        baskets, items=[{"sku": "mate"}, {"sku": "tea", "notes": [{"text": "a"}, {"text": "b"}]}]
    )
    tea = made["items"][1]
    sent = [
        {"id": tea["id"], "sku": "tea", "quantity": 5, "notes": [{"text": "c"}]},
        {"sku": "coffee", "notes": [{"text": "d"}]},
    ]
    answer = await baskets.patch(f"/baskets/{made['id']}", json={"items": sent})
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert [item["sku"] for item in items] == ["coffee", "tea"]
    assert (items[1]["id"], items[1]["quantity"]) == (tea["id"], 5)
    assert [note["text"] for item in items for note in item["notes"]] == ["d", "c"]
    assert (await baskets.get(f"/baskets/{made['id']}")).json() == answer.json()


async def test_a_new_row_may_take_the_unique_place_of_one_that_goes(baskets):
    made = await new(baskets, items=[{"sku": "tea", "quantity": 1}])
    answer = await baskets.patch(
        f"/baskets/{made['id']}", json={"items": [{"sku": "tea", "quantity": 9}]}
    )
    assert answer.status_code == 200, answer.text
    assert [item["quantity"] for item in answer.json()["items"]] == [9]
    assert answer.json()["items"][0]["id"] != made["items"][0]["id"]


async def test_a_single_nested_row_is_changed_and_removed(baskets):
    made = await new(baskets, address={"street": "Rua A"})
    path = f"/baskets/{made['id']}"
    changed = (await baskets.patch(path, json={"address": {"street": "Rua B"}})).json()
    assert changed["address"]["street"] == "Rua B"
    assert changed["address"]["id"] == made["address"]["id"]
    assert (await baskets.patch(path, json={"address": None})).json()["address"] is None
    again = await baskets.patch(path, json={"address": {"street": "Rua C"}})
    assert again.json()["address"]["street"] == "Rua C"


async def test_nested_rows_that_were_not_sent_stay(baskets):
    made = await new(baskets, items=[{"sku": "tea"}], address={"street": "Rua A"})
    changed = (await baskets.patch(f"/baskets/{made['id']}", json={"note": "x"})).json()
    assert (changed["items"], changed["address"]) == (made["items"], made["address"])


@pytest.mark.parametrize("mine", [True, False])
async def test_a_nested_row_of_somebody_else_cannot_be_taken_or_changed(baskets, mine):
    other = await new(baskets, items=[{"sku": "tea", "notes": [{"text": "theirs"}]}])
    own = await new(baskets, items=[{"sku": "mate"}] if mine else [])
    stolen = {"id": other["items"][0]["id"], "sku": "stolen"}
    answer = await baskets.patch(f"/baskets/{own['id']}", json={"items": [stolen]})
    assert answer.status_code == 422
    note = {"id": other["items"][0]["notes"][0]["id"], "text": "stolen"}
    answer = await baskets.patch(
        f"/baskets/{own['id']}", json={"items": [{"sku": "x", "notes": [note]}]}
    )
    assert answer.status_code == 422
    answer = await baskets.post("/baskets", json={"owner": "eva", "items": [stolen]})
    assert answer.status_code == 422
    assert (await baskets.get(f"/baskets/{other['id']}")).json() == other
    assert (await baskets.get(f"/baskets/{own['id']}")).json() == own


async def test_a_nested_row_named_twice_is_refused(baskets):
    made = await new(baskets, items=[{"sku": "tea"}])
    twice = [{"id": made["items"][0]["id"], "sku": "tea"}] * 2
    answer = await baskets.patch(f"/baskets/{made['id']}", json={"items": twice})
    assert answer.status_code == 422


async def test_null_where_a_value_is_needed_is_a_422_and_changes_nothing(baskets):
    made = await new(baskets, items=[{"sku": "tea"}])
    for sent in ({"note": None}, {"items": None}):
        answer = await baskets.patch(f"/baskets/{made['id']}", json={"owner": "x", **sent})
        assert answer.status_code == 422
    assert (await baskets.get(f"/baskets/{made['id']}")).json() == made


async def test_a_clash_among_nested_rows_is_a_409_and_undoes_everything(baskets):
    made = await new(baskets, items=[{"sku": "tea"}])
    doubled = {"note": "x", "items": [{"sku": "a"}, {"sku": "a"}]}
    answer = await baskets.patch(f"/baskets/{made['id']}", json=doubled)
    assert answer.status_code == 409
    assert (await baskets.get(f"/baskets/{made['id']}")).json() == made
    assert (await baskets.post("/baskets", json={"owner": "b", **doubled})).status_code == 409


async def test_the_version_that_was_read_guards_the_row_and_what_it_owns(baskets):
    made = await new(baskets, items=[{"sku": "tea"}])
    path, seen = f"/baskets/{made['id']}", made["version"]
    first = await baskets.patch(path, json={"version": seen, "items": [{"sku": "mate"}]})
    assert first.status_code == 200, first.text
    assert first.json()["version"] > seen
    second = await baskets.patch(path, json={"version": seen, "items": [{"sku": "wine"}]})
    assert second.status_code == 412
    third = await baskets.patch(path, json={"version": seen, "note": "late"})
    assert third.status_code == 412
    assert (await baskets.get(path)).json() == first.json()


async def test_soft_deletion_is_used_where_the_model_has_it(views_db):
    db = views_db
    async with client_of(db, PageViews) as client:
        made = (await client.post("/pages", json={"slug": "a"})).json()
        assert "secret" not in made
        assert (await client.delete(f"/pages/{made['id']}")).status_code == 204
        assert (await client.get(f"/pages/{made['id']}")).status_code == 404
        assert (await client.get("/pages")).json()["items"] == []
        assert (await client.patch(f"/pages/{made['id']}", json={})).status_code == 405
    async with db.transaction() as session:
        repository = BaseRepository(session, model=Page)
        assert (await repository.get_by_id(UUID(made["id"]), include_deleted=True)).is_deleted


async def test_a_cursor_schema_makes_a_list_by_cursor(views_db):
    db = views_db
    async with client_of(db, PageViews) as client:
        for slug in "abcde":
            await client.post("/pages", json={"slug": slug})
        seen, cursor = [], None
        while True:
            query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
            page = (await client.get("/pages", params=query)).json()
            seen += [row["slug"] for row in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
    assert sorted(seen) == list("abcde")


def caller(x_user: str = Header()):
    if x_user == "mallory":
        raise HTTPException(401)
    return SimpleNamespace(name=x_user)


class OwnBaskets(BasketViews):
    """Everybody sees their own."""

    context_dependency = caller
    announced: list[str]

    def visible(self):
        return {"owner": self.context.name}

    async def create(self, data):
        values = {**data.model_dump(), "owner": self.context.name}
        row = await super().create(values)
        on_commit(self.session, lambda: announced.append(row.owner))
        return row


announced: list[str] = []


async def test_actions_are_overridden_and_rows_of_others_do_not_exist(views_db):
    db = views_db
    announced.clear()
    async with client_of(db, OwnBaskets) as client:
        ana, bia = {"x-user": "ana"}, {"x-user": "bia"}
        made = await client.post("/baskets", json={"owner": "bia"}, headers=ana)
        assert made.status_code == 201, made.text
        assert (made.json()["owner"], announced) == ("ana", ["ana"])
        path = f"/baskets/{made.json()['id']}"
        assert (await client.get(path, headers=ana)).status_code == 200
        assert (await client.get(path, headers=bia)).status_code == 404
        assert (await client.patch(path, json={"note": "x"}, headers=bia)).status_code == 404
        assert (await client.delete(path, headers=bia)).status_code == 404
        assert (await client.get("/baskets", headers=bia)).json()["total"] == 0
        assert (await client.get("/baskets?owner=ana", headers=bia)).json()["total"] == 0
        assert (await client.get("/baskets", headers=ana)).json()["total"] == 1
        assert (await client.get("/baskets", headers={"x-user": "mallory"})).status_code == 401


async def test_routes_are_protected_together_and_one_by_one(views_db):
    seen = []

    def everywhere():
        seen.append("everywhere")

    def nobody():
        raise HTTPException(403)

    class Guarded(PageViews):
        dependencies = (Depends(everywhere),)
        action_dependencies = {"delete": (Depends(nobody),)}

    db = views_db
    async with client_of(db, Guarded) as client:
        made = (await client.post("/pages", json={"slug": "a"})).json()
        assert (await client.delete(f"/pages/{made['id']}")).status_code == 403
        assert (await client.get(f"/pages/{made['id']}")).status_code == 200
    assert seen == ["everywhere"] * 3


async def test_an_action_can_be_wrapped(views_db):
    from functools import wraps

    kept = {}

    def remember(endpoint):
        @wraps(endpoint)
        async def remembering(**arguments):
            key = arguments["id"]
            if key not in kept:
                kept[key] = PageOut.model_validate(await endpoint(**arguments))
            return kept[key]

        return remembering

    class Kept(PageViews):
        action_decorators = {"retrieve": (remember,)}

    db = views_db
    async with client_of(db, Kept) as client:
        made = (await client.post("/pages", json={"slug": "a"})).json()
        path = f"/pages/{made['id']}"
        first = (await client.get(path)).json()
        await client.delete(path)
        assert (await client.get(path)).json() == first


@pytest.mark.parametrize(
    ("attributes", "error", "says"),
    [
        ({"update_schema": None}, ValueError, "needs update_schema"),
        ({"actions": ("list", "destroy")}, ValueError, "'destroy'"),
        ({"action_dependencies": {"destroy": ()}}, ValueError, "'destroy'"),
        (
            {"create_schema": type("In", (BaseDTO,), {"__annotations__": {"wrong": str}})},
            TypeError,
            "In.wrong is neither",
        ),
        (
            {"create_schema": type("In", (BaseDTO,), {"__annotations__": {"shop": PageIn}})},
            TypeError,
            "does not own",
        ),
    ],
)
async def test_what_cannot_work_is_refused_when_the_router_is_made(attributes, error, says):
    wrong = type("Wrong", (BasketViews,), attributes)
    with pytest.raises(error, match=says):
        wrong.make_router(SimpleNamespace(), prefix="/x")


async def test_the_documentation_shows_the_schemas(views_db):
    db = views_db
    app = FastAPI()
    app.include_router(BasketViews.make_router(db, prefix="/baskets"))
    paths = app.openapi()["paths"]
    assert set(paths["/baskets"]) == {"get", "post"}
    assert set(paths["/baskets/{id}"]) == {"get", "patch", "delete"}
    body = paths["/baskets"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/BasketCreate"}
    names = {parameter["name"] for parameter in paths["/baskets"]["get"]["parameters"]}
    assert {"page", "page_size", "order_by", "owner"} <= names
    key = paths["/baskets/{id}"]["get"]["parameters"][0]
    assert (key["name"], key["schema"]["format"]) == ("id", "uuid")


async def test_two_writers_of_one_row_lose_nothing(baskets):
    import asyncio

    made = await new(baskets)
    path, version = f"/baskets/{made['id']}", made["version"]
    answers = await asyncio.gather(
        *(
            baskets.patch(path, json={"version": version, "items": [{"sku": f"s{n}"}]})
            for n in range(8)
        )
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 200
    assert set(statuses[1:]) <= {409, 412, 503}
    stored = (await baskets.get(path)).json()
    winner = next(answer.json() for answer in answers if answer.status_code == 200)
    assert stored == winner


async def test_an_unknown_shop_is_a_conflict(baskets):
    answer = await baskets.post("/baskets", json={"owner": "a", "shop_id": str(uuid4())})
    assert answer.status_code == 409
