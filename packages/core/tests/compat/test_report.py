"""``python -m tijolo.core.compat`` in fresh interpreters."""

import json
import shutil

import pytest

REPORT = ("-W", "error", "-m", "tijolo.core.compat")


def test_a_healthy_environment_is_printed_and_exits_0(site):
    site.add("core", "0.3.0", supports={"db": ">=0.2"})
    site.add("db", "0.3.2", requires={"core": ">=0.3,<1"}, optional={"web": ">=0.1"})
    done = site.python(*REPORT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "tijolo-core 0.3.0",
        "    supports tijolo-db >=0.2: found 0.3.2",
        "tijolo-db 0.3.2",
        "    requires tijolo-core >=0.3,<1: found 0.3.0",
        "    optional tijolo-web >=0.1: not installed",
        "",
        "No conflicts.",
    ]


def test_conflicts_are_printed_with_the_repair_and_exit_1(site):
    site.add("core", "0.2.0")
    site.add("db", "0.3.2", requires={"core": ">=0.3", "web": ">=1"}, body="raise SystemExit(9)")
    done = site.python(*REPORT)
    assert done.returncode == 1
    assert "  - tijolo-db 0.3.2 requires tijolo-core >=0.3; found 0.2.0\n" in done.stdout
    assert "  - tijolo-db 0.3.2 requires tijolo-web >=1; which is not installed\n" in done.stdout
    assert "python -m pip install --upgrade tijolo-db tijolo-core tijolo-web" in done.stdout


def test_json_holds_the_same(site):
    site.add("core", "0.2.0")
    site.add("br-validators", "1.0.0")
    site.add("db", "0.3.2", requires={"core": ">=0.3"})
    done = site.python(*REPORT, "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert {name: package["version"] for name, package in report["packages"].items()} == {
        "br-validators": "1.0.0",
        "core": "0.2.0",
        "db": "0.3.2",
    }
    assert report["conflicts"] == [
        {
            "package": "db",
            "version": "0.3.2",
            "statement": "requires",
            "sibling": "core",
            "range": ">=0.3",
            "found": "0.2.0",
        }
    ]


def test_constraints_pin_what_is_installed(site):
    site.add("core", "0.3.0")
    site.add("br-validators", "1.0.0")
    done = site.python(*REPORT, "--constraints")
    assert done.stdout == "tijolo-br-validators==1.0.0\ntijolo-core==0.3.0\n"
    assert done.returncode == 0


def test_metadata_from_before_a_version_change_is_pointed_out(site):
    site.add("core", "0.3.0")
    metadata = site.root / "tijolo_core-0.2.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.4\nName: tijolo-core\nVersion: 0.2.0\n")
    done = site.python(*REPORT)
    assert "note: its metadata says 0.2.0, from before a version change" in done.stdout
    assert done.returncode == 0


def test_leftovers_of_an_uninstalled_package_are_not_reported(site):
    site.add("core", "0.3.0")
    shutil.rmtree(site.add("db", "0.1.0"))
    (site.root / "tijolo/db/__pycache__").mkdir(parents=True)
    assert "db" not in site.python(*REPORT).stdout


@pytest.mark.parametrize("content", ["COMPAT = {", "COMPAT = [1]", "COMPAT = make()", ""])
def test_statements_that_cannot_be_read_are_named_and_fail(site, content):
    site.add("core", "0.3.0")
    package = site.add("db", "0.3.2", requires={"core": ">=0.3,<1"})
    (package / "_compat.py").write_text(content)

    done = site.python("-m", "tijolo.core.compat")

    assert done.returncode == 1
    assert str(package / "_compat.py") in done.stderr
    assert "Traceback" not in done.stderr
