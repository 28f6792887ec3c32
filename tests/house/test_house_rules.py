"""Each house rule and the import graph, broken on a copy."""

import pytest

from tools.house_rules import RULES, breaches
from tools.workspace import load

SOURCE = "packages/{name}/src/tijolo/{module}/intruder.py"


def intrude(scratch, name, code):
    path = SOURCE.format(name=name, module=name.replace("-", "_"))
    scratch.write(path, f'"""Something that should not be."""\n\n{code}\n')
    return path


def found(name, code):
    """Line and rule of every breach."""
    path = SOURCE.format(name=name, module=name.replace("-", "_"))
    lines = [breach.split(":") for breach in breaches(path, code, load()[name])]
    return [f"{line}:{rule}" for _, line, rule, *_ in lines]


def test_the_tree_keeps_the_rules(pristine):
    done = pristine.tool("house_rules")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("rule", "name", "code"),
    [
        ("base-http-middleware", "web",
         "from starlette.middleware.base import BaseHTTPMiddleware"),
        ("base-http-middleware", "web",
         "import starlette.middleware.base as b\nclass M(b.BaseHTTPMiddleware): ..."),
        ("commit", "web", "async def f(session):\n    await session.commit()"),
        ("commit", "db", "async def f(session):\n    await session.commit()"),
        ("private-import", "web", "from tijolo.core._secrets import anything"),
        ("private-import", "web", "from tijolo.core import _version"),
        ("private-import", "web", "import tijolo.core._version"),
        ("private-import", "web", "from starlette._utils import is_async_callable"),
        ("environment", "web", "import os\nDEBUG = os.environ.get('DEBUG')"),
        ("environment", "web", "import os\nDEBUG = os.getenv('DEBUG')"),
        ("library", "core", "import fastapi"),
        ("library", "br-validators", "import pydantic"),
        ("library", "db", "import asyncpg"),
    ],
)  # fmt: skip
def test_a_breach_is_found_and_can_be_allowed(rule, name, code):
    line = len(code.splitlines())
    assert [f"{line}: {rule}"] == found(name, code)
    assert found(name, f"{code}  # house: allow {rule}, because this test says so") == []
    assert found(name, f"{code}  # house: allow {rule}"), "an exception needs a reason"
    assert found(name, f"{code}  # house: allow another, because"), "and the rule's name"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("web", "from tijolo.web._version import __version__"),
        ("web", "from starlette.types import ASGIApp"),
        ("web", "from tijolo.core import __version__"),
        ("db", "from __future__ import annotations\nimport pydantic"),
        ("db", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import asyncpg"),
    ],
)
def test_what_is_right_is_left_alone(name, code):
    assert found(name, code) == []


@pytest.mark.parametrize("file", ["postgres.py", "_asyncpg.py", "postgres/pool.py"])
def test_an_optional_library_is_welcome_in_a_module_of_its_name_or_its_extra_s(file):
    path = f"packages/db/src/tijolo/db/{file}"
    assert list(breaches(path, "import asyncpg", load()["db"])) == []


def test_examples_commit_no_more_than_packages_do():
    path = "docs/examples/loja/orders.py"
    assert list(breaches(path, "session.commit()", None))


def test_the_boundary_commits():
    path = "packages/db/src/tijolo/db/boundary.py"
    assert list(breaches(path, "session.commit()", load()["db"])) == []


def test_the_command_fails_on_a_breach(scratch):
    path = intrude(scratch, "web", "from starlette.middleware.base import BaseHTTPMiddleware")
    done = scratch.tool("house_rules")
    assert done.returncode == 1
    assert f"{path}:3: base-http-middleware: BaseHTTPMiddleware; write a pure ASGI" in done.stdout


@pytest.mark.parametrize("intruder", ["__init__.py", "py.typed", "helpers/__init__.py"])
def test_nothing_but_the_package_is_directly_under_the_namespace(scratch, intruder):
    scratch.write(f"packages/core/src/tijolo/{intruder}", "")
    done = scratch.tool("house_rules")
    assert done.returncode == 1
    assert "only core/ may be directly under tijolo/" in done.stdout


def test_every_rule_says_why():
    assert all(rule.__doc__ for rule in RULES.values())


def test_the_import_graph_holds(pristine):
    done = pristine.tool("import_graph")
    assert done.returncode == 0, done.stdout
    assert f"Contracts: {len(load())} kept, 0 broken." in done.stdout


@pytest.mark.parametrize(
    ("name", "imported"),
    [
        ("br-validators", "core"),
        ("core", "db"),
        ("observability", "web"),
        ("web", "db"),
        ("db", "observability"),
    ],
)
def test_the_import_graph_sees_every_distribution(scratch, name, imported):
    # for type checkers only, where nothing would fail at run time
    code = "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import tijolo.{}"
    intrude(scratch, name, code.format(imported))
    done = scratch.tool("import_graph")
    assert done.returncode == 1
    assert f"Contracts: {len(load()) - 1} kept, 1 broken." in done.stdout
    assert f"tijolo.{name.replace('-', '_')}.intruder -> tijolo.{imported} (l.6)" in done.stdout
