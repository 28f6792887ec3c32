"""What happens at import, each scenario in a fresh interpreter."""

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tijolo.core.compat
from tijolo.core.compat import IncompatibleVersionError, IncompatibleVersionWarning, enforce

ERROR = "tijolo.core.compat.IncompatibleVersionError"


def test_the_public_names_are_these():
    assert tijolo.core.compat.__all__ == [
        "Conflict",
        "IncompatibleVersionError",
        "IncompatibleVersionWarning",
        "enforce",
    ]


def test_a_set_inside_every_range_imports(site):
    site.add("core", "0.3.0", supports={"db": ">=0.2"})
    site.add("db", "0.3.2", requires={"core": ">=0.3,<1"})
    assert site.run("import tijolo.db; print(tijolo.db.__version__)") == "0.3.2"


def test_a_core_that_is_too_old_fails_with_the_documented_message(site):
    site.add("core", "0.2.0")
    site.add("db", "0.3.2", requires={"core": ">=0.3,<1"})
    assert site.error("import tijolo.db").endswith(
        f"{ERROR}: tijolo-db 0.3.2 cannot be used with the tijolo packages installed here:\n"
        "\n"
        "  - tijolo-db 0.3.2 requires tijolo-core >=0.3,<1; found 0.2.0\n"
        "\n"
        "Upgrade to a set that works together:\n"
        "    python -m pip install --upgrade tijolo-db tijolo-core\n"
        "or change only what is out of range:\n"
        '    python -m pip install "tijolo-core>=0.3,<1"\n'
        "\n"
        "See the whole matrix with: python -m tijolo.core.compat\n"
        "To go on at your own risk, set TIJOLO_ALLOW_INCOMPATIBLE=db (or =all); "
        "this warns instead of failing.\n"
    )


def test_a_core_of_the_next_major_fails(site):
    site.add("core", "1.0.0")
    site.add("db", "0.3.2", requires={"core": ">=0.3,<1"})
    assert "requires tijolo-core >=0.3,<1; found 1.0.0" in site.error("import tijolo.db")


def test_a_new_core_refuses_a_dependent_older_than_it_supports(site):
    site.add("core", "0.9.0", supports={"db": ">=0.4"})
    site.add("db", "0.3.2", requires={"core": ">=0.3,<1"})
    message = site.error("import tijolo.db")
    assert "tijolo-core 0.9.0 supports tijolo-db >=0.4; found 0.3.2" in message
    assert '    python -m pip install "tijolo-db>=0.4"\n' in message


def test_the_mismatch_wins_over_a_name_that_the_old_core_lacks(site):
    site.add("core", "0.2.0")
    site.add("db", "0.3.2", requires={"core": ">=0.3"}, body="from tijolo.core import missing")
    assert ERROR in site.error("import tijolo.db")


def test_an_optional_sibling_that_is_absent_is_no_conflict(site):
    site.add("core", "0.3.0")
    site.add("db", "0.3.2", requires={"core": ">=0.3"}, optional={"br-validators": ">=1,<2"})
    site.run("import tijolo.db")


def test_an_optional_sibling_that_is_installed_must_be_in_range(site):
    site.add("core", "0.3.0")
    site.add("br-validators", "0.9.0")
    site.add("db", "0.3.2", requires={"core": ">=0.3"}, optional={"br-validators": ">=1,<2"})
    message = site.error("import tijolo.db")
    assert "tijolo-db 0.3.2 requires tijolo-br-validators >=1,<2; found 0.9.0" in message


def test_an_optional_sibling_that_was_uninstalled_leaves_no_conflict_behind(site):
    site.add("core", "0.3.0")
    (site.root / "tijolo/br_validators/__pycache__").mkdir(parents=True)
    site.add("db", "0.3.2", requires={"core": ">=0.3"}, optional={"br-validators": ">=1"})
    site.run("import tijolo.db")


def test_optional_siblings_are_read_and_not_imported(site):
    site.add("core", "0.3.0")
    site.add("web", "0.3.0", body="raise SystemExit('imported')")
    site.add("db", "0.3.2", requires={"core": ">=0.3"}, optional={"web": ">=0.3"})
    site.run("import tijolo.db")


def test_a_required_sibling_that_is_not_installed_is_named(site):
    site.add("core", "0.3.0")
    site.add("web", "0.1.0", requires={"core": ">=0.3", "observability": ">=0.1,<1"})
    message = site.error("import tijolo.web")
    assert "requires tijolo-observability >=0.1,<1; which is not installed" in message


