"""Every Python block of every page runs, page by page, from top to bottom.

A page is one namespace, so that later blocks can build on earlier ones. A block that cannot
run here is preceded by ``<!-- skip: next "reason" -->``.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import unittest
from pathlib import Path
from types import ModuleType

import pytest
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        ROOT / "README.md",
        *ROOT.glob("packages/*/README.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/adr/*.md"),
        *ROOT.glob("docs/examples/*/README.md"),
    ]
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_example_of_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ENVIRONMENT", raising=False)
    document = Document.parse(str(page), PythonCodeBlockParser(), SkipParser())
    # a module of its own, as a reader's file is: Pydantic takes a class without one for a built-in
    # and of a name of its own, or SQLAlchemy warns of two pages' UserModel
    module = ModuleType(f"page_{page.parent.name}_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    document.namespace = module.__dict__

    for example in document.examples():
        with contextlib.suppress(unittest.SkipTest):  # that block alone, not the page
            example.evaluate()


def test_the_database_of_the_front_page_may_be_there_already(tmp_path):
    # in a process each: a table is declared once
    document = Document.parse(str(ROOT / "README.md"), PythonCodeBlockParser())
    [code] = [str(e.region.parsed) for e in document.examples() if "drinks.db" in e.region.parsed]
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_paragraph_of_the_page_was_merged_with_itself(page):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    paragraphs = [part for part in text.split("\n\n") if not part.lstrip().startswith("|")]
    targets = [re.findall(r"\]\(([^)]+)\)", part) for part in paragraphs]

    assert not re.search(r"^(<{7}|={7}|>{7})", text, flags=re.MULTILINE)
    assert [found for found in targets if len(set(found)) != len(found)] == []


def test_every_package_has_a_page_that_runs_an_example():
    packages = [path.parent for path in ROOT.glob("packages/*/pyproject.toml")]
    silent = [p.name for p in packages if "```python" not in (p / "README.md").read_text()]

    assert packages
    assert silent == []
