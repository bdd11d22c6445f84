"""docs/compatibility.md names a test for each sender: each is there."""

from __future__ import annotations

import re
from pathlib import Path

from test_docs_security import names_in

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "compatibility.md").read_text()
NAMED = set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE))


def test_each_named_test_is_there():
    assert NAMED
    assert not {f"{file}::{name}" for file, name in NAMED if name not in names_in(TESTS / file)}


def test_each_row_has_as_many_cells_as_its_head():
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        rows = [line.replace("\\|", "").count("|") for line in table.splitlines()]
        assert len(set(rows)) == 1, table


def test_each_plugin_named_is_there():
    for plugin in re.findall(r"`(plugins/\w+\.py)`", PAGE):
        assert (TESTS.parent / plugin).exists(), plugin
