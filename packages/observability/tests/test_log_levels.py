from __future__ import annotations

import logging

import pytest

from tijolo.core import OpsAccess
from tijolo.observability import get_log_levels, make_log_levels_router, set_log_level

OPEN = OpsAccess(allow_anonymous=True)


@pytest.fixture
def shop():
    """A logger, and the levels of all as they were."""
    before = get_log_levels()
    logger = logging.getLogger("levels.shop")
    logging.getLogger("levels.place.holder")
    yield logger
    for name in get_log_levels().keys() - before.keys():
        logging.getLogger(name).setLevel(logging.NOTSET)
    set_log_level("root", before["root"])


async def test_the_level_of_one_logger_changes_while_the_service_runs(probe, shop):
    router = make_log_levels_router(access=OPEN)
    child = logging.getLogger("levels.shop.orders")
    assert not child.isEnabledFor(logging.DEBUG)

    answer = await probe(router, "/log-levels/levels.shop", "PUT", json={"level": "debug"})

    assert answer.json()["levels.shop"] == "DEBUG"
    assert child.isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("levels").isEnabledFor(logging.DEBUG)
    await probe(router, "/log-levels/levels.shop", "PUT", json={"level": None})
    assert not child.isEnabledFor(logging.DEBUG)
    assert "levels.shop" not in (await probe(router, "/log-levels")).json()


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("levels.nobody", {"level": "DEBUG"}, 404),
        ("levels.place", {"level": "DEBUG"}, 404),  # a place holder, no logger
        ("levels.shop", {"level": "LOUD"}, 422),
        ("levels.shop", {}, 422),
        ("levels.shop", {"level": 10}, 422),
        ("root", {"level": None}, 422),
        ("x" * 300, {"level": "DEBUG"}, 422),
    ],
)
async def test_mistakes_change_nothing(probe, shop, name, body, status):
    before = get_log_levels()
    known = set(logging.root.manager.loggerDict)

    answer = await probe(
        make_log_levels_router(access=OPEN), f"/log-levels/{name}", "PUT", json=body
    )

    assert answer.status_code == status
    assert get_log_levels() == before
    assert set(logging.root.manager.loggerDict) == known


async def test_levels_need_access(probe, shop):
    router = make_log_levels_router(access=OpsAccess(token="a-token-of-operators"))

    for path, method in (("/log-levels", "GET"), ("/log-levels/root", "PUT")):
        assert (await probe(router, path, method, json={"level": "DEBUG"})).status_code == 401


def test_the_root_keeps_a_level():
    with pytest.raises(ValueError, match="root logger needs a level"):
        set_log_level("root", None)
    with pytest.raises(ValueError, match="LOUD"):
        set_log_level("levels.shop", "LOUD")
