"""Every test that docs/wamp-conformance.md names is there, and every statement names one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[2] / "docs" / "wamp-conformance.md"


def rows():
    lines = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in lines if row[0].strip() not in ("section", "---")]


def named():
    return {name for row in rows() for name in re.findall(r"`([\w./]+\.py::\w+)`", row[-1])}


def functions_of(path):
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_each_test_is_there():
    found = {name: name.split("::") for name in named()}
    assert len(found) > 30
    assert [name for name, (path, test) in found.items() if test not in functions_of((FOLDER / path).resolve())] == []


def test_each_statement_has_one():
    assert len(rows()) > 40
    assert [row for row in rows() if not row[-1].count("::")] == []
