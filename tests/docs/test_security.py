"""The map of what is done about security names tests that exist, and leaves nothing out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
TESTS = ROOT / "packages/auth/tests"
CONTRACTS = ROOT / "packages/auth/src/tijolo/auth"
SESSIONS = ROOT / "packages/sessions"
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "| ---" not in line]
NAMED = re.compile(r"`([a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`")
PROVED = [row for row in ROWS if NAMED.search(row)]
CLAUSES = """
6.1.1 6.2.1 6.2.2 6.2.3 6.2.4 6.2.5 6.2.6 6.2.7 6.2.8 6.2.9 6.2.10 6.2.11 6.2.12 6.3.1 6.3.3
6.3.4 6.3.7 6.3.8 6.4.1 6.4.3 6.4.6 6.5.1 6.5.2 6.5.3 6.5.4 6.5.5 6.6.2 6.8.1 6.8.2 6.8.3 6.8.4
7.4.1 7.4.2 7.4.3 9.1.1 9.1.2 9.1.3 9.2.1 9.2.2 9.2.3 9.2.4 10.1.2 10.2.1 10.2.2 10.3.1 10.3.2
10.3.3 10.3.4 10.3.5 10.4.5 10.4.8 10.5.1 10.5.2 10.5.3 10.5.4 10.5.5 11.4.2
"""


def source(file):
    if file.startswith("sessions/"):
        file = file.removeprefix("sessions/")
        folder = SESSIONS / ("src/tijolo/sessions" if file == "testing.py" else "tests")
    else:
        folder = CONTRACTS if file == "testing.py" else TESTS
    return (folder / file).read_text(encoding="utf-8")


def test_every_defect_and_every_clause_has_its_row():
    named = {name.strip() for row in ROWS for name in row.split("|")[1].split(",")}
    assert {f"A{n}" for n in range(1, 33)} - named == set()
    assert set(CLAUSES.split()) - named == set()


@pytest.mark.parametrize("row", PROVED, ids=lambda row: row[:30])
def test_the_tests_of_a_row_exist(row):
    missing = [
        f"{file}::{name}" for file, name in NAMED.findall(row) if f"def {name}(" not in source(file)
    ]
    assert missing == []


def test_what_has_no_test_says_why():
    silent = [row for row in ROWS if row.rstrip().endswith("| – |")]
    assert all(re.search(r"not |docs/|pages|expires", row) for row in silent)
