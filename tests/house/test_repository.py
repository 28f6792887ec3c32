"""The shape of the repository, and the commands that work on it."""

import shutil
import socket
import subprocess
import tomllib

import pytest

TOP_LEVEL = {
    *(".ci", ".github", ".gitignore", "LICENSE", "README.md", "docs", "hatch.toml"),
    *("packages", "pyproject.toml", "tests", "tools"),
}


def test_the_top_level_is_exactly_this(pristine):
    assert {path.split("/")[0] for path in pristine.git("ls-files").splitlines()} == TOP_LEVEL


def test_every_command_has_a_line_in_the_contributing_page(pristine):
    scripts = tomllib.loads(pristine.text("hatch.toml"))["envs"]["default"]["scripts"]
    page = pristine.text("docs/contributing.md")
    assert {name for name in scripts if f"`hatch run {name}" not in page} == set()


def test_ci_is_a_script_that_bash_can_read(pristine):
    assert (pristine.path / ".ci/run").stat().st_mode & 0o100
    done = subprocess.run(["bash", "-n", pristine.path / ".ci/run"], check=False)
    assert done.returncode == 0


def test_workflows_pin_every_action_to_a_commit(pristine):
    for workflow in (pristine.path / ".github/workflows").iterdir():
        uses = [line for line in workflow.read_text().splitlines() if "uses:" in line]
        assert uses
        for line in uses:
            commit = line.partition("@")[2].split()[0]
            assert len(commit) == 40, line


@pytest.fixture
def redis(scratch):
    """The services tool, with a free port for Redis."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    def run(action, **env):
        url = f"redis://127.0.0.1:{port}/0"
        done = scratch.tool("services", action, "redis", TIJOLO_TEST_REDIS_URL=url, **env)
        assert done.returncode == 0, done.stdout
        return done.stdout.replace(str(port), "PORT")

    return run


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_services_start_what_does_not_answer_and_stop_only_that(redis):
    assert redis("start") == "redis: started on port PORT\n"
    try:
        assert redis("start") == "redis: answers already\n"
        assert redis("status") == "redis: answers\n"
    finally:
        assert redis("stop") == "redis: stopped\n"
    assert redis("stop") == "redis: not started here\n"
    assert "no Redis at 127.0.0.1:PORT" in redis("status")


def test_services_say_what_is_not_installed(redis, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert redis("start") == "redis: not installed (redis-server not found)\n"