@pytest.mark.parametrize("statement", ["supports", "optional"])
def test_what_an_imported_sibling_states_counts_for_the_newcomer(site, statement):
    later = site.root.parent / "later"
    site.add("core", "0.3.0")
    site.add("web", "0.5.0", **{statement: {"db": ">=0.4"}})
    site.add("db", "0.3.2", root=later, requires={"core": ">=0.3"})
    code = f"import sys, tijolo.web; sys.path.append({str(later)!r}); import tijolo.db"
    message = site.error(code)
    assert "tijolo-web 0.5.0" in message
    assert "tijolo-db >=0.4; found 0.3.2" in message


@pytest.mark.parametrize("first", ["web", "observability"])
def test_what_a_dependency_supports_counts_in_whatever_order_they_are_imported(site, first):
    site.add("core", "0.3.0")
    site.add("observability", "0.9.0", requires={"core": ">=0.3"}, supports={"web": ">=0.5"})
    site.add(
        "web",
        "0.1.0",
        requires={"core": ">=0.3", "observability": ">=0.1"},
        body="import tijolo.observability",
    )
    second = "observability" if first == "web" else "web"
    message = site.error(f"import tijolo.{first}, tijolo.{second}")
    assert "tijolo-observability 0.9.0 supports tijolo-web >=0.5; found 0.1.0" in message


def test_two_threads_that_import_a_pair_never_both_succeed(site):
    site.add("core", "0.3.0")
    site.add("a", "1.0.0", requires={"core": ">=0.3"}, supports={"b": ">=2"})
    site.add("b", "1.0.0", requires={"core": ">=0.3"}, supports={"a": ">=2"})
    code = """
import importlib, threading
failed = []
def load(name):
    try: importlib.import_module(name)
    except RuntimeError: failed.append(name)
threads = [threading.Thread(target=load, args=(f"tijolo.{n}",)) for n in "ab"]
[t.start() for t in threads]; [t.join() for t in threads]
print(bool(failed))
"""
    assert {site.run(code) for _ in range(10)} == {"True"}


def test_the_error_survives_the_way_out_of_a_worker_process():
    with pytest.raises(IncompatibleVersionError) as caught:
        enforce({"name": "made-up", "requires": {"core": ">=99"}}, "1.0.0")

    twin = pickle.loads(pickle.dumps(caught.value))

    assert (str(twin), twin.conflicts, twin.fix) == (
        str(caught.value),
        caught.value.conflicts,
        caught.value.fix,
    )


def test_every_conflict_is_in_the_one_error(site):
    site.add("core", "0.2.0", supports={"web": ">=0.4"})
    site.add("observability", "2.0.0")
    site.add("db", "0.9.0")
    site.add(
        "web",
        "0.3.0",
        requires={"core": ">=0.3,<1", "observability": ">=0.1,<1"},
        optional={"db": ">=1"},
    )
    code = """
try:
    import tijolo.web
except RuntimeError as error:
    print(*error.conflicts, error.fix, sep="\\n")
"""
    assert site.run(code).splitlines() == [
        "tijolo-web 0.3.0 requires tijolo-core >=0.3,<1; found 0.2.0",
        "tijolo-web 0.3.0 requires tijolo-observability >=0.1,<1; found 2.0.0",
        "tijolo-web 0.3.0 requires tijolo-db >=1; found 0.9.0",
        "tijolo-core 0.2.0 supports tijolo-web >=0.4; found 0.3.0",
        "python -m pip install --upgrade tijolo-web tijolo-core tijolo-observability tijolo-db",
    ]


def test_a_guard_against_import_errors_does_not_hide_the_conflict(site):
    site.add("core", "0.2.0")
    site.add("db", "0.3.2", requires={"core": ">=0.3"})
    assert ERROR in site.error("try:\n  import tijolo.db\nexcept ImportError:\n  pass")


def test_a_second_attempt_in_the_same_process_fails_again(site):
    site.add("core", "0.2.0")
    site.add("db", "0.3.2", requires={"core": ">=0.3"})
    assert ERROR in site.error("try:\n  import tijolo.db\nexcept RuntimeError:\n  import tijolo.db")


@pytest.mark.parametrize(
    ("core", "spec", "fits"),
    [
        ("1.0.0rc1", ">=0.3,<1", False),
        ("0.3.0rc1", ">=0.3", True),
        ("0.3.0.dev4", ">=0.3", True),
        ("0.2.9.post7", ">=0.3", False),
        ("0.3", ">=0.3.0", True),
        ("0.10.0", ">=0.9", True),
        ("0.3.1+local.9", "!=0.3.1", False),
        ("0.3.1", ">=0.3,!=0.3.0", True),
        ("0.3.x.9", "<0.3.1", True),
        ("1.0", "==1.0.0", True),
        ("1.1", "<=1.1", True),
        ("1.1", ">1.1", False),
    ],
)
def test_versions_compare_by_their_release_numbers(site, core, spec, fits):
    site.add("core", core)
    site.add("db", "0.3.2", requires={"core": spec})
    assert (site.python("-c", "import tijolo.db").returncode == 0) is fits


