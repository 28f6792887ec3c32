import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import anyio
import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request, Response
from pydantic import BaseModel

from tijolo.core import BaseAppSettings, Environment
from tijolo.web import (
    apply_cors,
    cors,
    create_app,
    no_cors,
    register_exception_handlers,
)
from tijolo.web.controllers import (
    Controller,
    after_request,
    before_request,
    delete,
    development,
    get,
    make_controller_router,
    patch,
    post,
    put,
    route,
)


class Item(BaseModel):
    name: str


class Store:
    def __init__(self) -> None:
        self.items: dict[int, Item] = {1: Item(name="brick")}


STORE = Store()


def get_store() -> Store:
    return STORE


async def guard(x_key: Annotated[str | None, Header()] = None) -> None:
    if x_key == "bad":
        raise HTTPException(403)


class Items(Controller):
    prefix = "/items"
    tags = ("stock",)
    dependencies = (Depends(guard),)

    def __init__(
        self, store: Annotated[Store, Depends(get_store)], request: Request, limit: int = 10
    ) -> None:
        self.store, self.request, self.limit = store, request, limit

    @get("/{item_id}")
    async def read(self, item_id: int) -> Item:
        """One item."""
        if item_id not in self.store.items:
            raise HTTPException(404)
        return self.store.items[item_id]

    @post(status_code=201)
    async def create(self, item: Item) -> Item:
        return item

    @get("/")
    async def index(self) -> dict[str, Any]:
        return {"limit": self.limit, "path": self.request.url.path}

    @get("/sync/thread")
    def sync(self) -> dict[str, bool]:
        return {"main": threading.current_thread() is threading.main_thread()}

    @put("/{item_id}")
    @patch("/{item_id}")
    async def change(self, item_id: int, item: Item) -> dict[str, Any]:
        return {"id": item_id, "name": item.name}

    @delete("/{item_id}", status_code=204)
    async def remove(self, item_id: int) -> None: ...

    @get("/debug/all")
    @development
    async def debug(self) -> dict[str, int]:
        return {"count": len(self.store.items)}


def app_of(*controllers: type[Controller], **options: Any) -> FastAPI:
    app = FastAPI()
    register_exception_handlers(app)
    app.include_router(make_controller_router(*controllers, **options))
    return app


