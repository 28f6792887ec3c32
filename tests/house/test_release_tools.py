"""News, the API gate and a whole release, on scratch copies with tags of their own."""

import pytest

from tools.release import next_version
from tools.workspace import load

CORE = "packages/core/src/tijolo/core"


@pytest.mark.parametrize(
    ("version", "kinds", "expected"),
    [
        ("0.3.2", {"fixed"}, "0.3.3"),
        ("0.3.2", {"fixed", "security"}, "0.3.3"),
        ("0.3.2", {"fixed", "added"}, "0.4.0"),
        ("0.3.2", {"breaking", "fixed"}, "0.4.0"),
        ("1.3.2", {"breaking", "added"}, "2.0.0"),
        ("1.3.2", {"deprecated"}, "1.4.0"),
        ("1.3.2", {"security"}, "1.3.3"),
    ],
)
def test_the_version_follows_from_the_fragments(version, kinds, expected):
    assert next_version(version, kinds) == expected


def test_news_writes_a_fragment_and_asks_for_one_where_a_package_changed(scratch):
    scratch.git("branch", "released")
    scratch.append(f"{CORE}/clock.py", "# changed\n")
    done = scratch.tool("news", "check", "--since", "released")
    assert done.returncode == 1
    assert 'core changed since released: hatch run news add core fixed "..."' in done.stdout
    added = scratch.tool("news", "add", "core", "fixed", "Clocks no longer stop.")
    assert "wrote packages/core/changelog.d/+clocks-no-longer-stop.fixed.md" in added.stdout
    assert scratch.tool("news", "check", "--since", "released").returncode == 0


def test_news_refuses_a_fragment_that_towncrier_would_not_read(scratch):
    scratch.write("packages/core/changelog.d/+odd.improved.md", "Better.\n")
    scratch.write("packages/core/changelog.d/+empty.fixed.md", "\n")
    done = scratch.tool("news", "check")
    assert done.returncode == 1
    assert "+odd.improved.md: the type 'improved' is none of breaking, security" in done.stdout
    assert "+empty.fixed.md is empty" in done.stdout


def test_a_public_name_may_not_go_unannounced(scratch):
    assert "no release to compare with" in scratch.tool("api", "core").stdout
    scratch.git("tag", "tijolo-core-v0.1.0")
    assert scratch.tool("api", "core").returncode == 0
    scratch.replace(f"{CORE}/clock.py", "def utcnow(", "def now_utc(")
    done = scratch.tool("api", "core")
    assert done.returncode == 1
    assert "utcnow" in done.stdout
    assert 'hatch run news add core breaking "..."' in done.stdout
    scratch.tool("news", "add", "core", "breaking", "utcnow is called now_utc.")
    assert scratch.tool("api", "core").returncode == 0


def test_a_release_bumps_writes_proves_and_prints_the_tag_command(light_db):
    done = light_db.tool("release", "db")
    assert done.returncode == 0, done.stdout
    checked = f"compat: {len(load())} packages, 0 problems"
    for proof in (checked, "isolate db: ", "lowest db: ", "released db: "):
        assert proof in done.stdout
    assert 'git tag --annotate tijolo-db-v0.2.0 --message "tijolo-db 0.2.0"' in done.stdout
    assert "## 0.2.0 (" in light_db.text("packages/db/CHANGELOG.md")
    assert "Pages know their neighbours." in light_db.text("packages/db/CHANGELOG.md")
    assert light_db.git("log", "-1", "--format=%s") == "Release tijolo-db 0.2.0"
    assert light_db.git("status", "--porcelain") == ""
    touched = light_db.git("show", "--format=", "--name-only").splitlines()
    generated = {"README.md", "docs/compatibility.md", "tools/constraints/latest.txt"}
    assert all(path.startswith("packages/db/") for path in set(touched) - generated)
    checked = light_db.tool("release", "--check-tag", "tijolo-db-v0.2.0")
    assert checked.stdout.startswith("db\n## 0.2.0 (")
    assert "the tree has tijolo-db 0.2.0" in (
        light_db.tool("release", "--check-tag", "tijolo-db-v0.3.0").stdout
    )


def test_a_release_is_refused_with_the_reason_and_leaves_the_tree_alone(light_db):
    def refusal(*arguments):
        done = light_db.tool("release", *arguments)
        assert done.returncode == 1
        return done.stdout

    assert "0.1.1 is too small a step: the fragments call for 0.2.0" in refusal(
        "db", "--version", "0.1.1"
    )
    assert "'0.2.0rc1' is not a plain X.Y.Z" in refusal("db", "--version", "0.2.0rc1")
    light_db.git("tag", "tijolo-core-v0.0.9")
    assert "requires core >=0.1,<1, and no such release exists" in refusal("db")
    light_db.git("tag", "--delete", "tijolo-core-v0.0.9")
    light_db.write("new.txt", "")
    assert "Commit or stash first" in refusal("db")
    (light_db.path / "new.txt").unlink()
    light_db.replace("packages/db/tests/test_it.py", "__version__", "__missing__")
    light_db.commit()
    assert "db: its tests fail" in refusal("db")
    assert light_db.git("status", "--porcelain") == ""
    assert light_db.git("log", "-1", "--format=%s") == "change"
    light_db.git("rm", "--quiet", "-r", "packages/db/changelog.d")
    light_db.commit()
    assert "db has no changelog fragments" in refusal("db")