def test_an_operator_that_is_not_understood_is_refused_by_name(site):
    site.add("core", "0.3.0")
    site.add("db", "0.3.2", requires={"core": "~=0.3"})
    assert "ValueError: Version clause '~=0.3'" in site.error("import tijolo.db")


@pytest.mark.parametrize("allowed", ["db", "web, db", "tijolo-db", "all"])
def test_the_environment_turns_the_error_into_a_warning(site, allowed):
    site.add("core", "0.2.0")
    site.add("db", "0.3.2", requires={"core": ">=0.3"})
    done = site.python("-c", "import tijolo.db", TIJOLO_ALLOW_INCOMPATIBLE=allowed)
    assert done.returncode == 0
    assert "tijolo/db/__init__.py:5: IncompatibleVersionWarning: tijolo-db 0.3.2" in done.stderr


@pytest.mark.parametrize("allowed", ["", "web", "database"])
def test_allowing_something_else_allows_nothing(site, allowed):
    site.add("core", "0.2.0")
    site.add("db", "0.3.2", requires={"core": ">=0.3"})
    assert ERROR in site.error("import tijolo.db", TIJOLO_ALLOW_INCOMPATIBLE=allowed)


def test_packages_may_live_in_several_directories(site):
    for number, (name, statements) in enumerate(
        {"core": {}, "observability": {"requires": {"core": ">=0.3"}}}.items()
    ):
        root = site.root.parent / f"entry{number}"
        site.add(name, "0.3.0", root=root, **statements)
        site.path.append(root)
    site.add("web", "0.3.0", requires={"core": ">=0.3", "observability": ">=0.4"})
    assert "observability >=0.4; found 0.3.0" in site.error("import tijolo.web")


def _zip(site):
    # with entries for directories: without them `tijolo` is not found in the archive
    archive = shutil.make_archive(str(site.root), "zip", site.root)
    site.path[:] = [Path(archive)]


def test_a_zip_file_is_read_too(site):
    site.add("core", "0.3.0")
    site.add("web", "0.3.0", body="raise SystemExit('imported')")
    site.add("db", "0.3.2", requires={"core": ">=0.3"}, optional={"web": ">=0.3", "auth": ">=1"})
    _zip(site)
    assert ".zip" in site.run("import tijolo.db; print(tijolo.db.__file__)")


@pytest.mark.parametrize("statement", ["requires", "optional"])
def test_a_conflict_inside_a_zip_file_fails(site, statement):
    site.add("core", "0.3.0")
    site.add("web", "0.3.0")
    site.add("db", "0.3.2", **{statement: {"web": ">=0.4"}})
    _zip(site)
    assert "requires tijolo-web >=0.4; found 0.3.0" in site.error("import tijolo.db")


def test_packages_without_sources_are_checked_by_importing_what_is_required(site):
    site.add("core", "0.3.0")
    site.add("web", "0.3.0")
    site.add("db", "0.3.2", requires={"web": ">=0.4"}, optional={"auth": ">=1"})
    subprocess.run([sys.executable, "-m", "compileall", "-q", "-b", str(site.root)], check=True)
    for source in site.root.rglob("*.py"):
        source.unlink()
    assert "requires tijolo-web >=0.4; found 0.3.0" in site.error("import tijolo.db")


def test_an_old_core_accepts_a_payload_with_keys_it_does_not_know(site):
    site.add("core", "0.3.0")
    site.add("db", "0.3.2", requires={"core": ">=0.3"}, schema=7, invented={"web": ">=9"})
    site.run("import tijolo.db")


def test_a_healthy_import_loads_neither_metadata_nor_packaging_nor_re(site):
    site.add("core", "0.3.0")
    site.add("br-validators", "1.0.0")
    site.add("db", "0.3.2", requires={"core": ">=0.3"}, optional={"br-validators": ">=1"})
    heavy = ("importlib.metadata", "importlib.util", "packaging", "re", "warnings")
    code = f"""
import sys, typing
before = set(sys.modules)
import tijolo.db
print(sorted(set({heavy!r}) & (set(sys.modules) - before)))
"""
    assert site.run(code) == "[]"


def test_the_real_core_is_known_without_being_announced(monkeypatch):
    payload = {"name": "made-up", "requires": {"core": ">=999"}}
    with pytest.raises(IncompatibleVersionError, match=r"requires tijolo-core >=999"):
        enforce(payload, "1.0.0")
    monkeypatch.setenv("TIJOLO_ALLOW_INCOMPATIBLE", "made_up")
    monkeypatch.setattr("tijolo.core.compat._enforce._imported", {"core": ("0.1.0", {})})
    with pytest.warns(IncompatibleVersionWarning, match="made-up"):
        enforce(payload, "1.0.0")