async def ask(app: FastAPI, path: str, method: str = "GET", **kwargs: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as http:
        return await http.request(method, path, **kwargs)


async def test_methods_are_endpoints_with_what_the_constructor_asks_for():
    app = app_of(Items)
    assert (await ask(app, "/items/1")).json() == {"name": "brick"}
    assert (await ask(app, "/items/2")).status_code == 404
    assert (await ask(app, "/items/x")).status_code == 422
    assert (await ask(app, "/items/?limit=3")).json() == {"limit": 3, "path": "/items/"}
    assert (await ask(app, "/items/?limit=x")).status_code == 422
    assert (await ask(app, "/items", "POST", json={"name": "a"})).status_code == 201
    assert (await ask(app, "/items", "POST", json={})).json()["errors"][0]["loc"] == [
        "body",
        "name",
    ]
    for method in ("PUT", "PATCH"):
        changed = await ask(app, "/items/7", method, json={"name": "b"})
        assert changed.json() == {"id": 7, "name": "b"}
    assert (await ask(app, "/items/7", "DELETE")).status_code == 204


async def test_the_controller_s_dependencies_guard_every_route():
    app = app_of(Items)
    for path in ("/items/1", "/items/", "/items/sync/thread"):
        assert (await ask(app, path, headers={"X-Key": "bad"})).status_code == 403


async def test_a_plain_method_runs_in_a_thread():
    assert (await ask(app_of(Items), "/items/sync/thread")).json() == {"main": False}


async def test_thirty_requests_at_once_have_thirty_instances():
    class Counting(Controller):
        def __init__(self, number: int) -> None:
            self.number = number

        @get("/n")
        async def n(self) -> int:
            await asyncio.sleep(0.01)
            return self.number

    app = app_of(Counting)
    answers = await asyncio.gather(*(ask(app, f"/n?number={i}") for i in range(30)))
    assert [answer.json() for answer in answers] == list(range(30))


async def test_dependency_overrides_reach_the_constructor():
    app = app_of(Items)
    other = Store()
    other.items = {5: Item(name="other")}
    app.dependency_overrides[get_store] = lambda: other
    assert (await ask(app, "/items/5")).json() == {"name": "other"}


def test_the_document_shows_what_a_function_would_show():
    document = app_of(Items).openapi()
    operation = document["paths"]["/items/{item_id}"]["get"]
    assert operation["tags"] == ["stock"]
    assert operation["description"] == "One item."
    assert operation["summary"] == "Read"
    names = {p["name"]: p["in"] for p in operation["parameters"]}
    assert names == {"item_id": "path", "limit": "query", "x-key": "header"}
    shown = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert shown == {"$ref": "#/components/schemas/Item"}
    body = document["paths"]["/items"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/Item"}
    operations = [o["operationId"] for p in document["paths"].values() for o in p.values()]
    assert len(operations) == len(set(operations))


def test_without_tags_the_class_names_the_group():
    class Plain(Controller):
        @get("/x")
        async def x(self) -> None: ...

    assert app_of(Plain).openapi()["paths"]["/x"]["get"]["tags"] == ["Plain"]


# --- development


class Settings(BaseAppSettings, env_file=None):
    pass


@pytest.mark.parametrize(
    ("environment", "status"),
    [
        (None, 404),
        (Environment.PRODUCTION, 404),
        (Environment.STAGING, 404),
        (Environment.DEVELOPMENT, 200),
        (Settings(ENVIRONMENT="test"), 200),
        (Settings(ENVIRONMENT="production"), 404),
    ],
)
async def test_development_routes_exist_in_development_only(environment, status):
    @development
    class Tools(Controller):
        prefix = "/tools"

        @get("/x")
        async def x(self) -> bool:
            return True

    app = app_of(Items, Tools, environment=environment)
    assert (await ask(app, "/items/debug/all")).status_code == status
    assert (await ask(app, "/tools/x")).status_code == status
    assert ("/items/debug/all" in app.openapi()["paths"]) == (status == 200)
    assert (await ask(app, "/items/1")).status_code == 200


# --- hooks


class Hooked(Controller):
    def __init__(self, request: Request) -> None:
        self.seen: list[Any] = request.app.state.seen

    @before_request
    async def first(self, request: Request) -> Response | None:
        self.seen.append(("first", request.url.path))
        return Response("taken", status_code=202) if "taken" in request.url.path else None

    @before_request
    def second(self, request: Request) -> None:
        self.seen.append("second")
        if "refused" in request.url.path:
            raise HTTPException(403)

    @after_request
    async def inner(self, request: Request, error: BaseException | None) -> None:
        self.seen.append(("inner", type(error).__name__))
        if "broken" in request.url.path:
            raise RuntimeError("inner broke")

    @after_request
    def outer(self, request: Request, error: BaseException | None) -> None:
        self.seen.append(("outer", type(error).__name__))
        if "broken" in request.url.path:
            raise ValueError("outer broke")

    @get("/{name}")
    async def run(self, name: str) -> str:
        self.seen.append("run")
        if "fails" in name:
            raise HTTPException(418)
        return name

    @get("/number/{number}")
    def number(self, number: int) -> int:
        self.seen.append("number")
        return number


def hooked(controller: type[Controller] = Hooked) -> FastAPI:
    app = app_of(controller)
    app.state.seen = []
    return app


async def test_hooks_run_around_the_endpoint_in_order():
    app = hooked()
    assert (await ask(app, "/fine")).json() == "fine"
    assert app.state.seen == [
        ("first", "/fine"), "second", "run", ("outer", "NoneType"), ("inner", "NoneType"),
    ]  # fmt: skip
    assert (await ask(app, "/number/7")).json() == 7


async def test_a_hook_may_answer_or_refuse_and_what_comes_after_runs():
    app = hooked()
    taken = await ask(app, "/taken")
    assert (taken.status_code, taken.text) == (202, "taken")
    assert "run" not in app.state.seen
    assert app.state.seen[-1] == ("inner", "NoneType")
    app.state.seen.clear()
    assert (await ask(app, "/refused")).status_code == 403
    assert app.state.seen[2:] == [("outer", "HTTPException"), ("inner", "HTTPException")]


async def test_no_hook_runs_for_input_that_is_refused():
    app = hooked()
    assert (await ask(app, "/number/x")).status_code == 422
    assert app.state.seen == []


async def test_an_error_of_the_endpoint_wins_over_those_of_hooks(records):
    app = hooked()
    assert (await ask(app, "/fails-and-broken")).status_code == 418
    assert len([e for e in app.state.seen if isinstance(e, tuple)]) == 3
    logged = [r.getMessage() for r in records if r.name == "tijolo.web.controllers"]
    assert logged == ["hook Hooked.outer failed", "hook Hooked.inner failed"]


async def test_an_error_of_a_hook_after_success_is_an_error(records):
    app = hooked()
    assert (await ask(app, "/broken")).status_code == 500
    assert app.state.seen[-1] == ("inner", "NoneType")  # although the one before it failed
    assert any("ValueError" in r.getMessage() for r in records if r.name == "tijolo.web.errors")


async def test_cancellation_reaches_the_hooks():
    seen: list[Any] = []
    started = asyncio.Event()

    class Slow(Controller):
        @get("/slow")
        async def slow(self) -> None:
            started.set()
            await asyncio.sleep(60)

        @after_request
        async def done(self, request: Request, error: BaseException | None) -> None:
            seen.append(type(error).__name__)

    task = asyncio.create_task(ask(app_of(Slow), "/slow"))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["CancelledError"]


async def test_methods_that_stream_stream_and_have_their_hooks():
    pytest.importorskip("fastapi.sse")  # FastAPI streams what a generator yields since then

    class Streaming(Hooked):
        @get("/stream/{name}")
        async def stream(self, name: str) -> AsyncIterator[Item]:
            yield Item(name=name)
            if name == "fails":
                raise RuntimeError("late")
            yield Item(name="2")

        @get("/lines/{name}")
        def lines(self, name: str) -> Iterator[Item]:
            yield Item(name=name)
            yield Item(name=str(threading.current_thread() is threading.main_thread()))

    app = hooked(Streaming)
    lines = (await ask(app, "/stream/a")).text.splitlines()
    assert lines == ['{"name":"a"}', '{"name":"2"}']
    assert app.state.seen[-1] == ("inner", "NoneType")
    assert (await ask(app, "/lines/b")).text.splitlines()[1] == '{"name":"False"}'
    app.state.seen.clear()
    await ask(app, "/stream/fails")
    assert app.state.seen[-1] == ("inner", "RuntimeError")


# --- classes


async def test_a_subclass_inherits_overrides_and_removes():
    class More(Items):
        prefix = "/more"
        remove = None

        async def read(self, item_id: int) -> Item:
            return Item(name=f"more {item_id}")

        @get("/extra")
        async def extra(self) -> bool:
            return True

    app = app_of(Items, More)
    assert (await ask(app, "/more/1")).json() == {"name": "more 1"}
    assert (await ask(app, "/items/1")).json() == {"name": "brick"}
    assert (await ask(app, "/more/1", "DELETE")).status_code == 405
    assert (await ask(app, "/items/1", "DELETE")).status_code == 204


async def test_an_overriding_method_opens_nothing_that_was_closed():
    class Base(Controller):
        @get("/debug")
        @development
        async def debug(self) -> str:
            return "base"

        @get("/closed")
        @no_cors
        async def closed(self) -> str:
            return "base"

        @get("/kept")
        @no_cors
        async def kept(self) -> str:
            return "base"

    class Sub(Base):
        prefix = "/sub"

        async def debug(self) -> str:
            return "sub"

        async def closed(self) -> str:
            return "sub"

        @cors(allow_origins=["https://other.example"])
        async def kept(self) -> str:
            return "sub"

    class Declared(Base):
        prefix = "/declared"

        @get("/debug")
        async def debug(self) -> str:
            return "declared anew"

    app = FastAPI()
    app.include_router(make_controller_router(Sub, Declared))
    apply_cors(app, origins=["https://shop.example"])
    origin = {"Origin": "https://shop.example"}
    assert (await ask(app, "/sub/debug")).status_code == 404
    assert (await ask(app, "/declared/debug")).json() == "declared anew"
    closed = await ask(app, "/sub/closed", headers=origin)
    assert closed.json() == "sub"
    assert "access-control-allow-origin" not in closed.headers
    answer = await ask(app, "/sub/kept", headers={"Origin": "https://other.example"})
    assert answer.headers["access-control-allow-origin"] == "https://other.example"


async def cut_off(endpoint: Any) -> list[str]:
    """What two hooks saw of a request whose scope was cancelled, as a client that left does it."""
    seen: list[str] = []

    class Slow(Controller):
        slow = get("/slow")(endpoint)

        @after_request
        async def first(self, request: Request, error: BaseException | None) -> None:
            await asyncio.sleep(0)
            seen.append(f"first {type(error).__name__}")

        @after_request
        def second(self, request: Request, error: BaseException | None) -> None:
            seen.append("second")

    with anyio.move_on_after(0.05):
        await ask(app_of(Slow), "/slow")
    return seen


async def test_what_comes_after_is_not_cut_by_a_scope_that_was_cancelled():
    async def slow(self: Any) -> None:
        await asyncio.sleep(60)

    assert await cut_off(slow) == ["second", "first CancelledError"]


async def test_nor_is_what_comes_after_a_stream():
    pytest.importorskip("fastapi.sse")

    async def slow(self: Any) -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(60)

    assert await cut_off(slow) == ["second", "first CancelledError"]


async def test_policies_of_cross_origin_requests_work_on_controllers():
    partner = "https://partner.example"

    class Open(Controller):
        dependencies = (cors(allow_origins=[partner]).as_dependency,)

        @get("/open")
        async def open(self) -> bool:
            return True

    class Own(Controller):
        @get("/own")
        @cors(allow_origins=[partner])
        async def own(self) -> bool:
            return True

        @get("/closed")
        async def closed(self) -> bool:
            return True

    app = create_app(Settings(ENVIRONMENT="test"), make_controller_router(Open, Own))
    allowed = {}
    for path in ("/open", "/own", "/closed"):
        answer = await ask(app, path, headers={"Origin": partner})
        allowed[path] = answer.headers.get("access-control-allow-origin")
    assert allowed == {"/open": partner, "/own": partner, "/closed": None}


async def test_several_methods_of_one_path_and_a_prefix_for_all():
    class Both(Controller):
        @route("/any", methods=["GET", "POST"])
        async def any(self) -> bool:
            return True

    app = app_of(Both, prefix="/v1")
    assert (await ask(app, "/v1/any")).json() is True
    assert (await ask(app, "/v1/any", "POST")).json() is True


def test_what_cannot_work_is_refused_with_its_name():
    class Empty(Controller):
        pass

    class Variadic(Controller):
        @get("/x")
        async def x(self, *args: int) -> None: ...

    class Unknown(Controller):
        @get("/x")
        async def x(self, a: "Nowhere") -> None: ...  # noqa: F821

    for wrong, error, told in (
        (Empty, ValueError, "Empty has no routes"),
        (Variadic, TypeError, "Variadic.x"),
        (Unknown, TypeError, "Nowhere"),
        (APIRouter, TypeError, "no subclass of Controller"),
        (object(), TypeError, "no subclass of Controller"),
    ):
        with pytest.raises(error, match=told):
            make_controller_router(wrong)
    with pytest.raises(ValueError, match="slash"):
        get("x")
    with pytest.raises(TypeError, match="plain method"):
        get("/x")(staticmethod(lambda: None))
