"""Names that bring their module when they are first asked for."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import tijolo.core
from tijolo.core.lazy import lazy_names

SHOP = {"orders": "class Order: pass\nprint('orders')\n", "prices": "def price(): pass\n"}


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A package with two modules, of which nothing was imported yet."""
    folder = tmp_path / "lazy_shop"
    folder.mkdir()
    for name, source in SHOP.items():
        (folder / f"{name}.py").write_text(source)
    (folder / "__init__.py").write_text(
        "from tijolo.core.lazy import lazy_names\n"
        "__getattr__, __dir__ = lazy_names(__name__, {'orders': 'Order', 'prices': 'price'})\n"
        "__all__ = ['Order', 'price']\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("lazy_shop")
    for name in [name for name in sys.modules if name.startswith("lazy_shop")]:
        del sys.modules[name]


def test_a_name_brings_its_module_once(shop, capsys):
    assert "lazy_shop.orders" not in sys.modules
    assert {"Order", "price", "__all__"} <= set(dir(shop))
    assert "lazy_shop.orders" not in sys.modules
    first = shop.Order
    assert shop.Order is first is sys.modules["lazy_shop.orders"].Order
    assert "lazy_shop.prices" not in sys.modules
    names: dict[str, object] = {}
    exec("from lazy_shop import *", names)
    assert names["price"] is sys.modules["lazy_shop.prices"].price
    assert capsys.readouterr().out == "orders\n"


def test_other_names_are_errors_as_always(shop):
    with pytest.raises(AttributeError, match="module 'lazy_shop' has no attribute 'Ordr'"):
        _ = shop.Ordr
    with pytest.raises(ImportError, match="Ordr"):
        exec("from lazy_shop import Ordr")


@pytest.mark.parametrize(
    "homes", [{"orders": "orders"}, {"orders": "Order", "prices": "orders"}, {"a": "x", "b": "x"}]
)
def test_a_name_that_stands_for_two_things_is_refused(homes):
    with pytest.raises(ValueError, match="stands for something else as well"):
        lazy_names("shop", homes)


def test_every_public_name_is_there_also_when_every_module_was_imported():
    for module in pkgutil.iter_modules(tijolo.core.__path__):
        importlib.import_module(f"tijolo.core.{module.name}")
    for name in tijolo.core.__all__:
        assert not isinstance(getattr(tijolo.core, name), ModuleType), name
    assert set(tijolo.core.__all__) <= set(dir(tijolo.core))


def test_an_error_or_the_time_costs_no_pydantic():
    source = (
        "import sys, tijolo.core; from tijolo.core import utcnow, AppException;"
        " print(*(n for n in ('pydantic', 'pydantic_settings', 'fastapi') if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")
