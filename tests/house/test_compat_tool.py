"""``hatch run compat``: what is generated is current, and what is stated is true."""

import json
import tomllib

import pytest

CORE = "packages/core/src/tijolo/core"
DB = "packages/db/src/tijolo/db"
STATED = "tools/compatibility.toml"
# the arrows of docs/architecture.md
ARROWS = {
    "br-validators": set(),
    "core": set(),
    "observability": {"core"},
    "web": {"core", "observability"},
    "db": {"core"},
    "cache": {"core"},
    "http": {"core"},
    "email": {"core"},
    "auth": {"core", "web"},
    "sessions": {"core", "web"},
}


def check(scratch):
    done = scratch.tool("compat", "check")
    return done.returncode, done.stdout


def test_the_tree_is_in_order(scratch):
    status, output = check(scratch)
    assert status == 0, output


def test_hard_dependencies_are_exactly_the_arrows(pristine):
    stated = tomllib.loads(pristine.text(STATED))["packages"]
    assert {name: set(package.get("requires", ())) for name, package in stated.items()} == ARROWS
    for name, arrows in ARROWS.items():
        project = tomllib.loads(pristine.text(f"packages/{name}/pyproject.toml"))["project"]
        siblings = [d for d in project["dependencies"] if d.startswith("tijolo-")]
        assert {d.partition(">")[0].removeprefix("tijolo-") for d in siblings} == arrows


def test_an_import_of_an_undeclared_sibling_fails(scratch):
    scratch.write(f"{DB}/views.py", '"""Views."""\n\nfrom tijolo.web import create_app\n')
    status, output = check(scratch)
    assert status == 1
    assert "db/views.py:3: imports 'tijolo.web.create_app'" in output
    assert "does not let db depend on web" in output


def test_an_import_for_type_checkers_needs_no_dependency(scratch):
    source = "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import tijolo.web\n"
    scratch.write(f"{DB}/views.py", source)
    assert "views.py" not in check(scratch)[1]


@pytest.mark.parametrize(
    "path", [f"{DB}/_compat.py", "tools/constraints/latest.txt", "docs/compatibility.md"]
)
def test_a_stale_file_fails_until_it_is_written_again(scratch, path):
    before = scratch.text(path)
    stale = before.replace("0.1", "0.0")
    assert stale != before
    scratch.write(path, stale)
    status, output = check(scratch)
    assert status == 1
    assert f"{path} is stale; run: hatch run compat sync" in output
    assert scratch.tool("compat", "sync").stdout == f"wrote {path}\n"
    assert scratch.text(path) == before


def test_a_new_range_reaches_every_place(scratch):
    scratch.replace(
        STATED,
        '[packages.db]\nrequires = { core = ">=0.1,<1" }',
        '[packages.db]\nrequires = { core = ">=0.1,!=0.0.9,<1" }\noptional = { web = ">=0.1,<1" }',
    )
    assert check(scratch)[0] == 1
    scratch.tool("compat", "sync")
    assert check(scratch)[0] == 0
    project = tomllib.loads(scratch.text("packages/db/pyproject.toml"))["project"]
    assert "tijolo-core>=0.1,!=0.0.9,<1" in project["dependencies"]
    assert any("tijolo-web>=0.1,<1" in extra for extra in project["optional-dependencies"].values())
    assert '"requires": {"core": ">=0.1,!=0.0.9,<1"}' in scratch.text(f"{DB}/_compat.py")
    assert '"optional": {"web": ">=0.1,<1"}' in scratch.text(f"{DB}/_compat.py")
    assert "`tijolo-core >=0.1,!=0.0.9,<1`" in scratch.text("docs/compatibility.md")


def test_a_dependency_that_is_not_stated_is_taken_out_and_extras_of_siblings_stay(scratch):
    project = "packages/web/pyproject.toml"
    scratch.replace(project, '"tijolo-core>=', '"tijolo-db", "tijolo-core[fast]>=')
    scratch.tool("compat", "sync")
    dependencies = tomllib.loads(scratch.text(project))["project"]["dependencies"]
    assert "tijolo-core[fast]>=0.1,<1" in dependencies
    assert not any(entry.startswith("tijolo-db") for entry in dependencies)


@pytest.mark.parametrize(
    ("path", "old", "new", "message"),
    [
        (f"{CORE}/_version.py", "0.1.0", "1.0.0", "db requires core '>=0.1,<1': the tree has"),
        (f"{DB}/_version.py", "0.1.0", "0.0.9", "core supports db '>=0.1': the tree has db 0.0.9"),
        (f"{DB}/_version.py", "0.1.0", "0.1.0.dev0", "'0.1.0.dev0' is not a plain X.Y.Z"),
        (f"{DB}/__init__.py", "_enforce(_COMPAT", "print(_COMPAT", "db/__init__.py must begin"),
        (STATED, '">=0.1,<1"', '"~=0.1"', "only >=, < and != are understood"),
        (STATED, "requires = { core", "requires = { none", "requires none '>=0.1,<1': there is no"),
        (STATED, "supports = { web", "requires = { web", "depend on each other in a circle"),
        (STATED, "standalone = true", "standalone = true\nrequires = {core='>=0'}", "stands alone"),
        ("packages/db/LICENSE", "MIT", "BSD", "packages/db/LICENSE differs"),
        ("packages/br-validators/pyproject.toml", "dependencies = []", 'dependencies = ["attrs"]',
         "it stands alone, but depends on 'attrs'"),
        ("pyproject.toml", '"tijolo.db", ', "", "[tool.mypy] does not name tijolo.db"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(scratch, path, old, new, message):
    if message == "depend on each other in a circle":
        scratch.replace(STATED, "[packages.observability]\nrequires", "[packages.observability]\n#")
    scratch.replace(path, old, new)
    status, output = check(scratch)
    assert status == 1
    assert message in output, output


def test_packages_and_statements_must_name_the_same(scratch):
    scratch.append(STATED, "\n[packages.nothing]\n")
    assert "do not name the same: nothing" in check(scratch)[1]


def test_the_readme_follows_the_versions(scratch):
    scratch.replace(f"{CORE}/_version.py", "0.1.0", "0.2.7")
    scratch.tool("compat", "sync")
    assert "| [tijolo-core](packages/core/README.md) | 0.2.7 |" in scratch.text("README.md")


def test_changed_names_the_package_and_those_that_depend_on_it(scratch):
    def changed(*arguments):
        return json.loads(scratch.tool("changed", "--since", "main", *arguments).stdout)

    assert changed() == []
    scratch.append("packages/observability/README.md", "\n")
    assert changed("--direct") == ["observability"]
    assert changed() == ["auth", "observability", "sessions", "web"]
    scratch.append("docs/compatibility.md", "\n")
    assert changed() == ["auth", "observability", "sessions", "web"]
    scratch.write("tools/new.py", "")
    assert changed() == sorted(ARROWS)
