"""docs/security.md names a test for each threat: each is there, and no hostile test is left out."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "security.md"
NAMED = set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE.read_text()))


@functools.cache
def names_in(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def test_each_named_test_is_there():
    assert len(NAMED) > 50
    missing = {f"{file}::{name}" for file, name in NAMED if name not in names_in(TESTS / file)}
    assert not missing


def test_each_hostile_test_is_named():
    files = (TESTS / "hostile").glob("test_*.py")
    there = {(f"hostile/{file.name}", name) for file in files for name in names_in(file)}
    assert there - NAMED == set()


def test_each_line_has_a_test():
    for line in PAGE.read_text().partition("## Threats")[2].splitlines():
        if line.startswith("| ") and not line.startswith("| | attack"):
            assert "::test_" in line, line


def test_links():
    for link in re.findall(r"\]\(([^)#:]+)\)", PAGE.read_text()):
        assert (PAGE.parent / link).exists(), link
