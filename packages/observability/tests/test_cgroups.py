from __future__ import annotations

from pathlib import Path

import pytest

from tijolo.observability.cgroups import Cgroup

UNLIMITED_V1 = "9223372036854771712\n"


@pytest.fixture
def tree(tmp_path):
    """Write files below a root, and say in which groups the process is."""

    def make(membership, files):
        for name, text in files.items():
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / "cgroup").write_text(membership)
        return Cgroup(tmp_path / "root", tmp_path / "cgroup")

    return make


def test_version_2_reads_the_limits_of_the_own_group(tree):
    group = tree(
        "0::/app\n",
        {
            "cgroup.controllers": "cpu memory\n",
            "app/memory.max": "1000\n",
            "app/memory.current": "700\n",
            "app/memory.stat": "anon 500\ninactive_file 200\n",
            "app/cpu.max": "150000 100000\n",
            "app/cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
        },
    )
    assert group.memory() == (1000, 500)
    assert group.cpu_limit() == 1.5
    assert group.cpu_seconds() == 2.5


def test_the_tightest_limit_around_the_group_counts(tree):
    group = tree(
        "0::/pod/app\n",
        {
            "cgroup.controllers": "",
            "memory.max": "9000\n",
            "memory.current": "8000\n",
            "cpu.max": "800000 100000\n",
            "pod/memory.max": "500\n",
            "pod/memory.current": "400\n",
            "pod/cpu.max": "50000 100000\n",
            "pod/app/memory.max": "max\n",
            "pod/app/memory.current": "100\n",
            "pod/app/cpu.max": "max 100000\n",
        },
    )
    assert group.memory() == (500, 400)
    assert group.cpu_limit() == 0.5


@pytest.mark.parametrize("membership", ["0::/../outside\n", "0::/not/here\n", "", "garbage\n"])
def test_a_path_that_cannot_be_seen_means_the_root_of_what_can(tree, membership):
    group = tree(
        membership,
        {"cgroup.controllers": "", "memory.max": "1000\n", "memory.current": "10\n"},
    )
    assert group.memory() == (1000, 10)


@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
def test_version_1_reads_each_controller_where_it_is_mounted(tree, mount):
    usage = {f"{mount}/app/cpuacct.usage": "3000000000\n"}
    if mount == "cpu":
        usage = {"cpuacct/app/cpuacct.usage": "3000000000\n"}
    group = tree(
        "4:memory:/app\n3:cpu,cpuacct:/app\n0::/ignored\n",
        {
            "memory/app/memory.limit_in_bytes": "2000\n",
            "memory/app/memory.usage_in_bytes": "1500\n",
            "memory/app/memory.stat": "total_inactive_file 600\n",
            "memory/memory.limit_in_bytes": UNLIMITED_V1,
            "memory/memory.usage_in_bytes": "99999\n",
            f"{mount}/app/cpu.cfs_quota_us": "200000\n",
            f"{mount}/app/cpu.cfs_period_us": "100000\n",
            f"{mount}/cpu.cfs_quota_us": "-1\n",
            f"{mount}/cpu.cfs_period_us": "100000\n",
            **usage,
        },
    )
    assert group.memory() == (2000, 900)
    assert group.cpu_limit() == 2.0
    assert group.cpu_seconds() == 3.0


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"memory.max": "max\n", "memory.current": "5\n", "cpu.max": "max 100000\n"},
        {"memory.max": "rubbish\n", "cpu.max": "1\n", "cpu.stat": "usage_usec x\n"},
        {"memory.max": "", "memory.current": "", "cpu.max": "0 0\n"},
    ],
)
def test_no_limit_and_unreadable_files_are_no_limit(tree, files):
    group = tree("0::/\n", {"cgroup.controllers": "", **files})
    assert (group.memory(), group.cpu_limit(), group.cpu_seconds()) == (None, None, None)


def test_version_1_without_a_limit_says_a_very_large_number(tree):
    group = tree(
        "4:memory:/\n",
        {"memory/memory.limit_in_bytes": UNLIMITED_V1, "memory/memory.usage_in_bytes": "5\n"},
    )
    assert group.memory() is None


def test_a_system_without_cgroups_has_no_limits():
    group = Cgroup(Path("/nowhere"), Path("/nowhere/cgroup"))
    assert (group.memory(), group.cpu_limit(), group.cpu_seconds()) == (None, None, None)


def test_this_machine_can_be_read():
    group = Cgroup()
    limit = group.cpu_limit()
    assert limit is None or limit > 0
    memory = group.memory()
    assert memory is None or 0 <= memory[1] <= memory[0]
