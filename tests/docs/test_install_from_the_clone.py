"""The README names every folder that pip needs to install from a clone, and no other."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement

from tools.workspace import ROOT, load

PACKAGES = load()
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## From the clone\n")[2].partition("\n## ")[0]
COMMANDS = [line for line in SECTION.splitlines() if line.startswith("pip install ./")]
ROWS = [line.split("|")[1:3] for line in SECTION.splitlines() if line.startswith("| `")]


def named(text):
    """Requirements such as `auth[users]` in backticks, without their quotes and folders."""
    return [Requirement(name) for name in re.findall(r"`([a-z-]+(?:\[[a-z,]+\])?)`", text)]


def siblings(*wanted):
    """The packages that ``wanted`` need besides themselves."""
    found, open_ = set(), list(wanted)
    while open_:
        requirement = open_.pop()
        package = PACKAGES[requirement.name]
        brought = [*package.dependencies]
        for extra in requirement.extras:
            brought += package.extras[extra]
        needed = [Requirement(r.removeprefix("tijolo-")) for r in brought if "tijolo-" in r]
        open_ += needed
        found |= {requirement.name for requirement in needed}
    return found - {requirement.name for requirement in wanted}


@pytest.mark.parametrize(("packages", "folders"), ROWS)
def test_a_row_names_all_siblings_and_no_other(packages, folders):
    told = {requirement.name for requirement in named(folders)}
    for requirement in named(packages):
        assert (str(requirement), siblings(requirement)) == (str(requirement), told)


def test_every_package_and_every_extra_that_needs_more_has_its_row():
    told = {str(requirement) for packages, _ in ROWS for requirement in named(packages)}
    needy = set(PACKAGES)
    for name, package in PACKAGES.items():
        plain = siblings(Requirement(name))
        needy |= {
            f"{name}[{extra}]"
            for extra in package.extras
            if siblings(Requirement(f"{name}[{extra}]")) != plain
        }
    assert told == needy


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_names_what_it_needs(command):
    given = [Requirement(name) for name in re.findall(r"\./packages/([^\s\"]+)", command)]
    for requirement in given:
        assert PACKAGES[requirement.name].extras.keys() >= requirement.extras
    assert siblings(*given) == set()


def test_there_are_commands():
    assert len(COMMANDS) == 5
