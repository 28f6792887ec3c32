"""What a hit in memory costs, against a dictionary and against cashews; fifty misses at once;
what a kept answer costs against a cheap one that is made each time.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from cashews import Cache as Cashews
from fastapi import FastAPI
from pydantic import BaseModel

from tests.benchmarks.harness import Contender, Group
from tijolo.cache import Cache, MemoryBackend, cached
from tijolo.cache.fastapi import cached_response

Function = Callable[[int], Awaitable[object]]


class Product(BaseModel):
    """A small result."""

    id: int
    name: str
    price: float


def _product(product_id: int) -> Product:
    return Product(id=product_id, name="tijolo", price=1.5)


def _dictionary() -> Function:
    """What one would write by hand: no time to live, no copies, one object for all callers."""
    kept: OrderedDict[int, Product] = OrderedDict()

    async def product(product_id: int) -> Product:
        try:
            kept.move_to_end(product_id)
            return kept[product_id]
        except KeyError:
            kept[product_id] = _product(product_id)
            return kept[product_id]

    return product


def _tijolo() -> Function:
    @cached(Cache(MemoryBackend()), ttl=600)
    async def product(product_id: int) -> Product:
        return _product(product_id)

    return product


def _cashews(*, lock: bool = False) -> Function:
    cache = Cashews()
    cache.setup("mem://?size=10000&check_interval=0")

    @cache(ttl="10m", lock=lock)
    async def product(product_id: int) -> Product:
        await asyncio.sleep(0)
        return _product(product_id)

    return product  # type: ignore[no-any-return]


def _hits(function: Function) -> Callable[[int], Awaitable[None]]:
    async def run(count: int) -> None:
        for _ in range(count):
            await function(7)

    return run


def _stampede(make: Callable[[], Function]) -> Callable[[int], Awaitable[None]]:
    function = make()
    key = 0

    async def run(count: int) -> None:
        nonlocal key
        for _ in range(count):
            key += 1
            await asyncio.gather(*(function(key) for _ in range(50)))

    return run


def _endpoint(kept: bool) -> Callable[[int], Awaitable[None]]:
    """A list of twenty models, made and serialised, or kept."""
    app = FastAPI(openapi_url=None)

    async def products() -> list[Product]:
        return [_product(number) for number in range(20)]

    app.get("/")(cached_response(Cache(), public=True)(products) if kept else products)
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"shop.example")],
    }

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(f"answered {message['status']}")

    async def run(count: int) -> None:
        for _ in range(count):
            await app({**scope, "state": {}}, receive, send)

    return run


def groups() -> list[Group]:
    """A hit, fifty misses of one key, and a hit of an endpoint."""
    return [
        Group(
            row="CA2a",
            title="one hit in memory: a model by one argument",
            clock=time.thread_time,
            contenders=[
                Contender(name="cashews, mem://", run=_hits(_cashews()), role="baseline"),
                Contender(name="tijolo cached", run=_hits(_tijolo()), goal=1.0),
                Contender(name="a dictionary, by hand", run=_hits(_dictionary()), role="limit"),
            ],
        ),
        Group(
            row="CA2b",
            title="fifty callers of a key that is not there",
            clock=time.thread_time,
            contenders=[
                Contender(
                    name="cashews with lock",
                    run=_stampede(lambda: _cashews(lock=True)),
                    role="baseline",
                ),
                Contender(name="tijolo cached", run=_stampede(_tijolo), goal=1.0),
            ],
        ),
        Group(
            row="CA2c",
            title="GET of twenty models that cost nothing to make",
            clock=time.thread_time,
            contenders=[
                Contender(name="FastAPI alone", run=_endpoint(False), role="baseline"),
                Contender(name="cached_response, a hit", run=_endpoint(True), goal=1.5),
            ],
        ),
    ]
