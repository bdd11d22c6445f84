"""Every test that a page of conformance names is there, and every statement names one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
DOCS = FOLDER.parents[1] / "docs"
HEADS = ("section", "version", "---")  # the first cells of rows that are no statements

pytestmark = pytest.mark.parametrize("dialect", ["stomp", "wamp"])


def rows(dialect: str) -> list[list[str]]:
    lines = (DOCS / f"{dialect}-conformance.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [row for row in cells if row[0] not in HEADS]


def functions_of(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_each_test_is_there(dialect: str) -> None:
    named = {name for row in rows(dialect) for name in re.findall(r"`([\w./]+\.py::\w+)`", row[-1])}
    assert len(named) > 30
    found = {name: name.split("::") for name in named}
    missing = [
        name for name, (path, test) in found.items() if test not in functions_of((FOLDER / dialect / path).resolve())
    ]
    assert missing == []


def test_each_statement_has_one(dialect: str) -> None:
    assert len(rows(dialect)) > 40
    assert [row for row in rows(dialect) if not row[-1].count("::")] == []
