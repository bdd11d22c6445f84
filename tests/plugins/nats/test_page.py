"""docs/nats-conformance.md: tests and scripts that it names are there, and its differences are those of the list."""

from __future__ import annotations

import re
from pathlib import Path

from interop.nats_scripts import SCRIPTS
from nats_conformance import HEAD, PAGE, section

TESTS = Path(__file__).parents[2]
STATEMENTS, _, DIFFERENCES = PAGE.read_text().partition(HEAD)


def test_each_named_test_is_there():
    named = set(re.findall(r"`([\w/]+\.py)::(\w+)`", STATEMENTS))
    assert len(named) > 15
    missing = [
        (file, name) for file, name in named if not re.search(rf"(def|class) {name}\b", (TESTS / file).read_text())
    ]
    assert missing == []


def test_each_script_is_named():
    named = set(re.findall(r"script `([^`]+)`", STATEMENTS))
    differing = set(re.findall(r"^\| `([^`]+)` \|", DIFFERENCES, re.MULTILINE))
    assert named <= set(SCRIPTS)
    assert set(SCRIPTS) - named - differing == set()


def test_each_statement_has_a_test():
    rows = [line for line in STATEMENTS.splitlines() if line.startswith("| ") and not line.startswith("| statement")]
    assert len(rows) > 35
    assert [row for row in rows if "::" not in row and "script `" not in row] == []


def test_the_differences_are_those_of_the_list():
    assert section() == HEAD + DIFFERENCES, "run python tests/nats_conformance.py"
