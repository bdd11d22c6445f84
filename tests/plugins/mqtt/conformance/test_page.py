"""docs/mqtt-conformance.md is what the markers say."""

from __future__ import annotations

import pytest

from mqtt_conformance import PAGE, Statement, page, shown, sources, statements
from mqtt_differences import DIFFERENCES

FEW = [
    Statement("5:3.1.0-1", "both", "a"),
    Statement("5:3.1.0-2", "server", "b"),
    Statement("5:3.1.2-20", "client", ""),
]


def test_the_page_is_what_the_markers_say():
    assert page(statements(), shown(sources()), DIFFERENCES) == PAGE.read_text(), "run `make conformance-page`"


def test_markers_of_every_form():
    source = """
@pytest.mark.mqtt("5:3.1.0-1")
def test_one(): ...
class TestX:
    @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.mqtt("5:3.1.0-1")), row("y", "5:3.1.0-2")])
    def test_two(self): ...
@pytest.mark.mqtt("5:3.1.0-1")
def no_test(): ...
"""
    found = shown({"a.py": source})
    assert found == {"5:3.1.0-1": ["a.py::test_one", "a.py::test_two"], "5:3.1.0-2": ["a.py::test_two"]}
    text = page(FEW, found)
    assert "| MQTT 5.0 | 2 | 2 | 0 |" in text
    assert "Clients alone are bound by 3.1.2-20." in text


def test_what_has_no_test_is_seen():
    text = page(FEW, shown({}))
    assert "| MQTT 5.0 | 2 | 0 | 2: [3.1.0-1]" in text
    assert text.count("**none**") == 2


@pytest.mark.parametrize("marker", ["5:3.1.0", "3.1.0-1", "5: 3.1.0-1", "4:3.1.0-1"])
def test_a_marker_that_names_nothing(marker):
    with pytest.raises(AssertionError):
        shown({"a.py": f'@pytest.mark.mqtt("{marker}")\ndef test_a(): ...\n'})


def test_a_marker_that_names_what_there_is_not():
    with pytest.raises(AssertionError, match="9"):
        page(FEW, shown({"a.py": '@pytest.mark.mqtt("5:3.1.0-9")\ndef test_a(): ...\n'}))
