"""What pip and the import system make of wheels that do not fit together."""

import os
import re
import subprocess
import sys

import pytest

from tools.matrix import pytest_config
from tools.wheels import UV, build, modules_in


def pip_environment(venv, wheels):
    path = os.pathsep.join([str(venv / "bin"), os.environ["PATH"]])
    pip = {"NO_INDEX": "1", "FIND_LINKS": str(wheels), "DISABLE_PIP_VERSION_CHECK": "1"}
    return {**os.environ, "PATH": path, **{f"PIP_{name}": value for name, value in pip.items()}}


def test_a_core_outside_db_s_range_fails_at_import_and_the_printed_command_repairs_it(
    scratch, tmp_path
):
    venv, wheels = tmp_path / "venv", tmp_path / "wheels"
    db = build(scratch.path / "packages/db", tmp_path / "db")
    core = build(scratch.path / "packages/core", tmp_path / "core")
    scratch.replace("packages/core/src/tijolo/core/_version.py", "0.1.0", "1.0.0")
    too_new = build(scratch.path / "packages/core", tmp_path / "core-too-new")
    wheels.mkdir()
    for wheel in (db, core, too_new):
        wheel.rename(wheels / wheel.name)
    python = venv / "bin/python"
    install = [UV, "pip", "install", "--quiet", "--python", python]
    subprocess.run([UV, "venv", "--quiet", "--seed", "--python", sys.executable, venv], check=True)
    subprocess.run([*install, wheels / db.name, wheels / core.name], check=True)
    subprocess.run([*install, "--no-deps", wheels / too_new.name], check=True)

    broken = subprocess.run([python, "-c", "import tijolo.db"], capture_output=True, text=True)
    assert broken.returncode == 1
    assert (
        "tijolo.core.compat.IncompatibleVersionError: tijolo-db 0.1.0 cannot be used with the "
        "tijolo packages installed here:\n\n"
        "  - tijolo-db 0.1.0 requires tijolo-core >=0.1,<1; found 1.0.0\n"
    ) in broken.stderr

    commands = re.findall(r"^    (python -m pip install .*)$", broken.stderr, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        subprocess.run([*install, "--no-deps", wheels / too_new.name], check=True)
        environment = pip_environment(venv, wheels)
        repair = subprocess.run(command, shell=True, env=environment, capture_output=True)
        assert repair.returncode == 0, repair.stderr
        subprocess.run([python, "-c", "import tijolo.db"], check=True)


def test_isolate_installs_the_standalone_package_alone_and_runs_its_tests(light_validators):
    done = light_validators.tool("matrix", "isolate", "br-validators")
    assert done.returncode == 0, done.stdout
    assert "isolate br-validators: " in done.stdout
    assert "1 passed in" in done.stdout


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("src/tijolo/br_validators/extra.py", "import attrs\n",
         "tijolo.br_validators.extra: ModuleNotFoundError: No module named 'attrs'"),
        ("src/tijolo/br_validators/old.py", "import warnings\n\nwarnings.warn('old')\n",
         "tijolo.br_validators.old: UserWarning: old"),
        ("src/tijolo/helpers.py", "", "foreign files ['tijolo/helpers.py']"),
        ("tests/test_it.py", "def test_it():\n    assert 1 == 2\n", "assert 1 == 2"),
    ],
)  # fmt: skip
def test_isolate_fails_on_what_only_works_in_the_checkout(light_validators, file, content, message):
    light_validators.write(f"packages/br-validators/{file}", content)
    done = light_validators.tool("matrix", "isolate", "br-validators")
    assert done.returncode == 1
    assert message in done.stdout


def test_every_importable_module_of_a_wheel_is_found(light_validators):
    package = light_validators.path / "packages/br-validators"
    light_validators.write("packages/br-validators/src/tijolo/br_validators/templates/env.py", "")
    light_validators.write("packages/br-validators/src/tijolo/br_validators/sub/__init__.py", "")
    modules = modules_in(build(package, light_validators.path / "dist"))
    assert "tijolo.br_validators" in modules
    assert "tijolo.br_validators.sub" in modules
    assert not any("templates" in module for module in modules)


def test_the_pytest_settings_of_the_root_lose_what_is_not_installed():
    assert "pytest_services" in pytest_config({"tijolo-core", "pytest-asyncio"}, strict=True)
    alone = pytest_config({"pytest"}, strict=True)
    assert "pytest_services" not in alone
    assert "asyncio" not in alone
    assert "--strict-markers" in alone
    assert "filterwarnings" in alone
    assert "filterwarnings" not in pytest_config({"pytest"}, strict=False)
