"""The two pages on tijolo-br-validators name every kind and every type, and say the same."""

from __future__ import annotations

import re
from pathlib import Path

import tijolo.br_validators as br

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [(DOCS / name).read_text("utf-8") for name in ("br-validators.md", "br-validators.en.md")]


def test_each_kind_has_its_row_with_canonical_form_type_and_source():
    for page in PAGES:
        rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line[:2] == "| "]
        kinds = {row[1].strip("`"): row for row in rows if len(row) == 7 and row[1][:1] == "`"}
        assert set(kinds) == set(br.KINDS) - {"cnpj_numeric"}
        for name, row in kinds.items():
            assert row[2], name
            assert row[6], name
            assert (row[4] != "") is (br.KINDS[name].parse is not None), name
            assert re.search(r"`\w+`", row[5]), name


def test_every_public_name_that_no_table_implies_is_shown():
    verbs = ("is_valid_", "normalize_", "format_", "generate_", "explain_", "suggest_", "parse_")
    others = [
        name
        for name in br.__all__
        if not name.startswith(verbs) and not name.endswith("_PATTERN") and name[0] != "_"
    ]
    for page in PAGES:
        assert [name for name in [*others, "Canonical", "all_letters"] if name not in page] == []


def test_both_pages_run_the_same_examples():
    def shapes(page):
        blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        return [re.sub(r"#[^\n]*", "", block).count("assert") for block in blocks]

    portuguese, english = map(shapes, PAGES)
    assert portuguese == english
    headings = [len(re.findall(r"^## ", page, re.MULTILINE)) for page in PAGES]
    assert headings[0] == headings[1] > 10
