"""The second example service needs tijolo-auth without extras: nothing of databases is there."""

import shutil

from tools.matrix import pytest_config
from tools.wheels import Venv, build_tree
from tools.workspace import ROOT, load

EXAMPLE = ROOT / "docs/examples/consumer"
UNWANTED = {"sqlalchemy", "alembic", "redis", "argon2-cffi", "tijolo-db", "tijolo-http"}


def test_the_consumer_runs_where_no_database_library_is_installed(tmp_path):
    packages = load()
    names = ["core", "observability", "web", "auth"]
    wheels = build_tree([packages[name] for name in names], tmp_path / "wheels")
    venv = Venv(tmp_path / "venv")
    venv.install(*wheels.values())
    venv.install(*packages["auth"].pyproject["dependency-groups"]["test"])
    installed = venv.distributions()
    assert installed.isdisjoint(UNWANTED)
    assert {f"tijolo-{name}" for name in names} <= installed

    shutil.copytree(EXAMPLE, tmp_path / "consumer")
    config = pytest_config(installed, strict=True)
    (tmp_path / "consumer/pyproject.toml").write_text(config, encoding="utf-8")
    tested = venv.run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path / "consumer")
    assert tested.returncode == 0, tested.stdout
    assert " passed" in tested.stdout
